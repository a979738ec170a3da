/* What the main loop carries between this worker's threads that have to do with other workers, and
 * the coordinator: jobs that are handed over (worker/share/loans.h), and who has blobs that are
 * lacking (worker/peers/seek.h). */
#include "config.h"

#include "worker/service_priv.h"
#include "worker/share/loans.h"

void
others_lend(void *arg, const Dray__WorkerLend *m)
{
	loans_hear(shares_loans(((struct upstream *)arg)->share), m);
}

void
others_unshared(void *arg, const Dray__WorkerUnshared *m)
{
	shares_unshared(((struct upstream *)arg)->share, m);
}

void
others_found(void *arg, const Dray__WorkerFound *m)
{
	seeker_hear(((struct upstream *)arg)->seeker, m);
}

/* Both need keys: a blob is given for a ticket, and that names two of them. */
void
others_open(struct upstream *up)
{
	struct service *s = up->service;
	const struct seeker_conf c = { .ctx = s->ctx,
		.identity = &s->identity,
		.coordinator = up->at,
		.key = &up->where,
		.moves = s->finding.on ? &up->where : NULL,
		.store = s->store,
		.tmp = up->tmp,
		.wait_ms = (unsigned)s->conf->worker.peer_wait_ms };
	int r = 0;

	if (!s->conf->worker.peers || s->local || endpoint_is_local(c.coordinator) ||
		!s->identity.has_secret || !*up->identity.curve_public)
		return;
	r = serve_open(s->store, up->owners, SERVE_STALL_MS, &up->serve);
	if (r == 0)
		r = seeker_open(&c, &up->seeker);
	if (r < 0)
		log_warn_errno(r, "blobs are not had from other workers");
}

static void
tell_loans(struct upstream *up)
{
	struct loans_word w;

	while (loans_next(shares_loans(up->share), &w))
		link_up_lent(up->link, w.sample, w.job, w.end, w.text);
}

static void
ask_for_peers(struct upstream *up)
{
	struct seeker_question q;

	while (up->seeker && seeker_next(up->seeker, &q)) {
		if (!link_up_seek(up->link, &q.ask))
			seeker_unheard(up->seeker, q.ask.job);
		seeker_question_done(&q);
	}
}

void
others_ask(struct upstream *up)
{
	tell_loans(up);
	ask_for_peers(up);
}

bool
others_serve(const struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].serve)
			return true;
	return false;
}

void
others_credit(struct service *s, const struct wire_peer *p, uint32_t number, uint32_t n)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].serve)
			serve_credit(s->up[i].serve, p, number, n);
}

void
others_stop(struct service *s, const struct wire_peer *p, uint32_t number)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].serve)
			serve_stop(s->up[i].serve, p, number);
}

void
others_gone(struct service *s, const struct wire_peer *p)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].serve)
			serve_gone(s->up[i].serve, p);
}
