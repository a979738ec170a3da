/* Fills the view. Invariant: nothing in it points into the server. */
#include "config.h"

#include "coordinator/view.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

struct counted_view {
	struct view v; /* first: it is what is handed out */
	atomic_uint refs;
};

struct view *
view_ref(struct view *v)
{
	atomic_fetch_add(&((struct counted_view *)v)->refs, 1);
	return v;
}

void
view_unref(struct view *v)
{
	if (!v || atomic_fetch_sub(&((struct counted_view *)v)->refs, 1) > 1)
		return;
	for (size_t i = 0; i < v->n_workers; i++)
		free(v->workers[i].endpoint);
	free(v->workers);
	free(v->offers);
	free(v->jobs);
	free(v->clients);
	free(v->caches);
	free(v->spaces);
	free(v);
}

void
view_unrefp(struct view **v)
{
	view_unref(*v);
	*v = NULL;
}

const char *
view_state_name(enum sched_job_state state)
{
	static const char *const names[] = {
		[SCHED_JOB_QUEUED] = "queued",
		[SCHED_JOB_PLACED] = "placed",
		[SCHED_JOB_STARTED] = "runs",
		[SCHED_JOB_AWAY] = "ends",
	};

	return state < ARRAY_LEN(names) ? names[state] : "-";
}

const char *
view_trust_name(enum sched_trust trust)
{
	static const char *const names[] = {
		[SCHED_TRUSTED] = "trusted", [SCHED_SHUNNED] = "shunned", [SCHED_PROBED] = "probed"
	};

	return trust < ARRAY_LEN(names) ? names[trust] : "-";
}

#define COPY(to, from) snprintf(to, sizeof(to), "%s", from)

/* ---- workers */

static void
fill_worker(struct server *s, const struct sched_worker *w, struct view_worker *r)
{
	struct sched_worker_view view;
	const struct peer *p;

	sched_worker_get(w, &view);
	p = peer_by_serial(s, view.tag);
	COPY(r->name, view.name);
	COPY(r->curve, view.curve);
	r->endpoint = strdup(view.endpoint);
	r->slots = view.slots;
	r->cores = view.cores;
	r->glibc = view.glibc;
	r->used = view.used;
	r->twins = view.twins;
	r->failures = view.failures;
	r->trust = view.trust;
	r->n_offers = view.n_offers;
	r->doubted = (unsigned)view.n_doubted;
	r->drained = standings_get(&s->standings, view.name, view.curve) == STANDING_DRAINED;
	r->leaving = p ? p->leaving : view.draining;
	if (!p)
		return;
	r->heard_ms = s->now - p->heard_ms;
	r->up_ms = s->now - p->did.since_ms;
	r->ended = p->did.ended;
	r->failed = p->did.failed;
	r->cpu_us = p->did.cpu_us;
	r->wall_us = p->did.wall_us;
	r->load_percent = p->did.load_percent;
	r->coordinators = p->did.coordinators;
	r->memory_available = p->did.memory_available;
	r->store_bytes = p->did.store_bytes;
}

static int
worker_order(const void *a, const void *b)
{
	const struct view_worker *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void
fill_offers(struct view *v, const struct sched_worker *w, struct view_worker *r)
{
	r->first_offer = v->n_offers;
	for (size_t i = 0; i < r->n_offers; i++) {
		struct view_offer *o = &v->offers[v->n_offers++];
		const char *text;

		o->toolchain = *sched_worker_offer(w, i, &text);
		COPY(o->text, text);
	}
}

static int
fill_workers(struct server *s, struct view *v, bool with_offers)
{
	struct sched_worker *w;
	size_t n = 0, offers = 0;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;

		sched_worker_get(w, &view);
		offers += with_offers ? view.n_offers : 0;
		n++;
	}
	v->workers = calloc(n + 1, sizeof(*v->workers));
	v->offers = calloc(offers + 1, sizeof(*v->offers));
	if (!v->workers || !v->offers)
		return -ENOMEM;
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct view_worker *r = &v->workers[v->n_workers++];

		fill_worker(s, w, r);
		if (with_offers)
			fill_offers(v, w, r);
		if (!r->endpoint)
			return -ENOMEM;
	}
	qsort(v->workers, v->n_workers, sizeof(*v->workers), worker_order);
	return 0;
}

/* ---- clients */

static const char *
name_of(const struct server *s, const struct peer *p)
{
	const struct allowed_key *k = p->wire.curve[0] ? allowed_keys_find(&s->keys, p->wire.curve)
						       : NULL;

	return k ? k->name : "";
}

/* Those of one key stand together; then by name. */
static int
client_order(const void *a, const void *b)
{
	const struct view_client *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : strcmp(x->curve, y->curve);
}

