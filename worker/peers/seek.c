/* Invariants: each blob of a seek is told of once; the lock is held for what other threads see, and
 * never while anything is waited for. */
#include "config.h"

#include "worker/peers/seek.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/thread.h"
#include "worker/peers/seek_priv.h"

#define STACK_BYTES (1u << 20)

/* ---- a job's side */

bool
seek_is_made(const char *path)
{
	return ends_with(path, ".rlib") || ends_with(path, ".rmeta") || ends_with(path, ".so");
}

static void
question_free(struct question *q)
{
	if (!q)
		return;
	seeker_question_done(&q->q);
	free(q);
}

void
seeker_question_done(struct seeker_question *q)
{
	free(q->names);
	free(q->digests);
	q->names = NULL;
	q->digests = NULL;
}

static struct question *
question_new(const struct seek *k)
{
	size_t n = MIN2(k->n, (size_t)WIRE_SEEK_MAX);
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->q.names = calloc(n, sizeof(*q->q.names));
	q->q.digests = calloc(n, sizeof(*q->q.digests));
	if (!q->q.names || !q->q.digests) {
		question_free(q);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		q->q.digests[i] = k->items[i].digest;
	memcpy(q->q.job, k->job, sizeof(q->q.job));
	q->q.n = n;
	return q;
}

static struct seek *
seek_new(struct seeker *s, const char *job, const struct seek_blob *v, size_t n)
{
	struct seek *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->seeker = s;
	snprintf(k->job, sizeof(k->job), "%s", job);
	k->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->items = calloc(n, sizeof(*k->items));
	k->out = calloc(n, sizeof(*k->out));
	if (k->fd < 0 || !k->items || !k->out) {
		seek_free(k);
		return NULL;
	}
	k->n = n;
	for (size_t i = 0; i < n; i++) {
		k->items[i] = (struct item){ .seek = k,
			.index = (uint32_t)i,
			.digest = v[i].digest,
			.size = v[i].size,
			.made = v[i].made };
		k->max = MAX2(k->max, v[i].size);
	}
	k->max = MAX2(k->max, (uint64_t)1);
	k->by_job = (struct tier_by){ .job = k->job, .near = true };
	k->until = clock_mono_ms() + s->c.wait_ms;
	return k;
}

struct seek *
seek_begin(struct seeker *s, const char *job, const struct seek_blob *v, size_t n)
{
	struct seek *k = s && n > 0 ? seek_new(s, job, v, n) : NULL;
	struct question *q = k ? question_new(k) : NULL;
	bool fine = q != NULL;

	if (!fine) {
		seek_free(k);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	fine = clock_mono_ms() >= s->ask_after;
	if (fine) {
		TAILQ_INSERT_TAIL(&s->questions, q, link);
		TAILQ_INSERT_TAIL(&s->fresh, k, link);
	}
	pthread_mutex_unlock(&s->lock);
	if (!fine) {
		question_free(q);
		seek_free(k);
		return NULL;
	}
	seek_ring(s->fd);
	seek_ring(s->wake);
	return k;
}

int
seek_fd(const struct seek *k)
{
	return k->fd;
}

bool
seek_next(struct seek *k, size_t *ret_i, bool *ret_here)
{
	bool any;

	seek_hush(k->fd);
	pthread_mutex_lock(&k->seeker->lock);
	any = k->n_read < k->n_out;
	if (any) {
		uint32_t out = k->out[k->n_read++];

		*ret_i = out >> 1;
		*ret_here = out & 1;
	}
	pthread_mutex_unlock(&k->seeker->lock);
	return any;
}

bool
seek_is_planned(struct seek *k)
{
	bool planned;

	pthread_mutex_lock(&k->seeker->lock);
	planned = k->planned;
	pthread_mutex_unlock(&k->seeker->lock);
	return planned;
}

bool
seek_is_over(struct seek *k)
{
	bool over;

	pthread_mutex_lock(&k->seeker->lock);
	over = k->n_read == k->n;
	pthread_mutex_unlock(&k->seeker->lock);
	return over;
}

void
seek_end(struct seek *k)
{
	int wake = k ? k->seeker->wake : -1;
	struct seeker *s = k ? k->seeker : NULL;

	if (!k)
		return;
	pthread_mutex_lock(&s->lock);
	k->left = true;
	pthread_mutex_unlock(&s->lock);
	seek_ring(wake);
}

/* ---- the main loop's side */

bool
seeker_next(struct seeker *s, struct seeker_question *ret)
{
	struct question *q;

	seek_hush(s->fd);
	pthread_mutex_lock(&s->lock);
	q = TAILQ_FIRST(&s->questions);
	if (q)
		TAILQ_REMOVE(&s->questions, q, link);
	pthread_mutex_unlock(&s->lock);
	if (!q)
		return false;
	*ret = q->q;
	free(q);
	dray__worker_seek__init(&ret->ask);
	ret->ask.job = ret->job;
	ret->ask.blob = ret->names;
	for (; ret->ask.n_blob < ret->n; ret->ask.n_blob++)
		ret->names[ret->ask.n_blob] = (ProtobufCBinaryData){ DIGEST_SIZE,
			ret->digests[ret->ask.n_blob].b };
	return true;
}

int
seeker_fd(const struct seeker *s)
{
	return s->fd;
}

static void
tell_thread(struct seeker *s, const char *job, Dray__WorkerFound *found)
{
	struct heard *h = calloc(1, sizeof(*h));

	if (!h) {
		if (found)
			dray__worker_found__free_unpacked(found, NULL);
		return;
	}
	snprintf(h->job, sizeof(h->job), "%s", job);
	h->found = found;
	pthread_mutex_lock(&s->lock);
	TAILQ_INSERT_TAIL(&s->heard, h, link);
	pthread_mutex_unlock(&s->lock);
	seek_ring(s->wake);
}

/* A copy, by packing it. */
void
seeker_hear(struct seeker *s, const Dray__WorkerFound *m)
{
	size_t n = dray__worker_found__get_packed_size(m);
	_cleanup_(freep) uint8_t *p = s ? malloc(n + 1) : NULL;
	Dray__WorkerFound *copy = NULL;

	if (p && m->n_holder <= WIRE_HOLDERS_MAX)
		copy = dray__worker_found__unpack(NULL, dray__worker_found__pack(m, p), p);
	if (copy)
		tell_thread(s, m->job, copy);
}

void
seeker_unheard(struct seeker *s, const char *job)
{
	tell_thread(s, job, NULL);
}

void
seeker_count(struct seeker *s, struct seeker_counts *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->counts;
	pthread_mutex_unlock(&s->lock);
}

/* ---- its life */

static int
start(struct seeker *s)
{
	int r = thread_start(THREAD_JOINED, STACK_BYTES, seek_work, s, &s->thread);

	s->started = r == 0;
	return r;
}

int
seeker_open(const struct seeker_conf *c, struct seeker **ret)
{
	struct seeker *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->c = *c;
	TAILQ_INIT(&s->seeks);
	TAILQ_INIT(&s->fresh);
	TAILQ_INIT(&s->questions);
	TAILQ_INIT(&s->heard);
	LIST_INIT(&s->sources);
	pthread_mutex_init(&s->lock, NULL);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->fd < 0 || s->wake < 0 ? -errno : start(s);
	if (r < 0)
		seeker_closep(&s);
	else
		*ret = s;
	return r;
}

void
seeker_closep(struct seeker **ret)
{
	struct seeker *s = *ret;
	struct question *q;
	struct heard *h;
	struct seek *k;

	*ret = NULL;
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->ends = true;
		pthread_mutex_unlock(&s->lock);
		seek_ring(s->wake);
		pthread_join(s->thread, NULL);
	}
	while ((q = TAILQ_FIRST(&s->questions)) != NULL) {
		TAILQ_REMOVE(&s->questions, q, link);
		question_free(q);
	}
	while ((h = TAILQ_FIRST(&s->heard)) != NULL) {
		TAILQ_REMOVE(&s->heard, h, link);
		if (h->found)
			dray__worker_found__free_unpacked(h->found, NULL);
		free(h);
	}
	while ((k = TAILQ_FIRST(&s->fresh)) != NULL) {
		TAILQ_REMOVE(&s->fresh, k, link);
		seek_free(k);
	}
	closep(&s->fd);
	closep(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
