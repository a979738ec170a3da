/* Which worker can run what: toolchains, their pools of workers, their queues of jobs.
 *
 * Invariants: a heap holds exactly the offers whose worker can take a job now, the best at its top;
 * a job is queued only while no worker that can take it is in a heap, and some eligible worker
 * could. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/sched_priv.h"

unsigned
sched_worker_used(const struct sched_worker *w)
{
	return w->placed + w->started + w->foreign;
}

bool
sched_worker_placeable(const struct sched_worker *w)
{
	if (!w->live || w->draining || sched_worker_used(w) >= w->slots)
		return false;
	if (w->trust == SCHED_TRUSTED)
		return true;
	return w->trust == SCHED_PROBED && !w->probe;
}

/* What clients say counts when more than one key says it. */
unsigned
sched_worker_failures(const struct sched_worker *w)
{
	return w->failures + (w->complained[1] ? w->complaints : 0);
}

/* Whether a should get a job rather than b. */
static bool
better(struct sched *s, const struct sched_worker *a, const struct sched_worker *b)
{
	uint64_t la = (uint64_t)sched_worker_used(a) * b->slots,
		 lb = (uint64_t)sched_worker_used(b) * a->slots;

	s->stats.compares++;
	if (la != lb)
		return la < lb;
	if (sched_worker_failures(a) != sched_worker_failures(b))
		return sched_worker_failures(a) < sched_worker_failures(b);
	return strcmp(a->name, b->name) < 0;
}

static void
heap_set(struct pool *p, size_t i, struct pool_seat *o)
{
	p->heap[i] = o;
	o->at = i;
}

