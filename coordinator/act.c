/* The scheduler's actions become messages.
 *
 * Invariant: when act_all returns, no action waits, and every peer that could not be sent to has
 * been removed with all that it had. Each removal ends jobs, and so may bring new actions.
 * The loop ends because every round has one peer less. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

/* protobuf-c wants strings that can be written to, though it only reads them. */
static char *
as_mutable(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { text };

	return u.out;
}

/* The worker lets nobody in whom it does not expect. */
static void
name_client(struct server *s, const struct sched_worker_view *view, const struct peer *client,
	bool on_trial)
{
	const struct allowed_key *k = allowed_keys_find(&s->keys, client->wire.curve);
	struct peer *p = peer_by_serial(s, view->tag);
	Dray__WorkerExpect m;

	if (!p || !k)
		return;
	dray__worker_expect__init(&m);
	m.curve_public = as_mutable(client->wire.curve);
	m.role = as_mutable(role_name(client->role));
	m.namespace_ = as_mutable(k->namespace);
	m.on_trial = on_trial;
	m.share = samples_take(s, p, client->wire.curve);
	server_send(s, p, WIRE_WORKER_EXPECT, &m.base);
}

static void
act_place(struct server *s, const struct sched_action *a, struct peer *p, char *job)
{
	_cleanup_(freep) uint8_t *ticket = NULL;
	Dray__JobPlaced m;
	uint8_t signature[SIGNATURE_SIZE];
	struct event told = { .kind = EVENT_PLACED, .good = true };
	struct sched_worker_view view;
	size_t n;
	int r;

	if (alike_placed(s, p, a)) {
		/* its slot is free again */
		sched_job_withdraw(s->sched, a->owner, &a->job, s->now);
		return;
	}
	sched_worker_get(a->worker, &view);
	r = ticket_issue(&s->id, job, p->wire.curve, view.curve,
		&(struct ticket_terms){ .twin = a->twin }, server_time(s), &ticket, &n, signature);
	if (r < 0) {
		log_throttled(
			&s->no_ticket, 5, "job=%s cannot sign its ticket: %s", job, strerror(-r));
		sched_job_cancel(s->sched, a->owner, &a->job, s->now);
		send_denied(s, p, job, DRAY__VERDICT__VERDICT_NO_WORKER,
			"the coordinator cannot sign tickets");
		return;
	}
	dray__job_placed__init(&m);
	m.job = job;
	m.worker = as_mutable(view.name);
	m.endpoint = as_mutable(view.endpoint);
	m.curve_public = as_mutable(view.curve);
	m.ticket.data = ticket;
	m.ticket.len = n;
	m.signature.data = signature;
	m.signature.len = sizeof(signature);
	log_debug("job=%s placed: worker=%s used=%u slots=%u%s", job, view.name, view.used,
		view.slots, a->twin ? " twin" : "");
	name_client(s, &view, p, sched_job_on_trial(s->sched, &a->job));
	cache_job_placed(s, &a->job, view.tag, a->twin);
	clean_text(view.name, told.worker, sizeof(told.worker));
	tell_job(s, p, &a->job, &told);
	server_send(s, p, WIRE_JOB_PLACED, &m.base);
}

static void
act_cancel(struct server *s, const struct sched_action *a, char *job)
{
	Dray__WorkerCancel m;
	struct sched_worker_view view;
	struct peer *p;

	sched_worker_get(a->worker, &view);
	p = peer_by_serial(s, view.tag);
	if (!p || p->worker != a->worker)
		return;
	dray__worker_cancel__init(&m);
	m.job = job;
	log_debug("job=%s wanted no more: worker=%s", job, view.name);
	server_send(s, p, WIRE_WORKER_CANCEL, &m.base);
}

static void
act_one(struct server *s, const struct sched_action *a)
{
	struct peer *p = a->type == SCHED_CANCEL ? NULL : peer_by_serial(s, a->owner);
	Dray__JobQueued queued;
	char job[JOB_ID_HEX_SIZE];

	sched_job_id_hex(&a->job, job);
	if (a->type == SCHED_CANCEL) {
		act_cancel(s, a, job);
	} else if (!p) {
		return;
	} else if (a->type == SCHED_PLACE) {
		act_place(s, a, p, job);
	} else if (a->type == SCHED_QUEUED) {
		dray__job_queued__init(&queued);
		queued.job = job;
		queued.ahead = a->ahead;
		queued.why = as_mutable(a->text);
		server_send(s, p, WIRE_JOB_QUEUED, &queued.base);
	} else {
		struct event told = { .kind = EVENT_DENIED };

		clean_text(a->text, told.text, sizeof(told.text));
		tell_job(s, p, &a->job, &told);
		if (a->verdict == DRAY__VERDICT__VERDICT_QUOTA)
			tally_over_quota(s->tally, peer_namespace(s, p));
		send_denied_as(s, p, job, a->verdict, a->text,
			&(struct denied_more){
				.give = a->verdict == DRAY__VERDICT__VERDICT_NO_WORKER &&
					push_invites(s, p, &a->toolchain) });
	}
}

/* A worker's trust has changed: those that follow are told. */
static void
tell_trust(struct server *s, const struct sched_worker *w)
{
	static const char *const texts[] = {
		[SCHED_TRUSTED] = "trusted again",
		[SCHED_SHUNNED] = "shunned: too many of its jobs failed; it gets none for a while",
		[SCHED_PROBED] = "tried again, with one job",
	};
	struct sched_worker_view view;

	sched_worker_get(w, &view);
	log_info("worker=%s %s", view.name, texts[view.trust]);
	tell_worker(s, view.name, texts[view.trust]);
	if (view.trust == SCHED_SHUNNED)
		tally_failed(s->tally, TALLY_SHUNNED,
			&(struct tally_words){ .worker = view.name, .text = texts[view.trust] },
			clock_wall_ms());
}

/* Clients of several keys say that a worker lacks what it offers. */
static void
tell_doubt(struct server *s, const struct sched_doubt *d)
{
	char hex[DIGEST_HEX_SIZE], text[160];

	digest_hex(&d->toolchain, hex);
	snprintf(text, sizeof(text),
		"it gets no job of the toolchain %.12s for %" PRIu64
		" s: clients of two keys say that it does not have it (drayctl resume)",
		hex, d->ms / 1000);
	log_warn("worker=%s %s", d->worker, text);
	tell_worker(s, d->worker, text);
}

void
act_all(struct server *s)
{
	struct sched_doubt doubt;
	struct sched_action a;
	struct sched_worker *w;

	for (;;) {
		while (sched_next_action(s->sched, &a))
			act_one(s, &a);
		while ((w = sched_worker_news(s->sched)))
			tell_trust(s, w);
		while (sched_doubt_news(s->sched, &doubt))
			tell_doubt(s, &doubt);
		if (TAILQ_EMPTY(&s->doomed))
			return;
		peers_sweep_doomed(s);
	}
}