static void
merge_clients(struct view *v)
{
	size_t n = 0;

	qsort(v->clients, v->n_clients, sizeof(*v->clients), client_order);
	for (size_t i = 0; i < v->n_clients; i++) {
		struct view_client *last = n ? &v->clients[n - 1] : NULL;

		if (last && last->curve[0] && streq(last->curve, v->clients[i].curve))
			last->connections++;
		else
			v->clients[n++] = v->clients[i];
	}
	v->n_clients = MIN2(n, (size_t)VIEW_CLIENTS_MAX);
	v->more_clients = n - v->n_clients;
}

static int
fill_clients(struct server *s, struct view *v)
{
	struct table_node *node;

	v->clients = calloc(s->peers.n + 1, sizeof(*v->clients));
	if (!v->clients)
		return -ENOMEM;
	for (node = table_walk(&s->peers, NULL); node; node = table_walk(&s->peers, node)) {
		const struct peer *p = table_entry(node, struct peer, by_id);
		struct view_client *c = &v->clients[v->n_clients];
		struct sched_account_view used;

		if (p->state == ADMIT_DROPPED || p->doomed || p->role == ROLE_WORKER)
			continue;
		v->n_clients++;
		sched_account_get(s->sched, peer_account(s, p), &used);
		COPY(c->name, name_of(s, p));
		COPY(c->curve, p->wire.curve);
		COPY(c->namespace, peer_namespace(s, p));
		c->role = p->role;
		c->connections = 1;
		c->jobs = (unsigned)used.jobs;
		c->queued = (unsigned)used.queued;
		c->slots = used.holding;
		c->used_us = used.used_us;
	}
	merge_clients(v);
	return 0;
}

/* ---- jobs */

static unsigned
job_rank(const struct view_job *j)
{
	return j->state == SCHED_JOB_STARTED  ? 0
	       : j->state == SCHED_JOB_PLACED ? 1
	       : j->state == SCHED_JOB_QUEUED ? 2
					      : 3;
}

