/* The page's thread and its connections.
 *
 * Invariant: a connection that does not finish its request and read the answer within PAGE_ASK_MS
 * of the request's first line, or sends no line for so long, is ended, however slowly it goes on.
 * libmicrohttpd's own limit is for silence only: one byte every few seconds would hold a connection
 * for ever. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "coordinator/page/asked.h"
#include "coordinator/page/follow.h"
#include "coordinator/page/page_priv.h"

#define TURN_MS 1000 /* between looks at slow connections */
#define SILENT_S (PAGE_ASK_MS / 1000)

static void
poke(struct page *p)
{
	uint64_t one = 1;
	ssize_t n = write(p->wake, &one, sizeof(one));

	(void)n; /* full: it is awake */
}

void
page_publish(struct page *p, struct page_shot *shot)
{
	struct page_shot *old;

	pthread_mutex_lock(&p->lock);
	old = p->newest;
	p->newest = shot;
	pthread_mutex_unlock(&p->lock);
	page_shot_free(old);
	poke(p);
}

/* ---- the thread */

static void
add_point(struct page *p)
{
	const struct page_shot *s = p->shot;
	const struct tally *t = &s->tally;
	const struct series_point point = { .at_ms = s->view->at_ms,
		.workers = s->view->n_workers,
		.slots = s->view->sched.slots,
		.used = s->view->sched.used,
		.queued = s->view->sched.queued,
		.queue_ms = s->view->queue_ms,
		.ended = t->n_jobs,
		.faults = t->n_faults,
		.hits = t->looked[TALLY_DISK] + t->looked[TALLY_STORE],
		.misses = t->looked[TALLY_MISS],
		.saved_us = t->saved_us[TALLY_DISK] + t->saved_us[TALLY_STORE],
		.sent = s->view->desk.bytes,
		.received = s->taken_bytes,
		.fetched = s->view->desk.fetched };

	series_add(&p->series, &point);
}

static void
take_newest(struct page *p)
{
	struct page_shot *shot;

	pthread_mutex_lock(&p->lock);
	shot = steal_ptr(p->newest);
	pthread_mutex_unlock(&p->lock);
	if (!shot)
		return;
	page_shot_free(p->shot);
	p->shot = shot;
	p->shots++;
	add_point(p);
	follow_wake(p);
}

/* Of libmicrohttpd: a connection came, or is gone. */
static void
on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct page *p = cls;
	const union MHD_ConnectionInfo *info;
	struct page_connection *n = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (n)
			TAILQ_REMOVE(&p->connections, n, link);
		free(n);
		*socket_context = NULL;
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	n = info ? calloc(1, sizeof(*n)) : NULL;
	if (!n)
		return;
	n->fd = info->connect_fd;
	n->since_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&p->connections, n, link);
	*socket_context = n;
}

static struct page_connection *
connection_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Of libmicrohttpd, once for each request: its first line is there. A connection that was kept may
 * have been silent nearly as long as it may. Returns what route_request's state begins with. */
static void *
on_line(void *cls, const char *uri, struct MHD_Connection *c)
{
	struct page_connection *n = connection_of(c);

	(void)cls;
	(void)uri;
	if (n)
		n->since_ms = clock_mono_ms();
	return NULL;
}

/* The answer was sent, or the connection broke. */
static void
on_completed(
	void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct page_connection *n = connection_of(c);

	(void)cls;
	(void)code;
	*state = NULL;
	if (!n)
		return;
	/* what follows this one, as after HEAD, has the limits of all */
	n->follows = false;
	n->since_ms = clock_mono_ms();
}

static void
end_slow(struct page *p, uint64_t now)
{
	struct page_connection *n;

	TAILQ_FOREACH(n, &p->connections, link)
	if (!n->follows && now - n->since_ms > PAGE_ASK_MS)
		/* libmicrohttpd sees the end, and closes it */
		shutdown(n->fd, SHUT_RDWR);
}

