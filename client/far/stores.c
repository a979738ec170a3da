/* Invariant: the stores are touched by their thread alone, and each request is answered once. */
#include "config.h"

#include "client/far/stores.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/chain/chain.h"

#define STACK_BYTES (1u << 20)
#define LOST_MS 1000
#define REST_MS 30000
#define REST_MAX_MS 480000

struct stores {
	struct store *chain; /* the thread's */
	pthread_t thread;
	int wake;		     /* an eventfd */
	const struct far_farm *farm; /* NULL: there is none */
	bool writes;		     /* remote_mode says so */
	bool farm_writes;	     /* and not only below a prefix of its own (common/ci.h) */
	bool written;		     /* one of the list is */
	bool several;
	uint64_t hits[CHAIN_TIERS_MAX]; /* the thread's: of each place, so far */
	pthread_mutex_t lock;		/* of all below */
	TAILQ_HEAD(, stores_request) asked;
	bool ends;
	uint64_t lost_ms, rest_ms, rest_until;
};

/* ---- the thread */

/* The place of the chain that has just answered with a hit. (One whose answer came too late counts
 * that as well, so it may be another one: it is for logs.) */
static const char *
find_place(struct stores *s)
{
	const char *name = "";
	struct chain_stats stats;

	for (size_t i = 0; chain_get_stats(s->chain, i, &stats) == 0; i++) {
		if (stats.hits != s->hits[i])
			name = stats.name;
		s->hits[i] = stats.hits;
	}
	return name;
}

static void
finish(void *arg, const struct store_reply *r)
{
	struct stores_request *q = arg;
	const char *store = find_place(q->stores);

	q->store = r->error == 0 ? store : "";
	if (r->error < 0 && r->error != -ENOENT)
		snprintf(q->why, sizeof(q->why), "%s", store_why(q->stores->chain));
	q->done(q->arg, r);
}

static void
answer(struct stores_request *q, int error)
{
	const struct store_reply reply = { .error = error, .fd = -1 };

	q->done(q->arg, &reply);
}

static void
begin(struct stores *s, struct stores_request *q)
{
	switch (q->what) {
	case STORES_GET:
		chain_get_within(s->chain, q->kind, &q->name, q->max, q->ms, finish, q);
		return;
	case STORES_HAS:
		store_has(s->chain, q->kind, &q->name, finish, q);
		return;
	case STORES_PUT_OBJECT:
		chain_put(s->chain, q->object, finish, q);
		return;
	case STORES_PUT_ENTRY:
		store_put_entry(s->chain, &q->name, q->p, q->n, finish, q);
		return;
	}
	answer(q, -EINVAL);
}

/* True: go on. */
static bool
begin_all(struct stores *s)
{
	struct stores_request *q;
	bool ends;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		q = TAILQ_FIRST(&s->asked);
		if (q)
			TAILQ_REMOVE(&s->asked, q, link);
		ends = s->ends;
		pthread_mutex_unlock(&s->lock);
		if (!q)
			return !ends;
		begin(s, q);
	}
}

static void *
work(void *arg)
{
	struct stores *s = arg;
	int fd = store_fd(s->chain);
	struct pollfd p[] = { { s->wake, POLLIN, 0 }, { fd, POLLIN, 0 } };

	while (begin_all(s)) {
		uint64_t n;

		(void)!poll(p, fd < 0 ? 1 : 2, -1);
		(void)!read(s->wake, &n, sizeof(n));
		store_work(s->chain, 0);
	}
	/* each request that is open is answered in the end */
	store_work(s->chain, -1);
	return NULL;
}

static void
wake(struct stores *s)
{
	const uint64_t one = 1;

	(void)!write(s->wake, &one, sizeof(one));
}

/* ---- opening */

