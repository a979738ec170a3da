/* What there is in the farm, as a message for an admin. Invariant: whatever there is, the message
 * is not larger than its type may be; what has no room is counted. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/server_priv.h"
#include "coordinator/view.h"

#define TOOLCHAINS_MAX 1024 /* different ones */
#define OF_ONE_MAX 64	    /* that are listed for one worker */
#define STANDING_TEXT_MAX 16

struct look {
	struct view *v;
	Dray__AdminView m;
	Dray__AdminToolchain *toolchains, **toolchain_list;
	Dray__AdminWorker *workers, **worker_list;
	struct pin *pins; /* copies */
	Dray__AdminPush *pushes, **push_list;
	struct digest *push_ids;
	char (*push_workers)[KEYS_NAME_MAX + 1], (*push_clients)[KEYS_NAME_MAX + 1];
	uint32_t *indices; /* OF_ONE_MAX a worker */
	char (*standings)[STANDING_TEXT_MAX];
	char (*trusts)[STANDING_TEXT_MAX];
	struct standing_worker *away; /* a copy of what is said of those that are not here */
	Dray__AdminJob *jobs, **job_list;
	char (*states)[STANDING_TEXT_MAX];
	Dray__AdminClient *clients, **client_list;
	char (*client_roles)[STANDING_TEXT_MAX];
	Dray__AdminCache *caches, **cache_list;
	Dray__AdminSpace *spaces, **space_list;
	Dray__AdminKey *keys, **key_list;
	struct allowed_key *key_copies;
	char (*key_roles)[STANDING_TEXT_MAX];
	struct token_said *tokens;
	Dray__AdminToken **token_list;
};

static void
look_done(struct look *l)
{
	void *const all[] = { l->toolchains, l->toolchain_list, l->workers, l->worker_list, l->pins,
		l->indices, l->standings, l->trusts, l->away, l->jobs, l->job_list, l->states,
		l->clients, l->client_list, l->client_roles, l->caches, l->cache_list, l->keys,
		l->key_list, l->key_copies, l->key_roles, l->tokens, l->token_list, l->spaces,
		l->space_list, l->pushes, l->push_list, l->push_ids, l->push_workers,
		l->push_clients };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	view_unref(l->v);
}

/* n elements, and one more, of zeros: NULL is for lack of memory alone. */
#define ROOM(p, n) ((p) = calloc((n) + 1, sizeof(*(p))))

static void
fill_sums(struct look *l)
{
	static char software[] = "dray " PACKAGE_VERSION;
	struct view *v = l->v;
	Dray__AdminView *m = &l->m;

	m->name = v->name;
	m->at_ms = v->at_ms;
	m->up_ms = v->up_ms;
	m->shutting_down = v->shutting_down;
	m->software = software;
	m->workers = (uint32_t)v->sched.workers;
	m->slots = (uint32_t)v->sched.slots;
	m->used = (uint32_t)v->sched.used;
	m->queued = (uint32_t)v->sched.queued;
	m->jobs = v->sched.jobs;
	m->placed = v->sched.placed;
	m->ended = v->sched.ended;
	m->twins = v->sched.twins;
	m->queue_ms = v->queue_ms;
	m->queue_oldest_ms = v->queue_oldest_ms;
	m->connections = (uint32_t)v->connections;
	m->has_cache = v->has_cache;
	m->cache_asked = v->desk.gets;
	m->cache_found = v->desk.found;
	m->cache_absent = v->desk.absent;
	m->cache_bytes = v->desk.bytes;
	m->cache_stored = v->desk.stored;
	m->store_fetched = v->desk.fetched;
	m->store_uploaded = v->desk.uploaded;
	m->store_due = v->desk.due;
	m->samples = v->samples.same + v->samples.odd + v->samples.varies + v->samples.failed;
	m->samples_odd = v->samples.odd;
	m->shunned = (uint32_t)v->shunned;
}

