/* Pushes (proto/client.proto): a client gives a worker a toolchain that it lacks. The scheduler
 * knows nothing of them: they have no slot.
 *
 * Invariant: only where the admin's configuration says so, and of toolchains whose jobs are taken;
 * a worker is given one at a time, as is one by a client's key. */
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
offers(const struct sched_worker *w, const struct sched_worker_view *view, const struct digest *id)
{
	for (size_t i = 0; i < view->n_offers; i++)
		if (digest_eq(sched_worker_offer(w, i, NULL), id))
			return true;
	return false;
}

static bool
was_asked(const Dray__JobRequest *m, const char *worker)
{
	for (size_t i = 0; i < m->n_failed; i++)
		if (streq(m->failed[i]->worker, worker))
			return true;
	return false;
}

struct choice {
	struct peer *peer; /* NULL: there is none */
	struct sched_worker_view view;
	unsigned having; /* workers that have it */
	bool busy;	 /* one that lacks it is being given another one */
};

/* A worker whose line names a namespace is given only what its own namespace has. */
static bool
may_see(struct server *s, const struct peer *worker, const struct peer *client)
{
	const char *own = peer_namespace(s, worker);

	return !*own || streq(own, peer_namespace(s, client));
}

/* The one with the smallest part of its slots in use. */
static void
choose(struct server *s, const struct peer *client, const Dray__JobRequest *m,
	const struct digest *id, struct choice *ret)
{
	struct sched_worker *w;

	*ret = (struct choice){ .peer = NULL };
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (offers(w, &view, id)) {
			ret->having++;
			continue;
		}
		if (!p || p->worker != w || p->doomed || !p->takes_toolchains || view.draining ||
			view.trust != SCHED_TRUSTED || was_asked(m, view.name) ||
			!may_see(s, p, client))
			continue;
		if (refills_runs_on(&s->pushes, p->serial)) {
			ret->busy = true;
			continue;
		}
		if (ret->peer && view.used * ret->view.slots >= ret->view.used * view.slots)
			continue;
		ret->peer = p;
		ret->view = view;
	}
}

/* The worker lets nobody in whom it does not expect. */
static void
expect(struct server *s, struct peer *worker, const struct peer *client)
{
	Dray__WorkerExpect m = DRAY__WORKER_EXPECT__INIT;

	if (!*client->wire.curve)
		return;
	m.share = samples_take(s, worker, client->wire.curve);
	m.curve_public = as_mutable(client->wire.curve);
	m.role = as_mutable(role_name(client->role));
	m.namespace_ = as_mutable(peer_namespace(s, client));
	server_send(s, worker, WIRE_WORKER_EXPECT, &m.base);
}

static void
place(struct server *s, struct peer *client, const Dray__JobRequest *m, struct choice *c)
{
	_cleanup_(freep) uint8_t *ticket = NULL;
	struct ticket_terms terms = { .push = true, .one = true };
	Dray__JobPlaced placed = DRAY__JOB_PLACED__INIT;
	uint8_t signature[SIGNATURE_SIZE];
	struct refill f = { .client = client->serial,
		.account = peer_account(s, client),
		.worker = c->peer->serial };
	size_t n;

	memcpy(terms.toolchain.b, m->toolchain.data, DIGEST_SIZE);
	if (ticket_issue(&s->id, m->job, client->wire.curve, c->view.curve, &terms, server_time(s),
		    &ticket, &n, signature) < 0) {
		send_denied(s, client, m->job, DRAY__VERDICT__VERDICT_NO_WORKER,
			"the coordinator cannot sign tickets");
		return;
	}
	snprintf(f.job, sizeof(f.job), "%s", m->job);
	refills_add(&s->pushes, &f, s->now);
	placed.job = m->job;
	placed.worker = as_mutable(c->view.name);
	placed.endpoint = as_mutable(c->view.endpoint);
	placed.curve_public = as_mutable(c->view.curve);
	placed.ticket = (ProtobufCBinaryData){ n, ticket };
	placed.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	log_info("job=%s key=%s gives a toolchain: worker=%s", m->job,
		*client->wire.curve ? client->wire.curve : "-", c->view.name);
	expect(s, c->peer, client);
	server_send(s, client, WIRE_JOB_PLACED, &placed.base);
}

