/* Refills in the coordinator (proto/client.proto): what a client compiled at home goes to a worker
 * that has nothing to do, for the shared cache alone. The scheduler knows nothing of them: they
 * have no slot, are placed only while nobody waits for one, and end as soon as somebody does.
 *
 * Invariant: a worker gets only what it may see: of its own namespace, if it has one. */
#include "config.h"

#include <stdio.h>

#include "coordinator/server_priv.h"

/* The one with the smallest part of its slots in use. No peer: there is none; *ret_any: but one
 * that could. */
static void
choose(struct server *s, const struct peer *client, const Dray__JobRequest *m, struct aside_at *ret,
	bool *ret_any)
{
	struct sched_worker *w;

	*ret = (struct aside_at){ .peer = NULL };
	*ret_any = false;
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (!p || p->worker != w || p->doomed || !p->samples || view.draining ||
			view.glibc < m->glibc || !samples_take(s, p, client->wire.curve) ||
			!aside_may_see(s, p, client) || !aside_offers(w, &view, &m->toolchain))
			continue;
		*ret_any = true;
		if (view.trust != SCHED_TRUSTED || view.used >= view.slots ||
			refills_runs_on(&s->refills, p->serial) ||
			(s->sampler && (sampler_runs_on(s->sampler, view.curve) ||
					       sampler_wants(s->sampler, view.curve))) ||
			(ret->peer && view.used * ret->view.slots >= ret->view.used * view.slots))
			continue;
		*ret = (struct aside_at){ p, view };
	}
}

/* Why none is placed now; NULL: one may be. */
static const char *
why_not(struct server *s, const struct peer *p, Dray__Verdict *ret)
{
	struct sched_space_view space;

	*ret = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (!s->desk)
		return "this coordinator keeps no shared cache";
	if (!*p->wire.curve)
		return "a refill needs a client that has a key";
	*ret = DRAY__VERDICT__VERDICT_DRAINING;
	if (s->draining)
		return "the coordinator is shutting down";
	sched_space_get(s->sched, peer_namespace(s, p), &space);
	*ret = DRAY__VERDICT__VERDICT_FULL;
	if (space.may.slots > 0 && space.holding >= space.may.slots)
		return "its namespace has all the slots that it may have";
	if (sched_somebody_waits(s->sched))
		return "others wait for the farm";
	return refills_may(&s->refills, peer_account(s, p)) ? NULL
							    : "another one of this client runs";
}

void
refill_asked(struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *id)
{
	Dray__Verdict verdict;
	const char *why = why_not(s, p, &verdict);
	struct aside_at at = { .peer = NULL };
	struct digest toolchain;
	bool any;

	memcpy(toolchain.b, m->toolchain.data, DIGEST_SIZE);
	if (!why && !toolchains_allow(s, &toolchain)) {
		verdict = DRAY__VERDICT__VERDICT_NOT_PINNED;
		why = "its toolchain is not among those that this farm is limited to";
	}
	/* asked for twice, over a connection that was lost: the first one ends by itself */
	if (!why && (refills_find(&s->refills, m->job) || sched_job_is_known(s->sched, id)))
		why = "there is such a job already";
	if (!why) {
		choose(s, p, m, &at, &any);
		verdict = any ? DRAY__VERDICT__VERDICT_FULL : DRAY__VERDICT__VERDICT_NO_WORKER;
		why = at.peer ? NULL
		      : any   ? "no worker is idle"
			      : "no worker that shares what it makes can compile it";
	}
	if (why) {
		send_denied(s, p, m->job, verdict, why);
		return;
	}
	log_debug(
		"job=%s crate=%.64s is a refill: worker=%s", m->job, CLEAN(m->crate), at.view.name);
	(void)aside_place(s, &s->refills, p, m, &at, &(struct ticket_terms){ .refill = true });
}

bool
refill_left(struct server *s, const struct peer *p, const char *job, bool finished)
{
	struct refill *f = aside_of_client(&s->refills, p, job);

	if (f)
		aside_left(s, &s->refills, f, finished);
	return f != NULL;
}

bool
refill_ended(struct server *s, const struct peer *worker, const char *job)
{
	return aside_ended(&s->refills, worker, job);
}

void
refills_tick(struct server *s)
{
	aside_tick(s, &s->refills, s->refills.n > 0 && sched_somebody_waits(s->sched));
}