/* Its index in the message; TOOLCHAINS_MAX: there is no room for it. */
static uint32_t
toolchain_index(struct server *s, struct look *l, struct digest *id, char *text)
{
	Dray__AdminToolchain *m;
	struct toolchain_known known;
	uint32_t i;

	for (i = 0; i < l->m.n_toolchain; i++)
		if (memcmp(l->toolchains[i].id.data, id->b, DIGEST_SIZE) == 0)
			return i;
	if (i == TOOLCHAINS_MAX)
		return i;
	m = l->toolchain_list[i] = &l->toolchains[i];
	dray__admin_toolchain__init(m);
	m->id = (ProtobufCBinaryData){ DIGEST_SIZE, id->b };
	m->text = text;
	m->pinned = l->m.has_pins && toolchains_allow(s, id);
	toolchains_get(s->toolchains, id, &known);
	m->bytes = known.bytes;
	m->used_ms = known.used_ms;
	m->pushed = known.pushed;
	l->m.n_toolchain++;
	return i;
}

static Dray__AdminPush *
next_push(struct look *l, const struct digest *id, const char *worker, const char *client)
{
	size_t n = l->m.n_push++;
	Dray__AdminPush *m = l->push_list[n] = &l->pushes[n];

	dray__admin_push__init(m);
	l->push_ids[n] = *id;
	m->id = (ProtobufCBinaryData){ DIGEST_SIZE, l->push_ids[n].b };
	snprintf(l->push_workers[n], sizeof(l->push_workers[n]), "%.*s", KEYS_NAME_MAX, worker);
	snprintf(l->push_clients[n], sizeof(l->push_clients[n]), "%.*s", KEYS_NAME_MAX, client);
	m->worker = l->push_workers[n];
	m->client = l->push_clients[n];
	return m;
}

/* "" for one that has no key. */
static const char *
name_of_account(struct server *s, uint64_t account)
{
	struct table_node *node;

	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		const struct peer *p = table_entry(node, struct peer, by_id);
		const struct allowed_key *k = allowed_keys_find(&s->keys, p->wire.curve);

		if (k && peer_account(s, p) == account)
			return k->name;
	}
	return "";
}

/* Those that go on, and those that failed: never many. */
static int
fill_pushes(struct server *s, struct look *l)
{
	const size_t max = REFILLS_MAX + INVITES_FAILED_MAX;
	const struct invite *v;

	if (!ROOM(l->pushes, max) || !ROOM(l->push_list, max) || !ROOM(l->push_ids, max) ||
		!ROOM(l->push_workers, max) || !ROOM(l->push_clients, max))
		return -ENOMEM;
	l->m.push = l->push_list;
	for (size_t i = 0; i < s->pushes.n; i++) {
		struct refill *f = &s->pushes.v[i];
		const struct peer *p = peer_by_serial(s, f->client);
		const struct allowed_key *k = p ? allowed_keys_find(&s->keys, p->wire.curve) : NULL;
		struct peer *worker = peer_by_serial(s, f->worker);
		struct sched_worker_view view;
		Dray__AdminPush *m;

		if (f->cancelled || f->told || !worker || !worker->worker)
			continue;
		sched_worker_get(worker->worker, &view);
		m = next_push(l, &f->toolchain, view.name, k ? k->name : "");
		m->age_ms = s->now - f->since_ms;
		m->done = f->done;
		m->of = f->of;
	}
	for (size_t i = 0; (v = invites_failed(&s->invites, i, s->now)); i++) {
		Dray__AdminPush *m = next_push(
			l, &v->toolchain, "", name_of_account(s, v->account));

		m->failed = true;
		m->age_ms = s->now - (v->until_ms - INVITE_FAILED_MS);
	}
	return 0;
}

