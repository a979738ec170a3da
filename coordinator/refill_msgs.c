/* Refills in the coordinator (proto/client.proto): what a client compiled at home goes to a worker
 * that has nothing to do, for the shared cache alone. The scheduler knows nothing of them: they
 * have no slot, are placed only while nobody waits for one, and end as soon as somebody does.
 *
 * Invariant: a worker gets only what it may see: of its own namespace, if it has one. */
#include "config.h"

#include <stdio.h>

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

static bool
offers(const struct sched_worker *w, const struct sched_worker_view *view,
	const ProtobufCBinaryData *toolchain)
{
	for (size_t i = 0; i < view->n_offers; i++)
		if (memcmp(sched_worker_offer(w, i, NULL)->b, toolchain->data, DIGEST_SIZE) == 0)
			return true;
	return false;
}

static bool
may_see(struct server *s, const struct peer *worker, const struct peer *client)
{
	const char *own = peer_namespace(s, worker);

	return !*own || streq(own, peer_namespace(s, client));
}

/* The one with the smallest part of its slots in use. NULL: there is none; *ret_any: but one that
 * could. */
static struct peer *
choose(struct server *s, const struct peer *client, const Dray__JobRequest *m,
	struct sched_worker_view *ret, bool *ret_any)
{
	struct sched_worker *w;
	struct peer *best = NULL;

	*ret_any = false;
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (!p || p->worker != w || p->doomed || !p->samples || view.draining ||
			view.glibc < m->glibc || !samples_take(s, p, client->wire.curve) ||
			!may_see(s, p, client) || !offers(w, &view, &m->toolchain))
			continue;
		*ret_any = true;
		if (view.trust != SCHED_TRUSTED || view.used >= view.slots ||
			refills_runs_on(&s->refills, p->serial) ||
			(s->sampler && (sampler_runs_on(s->sampler, view.curve) ||
					       sampler_wants(s->sampler, view.curve))) ||
			(best && view.used * ret->slots >= ret->used * view.slots))
			continue;
		best = p;
		*ret = view;
	}
	return best;
}

/* The worker lets nobody in whom it does not expect. */
static void
expect(struct server *s, struct peer *worker, const struct peer *client)
{
	Dray__WorkerExpect m = DRAY__WORKER_EXPECT__INIT;

	m.share = samples_take(s, worker, client->wire.curve);
	/* a refill shows nothing of a key: if it was on trial, it is so still */
	m.on_trial = sched_account_on_trial(s->sched, peer_account(s, client));
	m.curve_public = as_mutable(client->wire.curve);
	m.role = as_mutable(role_name(client->role));
	m.namespace_ = as_mutable(peer_namespace(s, client));
	server_send(s, worker, WIRE_WORKER_EXPECT, &m.base);
}

static void
place(struct server *s, struct peer *client, const Dray__JobRequest *m, struct peer *worker,
	const struct sched_worker_view *view)
{
	_cleanup_(freep) uint8_t *ticket = NULL;
	const struct ticket_terms terms = { .refill = true };
	Dray__JobPlaced placed = DRAY__JOB_PLACED__INIT;
	uint8_t signature[SIGNATURE_SIZE];
	struct refill f = { .client = client->serial,
		.account = peer_account(s, client),
		.worker = worker->serial };
	size_t n;

	if (ticket_issue(&s->id, m->job, client->wire.curve, view->curve, &terms, server_time(s),
		    &ticket, &n, signature) < 0) {
		send_denied(s, client, m->job, DRAY__VERDICT__VERDICT_NO_WORKER,
			"the coordinator cannot sign tickets");
		return;
	}
	snprintf(f.job, sizeof(f.job), "%s", m->job);
	refills_add(&s->refills, &f, s->now);
	placed.job = m->job;
	placed.worker = as_mutable(view->name);
	placed.endpoint = as_mutable(view->endpoint);
	placed.curve_public = as_mutable(view->curve);
	placed.ticket = (ProtobufCBinaryData){ n, ticket };
	placed.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	log_debug("job=%s crate=%.64s is a refill: worker=%s", m->job, CLEAN(m->crate), view->name);
	expect(s, worker, client);
	server_send(s, client, WIRE_JOB_PLACED, &placed.base);
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
	struct sched_worker_view view = { .name = NULL };
	Dray__Verdict verdict;
	const char *why = why_not(s, p, &verdict);
	struct peer *worker = NULL;
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
		worker = choose(s, p, m, &view, &any);
		verdict = any ? DRAY__VERDICT__VERDICT_FULL : DRAY__VERDICT__VERDICT_NO_WORKER;
		why = worker ? NULL
		      : any  ? "no worker is idle"
			     : "no worker that shares what it makes can compile it";
	}
	if (why)
		send_denied(s, p, m->job, verdict, why);
	else
		place(s, p, m, worker, &view);
}

static void
cancel(struct server *s, const struct refill *f)
{
	struct peer *worker = peer_by_serial(s, f->worker);
	Dray__WorkerCancel m = DRAY__WORKER_CANCEL__INIT;

	if (!worker || !worker->worker)
		return;
	m.job = as_mutable(f->job);
	log_debug("job=%s, a refill, is wanted no more", f->job);
	server_send(s, worker, WIRE_WORKER_CANCEL, &m.base);
}

bool
refill_left(struct server *s, const struct peer *p, const char *job, bool finished)
{
	struct refill *f = refills_find(&s->refills, job);

	if (!f || f->client != p->serial)
		return false;
	if (finished)
		refills_leave(&s->refills, f, s->now);
	else if (refills_cancel(&s->refills, f, s->now))
		cancel(s, f);
	return true;
}

bool
refill_ended(struct server *s, const struct peer *worker, const char *job)
{
	struct refill *f = refills_find(&s->refills, job);

	if (!f || f->worker != worker->serial)
		return false;
	refills_end(&s->refills, f);
	return true;
}

void
refills_tick(struct server *s)
{
	bool wanted = s->refills.n > 0 && sched_somebody_waits(s->sched);
	struct refill *f;

	while ((f = refills_next_cancel(&s->refills, wanted, s->now)))
		cancel(s, f);
	refills_expire(&s->refills, s->now);
}
