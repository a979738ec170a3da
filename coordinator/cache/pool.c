/* Invariant: a work is in one list at a time: its lane's, then that of those that are done; each
 * list has a lock, which is held for no longer than it takes to move a pointer. */
#include "config.h"

#include "coordinator/cache/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

STAILQ_HEAD(works, pool_work);

struct lane {
	struct pool *pool;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct works works;
	bool end;
	struct chunk_coder *coder;
};

struct pool {
	struct lane lane[POOL_LANES + 1];
	bool threads;
	int fd;
	pthread_mutex_t lock;
	struct works done;
};

static struct pool_work *
first_of(struct works *v)
{
	struct pool_work *w = STAILQ_FIRST(v);

	if (w)
		STAILQ_REMOVE_HEAD(v, link);
	return w;
}

static struct pool_work *
take_work(struct lane *l)
{
	struct pool_work *w = NULL;

	pthread_mutex_lock(&l->lock);
	while (!l->end && STAILQ_EMPTY(&l->works))
		pthread_cond_wait(&l->some, &l->lock);
	if (!l->end)
		w = first_of(&l->works);
	pthread_mutex_unlock(&l->lock);
	return w;
}

static void
give(struct pool *p, struct pool_work *w)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	STAILQ_INSERT_TAIL(&p->done, w, link);
	pthread_mutex_unlock(&p->lock);
	(void)!write(p->fd, &one, sizeof(one));
}

static void *
run_lane(void *arg)
{
	struct lane *l = arg;
	struct pool_work *w;

	while ((w = take_work(l)) != NULL) {
		w->run(w, l->coder);
		give(l->pool, w);
	}
	return NULL;
}

static int
start(struct lane *l)
{
	sigset_t all, old;
	int r;

	/* signals are the loop's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&l->thread, NULL, run_lane, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	l->started = r == 0;
	return -r;
}

int
pool_new(bool threads, struct pool **ret)
{
	struct pool *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->threads = threads;
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&p->lock, NULL);
	STAILQ_INIT(&p->done);
	for (size_t i = 0; i < ARRAY_LEN(p->lane); i++) {
		struct lane *l = &p->lane[i];

		l->pool = p;
		pthread_mutex_init(&l->lock, NULL);
		pthread_cond_init(&l->some, NULL);
		STAILQ_INIT(&l->works);
		if (r == 0)
			r = chunk_coder_new(&l->coder);
	}
	if (p->fd < 0)
		r = -EMFILE;
	for (size_t i = 0; r == 0 && threads && i < ARRAY_LEN(p->lane); i++)
		r = start(&p->lane[i]);
	if (r < 0) {
		pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void
stop(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->end = true;
	pthread_cond_signal(&l->some);
	pthread_mutex_unlock(&l->lock);
	if (l->started)
		pthread_join(l->thread, NULL);
}

void
pool_free(struct pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < ARRAY_LEN(p->lane); i++)
		stop(&p->lane[i]);
	if (p->threads)
		(void)pool_step(p);
	for (size_t i = 0; i < ARRAY_LEN(p->lane); i++) {
		struct lane *l = &p->lane[i];
		struct pool_work *w;

		while ((w = first_of(&l->works)) != NULL)
			w->done(w, true);
		chunk_coder_free(l->coder);
		pthread_cond_destroy(&l->some);
		pthread_mutex_destroy(&l->lock);
	}
	pthread_mutex_destroy(&p->lock);
	closep(&p->fd);
	free(p);
}

void
pool_submit(struct pool *p, unsigned lane, struct pool_work *w)
{
	struct lane *l = &p->lane[MIN2(lane, (unsigned)POOL_KEEPER)];

	pthread_mutex_lock(&l->lock);
	STAILQ_INSERT_TAIL(&l->works, w, link);
	pthread_cond_signal(&l->some);
	pthread_mutex_unlock(&l->lock);
}

int
pool_fd(const struct pool *p)
{
	return p->fd;
}

static void
run_here(struct pool *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->lane); i++) {
		struct pool_work *w;

		while ((w = first_of(&p->lane[i].works)) != NULL) {
			w->run(w, p->lane[i].coder);
			give(p, w);
		}
	}
}

unsigned
pool_step(struct pool *p)
{
	struct works done = STAILQ_HEAD_INITIALIZER(done);
	struct pool_work *w;
	unsigned n = 0;
	uint64_t rung;

	if (!p->threads)
		run_here(p);
	(void)!read(p->fd, &rung, sizeof(rung));
	pthread_mutex_lock(&p->lock);
	STAILQ_CONCAT(&done, &p->done);
	pthread_mutex_unlock(&p->lock);
	for (; (w = first_of(&done)) != NULL; n++)
		w->done(w, false);
	return n;
}
