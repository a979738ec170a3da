/* What the main loop carries between this worker's threads that have to do with other workers, and
 * the coordinator: jobs that are handed over (worker/share/loans.h), and who has blobs that are
 * lacking (worker/peers/seek.h). */
#include "config.h"

#include "worker/service_priv.h"
#include "worker/share/loans.h"

void
others_lend(void *arg, const Dray__WorkerLend *m)
{
	loans_hear(shares_loans(((struct service *)arg)->share), m);
}

void
others_unshared(void *arg, const Dray__WorkerUnshared *m)
{
	shares_unshared(((struct service *)arg)->share, m);
}

void
others_found(void *arg, const Dray__WorkerFound *m)
{
	seeker_hear(((struct service *)arg)->seeker, m);
}

/* Both need keys: a blob is given for a ticket, and that names two of them. */
void
others_open(struct service *s)
{
	const struct seeker_conf c = { .ctx = s->ctx,
		.identity = &s->identity,
		.coordinator = s->conf->worker.coordinator,
		.coordinator_curve = s->coordinator.curve_public,
		.store = s->store,
		.tmp = s->jobs_dir,
		.wait_ms = (unsigned)s->conf->worker.peer_wait_ms };
	int r = 0;

	if (!s->conf->worker.peers || s->local || endpoint_is_local(c.coordinator) ||
		!s->identity.has_secret || !*s->coordinator.curve_public)
		return;
	r = serve_open(s->store, s->owners, SERVE_STALL_MS, &s->serve);
	if (r == 0)
		r = seeker_open(&c, &s->seeker);
	if (r < 0)
		log_warn_errno(r, "blobs are not had from other workers");
}

static void
tell_loans(struct service *s)
{
	struct loans_word w;

	while (loans_next(shares_loans(s->share), &w))
		link_up_lent(s->link, w.sample, w.job, w.end, w.text);
}

static void
ask_for_peers(struct service *s)
{
	struct seeker_question q;

	while (s->seeker && seeker_next(s->seeker, &q)) {
		if (!link_up_seek(s->link, &q.ask))
			seeker_unheard(s->seeker, q.ask.job);
		seeker_question_done(&q);
	}
}

void
others_ask(struct service *s)
{
	tell_loans(s);
	ask_for_peers(s);
}
