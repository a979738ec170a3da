/* A connection with the coordinator for the shared cache alone. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "store/tier/tier.h"
#include "common/clock.h"
#include "common/conf/coordinators.h"
#include "common/text/why.h"
#include "keys/identity.h"
#include "keys/succession.h"
#include "proto/socket.h"

#define HEARTBEAT_MS 1000

struct alone {
	void *socket;
	struct monitor *monitor;
	char role[16];
	int fd; /* an epoll set of both */
	bool lost;
	bool has_cache, may_put;
	/* of one that nobody waits for */
	enum tier_state state;
	uint64_t until;
	unsigned from;	     /* a wire_side bit */
	const char *feature; /* by which it says that it has what can be got */
};

static int
alone_send(void *arg, uint32_t number, enum wire_type type, const ProtobufCMessage *body,
	zmq_msg_t *payload)
{
	struct alone *a = arg;

	return a->lost ? -ENOTCONN : wire_send_job(a->socket, NULL, number, type, body, payload);
}

static int
say_hello(struct alone *a)
{
	Dray__Hello m;

	wire_hello(&m, a->role);
	return wire_send(a->socket, NULL, WIRE_HELLO, &m.base, NULL, 0);
}

static void
hear_welcome(struct alone *a, const Dray__Welcome *m)
{
	a->has_cache = a->may_put = false;
	for (size_t i = 0; i < m->n_features; i++) {
		a->has_cache |= streq(m->features[i], a->feature);
		a->may_put |= streq(m->features[i], WIRE_SHARED_PUTS);
	}
}

static int
alone_receive(void *arg, struct wire_msg *ret)
{
	struct alone *a = arg;
	enum monitor_event event;
	int r;

	while ((event = monitor_next(a->monitor, NULL)) != MONITOR_NONE) {
		if (event == MONITOR_DISCONNECTED) {
			a->lost = true;
			return -ENOTCONN;
		}
		if (event == MONITOR_CONNECTED && a->lost) {
			a->lost = false;
			(void)say_hello(a);
		}
	}
	for (;;) {
		r = wire_recv(a->socket, NULL, WIRE_FROM_COORDINATOR, ret);
		if (r == 0 && ret->info->type == WIRE_WELCOME)
			hear_welcome(a, (const Dray__Welcome *)ret->body);
		else
			return r;
		wire_msg_done(ret);
	}
}

/* Whatever is wrong, it is not asked again. */
static int
give_up(struct alone *a)
{
	a->lost = true;
	a->state = TIER_AWAY;
	return -ENOTCONN;
}

static int
reach_receive(void *arg, struct wire_msg *ret)
{
	struct alone *a = arg;
	enum monitor_event event;
	int r;

	if (a->lost)
		return -EAGAIN;
	while ((event = monitor_next(a->monitor, NULL)) != MONITOR_NONE)
		if (event == MONITOR_DISCONNECTED || event == MONITOR_REFUSED)
			return give_up(a);
	for (;;) {
		r = wire_recv(a->socket, NULL, a->from, ret);
		if (r == -EAGAIN)
			return r;
		if (r < 0 || ret->info->type == WIRE_REFUSED)
			break;
		if (ret->info->type != WIRE_WELCOME)
			return 0;
		hear_welcome(a, (const Dray__Welcome *)ret->body);
		a->state = a->has_cache ? TIER_READS : TIER_NONE;
		wire_msg_done(ret);
	}
	wire_msg_done(ret);
	return give_up(a);
}

static enum tier_state
reach_state(void *arg)
{
	struct alone *a = arg;

	if (a->state == TIER_COMING && clock_mono_ms() >= a->until)
		(void)give_up(a);
	return a->state;
}

static int
alone_fd(void *arg)
{
	return ((struct alone *)arg)->fd;
}

/* libzmq's descriptors tell of a change once. */
static bool
alone_ready(void *arg)
{
	struct alone *a = arg;
	void *const sockets[] = { a->socket, monitor_socket(a->monitor) };

	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		int events = 0;
		size_t n = sizeof(events);

		if (zmq_getsockopt(sockets[i], ZMQ_EVENTS, &events, &n) == 0 &&
			(events & ZMQ_POLLIN))
			return true;
	}
	return false;
}

static void
alone_close(void *arg)
{
	struct alone *a = arg;

	closep(&a->fd);
	monitor_freep(&a->monitor);
	socket_closep(&a->socket);
	free(a);
}

static const struct tier_line line = { .send = alone_send,
	.receive = alone_receive,
	.fd = alone_fd,
	.ready = alone_ready,
	.close = alone_close };

static int
watch(struct alone *a)
{
	void *const sockets[] = { a->socket, monitor_socket(a->monitor) };

	a->fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->fd < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		struct epoll_event e = { .events = EPOLLIN };
		int fd;
		size_t n = sizeof(fd);

		if (zmq_getsockopt(sockets[i], ZMQ_FD, &fd, &n) < 0)
			return -zmq_errno();
		if (epoll_ctl(a->fd, EPOLL_CTL_ADD, fd, &e) < 0)
			return -errno;
	}
	return 0;
}

