/* A request's end, and what is said of it: what reading and writing (desk_get.c, desk_put.c) share.
 *
 * Invariant: a request is freed when threads have nothing of it and, unless its peer is gone,
 * nothing of it is on its way. */
#include "config.h"

#include <stdio.h>

#include "coordinator/cache/desk_priv.h"

void
desk_release_account(struct desk *c, struct desk_account *a)
{
	if (a->peers > 0 || a->gets > 0 || a->puts > 0)
		return;
	table_del(&c->accounts, &a->node);
	free(a);
}

void
desk_release_peer(struct desk *c, struct desk_peer *p)
{
	struct desk_account *a = p->account;

	if (!LIST_EMPTY(&p->requests))
		return;
	table_del(&c->peers, &p->node);
	free(p);
	a->peers--;
	desk_release_account(c, a);
}

static void
unnumber(struct desk_request *r)
{
	if (r->numbered)
		table_del(&r->desk->requests, &r->by_number);
	r->numbered = false;
}

void
desk_stop_waiting(struct desk_request *r)
{
	if (r->waits)
		TAILQ_REMOVE(&r->desk->waiting, r, waiting);
	r->waits = false;
}

void
desk_leave_peer(struct desk_request *r)
{
	struct desk_peer *p = r->peer;

	if (!p)
		return;
	unnumber(r);
	LIST_REMOVE(r, of_peer);
	p->on_way -= r->is_put ? 0 : r->get.turn.n;
	r->peer = NULL;
}

void
desk_release(struct desk_request *r)
{
	struct desk *c = r->desk;
	struct desk_peer *p = r->peer;
	struct desk_account *a = r->account;

	if (r->works > 0)
		return;
	if (p && (r->stage != DESK_FINISHED || (!r->is_put && turns_owes(&r->get.turn))))
		return;
	/* What a thread began a thread ends. */
	if (r->kind->abort && r->kind->abort(r))
		return;
	desk_leave_peer(r);
	desk_stop_waiting(r);
	r->kind->done(r);
	(r->is_put ? &a->puts : &a->gets)[0]--;
	c->n_requests--;
	free(r);
	if (p)
		desk_release_peer(c, p);
	else
		desk_release_account(c, a);
}

void
desk_say(struct desk_request *r, enum wire_type type, const ProtobufCMessage *body,
	zmq_msg_t *payload)
{
	struct desk *c = r->desk;

	if (r->peer && !c->closing)
		c->host.send(c->host.arg, r->peer->serial, r->number, type, body, payload);
	if (payload)
		zmq_msg_close(payload);
}

void
desk_end(struct desk_request *r, Dray__Verdict verdict, const char *text)
{
	Dray__SharedEnd m;
	char copy[256];

	dray__shared_end__init(&m);
	snprintf(copy, sizeof(copy), "%s", text);
	m.verdict = verdict;
	m.text = copy;
	if (r->is_put) {
		m.was_there = r->put.was_there;
	} else {
		m.absent = r->get.absent;
		m.n_absent = r->get.n_absent;
		m.sizes = r->get.sizes;
		m.n_sizes = r->get.sizes ? r->get.n : 0;
		turns_rest(r->desk->turns, &r->get.turn);
	}
	desk_stop_waiting(r);
	r->stage = DESK_FINISHED;
	desk_say(r, WIRE_SHARED_END, &m.base, NULL);
	if (r->is_put)
		unnumber(r);
	desk_release(r);
}
