/* What goes to a worker beside the scheduler: refills (refill_msgs.c) and pushes (push_msgs.c).
 * They have no slot. This file places them and ends them; whether, and where, is for those two to
 * say.
 *
 * Invariant: what is overdue, or nobody's, is cancelled at its worker before it is forgotten. */
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

bool
aside_offers(const struct sched_worker *w, const struct sched_worker_view *view,
	const ProtobufCBinaryData *toolchain)
{
	for (size_t i = 0; i < view->n_offers; i++)
		if (memcmp(sched_worker_offer(w, i, NULL)->b, toolchain->data, DIGEST_SIZE) == 0)
			return true;
	return false;
}

bool
aside_may_see(struct server *s, const struct peer *worker, const struct peer *client)
{
	const char *own = peer_namespace(s, worker);

	return !*own || streq(own, peer_namespace(s, client));
}

/* The worker lets nobody in whom it does not expect. */
static void
expect(struct server *s, struct peer *worker, const struct peer *client)
{
	Dray__WorkerExpect m = DRAY__WORKER_EXPECT__INIT;

	if (!*client->wire.curve)
		return;
	m.share = samples_take(s, worker, client->wire.curve);
	/* nothing of this shows anything of a key: if it was on trial, it is so still */
	m.on_trial = sched_account_on_trial(s->sched, peer_account(s, client));
	m.curve_public = as_mutable(client->wire.curve);
	m.role = as_mutable(role_name(client->role));
	m.namespace_ = as_mutable(peer_namespace(s, client));
	server_send(s, worker, WIRE_WORKER_EXPECT, &m.base);
}

struct refill *
aside_place(struct server *s, struct refills *among, struct peer *client, const Dray__JobRequest *m,
	const struct aside_at *at, const struct ticket_terms *terms)
{
	_cleanup_(freep) uint8_t *ticket = NULL;
	Dray__JobPlaced placed = DRAY__JOB_PLACED__INIT;
	uint8_t signature[SIGNATURE_SIZE];
	struct refill f = { .client = client->serial,
		.account = peer_account(s, client),
		.worker = at->peer->serial };
	size_t n;

	if (ticket_issue(&s->id, m->job, client->wire.curve, at->view.curve, terms, server_time(s),
		    &ticket, &n, signature) < 0) {
		send_denied(s, client, m->job, DRAY__VERDICT__VERDICT_NO_WORKER,
			"the coordinator cannot sign tickets");
		return NULL;
	}
	snprintf(f.job, sizeof(f.job), "%s", m->job);
	refills_add(among, &f, s->now);
	placed.job = m->job;
	placed.worker = as_mutable(at->view.name);
	placed.endpoint = as_mutable(at->view.endpoint);
	placed.curve_public = as_mutable(at->view.curve);
	placed.ticket = (ProtobufCBinaryData){ n, ticket };
	placed.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	expect(s, at->peer, client);
	server_send(s, client, WIRE_JOB_PLACED, &placed.base);
	return refills_find(among, m->job);
}

static void
cancel(struct server *s, const struct refill *f)
{
	struct peer *worker = peer_by_serial(s, f->worker);
	Dray__WorkerCancel m = DRAY__WORKER_CANCEL__INIT;

	if (!worker || !worker->worker)
		return;
	m.job = as_mutable(f->job);
	log_debug("job=%s, which has no slot, is wanted no more", f->job);
	server_send(s, worker, WIRE_WORKER_CANCEL, &m.base);
}

struct refill *
aside_of_client(struct refills *among, const struct peer *p, const char *job)
{
	struct refill *f = refills_find(among, job);

	return f && f->client == p->serial ? f : NULL;
}

void
aside_left(struct server *s, struct refills *among, struct refill *f, bool finished)
{
	if (finished)
		refills_leave(among, f, s->now);
	else if (refills_cancel(among, f, s->now))
		cancel(s, f);
}

bool
aside_ended(struct refills *among, const struct peer *worker, const char *job)
{
	struct refill *f = refills_find(among, job);

	if (!f || f->worker != worker->serial)
		return false;
	refills_end(among, f);
	return true;
}

void
aside_tick(struct server *s, struct refills *among, bool wanted)
{
	struct refill *f;

	while ((f = refills_next_cancel(among, wanted, s->now)))
		cancel(s, f);
	refills_expire(among, s->now);
}
