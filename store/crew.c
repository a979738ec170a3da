/* Invariant: a job is dropped once, and after it was told: by crew_step, or by its thread when that
 * still ran it then. Its state is changed under the lock alone. */
#include "config.h"

#include "store/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/thread.h"

/* TELLING: it runs, and crew_step tells that it is late; LATE: that was told. */
enum state { WAITING, RUNNING, FINISHED, TELLING, LATE };

struct list {
	struct crew_job *first, *last;
};

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* Under the lock: */
	struct list waiting, finished;
	unsigned threads,
		idle; /* idle: also those that are woken, and did not take their job yet */
	unsigned n_waiting;
	unsigned owners; /* of this structure: the threads, and the store */
	bool closed;
	/* The store's alone: */
	struct waiter *waiter;
	struct crew_job *oldest, *newest; /* open */
	unsigned most, limit_ms;
	int done_fd; /* readable while something is finished */
};

static void
list_add(struct list *l, struct crew_job *j)
{
	j->next = NULL;
	j->prev = l->last;
	*(l->last != NULL ? &l->last->next : &l->first) = j;
	l->last = j;
}

static void
list_remove(struct list *l, struct crew_job *j)
{
	*(j->prev != NULL ? &j->prev->next : &l->first) = j->next;
	*(j->next != NULL ? &j->next->prev : &l->last) = j->prev;
	j->prev = j->next = NULL;
}

/* The lock is held; it is released. */
static void
leave(struct crew *c)
{
	bool last = --c->owners == 0;

	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	closep(&c->done_fd);
	free(c);
}

/* The lock is held, and again at the end. */
static void
run_one(struct crew *c, struct crew_job *j)
{
	const uint64_t one = 1;

	list_remove(&c->waiting, j);
	c->n_waiting--;
	j->state = RUNNING;
	pthread_mutex_unlock(&c->lock);
	j->run(j);
	pthread_mutex_lock(&c->lock);
	if (j->state == LATE) {
		pthread_mutex_unlock(&c->lock);
		j->drop(j);
		pthread_mutex_lock(&c->lock);
		return;
	}
	if (j->state == RUNNING) {
		list_add(&c->finished, j);
		/* an eventfd takes that as often as there are jobs */
		(void)!write(c->done_fd, &one, sizeof(one));
	}
	j->state = FINISHED;
}

static void *
thread_main(void *arg)
{
	struct crew *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->closed) {
		if (c->waiting.first != NULL) {
			run_one(c, c->waiting.first);
			continue;
		}
		c->idle++;
		pthread_cond_wait(&c->more, &c->lock);
		c->idle--;
	}
	leave(c);
	return NULL;
}

/* The lock is held. */
static void
start_thread(struct crew *c)
{
	/* signals are for the threads that know of them */
	if (thread_start(THREAD_DETACHED | THREAD_NO_SIGNALS, 0, thread_main, c, NULL) < 0)
		return;
	c->threads++;
	c->owners++;
}

int
crew_new(struct waiter *w, unsigned most, unsigned limit_ms, struct crew **ret)
{
	struct crew *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->waiter = w;
	c->most = most;
	c->limit_ms = limit_ms;
	c->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = c->done_fd < 0 ? -errno : waiter_add(w, c->done_fd, EPOLLIN, c);
	if (r < 0) {
		closep(&c->done_fd);
		free(c);
		return r;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	c->owners = 1;
	*ret = c;
	return 0;
}

void
crew_add(struct crew *c, struct crew_job *j)
{
	j->state = WAITING;
	j->until = clock_mono_ms() + c->limit_ms;
	j->newer = NULL;
	j->older = c->newest;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = j;
	c->newest = j;
	pthread_mutex_lock(&c->lock);
	list_add(&c->waiting, j);
	c->n_waiting++;
	/* Each has a thread, or another job that hangs would keep it. Without any thread it will be
	 * late. */
	if (c->n_waiting > c->idle && c->threads < c->most)
		start_thread(c);
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
}

static void
no_longer_open(struct crew *c, struct crew_job *j)
{
	*(j->older != NULL ? &j->older->newer : &c->oldest) = j->newer;
	*(j->newer != NULL ? &j->newer->older : &c->newest) = j->older;
}

/* Whether it was still to be done, or is being done: then its state becomes `then`. */
static bool
give_up(struct crew *c, struct crew_job *j, enum state then, bool *ret_running)
{
	bool late = false;

	pthread_mutex_lock(&c->lock);
	*ret_running = j->state == RUNNING;
	if (j->state == WAITING) {
		list_remove(&c->waiting, j);
		c->n_waiting--;
		late = true;
	} else if (j->state == RUNNING) {
		j->state = then;
		late = true;
	}
	pthread_mutex_unlock(&c->lock);
	return late;
}

/* It was told. Whether its thread still runs it, and drops it. */
static bool
leave_to_thread(struct crew *c, struct crew_job *j)
{
	bool running;

	pthread_mutex_lock(&c->lock);
	running = j->state == TELLING;
	if (running)
		j->state = LATE;
	pthread_mutex_unlock(&c->lock);
	return running;
}

static struct crew_job *
take_finished(struct crew *c)
{
	struct crew_job *j;

	pthread_mutex_lock(&c->lock);
	j = c->finished.first;
	if (j != NULL)
		list_remove(&c->finished, j);
	pthread_mutex_unlock(&c->lock);
	return j;
}

void
crew_free(struct crew *c)
{
	struct crew_job *j;

	if (c == NULL)
		return;
	waiter_remove(c->waiter, c->done_fd);
	while ((j = c->oldest) != NULL) {
		bool running = false;

		no_longer_open(c, j);
		if (!give_up(c, j, LATE, &running)) {
			pthread_mutex_lock(&c->lock);
			list_remove(&c->finished, j);
			pthread_mutex_unlock(&c->lock);
		}
		if (!running)
			j->drop(j);
	}
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_broadcast(&c->more);
	leave(c);
}

void
crew_step(struct crew *c, uint64_t now)
{
	struct crew_job *j;
	uint64_t times;

	(void)!read(c->done_fd, &times, sizeof(times));
	while ((j = take_finished(c)) != NULL) {
		no_longer_open(c, j);
		j->done(j, 0);
		j->drop(j);
	}
	/* all have the same limit: the oldest is late first */
	while ((j = c->oldest) != NULL && j->until <= now) {
		bool running = false;

		/* it was finished just now, and comes with the next step */
		if (!give_up(c, j, TELLING, &running))
			break;
		no_longer_open(c, j);
		j->done(j, -ETIMEDOUT);
		if (!running || !leave_to_thread(c, j))
			j->drop(j);
	}
}

uint64_t
crew_next(const struct crew *c)
{
	return c->oldest != NULL ? c->oldest->until : 0;
}

bool
crew_is_idle(const struct crew *c)
{
	return c->oldest == NULL;
}