static int
job_order(const void *a, const void *b)
{
	const struct view_job *x = a, *y = b;
	unsigned rx = job_rank(x), ry = job_rank(y);

	if (rx != ry)
		return rx < ry ? -1 : 1;
	if (x->age_ms != y->age_ms)
		return x->age_ms > y->age_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void
fill_job(struct server *s, const struct sched_job_view *job, struct view_job *r)
{
	const struct peer *p = job->owner ? peer_by_serial(s, job->owner) : NULL;
	struct job_told told;

	sched_job_id_hex(job->id, r->id);
	r->state = job->state;
	r->twin = job->twin;
	r->tries = job->tries;
	if (job->held_ms)
		r->held_ms = s->now - job->held_ms;
	if (job->worker) {
		struct sched_worker_view w;

		sched_worker_get(job->worker, &w);
		COPY(r->worker, w.name);
	}
	if (p) {
		COPY(r->client, name_of(s, p));
		COPY(r->curve, p->wire.curve);
	}
	if (!cache_job_told(s, job->id, &told))
		return;
	COPY(r->crate, told.crate);
	COPY(r->kind, told.kind);
	COPY(r->namespace, told.namespace);
	r->age_ms = s->now - told.asked_ms;
}

/* How many of the first pass are listed: those that run, and of the others as many as there is room
 * for. */
static bool
has_room(const struct view *v, const struct sched_job_view *job, size_t running)
{
	bool runs = job->state == SCHED_JOB_STARTED || job->state == SCHED_JOB_PLACED;

	return v->n_jobs < VIEW_JOBS_MAX && (runs || VIEW_JOBS_MAX - v->n_jobs > running);
}

static int
fill_jobs(struct server *s, struct view *v)
{
	struct sched_job *job;
	struct sched_job_view view;
	size_t running = 0, all = 0;

	for (job = sched_job_walk(s->sched, NULL); job; job = sched_job_walk(s->sched, job)) {
		sched_job_get(job, &view);
		running += view.state == SCHED_JOB_STARTED || view.state == SCHED_JOB_PLACED;
		all++;
	}
	v->jobs = calloc(MIN2(all, (size_t)VIEW_JOBS_MAX) + 1, sizeof(*v->jobs));
	if (!v->jobs)
		return -ENOMEM;
	for (job = sched_job_walk(s->sched, NULL); job; job = sched_job_walk(s->sched, job)) {
		sched_job_get(job, &view);
		if (!has_room(v, &view, running))
			continue;
		fill_job(s, &view, &v->jobs[v->n_jobs++]);
		running -= view.state == SCHED_JOB_STARTED || view.state == SCHED_JOB_PLACED;
	}
	v->more_jobs = all - v->n_jobs;
	qsort(v->jobs, v->n_jobs, sizeof(*v->jobs), job_order);
	return 0;
}

static void
count_queue(struct server *s, struct view *v)
{
	struct sched_job *job;
	struct sched_job_view view;
	struct job_told told;

	if (v->sched.queued == 0)
		return;
	for (job = sched_job_walk(s->sched, NULL); job; job = sched_job_walk(s->sched, job)) {
		uint64_t ms;

		sched_job_get(job, &view);
		if (view.state != SCHED_JOB_QUEUED || !cache_job_told(s, view.id, &told))
			continue;
		ms = s->now - told.asked_ms;
		v->queue_ms += ms;
		v->queue_oldest_ms = MAX2(v->queue_oldest_ms, ms);
	}
}

/* ---- namespaces */

/* All that the list of keys names, each once, sorted: "" is that of keys without one. How many. */
static size_t
list_namespaces(const struct server *s, const char *v[VIEW_CACHES_MAX])
{
	size_t n = 0;

	if (s->local)
		v[n++] = "";
	for (size_t i = 0; i < s->keys.n && n < VIEW_CACHES_MAX; i++) {
		const struct allowed_key *k = &s->keys.v[i];
		size_t at = 0;

		if (k->role == ROLE_ADMIN && !*k->namespace)
			continue;
		while (at < n && strcmp(v[at], k->namespace) < 0)
			at++;
		if (at < n && streq(v[at], k->namespace))
			continue;
		memmove(&v[at + 1], &v[at], (n++ - at) * sizeof(*v));
		v[at] = k->namespace;
	}
	return n;
}

static int
fill_caches(struct server *s, struct view *v)
{
	const char *names[VIEW_CACHES_MAX];
	size_t n = list_namespaces(s, names);

	v->caches = calloc(n + 1, sizeof(*v->caches));
	if (!v->caches)
		return -ENOMEM;
	for (; v->n_caches < n; v->n_caches++) {
		struct view_cache *c = &v->caches[v->n_caches];

		COPY(c->namespace, names[v->n_caches]);
		c->open = desk_get_space(s->desk, c->namespace, &c->space);
	}
	return 0;
}

static int
fill_spaces(struct server *s, struct view *v)
{
	const char *names[VIEW_CACHES_MAX];
	size_t n = list_namespaces(s, names);

	v->spaces = calloc(n + 1, sizeof(*v->spaces));
	if (!v->spaces)
		return -ENOMEM;
	for (; v->n_spaces < n; v->n_spaces++) {
		struct view_space *r = &v->spaces[v->n_spaces];
		struct sched_space_view view;

		COPY(r->namespace, names[v->n_spaces]);
		sched_space_get(s->sched, r->namespace, &view);
		r->jobs = (unsigned)view.jobs;
		r->queued = (unsigned)view.queued;
		r->slots = view.holding;
		r->slots_max = view.may.slots;
		r->queue_max = (unsigned)MIN2(view.may.queue, (size_t)UINT_MAX);
		r->upload_max = conf_quota_get(s->limits->coordinator.quota_upload, r->namespace);
		if (s->desk)
			r->uploaded = desk_get_uploads(s->desk, r->namespace);
	}
	return 0;
}

int
view_new(struct server *s, unsigned want, struct view **ret)
{
	struct counted_view *c = calloc(1, sizeof(*c));
	struct view *v = &c->v;
	int r = 0;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	COPY(v->name, s->id.name);
	v->at_ms = clock_wall_ms();
	v->up_ms = s->now - s->began_ms;
	v->shutting_down = s->draining;
	sched_get_stats(s->sched, &v->sched);
	count_queue(s, v);
	v->connections = s->peers.n;
	v->has_cache = s->desk != NULL;
	if (s->desk)
		desk_get_stats(s->desk, &v->desk);
	v->has_samples = s->sampler != NULL;
	if (s->sampler)
		sampler_get_stats(s->sampler, &v->samples);
	for (size_t i = 0; i < s->judged.n_workers; i++)
		v->shunned += !s->judged.workers[i].unlike;
	if (want & VIEW_WORKERS)
		r = fill_workers(s, v, want & VIEW_OFFERS);
	if (r == 0 && want & VIEW_JOBS)
		r = fill_jobs(s, v);
	if (r == 0 && want & VIEW_CLIENTS)
		r = fill_clients(s, v);
	if (r == 0 && want & VIEW_CACHES && s->desk)
		r = fill_caches(s, v);
	if (r == 0 && want & VIEW_SPACES)
		r = fill_spaces(s, v);
	if (r < 0)
		view_unref(v);
	else
		*ret = v;
	return r;
}