static void *
page_run(void *arg)
{
	struct page *p = arg;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(p->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uint64_t swept = clock_mono_ms();

	while (!atomic_load(&p->ends)) {
		struct pollfd fds[] = { { info->epoll_fd, POLLIN, 0 }, { p->wake, POLLIN, 0 } };
		MHD_UNSIGNED_LONG_LONG ms = TURN_MS;
		uint64_t drained, now;

		if (MHD_get_timeout(p->daemon, &ms) != MHD_YES || ms > TURN_MS)
			ms = TURN_MS;
		(void)poll(fds, ARRAY_LEN(fds), (int)ms);
		if (fds[1].revents && read(p->wake, &drained, sizeof(drained)) < 0)
			continue;
		take_newest(p);
		MHD_run(p->daemon);
		now = clock_mono_ms();
		if (now - swept >= TURN_MS) {
			end_slow(p, now);
			follow_sweep(p, now);
			swept = now;
		}
	}
	/* none may be suspended when the daemon ends */
	follow_end_all(p);
	MHD_run(p->daemon);
	return NULL;
}

/* ---- its begin and end */

static void _printf_(2, 0) mhd_log(void *cls, const char *fmt, va_list ap)
{
	char text[256];

	(void)cls;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("page: %s", text);
}

static int
listen_on(const struct page_address *a, int *ret)
{
	_cleanup_(closep) int fd = socket(
		a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0 ||
		listen(fd, PAGE_CONNECTIONS) < 0)
		return -errno;
	*ret = fd;
	fd = -1;
	return 0;
}

static int
set_url(struct page *p, int fd)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char host[64], port[8];
	bool six;

	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&sa, n, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	six = sa.ss_family == AF_INET6;
	if (asprintf(&p->url, "http://%s%s%s:%s/", six ? "[" : "", host, six ? "]" : "", port) <
		0) {
		p->url = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The socket is the daemon's from then on. */
static int
start_daemon(struct page *p, int fd)
{
	p->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, route_request, p, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)PAGE_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		p->loopback ? 0u : (unsigned)PAGE_PER_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)SILENT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PAGE_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, p, MHD_OPTION_URI_LOG_CALLBACK,
		on_line, p, MHD_OPTION_NOTIFY_COMPLETED, on_completed, p, MHD_OPTION_END);
	return p->daemon ? 0 : -EIO;
}

static int
open_all(struct page *p, const struct page_address *a)
{
	_cleanup_(closep) int fd = -1;
	int r;

	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake < 0)
		return -errno;
	r = listen_on(a, &fd);
	if (r == 0)
		r = set_url(p, fd);
	if (r == 0)
		r = start_daemon(p, fd);
	if (r < 0)
		return r;
	fd = -1;
	r = -pthread_create(&p->thread, NULL, page_run, p);
	p->runs = r == 0;
	return r;
}

int
page_start(const char *address, const char *token, struct page **ret, char **ret_error)
{
	struct page *p = calloc(1, sizeof(*p));
	struct page_address a;
	int r;

	if (!p)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	p->wake = -1;
	pthread_mutex_init(&p->lock, NULL);
	TAILQ_INIT(&p->connections);
	TAILQ_INIT(&p->followers);
	if (asked_address(address, &a) < 0) {
		r = why_set(ret_error, -EINVAL,
			"[coordinator] page = %s: it is off, or ADDRESS:PORT with an address in "
			"numbers, as 127.0.0.1:7421 or [::1]:7421.",
			address);
	} else if (!token && !a.loopback) {
		r = why_set(ret_error, -EPERM,
			"[coordinator] page = %s: others than this machine could look at the farm. "
			"Name a file with a token (page_token), or listen on 127.0.0.1.",
			address);
	} else {
		p->loopback = a.loopback;
		p->has_token = token != NULL;
		r = token ? page_token_load(token, &p->token, ret_error) : 0;
		if (r == 0 && (r = open_all(p, &a)) < 0)
			why_set(ret_error, r, "[coordinator] page: cannot listen on %s: %s.",
				address, strerror(-r));
	}
	if (r < 0)
		page_end(p);
	else
		*ret = p;
	return r;
}

void
page_end(struct page *p)
{
	if (!p)
		return;
	if (p->runs) {
		atomic_store(&p->ends, true);
		poke(p);
		pthread_join(p->thread, NULL);
	}
	if (p->daemon)
		MHD_stop_daemon(p->daemon);
	page_book_done(p);
	closep(&p->wake);
	page_shot_free(p->newest);
	page_shot_free(p->shot);
	pthread_mutex_destroy(&p->lock);
	free(p->url);
	free(p);
}

const char *
page_url(const struct page *p)
{
	return p->url;
}