/* Those that no worker has, too. */
static int
fill_pins(struct server *s, struct look *l)
{
	const struct pins *pins = toolchains_pins(s->toolchains);

	if (!ROOM(l->pins, pins->n))
		return -ENOMEM;
	for (size_t i = 0; i < pins->n; i++) {
		l->pins[i] = pins->v[i];
		(void)toolchain_index(s, l, &l->pins[i].id, l->pins[i].text);
	}
	return 0;
}

static Dray__AdminWorker *
next_worker(struct look *l, enum standing is)
{
	size_t n = l->m.n_worker++;
	Dray__AdminWorker *m = &l->workers[n];

	dray__admin_worker__init(m);
	l->worker_list[n] = m;
	snprintf(l->standings[n], STANDING_TEXT_MAX, "%s",
		is == STANDING_FREE ? "" : standing_name(is));
	m->standing = l->standings[n];
	m->trust = l->trusts[n];
	m->toolchain = &l->indices[n * OF_ONE_MAX];
	return m;
}

static void
fill_worker(struct server *s, struct look *l, struct view_worker *w)
{
	Dray__AdminWorker *m = next_worker(l, standings_get(&s->standings, w->name, w->curve));

	m->name = w->name;
	m->curve_public = w->curve;
	m->endpoint = w->endpoint;
	m->here = true;
	m->leaving = w->leaving;
	snprintf(m->trust, STANDING_TEXT_MAX, "%s", view_trust_name(w->trust));
	m->slots = w->slots;
	m->used = w->used;
	m->twins = w->twins;
	m->cores = w->cores;
	m->glibc = w->glibc;
	m->failures = w->failures;
	m->heard_ms = w->heard_ms;
	m->up_ms = w->up_ms;
	m->ended = w->ended;
	m->failed = w->failed;
	m->cpu_us = w->cpu_us;
	m->wall_us = w->wall_us;
	m->load_percent = w->load_percent;
	m->coordinators = w->coordinators;
	m->doubted = w->doubted;
	m->memory_available = w->memory_available;
	m->store_bytes = w->store_bytes;
	for (size_t i = 0; i < w->n_offers && m->n_toolchain < OF_ONE_MAX; i++) {
		struct view_offer *o = &l->v->offers[w->first_offer + i];
		uint32_t at = toolchain_index(s, l, &o->toolchain, o->text);

		if (at < TOOLCHAINS_MAX)
			m->toolchain[m->n_toolchain++] = at;
	}
}

static bool
is_here(const struct look *l, const char *name)
{
	for (size_t i = 0; i < l->v->n_workers; i++)
		if (streq(l->v->workers[i].name, name))
			return true;
	return false;
}

static int
fill_workers(struct server *s, struct look *l)
{
	size_t n = l->v->n_workers + s->standings.n;

	if (!ROOM(l->toolchains, TOOLCHAINS_MAX) || !ROOM(l->toolchain_list, TOOLCHAINS_MAX) ||
		!ROOM(l->workers, n) || !ROOM(l->worker_list, n) || !ROOM(l->standings, n) ||
		!ROOM(l->trusts, n) || !ROOM(l->indices, n * OF_ONE_MAX) ||
		!ROOM(l->away, s->standings.n))
		return -ENOMEM;
	l->m.toolchain = l->toolchain_list;
	l->m.has_pins = toolchains_pins(s->toolchains)->n > 0;
	l->m.worker = l->worker_list;
	for (size_t i = 0; i < l->v->n_workers; i++)
		fill_worker(s, l, &l->v->workers[i]);
	for (size_t i = 0; i < s->standings.n; i++) {
		Dray__AdminWorker *m;

		l->away[i] = s->standings.v[i];
		if (is_here(l, l->away[i].name))
			continue;
		m = next_worker(l, l->away[i].is);
		m->name = l->away[i].name;
		m->curve_public = l->away[i].curve;
	}
	return fill_pins(s, l) < 0 ? -ENOMEM : fill_pushes(s, l);
}