/* Why none is placed; NULL: one may be. */
static const char *
why_not(struct server *s, const struct peer *p, const struct digest *id, Dray__Verdict *ret)
{
	*ret = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (s->conf->coordinator.toolchains != TOOLCHAINS_PUSH)
		return "this farm takes no toolchains from clients: its admin installs it on the "
		       "workers, or sets [coordinator] toolchains = push";
	*ret = DRAY__VERDICT__VERDICT_NOT_PINNED;
	if (!toolchains_allow(s, id))
		return "the toolchain is not among those that this farm is limited to (drayctl "
		       "toolchain pin)";
	*ret = DRAY__VERDICT__VERDICT_DRAINING;
	if (s->draining)
		return "the coordinator is shutting down";
	*ret = DRAY__VERDICT__VERDICT_FULL;
	return refills_may(&s->pushes, peer_account(s, p))
		       ? NULL
		       : "this client's key gives another one just now";
}

static void
deny(struct server *s, struct peer *p, char *job, Dray__Verdict verdict, const char *text,
	unsigned having)
{
	Dray__JobDenied m = DRAY__JOB_DENIED__INIT;
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", text);
	m.job = job;
	m.verdict = verdict;
	m.text = copy;
	m.having = having;
	server_send(s, p, WIRE_JOB_DENIED, &m.base);
}

void
push_asked(struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *job)
{
	struct digest id;
	Dray__Verdict verdict;
	const char *why;
	struct choice c = { .peer = NULL };

	memcpy(id.b, m->toolchain.data, DIGEST_SIZE);
	why = why_not(s, p, &id, &verdict);
	if (!why && (refills_find(&s->pushes, m->job) || sched_job_is_known(s->sched, job))) {
		verdict = DRAY__VERDICT__VERDICT_FULL;
		why = "there is such a job already";
	}
	if (!why) {
		choose(s, p, m, &id, &c);
		verdict = c.busy ? DRAY__VERDICT__VERDICT_FULL : DRAY__VERDICT__VERDICT_NO_WORKER;
		if (!c.peer)
			why = c.busy	 ? "the workers that lack it are being given others"
			      : c.having ? "no other worker is there that takes it"
					 : "no worker is there that takes toolchains ([worker] "
					   "toolchains_max)";
	}
	if (why)
		deny(s, p, m->job, verdict, why, c.having);
	else
		place(s, p, m, &c);
}

static void
cancel(struct server *s, const struct refill *f)
{
	struct peer *worker = peer_by_serial(s, f->worker);
	Dray__WorkerCancel m = DRAY__WORKER_CANCEL__INIT;

	if (!worker || !worker->worker)
		return;
	m.job = as_mutable(f->job);
	server_send(s, worker, WIRE_WORKER_CANCEL, &m.base);
}

bool
push_left(struct server *s, const struct peer *p, const char *job, bool finished)
{
	struct refill *f = refills_find(&s->pushes, job);

	if (!f || f->client != p->serial)
		return false;
	/* its key may give the next one */
	f->account = 0;
	if (!finished && refills_cancel(&s->pushes, f, s->now))
		cancel(s, f);
	return true;
}

bool
push_ended(struct server *s, const struct peer *worker, const char *job)
{
	struct refill *f = refills_find(&s->pushes, job);

	if (!f || f->worker != worker->serial)
		return false;
	refills_end(&s->pushes, f);
	return true;
}

const struct peer *
push_client(struct server *s, const struct peer *worker, const char *job)
{
	const struct refill *f = refills_find(&s->pushes, job);

	return f && f->worker == worker->serial && f->client ? peer_by_serial(s, f->client) : NULL;
}

void
pushes_tick(struct server *s)
{
	struct refill *f;

	while ((f = refills_next_cancel(&s->pushes, false, s->now)))
		cancel(s, f);
	refills_expire(&s->pushes, s->now);
}
