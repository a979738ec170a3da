/* Invariant: what is handed out has lost no connection since it was given back, and nobody has said
 * anything on it. */
#include "config.h"

#include "client/dispatch/pool.h"

#include <errno.h>
#include <pthread.h>

#include "common/clock.h"

#define POOL_MAX 64
#define POOL_IDLE_MS 10000 /* a worker closes what is silent for 15 s */

struct line {
	char *endpoint, *curve;
	void *socket;
	struct monitor *monitor;
	uint64_t since_ms;
};

struct pool {
	pthread_mutex_t lock;
	struct line v[POOL_MAX]; /* the one that was given back last is the last */
	size_t n, max;
};

int
pool_new(struct pool **ret)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->max = POOL_MAX;
	*ret = p;
	return 0;
}

void
pool_bound(struct pool *p, size_t max)
{
	pthread_mutex_lock(&p->lock);
	p->max = MIN2(max, (size_t)POOL_MAX);
	pthread_mutex_unlock(&p->lock);
}

static void
line_done(struct line *l)
{
	monitor_freep(&l->monitor);
	socket_closep(&l->socket);
	free(l->endpoint);
	free(l->curve);
}

void
pool_freep(struct pool **p)
{
	if (!*p)
		return;
	for (size_t i = 0; i < (*p)->n; i++)
		line_done(&(*p)->v[i]);
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}

/* The lock is held. */
static struct line
take_out(struct pool *p, size_t i)
{
	struct line l = p->v[i];

	memmove(p->v + i, p->v + i + 1, (--p->n - i) * sizeof(p->v[0]));
	return l;
}

static bool
is_sound(struct line *l)
{
	int events = 0;
	size_t n = sizeof(events);

	return monitor_next(l->monitor, NULL) == MONITOR_NONE &&
	       zmq_getsockopt(l->socket, ZMQ_EVENTS, &events, &n) == 0 &&
	       (events & (ZMQ_POLLIN | ZMQ_POLLOUT)) == ZMQ_POLLOUT;
}

/* The newest of them. False: there is none. */
static bool
find(struct pool *p, const char *endpoint, const char *curve, struct line *ret)
{
	bool found = false;

	pthread_mutex_lock(&p->lock);
	for (size_t i = p->n; !found && i-- > 0;) {
		if (!streq(p->v[i].endpoint, endpoint) || !streq(p->v[i].curve, curve))
			continue;
		*ret = take_out(p, i);
		found = true;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

bool
pool_take(struct pool *p, const char *endpoint, const char *curve, void **ret_socket,
	struct monitor **ret_monitor)
{
	struct line l;

	while (find(p, endpoint, curve, &l)) {
		if (is_sound(&l)) {
			*ret_socket = steal_ptr(l.socket);
			*ret_monitor = steal_ptr(l.monitor);
			line_done(&l);
			return true;
		}
		line_done(&l);
	}
	return false;
}

void
pool_give(struct pool *p, const char *endpoint, const char *curve, void *socket,
	struct monitor *monitor)
{
	struct line l = { strdup(endpoint), strdup(curve), socket, monitor, clock_mono_ms() };

	if (l.endpoint && l.curve) {
		pthread_mutex_lock(&p->lock);
		if (p->n < p->max) {
			p->v[p->n++] = l;
			memset(&l, 0, sizeof(l));
		}
		pthread_mutex_unlock(&p->lock);
	}
	line_done(&l);
}

void
pool_tick(struct pool *p, uint64_t now)
{
	struct line old[POOL_MAX];
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	while (p->n && now > p->v[0].since_ms + POOL_IDLE_MS)
		old[n++] = take_out(p, 0);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < n; i++)
		line_done(&old[i]);
}
