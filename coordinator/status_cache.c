/* What the farm's status says of the shared cache, and whom the coordinator vouches for.
 *
 * Invariant: of a namespace only its own keys hear, and admins. */
#include "config.h"

#include <stdio.h>

#include "coordinator/cache/desk.h"
#include "coordinator/server_priv.h"
#include "keys/vouch.h"

/* As client.proto has it: the message is bounded. */
#define SPACES_MAX 256
#define PRODUCERS_MAX 8192

static bool
is_listed(const Dray__Status *m, const char *namespace)
{
	for (size_t i = 0; i < m->n_space; i++)
		if (streq(m->space[i]->namespace_, namespace))
			return true;
	return false;
}

/* namespace outlives the message. */
static void
add_space(struct server *s, Dray__Status *m, struct status_cache *c, char *namespace)
{
	struct store_stats stats = { .max = 0 };
	Dray__CacheSpace *space;

	if (m->n_space == SPACES_MAX || is_listed(m, namespace))
		return;
	/* a line that came since: so it is open the next time */
	desk_warm(s->desk, namespace);
	space = &c->spaces[m->n_space];
	dray__cache_space__init(space);
	space->namespace_ = namespace;
	space->open = desk_get_space(s->desk, namespace, &stats);
	space->entries = stats.entries;
	space->outputs = stats.blobs;
	space->bytes = stats.bytes;
	space->max = stats.max;
	c->space_list[m->n_space++] = space;
}

static void
fill_spaces(struct server *s, const struct peer *p, Dray__Status *m, struct status_cache *c)
{
	c->spaces = calloc(SPACES_MAX, sizeof(*c->spaces));
	c->space_list = calloc(SPACES_MAX, sizeof(*c->space_list));
	if (!c->spaces || !c->space_list)
		return;
	m->space = c->space_list;
	if (p->role != ROLE_ADMIN || s->local)
		add_space(s, m, c, c->namespace);
	for (size_t i = 0; p->role == ROLE_ADMIN && i < s->keys.n; i++)
		if (s->keys.v[i].role != ROLE_ADMIN || *s->keys.v[i].namespace)
			add_space(s, m, c, s->keys.v[i].namespace);
}

static void
fill_producers(struct server *s, const struct peer *p, Dray__Status *m, struct status_cache *c)
{
	size_t n;

	if ((p->role == ROLE_ADMIN ? vouch_all(&s->keys, &c->keys)
				   : vouch_for(&s->keys, c->namespace, &c->keys)) < 0)
		return;
	n = MIN2(c->keys.n, (size_t)PRODUCERS_MAX);
	c->producers = calloc(n + 1, sizeof(*c->producers));
	c->producer_list = calloc(n + 1, sizeof(*c->producer_list));
	if (!c->producers || !c->producer_list)
		return;
	for (size_t i = 0; i < n; i++) {
		vouch_fill(&c->producers[i], &c->keys.v[i]);
		c->producer_list[i] = &c->producers[i];
	}
	m->producer = c->producer_list;
	m->n_producer = n;
}

void
status_cache_fill(struct server *s, const struct peer *p, Dray__Status *m, struct status_cache *c)
{
	snprintf(c->namespace, sizeof(c->namespace), "%s", peer_namespace(s, p));
	m->says_cache = true;
	m->has_cache = s->desk != NULL;
	m->may_put = s->desk && (p->role == ROLE_PUBLISHER || p->role == ROLE_WORKER);
	m->namespace_ = c->namespace;
	if (s->desk)
		fill_spaces(s, p, m, c);
	fill_producers(s, p, m, c);
}

void
status_cache_done(struct status_cache *c)
{
	free(c->producer_list);
	free(c->producers);
	free(c->space_list);
	free(c->spaces);
	trust_keys_done(&c->keys);
}
