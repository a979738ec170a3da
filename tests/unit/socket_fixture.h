/* A listening node with keys, authenticator and monitor, for the tests of proto/socket.h. */
#ifndef DRAY_TESTS_UNIT_SOCKET_FIXTURE_H
#define DRAY_TESTS_UNIT_SOCKET_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/clock.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define HEARTBEAT_MS 200
#define PATIENCE_MS 10000 /* a bound on waiting for what must come */
#define QUIET_MS 300	  /* how long to look for what must not come */

static struct identity server_id, client_id, other_id;

/* A listening node with all that belongs to it. */
struct node {
	void *ctx;
	struct zap *zap;
	void *router;
	struct monitor *monitor;
	char *endpoint;
	char *dir;
	unsigned asked, hellos, gone, errors;
	struct wire_peer last, last_gone;
};

static inline enum zap_answer
decide(void *arg, const char *key)
{
	struct node *n = arg;

	n->asked++;
	return streq(key, client_id.curve_public) ? ZAP_YES : ZAP_NO;
}

static inline int
keys_up(void **state)
{
	struct identity *const ids[] = { &server_id, &client_id, &other_id };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		if (zmq_curve_keypair(ids[i]->curve_public, ids[i]->curve_secret) < 0)
			return -1;
		ids[i]->has_secret = true;
	}
	return 0;
}

static inline struct node *
node_new(zap_decide_fn fn)
{
	struct node *n = calloc(1, sizeof(*n));

	n->ctx = zmq_ctx_new();
	assert_int_equal(zap_new(n->ctx, fn, n, &n->zap), 0);
	return n;
}

static inline void
node_listen(struct node *n, const char *endpoint)
{
	assert_int_equal(socket_listen_monitored(n->ctx, ADMIT_COORDINATOR, endpoint,
				 endpoint_is_local(endpoint) ? NULL : &server_id, HEARTBEAT_MS,
				 &n->router, &n->monitor, &n->endpoint),
		0);
}

static inline int
node_up(void **state)
{
	*state = node_new(decide);
	node_listen(*state, "tcp://127.0.0.1:*");
	return 0;
}

static inline int
bare_node_up(void **state)
{
	*state = node_new(decide);
	return 0;
}

static inline int
node_down(void **state)
{
	struct node *n = *state;

	monitor_freep(&n->monitor);
	socket_closep(&n->router);
	zap_freep(&n->zap);
	zmq_ctx_termp(&n->ctx);
	/* libzmq leaves the socket file. */
	if (n->dir) {
		unlink(n->endpoint + strlen("ipc://"));
		rmdir(n->dir);
	}
	free(n->dir);
	free(n->endpoint);
	free(n);
	return 0;
}

static inline void
node_receive(struct node *n)
{
	for (;;) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
		int r = wire_recv(n->router, &n->last, WIRE_FROM_CLIENT, &m);

		if (r == -EAGAIN)
			return;
		monitor_note(n->monitor, &n->last);
		n->hellos += r == 0;
		n->errors += r != 0;
	}
}

static inline void
node_events(struct node *n)
{
	enum monitor_event e;

	while ((e = monitor_next(n->monitor, &n->last_gone)) != MONITOR_NONE) {
		assert_int_equal(e, MONITOR_PEER_GONE);
		n->gone++;
	}
}

static inline void
node_turn(struct node *n, long ms)
{
	zmq_pollitem_t items[] = {
		{ n->router, 0, ZMQ_POLLIN, 0 },
		{ n->monitor ? monitor_socket(n->monitor) : n->router, 0, ZMQ_POLLIN, 0 },
		{ n->zap ? zap_socket(n->zap) : n->router, 0, ZMQ_POLLIN, 0 },
	};

	zmq_poll(items, ARRAY_LEN(items), ms);
	if (n->zap)
		zap_step(n->zap);
	node_receive(n);
	if (n->monitor)
		node_events(n);
}

/* Turns until *what reaches want. */
static inline void
node_until(struct node *n, const unsigned *what, unsigned want)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (*what < want) {
		assert_true(clock_mono_ms() < end);
		node_turn(n, 20);
	}
}

static inline void
node_quiet(struct node *n)
{
	uint64_t end = clock_mono_ms() + QUIET_MS;

	while (clock_mono_ms() < end)
		node_turn(n, 20);
}

static inline void
send_hello(void *socket)
{
	Dray__Hello hello;

	dray__hello__init(&hello);
	assert_int_equal(wire_send(socket, NULL, WIRE_HELLO, &hello.base, NULL, 0), 0);
}

/* Turns the node until the client's monitor says something. */
static inline enum monitor_event
next_event(struct node *n, struct monitor *w)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	enum monitor_event e;

	while ((e = monitor_next(w, NULL)) == MONITOR_NONE) {
		assert_true(clock_mono_ms() < end);
		node_turn(n, 20);
	}
	return e;
}

static inline void
ipc_listen(struct node *n)
{
	char dir[] = "/tmp/dray-test-XXXXXX";
	char endpoint[64];

	assert_non_null(mkdtemp(dir));
	n->dir = strdup(dir);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", dir);
	node_listen(n, endpoint);
}

#endif
