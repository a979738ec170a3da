/* Who is connected, and as what.
 *
 * Invariants: a peer is in both tables from its Hello (or its refusal) to its removal; what the
 * scheduler knows of it ends no later. libzmq cannot be told to end one connection of a ROUTER, so
 * a peer that was refused stays as DROPPED, unheard, until it goes. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "coordinator/server_priv.h"

int
peers_init(struct server *s)
{
	int r;

	TAILQ_INIT(&s->doomed);
	if (getrandom(s->hash_key, sizeof(s->hash_key), 0) != (ssize_t)sizeof(s->hash_key))
		return -EIO;
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
peer_add(struct server *s, const struct wire_peer *wire)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->wire = *wire;
	p->serial = ++s->next_serial;
	p->state = PEER_GREETED;
	table_put(&s->peers, &p->by_id, id_hash(s, wire));
	table_put(&s->serials, &p->by_serial, p->serial);
	return p;
}

void
peer_remove(struct server *s, struct peer *p)
{
	if (p->worker)
		worker_lost(s, p, "its connection is gone");
	sched_owner_gone(s->sched, p->serial, s->now);
	if (p->doomed)
		TAILQ_REMOVE(&s->doomed, p, doomed_link);
	table_del(&s->peers, &p->by_id);
	table_del(&s->serials, &p->by_serial);
	free(p);
}

void
peers_sweep_doomed(struct server *s)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&s->doomed)))
		peer_remove(s, p);
}

enum role
peer_key_role(struct server *s, const struct wire_peer *wire)
{
	return wire->curve[0] ? allowed_keys_role(&s->keys, wire->curve) : ROLE_NONE;
}

static int
fail(char **ret_error, int err, const char *text, const char *path)
{
	if (asprintf(ret_error, "%s: %s: %s.", path, text, strerror(-err)) < 0)
		*ret_error = NULL;
	return err;
}

int
keys_load(struct server *s, char **ret_error)
{
	const char *path = s->conf->coordinator.allowed_keys;
	struct allowed_keys keys = { NULL, 0 };
	struct stat st;
	unsigned line = 0;
	int r;

	/* The stat comes first: a change after it is seen at the next look. */
	if (stat(path, &st) < 0)
		return fail(ret_error, -errno, "cannot read the allowed keys", path);
	s->keys_stat = st;
	r = allowed_keys_load(path, &keys, &line);
	if (r == -EBADMSG) {
		if (asprintf(ret_error,
			    "%s: line %u is not \"<client|worker|admin> <public key> [name]\".",
			    path, line) < 0)
			*ret_error = NULL;
		return r;
	}
	if (r < 0)
		return fail(ret_error, r, "cannot read the allowed keys", path);
	allowed_keys_done(&s->keys);
	s->keys = keys;
	return 0;
}

/* Those whose role was changed or taken away. */
static void
drop_disallowed(struct server *s)
{
	struct table_node *node, *next;

	for (node = table_walk(&s->peers, NULL); node; node = next) {
		struct peer *p = table_entry(node, struct peer, by_id);

		next = table_walk(&s->peers, node);
		if (p->state != PEER_DROPPED && p->wire.curve[0] &&
			peer_key_role(s, &p->wire) != p->role)
			server_refuse(s, &p->wire, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
				"The key %s is no longer allowed as %s.", p->wire.curve,
				role_name(p->role));
	}
}

void
keys_reload(struct server *s)
{
	_cleanup_(freep) char *error = NULL;

	if (s->local)
		return;
	if (keys_load(s, &error) < 0) {
		log_error("the keys in use stay as they were: %s", error ? error : "out of memory");
		return;
	}
	log_info("allowed keys read again: file=%s keys=%zu", s->conf->coordinator.allowed_keys,
		s->keys.n);
	drop_disallowed(s);
}

void
keys_check(struct server *s)
{
	const struct stat *old = &s->keys_stat;
	struct stat st;

	/* One that is missing for a moment is being replaced. */
	if (s->local || stat(s->conf->coordinator.allowed_keys, &st) < 0)
		return;
	if (st.st_mtim.tv_sec == old->st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == old->st_mtim.tv_nsec && st.st_size == old->st_size &&
		st.st_ino == old->st_ino && st.st_dev == old->st_dev)
		return;
	keys_reload(s);
}
