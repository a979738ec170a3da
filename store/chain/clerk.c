/* Invariant: the chain is touched by its thread alone, and each request is answered once. */
#include "config.h"

#include "common/thread.h"
#include "store/chain/clerk.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/chain/chain.h"
#include "store/object.h"

#define STACK_BYTES (1u << 20)

struct clerk {
	struct store *chain; /* the thread's */
	pthread_t thread;
	int wake; /* an eventfd */
	pthread_mutex_t lock;
	TAILQ_HEAD(, clerk_request) asked;
	bool ends, gives_up;
	uint64_t hits[CHAIN_TIERS_MAX]; /* the thread's: of each place, so far */
};

/* ---- the thread */

/* The place of the chain that has just answered with a hit. (One whose answer came too late counts
 * that as well, so it may be another one: it is for logs.) */
static const char *
find_place(struct clerk *c)
{
	const char *name = "";
	struct chain_stats stats;

	for (size_t i = 0; chain_get_stats(c->chain, i, &stats) == 0; i++) {
		if (stats.hits != c->hits[i])
			name = stats.name;
		c->hits[i] = stats.hits;
	}
	return name;
}

static void
finish(void *arg, const struct store_reply *r)
{
	struct clerk_request *q = arg;
	const char *store = find_place(q->clerk);

	q->store = r->error == 0 ? store : "";
	if (r->error < 0 && r->error != -ENOENT && r->error != -ECANCELED)
		snprintf(q->why, sizeof(q->why), "%s", store_why(q->clerk->chain));
	q->done(q->arg, r);
}

static void
begin(struct clerk *c, struct clerk_request *q)
{
	switch (q->what) {
	case CLERK_GET:
		chain_get_within(c->chain, q->kind, &q->name, q->max, q->ms, finish, q);
		return;
	case CLERK_HAS:
		store_has(c->chain, q->kind, &q->name, finish, q);
		return;
	case CLERK_PUT_OBJECT:
		chain_put(c->chain, q->object, finish, q);
		return;
	case CLERK_PUT_ENTRY:
		store_put_entry(c->chain, &q->name, q->p, q->n, finish, q);
		return;
	}
}

static void
refuse(struct clerk_request *q)
{
	const struct store_reply reply = { .error = -ECANCELED, .fd = -1 };

	if (q->what == CLERK_PUT_OBJECT) {
		struct object o = *q->object;

		object_done(&o);
	}
	q->done(q->arg, &reply);
}

/* True: go on. */
static bool
begin_all(struct clerk *c)
{
	struct clerk_request *q;
	bool ends, gives_up;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		q = TAILQ_FIRST(&c->asked);
		if (q)
			TAILQ_REMOVE(&c->asked, q, link);
		ends = c->ends;
		gives_up = c->gives_up;
		pthread_mutex_unlock(&c->lock);
		if (!q)
			return !ends;
		if (gives_up)
			refuse(q);
		else
			begin(c, q);
	}
}

static void *
work(void *arg)
{
	struct clerk *c = arg;
	int fd = store_fd(c->chain);
	struct pollfd p[] = { { c->wake, POLLIN, 0 }, { fd, POLLIN, 0 } };

	while (begin_all(c)) {
		uint64_t n;

		(void)!poll(p, fd < 0 ? 1 : 2, -1);
		(void)!read(c->wake, &n, sizeof(n));
		store_work(c->chain, 0);
	}
	if (c->gives_up)
		chain_cancel(c->chain);
	else
		store_work(c->chain, -1);
	return NULL;
}

static void
wake(struct clerk *c)
{
	const uint64_t one = 1;

	(void)!write(c->wake, &one, sizeof(one));
}

/* ---- its life */

static int
start(struct clerk *c)
{
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0)
		return -errno;
	return thread_start(THREAD_NO_SIGNALS, STACK_BYTES, work, c, &c->thread);
}

void
clerk_free(struct clerk *c)
{
	if (!c)
		return;
	store_close(c->chain);
	closep(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int
clerk_open(struct store *chain, struct clerk **ret)
{
	struct clerk *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		store_close(chain);
		return -ENOMEM;
	}
	c->chain = chain;
	c->wake = -1;
	pthread_mutex_init(&c->lock, NULL);
	TAILQ_INIT(&c->asked);
	r = start(c);
	if (r < 0)
		clerk_free(c);
	else
		*ret = c;
	return r;
}

static void
end(struct clerk *c, bool gives_up)
{
	pthread_mutex_lock(&c->lock);
	c->ends = true;
	c->gives_up = gives_up;
	pthread_mutex_unlock(&c->lock);
	wake(c);
	pthread_join(c->thread, NULL);
}

void
clerk_end(struct clerk *c)
{
	end(c, true);
}

void
clerk_finish(struct clerk *c)
{
	end(c, false);
}

/* ---- asking */

void
clerk_ask(struct clerk *c, struct clerk_request *q)
{
	bool ends;

	q->clerk = c;
	q->store = "";
	*q->why = '\0';
	pthread_mutex_lock(&c->lock);
	ends = c->ends;
	if (!ends)
		TAILQ_INSERT_TAIL(&c->asked, q, link);
	pthread_mutex_unlock(&c->lock);
	if (ends)
		refuse(q);
	else
		wake(c);
}

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct store_reply reply;
	bool done;
};

static void
answered(void *arg, const struct store_reply *r)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->lock);
	w->reply = *r;
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

int
clerk_ask_now(struct clerk *c, struct clerk_request *q, struct store_reply *reply)
{
	struct wait w = { .done = false };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.cond, NULL);
	q->done = answered;
	q->arg = &w;
	clerk_ask(c, q);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
	*reply = w.reply;
	return w.reply.error;
}
