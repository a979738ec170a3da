/* The connected peers and their roles.
 *
 * Invariants: a peer is in both tables from its Hello (or its refusal) to its removal; the
 * scheduler has nothing of it after that. libzmq cannot be told to end one connection of a ROUTER,
 * so a refused peer stays as DROPPED, and its messages are ignored, until it goes. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "coordinator/cache/desk.h"
#include "coordinator/cache/sampler.h"
#include "coordinator/server_priv.h"

void *
peer_socket(const struct server *s, const struct wire_peer *wire)
{
	return wire->door == DOOR_ADMIN ? s->admin_socket : s->socket;
}

struct monitor *
peer_monitor(const struct server *s, const struct wire_peer *wire)
{
	return wire->door == DOOR_ADMIN ? s->admin_monitor : s->monitor;
}

int
peers_init(struct server *s)
{
	int r;

	TAILQ_INIT(&s->doomed);
	table_key(s->hash_key);
	r = table_init(&s->peers);
	if (r < 0)
		return r;
	return table_init(&s->serials);
}

void
peers_done(struct server *s)
{
	struct table_node *node, *next;

	if (s->peers.bucket) {
		for (node = table_walk(&s->peers, NULL); node; node = next) {
			next = table_walk(&s->peers, node);
			free(table_entry(node, struct peer, by_id));
		}
	}
	table_done(&s->peers);
	table_done(&s->serials);
}

static uint64_t
id_hash(struct server *s, const struct wire_peer *wire)
{
	return table_hash(s->hash_key, wire->id, wire->id_len);
}

struct peer *
peer_find(struct server *s, const struct wire_peer *wire)
{
	struct table_node *node = table_find(&s->peers, id_hash(s, wire));

	for (; node; node = table_find_next(node)) {
		struct peer *p = table_entry(node, struct peer, by_id);

		if (wire_peer_eq(&p->wire, wire))
			return p;
	}
	return NULL;
}

struct peer *
peer_by_serial(struct server *s, uint64_t serial)
{
	/* Serials count up: they are their own hash. */
	struct table_node *node = table_find(&s->serials, serial);

	return node ? table_entry(node, struct peer, by_serial) : NULL;
}

struct peer *
peer_of_worker(struct server *s, const char *curve)
{
	struct sched_worker_view view;
	struct sched_worker *w;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		sched_worker_get(w, &view);
		if (streq(view.curve, curve)) {
			struct peer *p = peer_by_serial(s, view.tag);

			return p && p->worker == w && !p->doomed ? p : NULL;
		}
	}
	return NULL;
}

const char *
peer_worker_name(struct server *s, const char *curve)
{
	struct peer *p = peer_of_worker(s, curve);
	struct sched_worker_view view;

	if (!p)
		return curve;
	sched_worker_get(p->worker, &view);
	return view.name;
}

struct peer *
peer_add(struct server *s, const struct wire_peer *wire)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->wire = *wire;
	p->serial = ++s->next_serial;
	p->state = ADMIT_GREETED;
	p->crowded = !door_enter(s->door, wire->curve, s->now);
	table_put(&s->peers, &p->by_id, id_hash(s, wire));
	table_put(&s->serials, &p->by_serial, p->serial);
	return p;
}

bool
peer_is_same_client(const struct server *s, const struct peer *a, const struct peer *b)
{
	if (a->wire.curve[0] || b->wire.curve[0])
		return streq(a->wire.curve, b->wire.curve);
	return s->local;
}

void
peer_lose_worker(struct server *s, struct peer *p, const char *why)
{
	struct sched_worker_view view;

	sched_worker_get(p->worker, &view);
	log_info("worker=%s gone: %s; jobs=%u", view.name, why, view.used);
	tell_worker(s, view.name, why);
	/* one that said that it would go, and has no job, is no loss */
	if (!s->draining && !(view.draining && view.used == 0))
		tally_failed(s->tally, TALLY_WORKER_LOST,
			&(struct tally_words){ .worker = view.name, .text = why }, clock_wall_ms());
	sched_worker_gone(s->sched, p->worker, s->now);
	p->worker = NULL;
	refills_worker_gone(&s->refills, p->serial);
	refills_worker_gone(&s->pushes, p->serial);
	/* all go when the farm is shut down */
	if (s->sampler && p->wire.curve[0] && !s->draining)
		sampler_gone(s->sampler, p->wire.curve, s->now);
	if (p->state == ADMIT_REGISTERED)
		p->state = ADMIT_GREETED;
}

void
peer_end(struct server *s, struct peer *p, const char *why)
{
	if (p->worker)
		peer_lose_worker(s, p, why);
	if (s->desk)
		desk_gone(s->desk, p->serial);
	refills_client_gone(&s->refills, p->serial);
	refills_client_gone(&s->pushes, p->serial);
	sched_owner_gone(s->sched, p->serial, s->now);
	s->followers -= p->follows;
	p->follows = false;
}

void
peer_doom(struct server *s, struct peer *p)
{
	if (p->doomed)
		return;
	p->doomed = true;
	TAILQ_INSERT_TAIL(&s->doomed, p, doomed_link);
}

void
peer_remove(struct server *s, struct peer *p)
{
	peer_end(s, p, "its connection is gone");
	if (p->doomed)
		TAILQ_REMOVE(&s->doomed, p, doomed_link);
	table_del(&s->peers, &p->by_id);
	table_del(&s->serials, &p->by_serial);
	door_unread(s->door, p->wire.curve, -(int)p->unread);
	door_leave(s->door, p->wire.curve);
	free(p);
}

void
peers_sweep_doomed(struct server *s)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&s->doomed)))
		peer_remove(s, p);
}

/* Over ipc there are no keys, and each connection counts for itself. A node that has new keys is no
 * second one. */
uint64_t
peer_account(struct server *s, const struct peer *p)
{
	const char *node = allowed_keys_newest(&s->keys, p->wire.curve);
	uint64_t hash;

	if (*node)
		hash = table_hash(s->hash_key, node, strlen(node));
	else
		hash = table_hash(s->hash_key, &p->serial, sizeof(p->serial));
	return MAX2(hash, (uint64_t)1);
}

enum role
peer_key_role(struct server *s, const struct wire_peer *wire)
{
	if (wire->curve[0])
		return allowed_keys_role(&s->keys, wire->curve);
	if (wire->door == DOOR_ADMIN)
		return ROLE_ADMIN;
	return s->local ? ROLE_LOCAL : ROLE_NONE;
}