/* Moves the offer at i to its place. */
static void
heap_fix(struct sched *s, struct pool *p, size_t i)
{
	struct pool_seat *o = p->heap[i];
	size_t child;

	while (i > 0 && better(s, o->w, p->heap[(i - 1) / 2]->w)) {
		heap_set(p, i, p->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	while ((child = 2 * i + 1) < p->n) {
		if (child + 1 < p->n && better(s, p->heap[child + 1]->w, p->heap[child]->w))
			child++;
		if (!better(s, p->heap[child]->w, o->w))
			break;
		heap_set(p, i, p->heap[child]);
		i = child;
	}
	heap_set(p, i, o);
}

static void
heap_remove(struct sched *s, struct pool_seat *o)
{
	struct pool *p = o->pool;
	size_t i = o->at;

	if (i == NOT_IN_HEAP)
		return;
	o->at = NOT_IN_HEAP;
	p->n--;
	if (i == p->n)
		return;
	heap_set(p, i, p->heap[p->n]);
	heap_fix(s, p, i);
}

static void
heap_insert(struct sched *s, struct pool_seat *o)
{
	struct pool *p = o->pool;

	heap_set(p, p->n, o);
	p->n++;
	heap_fix(s, p, p->n - 1);
}

bool
pools_refresh(struct sched *s, struct sched_worker *w)
{
	bool placeable = sched_worker_placeable(w), was = w->eligible;
	bool eligible = w->live && !w->draining && w->trust != SCHED_SHUNNED;

	for (size_t i = 0; i < w->n_offers; i++) {
		struct pool_seat *o = &w->offers[i];
		bool counts = eligible && !o->shut;

		if (counts && !o->eligible)
			o->pool->eligible++;
		else if (!counts && o->eligible)
			o->pool->eligible--;
		o->eligible = counts;
		if (!placeable || o->shut)
			heap_remove(s, o);
		else if (o->at == NOT_IN_HEAP)
			heap_insert(s, o);
		else
			heap_fix(s, o->pool, o->at);
	}
	w->eligible = eligible;
	return was && !eligible;
}

static uint64_t
tc_hash(struct sched *s, const struct digest *id)
{
	return table_hash(s->conf.hash_key, id->b, sizeof(id->b));
}

struct tc *
tc_find(struct sched *s, const struct digest *id)
{
	struct table_node *node = table_find(&s->tcs, tc_hash(s, id));

	for (; node; node = table_find_next(node)) {
		struct tc *tc = table_entry(node, struct tc, node);

		if (digest_eq(&tc->id, id))
			return tc;
	}
	return NULL;
}

static struct tc *
tc_get(struct sched *s, const struct sched_offer *offer)
{
	struct tc *tc = tc_find(s, &offer->toolchain);

	if (tc)
		return tc;
	tc = calloc(1, sizeof(*tc));
	if (!tc)
		return NULL;
	tc->id = offer->toolchain;
	snprintf(tc->text, sizeof(tc->text), "%s", offer->text ? offer->text : "");
	TAILQ_INIT(&tc->pools);
	TAILQ_INIT(&tc->classes);
	TAILQ_INIT(&tc->retries.lanes);
	table_put(&s->tcs, &tc->node, tc_hash(s, &tc->id));
	return tc;
}

static void
tc_put(struct sched *s, struct tc *tc)
{
	if (!TAILQ_EMPTY(&tc->pools) || tc->queued > 0)
		return;
	table_del(&s->tcs, &tc->node);
	free(tc);
}

static struct pool *
pool_get(struct tc *tc, unsigned glibc)
{
	struct pool *p;

	TAILQ_FOREACH(p, &tc->pools, link)
	if (p->glibc == glibc)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->tc = tc;
	p->glibc = glibc;
	TAILQ_INSERT_TAIL(&tc->pools, p, link);
	return p;
}

static void
pool_put(struct sched *s, struct pool *p)
{
	struct tc *tc = p->tc;

	if (p->members > 0)
		return;
	TAILQ_REMOVE(&tc->pools, p, link);
	free(p->heap);
	free(p);
	tc_put(s, tc);
}

/* The heap gets its room before the membership is recorded, so that no later step needs memory. */
static int
pool_join(struct pool *p)
{
	if (p->members == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 8;
		struct pool_seat **heap = reallocarray(p->heap, cap, sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		p->heap = heap;
		p->cap = cap;
	}
	p->members++;
	return 0;
}

void
offers_detach(struct sched *s, struct pool_seat *offers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		heap_remove(s, &offers[i]);
		offers[i].pool->members--;
		pool_put(s, offers[i].pool);
	}
	free(offers);
}

int
offers_attach(struct sched *s, struct sched_worker *w, const struct sched_offer *offers, size_t n,
	struct pool_seat **ret)
{
	struct pool_seat *v = calloc(n ? n : 1, sizeof(*v));
	size_t i;

	if (!v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct tc *tc = tc_get(s, &offers[i]);
		struct pool *p = tc ? pool_get(tc, w->glibc) : NULL;

		if (!p) {
			if (tc)
				tc_put(s, tc);
			break;
		}
		if (pool_join(p) < 0) {
			pool_put(s, p);
			break;
		}
		v[i].w = w;
		v[i].pool = p;
		v[i].at = NOT_IN_HEAP;
	}
	if (i < n) {
		offers_detach(s, v, i);
		return -ENOMEM;
	}
	*ret = v;
	return 0;
}

void
sched_worker_ref(struct sched_worker *w)
{
	w->refs++;
}

void
sched_worker_unref(struct sched_worker *w)
{
	w->refs--;
}

bool
sched_job_holds(const struct sched_job *job)
{
	return job->state == JOB_PLACED || job->state == JOB_STARTED;
}

bool
sched_job_failed_on(const struct sched_job *job, const struct sched_worker *w)
{
	for (unsigned i = 0; i < job->n_failed; i++)
		if (job->failed[i] == w)
			return true;
	return false;
}

/* The best offer at or below i that the job may have. A node's children are looked at only when the
 * node itself is one that the job has failed on: at most 2 * MAX_TRIES + 1 nodes. */
static struct pool_seat *
heap_best(struct sched *s, const struct pool *p, size_t i, const struct sched_job *job,
	struct pool_seat *best)
{
	if (i >= p->n || (best && !better(s, p->heap[i]->w, best->w)))
		return best;
	if (!sched_job_failed_on(job, p->heap[i]->w))
		return p->heap[i];
	best = heap_best(s, p, 2 * i + 1, job, best);
	return heap_best(s, p, 2 * i + 2, job, best);
}

struct sched_worker *
pools_pick(struct sched *s, const struct sched_job *job)
{
	struct tc *tc = tc_find(s, &job->toolchain);
	struct pool_seat *best = NULL;
	struct pool *p;

	if (!tc)
		return NULL;
	TAILQ_FOREACH(p, &tc->pools, link)
	if (p->glibc >= job->glibc)
		best = heap_best(s, p, 0, job, best);
	return best ? best->w : NULL;
}

/* Whether w counts as eligible in a pool of tc that serves the job. */
static bool
counts_for(const struct sched_worker *w, const struct tc *tc, const struct sched_job *job)
{
	if (!w->eligible || w->glibc < job->glibc)
		return false;
	for (size_t i = 0; i < w->n_offers; i++)
		if (w->offers[i].pool->tc == tc && !w->offers[i].shut)
			return true;
	return false;
}

bool
pools_eligible(struct sched *s, const struct sched_job *job)
{
	struct tc *tc = tc_find(s, &job->toolchain);
	size_t n = 0, failed = 0;
	struct pool *p;

	if (!tc)
		return false;
	TAILQ_FOREACH(p, &tc->pools, link)
	if (p->glibc >= job->glibc)
		n += p->eligible;
	for (unsigned i = 0; i < job->n_failed; i++)
		failed += counts_for(job->failed[i], tc, job);
	return n > failed;
}

static void
queue_insert(struct job_list *q, struct sched_job *job)
{
	struct sched_job *at = TAILQ_LAST(q, job_list);

	if (!at || at->seq < job->seq) {
		TAILQ_INSERT_TAIL(q, job, queue_link);
		return;
	}
	/* A job that comes back is older than nearly all others, so its place is near the front. */
	TAILQ_FOREACH(at, q, queue_link)
	{
		if (at->seq > job->seq) {
			TAILQ_INSERT_BEFORE(at, job, queue_link);
			return;
		}
	}
}

static struct class *
class_get(struct tc *tc, unsigned glibc)
{
	struct class *c;

	TAILQ_FOREACH(c, &tc->classes, link)
	if (c->glibc == glibc)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->glibc = glibc;
	TAILQ_INIT(&c->lanes);
	TAILQ_INSERT_TAIL(&tc->classes, c, link);
	return c;
}

static void
class_put(struct tc *tc, struct class *c)
{
	if (c == &tc->retries || !TAILQ_EMPTY(&c->lanes))
		return;
	TAILQ_REMOVE(&tc->classes, c, link);
	free(c);
}

static struct lane *
lane_get(struct tc *tc, const struct sched_job *job)
{
	struct class *c = job->n_failed > 0 ? &tc->retries : class_get(tc, job->glibc);
	struct lane *l;

	if (!c)
		return NULL;
	TAILQ_FOREACH(l, &c->lanes, link)
	if (l->account == job->account)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l) {
		class_put(tc, c);
		return NULL;
	}
	l->class = c;
	l->account = job->account;
	TAILQ_INIT(&l->jobs);
	TAILQ_INSERT_TAIL(&c->lanes, l, link);
	return l;
}

static void
lane_put(struct tc *tc, struct lane *l)
{
	if (!TAILQ_EMPTY(&l->jobs))
		return;
	TAILQ_REMOVE(&l->class->lanes, l, link);
	class_put(tc, l->class);
	free(l);
}

int
queue_put(struct sched *s, struct sched_job *job)
{
	struct tc *tc = tc_find(s, &job->toolchain);

	if (!tc)
		return -ENOENT;
	job->lane = lane_get(tc, job);
	if (!job->lane)
		return -ENOMEM;
	queue_insert(&job->lane->jobs, job);
	job->state = JOB_QUEUED;
	job->tc = tc;
	job->pos = tc->entered++;
	job->notice_ms = s->now + NOTICE_MS;
	TAILQ_INSERT_TAIL(&s->notices, job, notice_link);
	tc->queued++;
	s->queued++;
	account_queued(s, job, true);
	return 0;
}

void
queue_take(struct sched *s, struct sched_job *job)
{
	struct tc *tc = job->tc;

	TAILQ_REMOVE(&job->lane->jobs, job, queue_link);
	TAILQ_REMOVE(&s->notices, job, notice_link);
	tc->queued--;
	tc->left++;
	s->queued--;
	account_queued(s, job, false);
	lane_put(tc, job->lane);
	job->lane = NULL;
	job->tc = NULL;
	job->state = JOB_AWAY;
	tc_put(s, tc);
}

unsigned
queue_ahead(const struct sched_job *job)
{
	uint64_t ahead = job->pos > job->tc->left ? job->pos - job->tc->left : 0;

	return (unsigned)MIN2(ahead, (uint64_t)job->tc->queued - 1);
}

static struct sched_job *
earlier(struct sched_job *best, struct sched_job *job)
{
	return !best || account_before(job, best) ? job : best;
}

/* Of a lane of retries the first that w may have. */
static struct sched_job *
retry_for(const struct lane *l, const struct sched_worker *w)
{
	struct sched_job *job;
	unsigned seen = 0;

	TAILQ_FOREACH(job, &l->jobs, queue_link)
	{
		if (seen++ == RETRY_SCAN)
			break;
		if (job->glibc <= w->glibc && !sched_job_failed_on(job, w))
			return job;
	}
	return NULL;
}

struct sched_job *
queue_next_for(const struct sched *s, struct sched_worker *w)
{
	struct sched_job *best = NULL, *job;
	struct class *c;
	struct lane *l;

	for (size_t i = 0; i < w->n_offers; i++) {
		struct tc *tc = w->offers[i].pool->tc;

		if (tc->queued == 0 || w->offers[i].shut)
			continue;
		TAILQ_FOREACH(c, &tc->classes, link)
		{
			if (c->glibc > w->glibc)
				continue;
			TAILQ_FOREACH(l, &c->lanes, link)
			if (account_may(s, TAILQ_FIRST(&l->jobs)))
				best = earlier(best, TAILQ_FIRST(&l->jobs));
		}
		TAILQ_FOREACH(l, &tc->retries.lanes, link)
		if ((job = retry_for(l, w)) && account_may(s, job))
			best = earlier(best, job);
	}
	return best;
}

static void
strand(struct sched *s, struct sched_job *job, struct job_list *ret)
{
	queue_take(s, job);
	TAILQ_INSERT_TAIL(ret, job, queue_link);
}

void
pools_take_stranded(struct sched *s, struct tc *tc, struct job_list *ret)
{
	struct class *c, *next_class;
	struct lane *l, *next_lane;
	struct sched_job *job, *next;

	if (tc->queued == 0)
		return;
	tc->queued++; /* keeps tc alive while its last job is taken out */
	for (c = TAILQ_FIRST(&tc->classes); c; c = next_class) {
		next_class = TAILQ_NEXT(c, link);
		/* what one of a class can do, all can */
		if (pools_eligible(s, TAILQ_FIRST(&TAILQ_FIRST(&c->lanes)->jobs)))
			continue;
		for (l = TAILQ_FIRST(&c->lanes); l; l = next_lane) {
			next_lane = TAILQ_NEXT(l, link);
			for (job = TAILQ_FIRST(&l->jobs); job; job = next) {
				next = TAILQ_NEXT(job, queue_link);
				strand(s, job, ret);
			}
		}
	}
	for (l = TAILQ_FIRST(&tc->retries.lanes); l; l = next_lane) {
		next_lane = TAILQ_NEXT(l, link);
		for (job = TAILQ_FIRST(&l->jobs); job; job = next) {
			next = TAILQ_NEXT(job, queue_link);
			if (!pools_eligible(s, job))
				strand(s, job, ret);
		}
	}
	tc->queued--;
	tc_put(s, tc);
}

bool
sched_job_allowed(const struct sched *s, const struct sched_job *job)
{
	return !s->conf.allows || s->conf.allows(s->conf.allows_arg, &job->toolchain);
}

void
pools_explain(struct sched *s, const struct sched_job *job, char *out, size_t n)
{
	struct tc *tc = tc_find(s, &job->toolchain);
	char hex[DIGEST_HEX_SIZE];
	unsigned newest = 0;
	size_t live = 0;
	struct pool *p;

	digest_hex(&job->toolchain, hex);
	if (tc) {
		TAILQ_FOREACH(p, &tc->pools, link)
		{
			live += p->live;
			if (p->live > 0)
				newest = MAX2(newest, p->glibc);
		}
	}
	if (!sched_job_allowed(s, job))
		snprintf(out, n,
			"the toolchain %.12s%s%s%s is not among those that this farm is limited to "
			"(drayctl toolchain pin)",
			hex, tc ? " (" : "", tc ? tc->text : "", tc ? ")" : "");
	else if (s->stats.workers == 0)
		snprintf(out, n, "no worker is connected");
	else if (live == 0)
		snprintf(out, n, "none of the %zu connected workers has the toolchain %.12s%s%s%s",
			s->stats.workers, hex, tc ? " (" : "", tc ? tc->text : "", tc ? ")" : "");
	else if (newest < job->glibc)
		snprintf(out, n,
			"this unit needs a worker with glibc 2.%u or newer; of those with the "
			"toolchain "
			"%.12s (%s) the newest has 2.%u",
			job->glibc, hex, tc->text, newest);
	else if (job->n_failed > 0)
		snprintf(out, n,
			"no worker is left with the toolchain %.12s (%s) that has not failed it",
			hex, tc->text);
	else
		snprintf(out, n,
			"the workers with the toolchain %.12s (%s) are draining, or are left alone "
			"after failed jobs, or since clients say that they lack it",
			hex, tc->text);
}