static int
fill_jobs(struct look *l)
{
	size_t n = l->v->n_jobs;

	if (!ROOM(l->jobs, n) || !ROOM(l->job_list, n) || !ROOM(l->states, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct view_job *j = &l->v->jobs[i];
		Dray__AdminJob *m = l->job_list[i] = &l->jobs[i];

		dray__admin_job__init(m);
		snprintf(l->states[i], STANDING_TEXT_MAX, "%s", view_state_name(j->state));
		m->id = j->id;
		m->crate = j->crate;
		m->kind = j->kind;
		m->state = l->states[i];
		m->twin = j->twin;
		m->client = j->client;
		m->curve_public = j->curve;
		m->namespace_ = j->namespace;
		m->worker = j->worker;
		m->tries = j->tries;
		m->age_ms = j->age_ms;
		m->held_ms = j->held_ms;
	}
	l->m.job = l->job_list;
	l->m.n_job = n;
	l->m.more_jobs = l->v->more_jobs;
	return 0;
}

static int
fill_clients(struct look *l)
{
	size_t n = l->v->n_clients;

	if (!ROOM(l->clients, n) || !ROOM(l->client_list, n) || !ROOM(l->client_roles, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct view_client *c = &l->v->clients[i];
		Dray__AdminClient *m = l->client_list[i] = &l->clients[i];

		dray__admin_client__init(m);
		snprintf(l->client_roles[i], STANDING_TEXT_MAX, "%s", role_name(c->role));
		m->name = c->name;
		m->curve_public = c->curve;
		m->namespace_ = c->namespace;
		m->role = l->client_roles[i];
		m->connections = c->connections;
		m->jobs = c->jobs;
		m->queued = c->queued;
		m->slots = c->slots;
		m->used_us = c->used_us;
	}
	l->m.client = l->client_list;
	l->m.n_client = n;
	l->m.more_clients = l->v->more_clients;
	return 0;
}

static int
fill_caches(struct look *l)
{
	size_t n = l->v->n_caches;

	if (!ROOM(l->caches, n) || !ROOM(l->cache_list, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct view_cache *c = &l->v->caches[i];
		Dray__AdminCache *m = l->cache_list[i] = &l->caches[i];

		dray__admin_cache__init(m);
		m->namespace_ = c->namespace;
		m->open = c->open;
		m->entries = c->space.entries;
		m->outputs = c->space.blobs;
		m->bytes = c->space.bytes;
		m->max = c->space.max;
		m->evicted = c->space.evicted;
	}
	l->m.cache = l->cache_list;
	l->m.n_cache = n;
	return 0;
}

/* There are few: VIEW_CACHES_MAX. */
static int
fill_spaces(struct look *l)
{
	size_t n = l->v->n_spaces;

	if (!ROOM(l->spaces, n) || !ROOM(l->space_list, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct view_space *c = &l->v->spaces[i];
		Dray__AdminSpace *m = l->space_list[i] = &l->spaces[i];

		dray__admin_space__init(m);
		m->namespace_ = c->namespace;
		m->jobs = c->jobs;
		m->queued = c->queued;
		m->queue_max = c->queue_max;
		m->slots = c->slots;
		m->slots_max = c->slots_max;
		m->uploaded = c->uploaded;
		m->upload_max = c->upload_max;
	}
	l->m.space = l->space_list;
	l->m.n_space = n;
	return 0;
}

/* Each peer's is looked up: keys and peers may be many. */
static void
count_connections(struct server *s, Dray__AdminKey *keys)
{
	struct table_node *node;

	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		const struct peer *p = table_entry(node, struct peer, by_id);
		const struct allowed_key *k = p->state != ADMIT_DROPPED && !p->doomed
						      ? allowed_keys_find(&s->keys, p->wire.curve)
						      : NULL;

		if (k)
			keys[k - s->keys.v].connections++;
	}
}

static int
fill_keys(struct server *s, struct look *l)
{
	size_t n = s->keys.n;

	l->m.has_keys = !s->local;
	if (!ROOM(l->keys, n) || !ROOM(l->key_list, n) || !ROOM(l->key_copies, n) ||
		!ROOM(l->key_roles, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct allowed_key *k = &l->key_copies[i];
		Dray__AdminKey *m = l->key_list[i] = &l->keys[i];

		*k = s->keys.v[i];
		dray__admin_key__init(m);
		snprintf(l->key_roles[i], STANDING_TEXT_MAX, "%s", role_name(k->role));
		m->role = l->key_roles[i];
		m->curve_public = k->curve_public;
		m->name = k->name;
		m->namespace_ = k->namespace;
		if (k->signs)
			m->sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, k->sign_public };
		m->revoked = k->revoked;
		m->until_s = k->until_s;
		m->over = k->over;
	}
	count_connections(s, l->keys);
	l->m.key = l->key_list;
	l->m.n_key = n;
	return 0;
}

/* There are few (JOIN_TOKENS_MAX), and none is made or goes before this is sent. */
static int
fill_tokens(struct server *s, struct look *l)
{
	if (!ROOM(l->tokens, s->tokens.n) || !ROOM(l->token_list, s->tokens.n))
		return -ENOMEM;
	for (size_t i = 0; i < s->tokens.n; i++) {
		token_say(s, &s->tokens.v[i], &l->tokens[i]);
		l->token_list[i] = &l->tokens[i].m;
	}
	l->m.token = l->token_list;
	l->m.n_token = s->tokens.n;
	return 0;
}

/* Leaves out the second half of a list. */
#define HALVE(n, more)                  \
	do {                            \
		size_t half_ = (n) / 2; \
		(more) += (n)-half_;    \
		(n) = half_;            \
	} while (0)

static void
fit(Dray__AdminView *m)
{
	while (protobuf_c_message_get_packed_size(&m->base) > WIRE_BODY_MAX &&
		m->n_worker + m->n_job + m->n_client + m->n_key > 0) {
		HALVE(m->n_worker, m->more_workers);
		HALVE(m->n_job, m->more_jobs);
		HALVE(m->n_client, m->more_clients);
		HALVE(m->n_key, m->more_keys);
	}
}

static int
fill(struct server *s, const Dray__AdminLook *ask, struct look *l)
{
	unsigned want = (ask->workers ? VIEW_WORKERS | VIEW_OFFERS : 0u) |
			(ask->jobs ? VIEW_JOBS : 0u) | (ask->clients ? VIEW_CLIENTS : 0u) |
			(ask->caches ? VIEW_CACHES : 0u) | (ask->spaces ? VIEW_SPACES : 0u);
	int r = view_new(s, want, &l->v);

	if (r < 0)
		return r;
	fill_sums(l);
	if (ask->workers)
		r = fill_workers(s, l);
	if (r == 0 && ask->jobs)
		r = fill_jobs(l);
	if (r == 0 && ask->clients)
		r = fill_clients(l);
	if (r == 0 && ask->caches)
		r = fill_caches(l);
	if (r == 0 && ask->spaces)
		r = fill_spaces(l);
	if (r == 0 && ask->keys)
		r = fill_keys(s, l);
	if (r == 0 && ask->tokens)
		r = fill_tokens(s, l);
	fit(&l->m);
	return r;
}

void
on_admin_look(struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *msg)
{
	_cleanup_(look_done) struct look l = { .v = NULL };

	if (!door_take_request(s->door, from->curve, s->now)) {
		log_throttled(&s->crowd, 5, "key=%s looks too often", from->curve);
		server_waste(s, from);
		return;
	}
	dray__admin_view__init(&l.m);
	/* without memory it says less */
	if (fill(s, (const Dray__AdminLook *)msg->body, &l) < 0)
		log_throttled(&s->crowd, 5, "there is no memory for all that an admin looks at");
	server_send_number(s, p, msg->job, WIRE_ADMIN_VIEW, &l.m.base, NULL);
}