static int
dial(void *zctx, const struct tier_dial *d, struct alone *a)
{
	int r = socket_connect_monitored(zctx, d->endpoint, d->identity, d->coordinator,
		HEARTBEAT_MS, &a->socket, &a->monitor);

	snprintf(a->role, sizeof(a->role), "%s", d->role);
	if (r == 0)
		r = watch(a);
	return r == 0 ? say_hello(a) : r;
}

static int
await_welcome(struct alone *a, uint64_t ms)
{
	uint64_t end = clock_mono_ms() + ms;

	for (;;) {
		zmq_pollitem_t items[] = { { a->socket, 0, ZMQ_POLLIN, 0 },
			{ monitor_socket(a->monitor), 0, ZMQ_POLLIN, 0 } };
		struct wire_msg m = WIRE_MSG_INIT;
		uint64_t now = clock_mono_ms();
		int r;

		if (now >= end)
			return -ETIMEDOUT;
		zmq_poll(items, ARRAY_LEN(items), (long)(end - now));
		while (monitor_next(a->monitor, NULL) == MONITOR_REFUSED)
			return -EACCES;
		r = wire_recv(a->socket, NULL, WIRE_FROM_COORDINATOR, &m);
		if (r == 0 && m.info->type == WIRE_WELCOME) {
			hear_welcome(a, (const Dray__Welcome *)m.body);
			wire_msg_done(&m);
			return a->has_cache ? 0 : -ENOTSUP;
		}
		wire_msg_done(&m);
		if (r != 0 && r != -EAGAIN)
			return r;
	}
}

int
tier_dial(void *zctx, const struct tier_dial *d, const struct store_in *in, struct store **ret,
	char **ret_why)
{
	struct alone *a = calloc(1, sizeof(*a));
	bool read_only;
	int r;

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->feature = WIRE_SHARED;
	r = dial(zctx, d, a);
	if (r == 0)
		r = await_welcome(a, d->connect_ms);
	if (r < 0) {
		alone_close(a);
		return why_set(ret_why, r, "The coordinator's shared cache: %s.",
			r == -ENOTSUP ? "it has none" : strerror(-r));
	}
	read_only = !a->may_put;
	return tier_open(&line, a, 0, read_only, in, ret);
}

static const struct tier_line reach = { .send = alone_send,
	.receive = reach_receive,
	.fd = alone_fd,
	.state = reach_state,
	.ready = alone_ready,
	.close = alone_close };

int
tier_reach(void *zctx, const struct tier_dial *d, const struct store_in *in, struct store **ret)
{
	struct alone *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->state = TIER_COMING;
	a->until = clock_mono_ms() + d->connect_ms;
	a->from = d->worker ? WIRE_FROM_WORKER : WIRE_FROM_COORDINATOR;
	a->feature = d->worker ? WIRE_PEERS : WIRE_SHARED;
	r = dial(zctx, d, a);
	if (r < 0) {
		alone_close(a);
		return r;
	}
	return tier_open(&reach, a, 0, true, in, ret);
}

static int
connect_to(void *zctx, const struct conf *conf, const struct coordinator_at *at,
	const struct store_in *in, struct store **ret, char **ret_why)
{
	struct identity id = { .has_secret = false }, coordinator = { .has_secret = false };
	struct tier_dial d = { .endpoint = at->endpoint,
		.role = "client",
		.connect_ms = (unsigned)conf->client.connect_ms };
	int r = 0;

	if (!endpoint_is_local(d.endpoint)) {
		r = conf->client.identity && at->key ? 0 : -EINVAL;
		if (r == 0)
			r = identity_load_unchecked(conf->client.identity, &id, NULL);
		if (r == 0)
			r = successor_load(at->key, conf->client.cache_dir, (uint64_t)time(NULL),
				&coordinator, NULL, NULL);
		d.identity = &id;
		d.coordinator = coordinator.curve_public;
	}
	if (r < 0)
		why_set(ret_why, r, "The coordinator's shared cache: %s.", strerror(-r));
	else
		r = tier_dial(zctx, &d, in, ret, ret_why);
	identity_done(&coordinator);
	identity_done(&id);
	return r;
}

int
tier_connect(void *zctx, const struct conf *conf, const struct store_in *in, struct store **ret,
	char **ret_why)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	int r = coordinators_parse(
		"client", conf->client.coordinator, conf->client.coordinator_key, &all, ret_why);

	if (r < 0)
		return r;
	if (all.n == 0)
		return why_set(
			ret_why, -EINVAL, "The coordinator's shared cache: %s.", strerror(EINVAL));
	for (size_t i = 0; i < all.n; i++) {
		free(steal_ptr(*ret_why));
		r = connect_to(zctx, conf, &all.v[i], in, ret, ret_why);
		/* one that has none is there all the same, and is asked */
		if (r == 0 || r == -ENOTSUP)
			break;
	}
	return r;
}