static int
open_chain(struct stores *s, const struct conf *conf, const char *tmp, char **ret_why)
{
	struct chain_in in = { .tmp = tmp, .first_name = FAR_FARM_NAME, .renews = s->writes };
	const struct store_in first = { .tmp = tmp };
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	const char *urls = conf->client.store ? conf->client.store : "";
	bool any = false;
	int r = chain_list_parse(urls, &list, ret_why);

	if (r == 0 && s->farm)
		r = s->farm->share(s->farm->arg, !s->farm_writes, &first, &in.first);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++)
		any |= !list.read_only[i];
	s->written = any && s->writes;
	s->several = list.n + (s->farm != NULL) > 1;
	return chain_open(&list, &in, &s->chain, ret_why);
}

int
stores_open(const struct conf *conf, const struct far_farm *farm, const char *tmp,
	struct stores **ret, char **ret_why)
{
	_cleanup_(freep) struct stores *s = NULL;
	pthread_attr_t attr;
	bool named = conf->client.store && *conf->client.store;
	int r;

	if ((!named && !farm) || conf->client.remote_mode == REMOTE_OFF)
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->farm = farm;
	s->writes = conf->client.remote_mode == REMOTE_READWRITE;
	s->farm_writes = s->writes && conf->client.ci_mode != CI_MODE_OWN;
	pthread_mutex_init(&s->lock, NULL);
	TAILQ_INIT(&s->asked);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		return -errno;
	r = open_chain(s, conf, tmp, ret_why);
	if (r == 0)
		r = -pthread_attr_init(&attr);
	if (r == 0) {
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		r = -pthread_create(&s->thread, &attr, work, s);
		pthread_attr_destroy(&attr);
	}
	if (r < 0) {
		store_close(s->chain);
		closep(&s->wake);
		return r;
	}
	*ret = steal_ptr(s);
	return 0;
}

void
stores_closep(struct stores **ret)
{
	struct stores *s = *ret;

	*ret = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ends = true;
	pthread_mutex_unlock(&s->lock);
	wake(s);
	pthread_join(s->thread, NULL);
	store_close(s->chain);
	closep(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

bool
stores_are_written(const struct stores *s)
{
	return s->written || (s->farm && s->farm_writes);
}

enum far_puts
stores_puts(struct stores *s)
{
	return s->written		   ? FAR_PUTS
	       : s->farm && s->farm_writes ? s->farm->puts(s->farm->arg)
					   : FAR_PUTS_NO;
}

bool
stores_are_several(const struct stores *s)
{
	return s->several;
}

/* ---- asking */

void
stores_ask(struct stores *s, struct stores_request *q)
{
	q->stores = s;
	q->store = "";
	*q->why = '\0';
	pthread_mutex_lock(&s->lock);
	TAILQ_INSERT_TAIL(&s->asked, q, link);
	pthread_mutex_unlock(&s->lock);
	wake(s);
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
stores_ask_now(struct stores *s, struct stores_request *q, struct store_reply *reply)
{
	struct wait w = { .done = false };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.cond, NULL);
	q->done = answered;
	q->arg = &w;
	stores_ask(s, q);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
	*reply = w.reply;
	return w.reply.error;
}

/* ---- whether it pays */

uint64_t
stores_rest(struct stores *s)
{
	uint64_t now = clock_mono_ms(), left;

	pthread_mutex_lock(&s->lock);
	left = s->rest_until > now ? s->rest_until - now : 0;
	pthread_mutex_unlock(&s->lock);
	return left;
}

void
stores_note_wait(struct stores *s, uint64_t ms, bool in_vain)
{
	pthread_mutex_lock(&s->lock);
	if (!in_vain) {
		s->lost_ms /= 2;
		s->rest_ms = 0;
	} else {
		s->lost_ms += ms;
	}
	if (s->lost_ms >= LOST_MS) {
		s->rest_ms = s->rest_ms ? MIN2(2 * s->rest_ms, (uint64_t)REST_MAX_MS) : REST_MS;
		s->rest_until = clock_mono_ms() + s->rest_ms;
		s->lost_ms = 0;
	}
	pthread_mutex_unlock(&s->lock);
}
