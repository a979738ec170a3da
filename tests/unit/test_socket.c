/* socket.c, zap.c and monitor.c with real sockets: who gets in, who does not, and that a peer that
 * leaves, dies or hangs is reported gone, once, and never another in its place.
 * (One file, though long: all of it needs the same node, with keys, authenticator and monitor.) */
#include "config.h"

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

static bool
decide(void *arg, const char *key)
{
	struct node *n = arg;

	n->asked++;
	return streq(key, client_id.curve_public);
}

static int
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

static struct node *
node_new(zap_decide_fn fn)
{
	struct node *n = calloc(1, sizeof(*n));

	n->ctx = zmq_ctx_new();
	assert_int_equal(zap_new(n->ctx, fn, n, &n->zap), 0);
	return n;
}

static void
node_listen(struct node *n, const char *endpoint)
{
	assert_int_equal(
		socket_listen(n->ctx, endpoint, endpoint_is_local(endpoint) ? NULL : &server_id,
			HEARTBEAT_MS, &n->router, &n->endpoint),
		0);
	assert_int_equal(monitor_new(n->ctx, n->router, &n->monitor), 0);
}

static int
node_up(void **state)
{
	*state = node_new(decide);
	node_listen(*state, "tcp://127.0.0.1:*");
	return 0;
}

static int
bare_node_up(void **state)
{
	*state = node_new(decide);
	return 0;
}

static int
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

static void
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

static void
node_events(struct node *n)
{
	enum monitor_event e;

	while ((e = monitor_next(n->monitor, &n->last_gone)) != MONITOR_NONE) {
		assert_int_equal(e, MONITOR_PEER_GONE);
		n->gone++;
	}
}

static void
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
static void
node_until(struct node *n, const unsigned *what, unsigned want)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (*what < want) {
		assert_true(clock_mono_ms() < end);
		node_turn(n, 20);
	}
}

static void
node_quiet(struct node *n)
{
	uint64_t end = clock_mono_ms() + QUIET_MS;

	while (clock_mono_ms() < end)
		node_turn(n, 20);
}

static void
send_hello(void *socket)
{
	Dray__Hello hello;

	dray__hello__init(&hello);
	assert_int_equal(wire_send(socket, NULL, WIRE_HELLO, &hello.base, NULL, 0), 0);
}

/* Turns the node until the client's monitor says something. */
static enum monitor_event
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

static void
test_endpoints(void **state)
{
	static const struct {
		const char *endpoint;
		bool here;
	} cases[] = {
		{ "ipc:///run/dray", true },
		{ "tcp://127.0.0.1:7420", true },
		{ "tcp://127.3.2.1:7420", true },
		{ "tcp://localhost:7420", true },
		{ "tcp://[::1]:7420", true },
		{ "tcp://[::ffff:127.0.0.1]:7420", true },
		{ "tcp://127.example.net:7420", false },
		{ "tcp://localhost.example.net:7420", false },
		{ "tcp://10.0.0.1:7420", false },
		{ "tcp://[::]:7420", false },
		{ "tcp://[::ffff:10.0.0.1]:7420", false },
		{ "tcp://*:7420", false },
		{ "tcp://", false },
		{ "tcp://127.0.0.1", false },
		{ "udp://127.0.0.1:1", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(endpoint_is_this_machine(cases[i].endpoint), cases[i].here);
	assert_true(endpoint_is_local("ipc:///x"));
	assert_false(endpoint_is_local("tcp://127.0.0.1:1"));
}

/* No way leads to a socket that others could talk to in clear. */
static void
test_no_tcp_without_keys(void **state)
{
	struct node *n = *state;
	struct identity public_only = server_id, short_key = server_id;
	void *s = NULL;
	char *endpoint = NULL;

	public_only.has_secret = false;
	short_key.curve_secret[39] = '\0';
	assert_int_equal(
		socket_listen(n->ctx, "tcp://127.0.0.1:*", NULL, 0, &s, &endpoint), -EINVAL);
	assert_int_equal(socket_listen(n->ctx, "tcp://127.0.0.1:*", &public_only, 0, &s, &endpoint),
		-EINVAL);
	assert_int_equal(
		socket_listen(n->ctx, "tcp://127.0.0.1:*", &short_key, 0, &s, &endpoint), -EINVAL);
	assert_int_equal(socket_connect(n->ctx, "tcp://127.0.0.1:1", NULL, NULL, 0, &s), -EINVAL);
	assert_int_equal(
		socket_connect(n->ctx, "tcp://127.0.0.1:1", &client_id, NULL, 0, &s), -EINVAL);
	assert_int_equal(
		socket_connect(n->ctx, "tcp://127.0.0.1:1", &client_id, "", 0, &s), -EINVAL);
	assert_int_equal(
		socket_connect(n->ctx, "tcp://127.0.0.1:1", NULL, server_id.curve_public, 0, &s),
		-EINVAL);
	assert_int_equal(
		socket_connect(n->ctx, "tcp://127.0.0.1:1", &client_id, "short", 0, &s), -EINVAL);
	assert_null(s);
	assert_null(endpoint);
}

static void
test_other_transports(void **state)
{
	static const char *const bad[] = { "inproc://x", "udp://127.0.0.1:9", "ipc://@abstract",
		"ipc://relative", "ipc://*", "", "tcp", "tcp://127.0.0.1:notaport" };
	struct node *n = *state;
	void *s = NULL;
	char *endpoint = NULL;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(socket_listen(n->ctx, bad[i], &server_id, 0, &s, &endpoint) < 0);
		assert_true(socket_connect(
				    n->ctx, bad[i], &client_id, server_id.curve_public, 0, &s) < 0);
	}
	assert_null(s);
}

static void
test_listen_wants_authenticator(void **state)
{
	struct node *n = *state;
	void *s = NULL;
	char *endpoint = NULL;

	assert_true(zap_present(n->ctx));
	zap_freep(&n->zap);
	while (zap_present(n->ctx))
		usleep(1000);
	assert_int_equal(
		socket_listen(n->ctx, "tcp://127.0.0.1:*", &server_id, 0, &s, &endpoint), -EINVAL);
	/* The look did not take the name away. */
	assert_int_equal(zap_new(n->ctx, decide, n, &n->zap), 0);
	assert_int_equal(
		socket_listen(n->ctx, "tcp://127.0.0.1:*", &server_id, 0, &s, &endpoint), 0);
	assert_true(starts_with(endpoint, "tcp://127.0.0.1:"));
	socket_closep(&s);
	free(endpoint);
}

static void
test_allowed_key(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__Welcome welcome;
	zmq_pollitem_t item;

	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
				 server_id.curve_public, HEARTBEAT_MS, &s, &w),
		0);
	send_hello(s);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	node_until(n, &n->hellos, 1);
	assert_string_equal(n->last.curve, client_id.curve_public);
	assert_true(n->last.fd >= 0);
	assert_int_equal(n->asked, 1);

	dray__welcome__init(&welcome);
	assert_int_equal(wire_send(n->router, &n->last, WIRE_WELCOME, &welcome.base, NULL, 0), 0);
	item = (zmq_pollitem_t){ s, 0, ZMQ_POLLIN, 0 };
	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
	assert_int_equal(wire_recv(s, NULL, WIRE_FROM_COORDINATOR, &m), 0);
	/* Heartbeats keep an idle link up for longer than one may be silent. */
	for (unsigned i = 0; i < 3; i++)
		node_quiet(n);
	assert_int_equal(n->gone, 0);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);

	monitor_freep(&w);
	socket_closep(&s);
	node_until(n, &n->gone, 1);
	assert_true(wire_peer_eq(&n->last_gone, &n->last));
	node_quiet(n);
	assert_int_equal(n->gone, 1);
}

static void
test_refused_key(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;

	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &other_id,
				 server_id.curve_public, HEARTBEAT_MS, &s, &w),
		0);
	send_hello(s);
	assert_int_equal(next_event(n, w), MONITOR_REFUSED);
	node_quiet(n);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);
	assert_true(n->asked >= 1);
	assert_int_equal(n->hellos + n->errors + n->gone, 0);
}

static void
test_wrong_server_key(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;

	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
				 other_id.curve_public, HEARTBEAT_MS, &s, &w),
		0);
	send_hello(s);
	assert_int_equal(next_event(n, w), MONITOR_REFUSED);
	/* It goes on trying, and each try is one REFUSED. */
	assert_int_equal(next_event(n, w), MONITOR_REFUSED);
	assert_int_equal(n->asked + n->hellos + n->errors + n->gone, 0);
}

/* A worker lets any key in, and knows which it is. */
static void
test_any_key(void **state)
{
	_cleanup_(socket_closep) void *s = NULL;
	struct node *n = node_new(NULL);

	*state = n;
	node_listen(n, "tcp://127.0.0.1:*");
	assert_int_equal(socket_connect(n->ctx, n->endpoint, &other_id, server_id.curve_public,
				 HEARTBEAT_MS, &s),
		0);
	send_hello(s);
	node_until(n, &n->hellos, 1);
	assert_string_equal(n->last.curve, other_id.curve_public);
}

/* ZeroMQ without CURVE, with PLAIN, and an authenticator that has gone. */
static void
test_unencrypted_client(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *null = zmq_socket(n->ctx, ZMQ_DEALER);
	_cleanup_(socket_closep) void *plain = zmq_socket(n->ctx, ZMQ_DEALER);
	int zero = 0;

	zmq_setsockopt(null, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(plain, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(plain, ZMQ_PLAIN_USERNAME, "root", 4);
	zmq_setsockopt(plain, ZMQ_PLAIN_PASSWORD, "", 0);
	assert_int_equal(zmq_connect(null, n->endpoint), 0);
	assert_int_equal(zmq_connect(plain, n->endpoint), 0);
	send_hello(null);
	send_hello(plain);
	node_quiet(n);
	assert_int_equal(n->asked + n->hellos + n->errors + n->gone, 0);
}

static void
test_authenticator_gone(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;

	zap_freep(&n->zap);
	while (zap_present(n->ctx))
		usleep(1000);
	assert_int_equal(socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public,
				 HEARTBEAT_MS, &s),
		0);
	send_hello(s);
	node_quiet(n);
	assert_int_equal(n->hellos + n->errors, 0);
}

static int
raw_connect(const struct node *n)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)atoi(strrchr(n->endpoint, ':') + 1));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void
test_garbage_bytes(void **state)
{
	/* A ZMTP 3.0 greeting for CURVE as a server would expect it, then a frame of 2^62 bytes. */
	static const uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'C', 'U',
		'R', 'V', 'E' };
	static const uint8_t huge[] = { 0x06, 0x40, 0, 0, 0, 0, 0, 0, 0, 5 };
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	uint8_t noise[4096];
	unsigned seed = 1;

	for (unsigned round = 0; round < 8; round++) {
		_cleanup_(closep) int fd = raw_connect(n);

		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)rand_r(&seed);
		if (round % 2) {
			assert_int_equal(send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL), 64);
			send(fd, huge, round == 1 ? sizeof(huge) : 3, MSG_NOSIGNAL);
		}
		send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		node_turn(n, 20);
	}
	assert_int_equal(socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public,
				 HEARTBEAT_MS, &s),
		0);
	send_hello(s);
	node_until(n, &n->hellos, 1);
	assert_int_equal(n->errors + n->gone, 0);
	assert_int_equal(n->asked, 1);
}

static void
ipc_listen(struct node *n)
{
	char dir[] = "/tmp/dray-test-XXXXXX";
	char endpoint[64];

	assert_non_null(mkdtemp(dir));
	n->dir = strdup(dir);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", dir);
	node_listen(n, endpoint);
}

static void
test_ipc(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	mode_t mask = umask(022);
	struct stat st;

	ipc_listen(n);
	assert_int_equal(umask(mask), 022);
	assert_int_equal(lstat(n->endpoint + strlen("ipc://"), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(
		socket_connect_monitored(n->ctx, n->endpoint, NULL, NULL, HEARTBEAT_MS, &s, &w), 0);
	send_hello(s);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	node_until(n, &n->hellos, 1);
	assert_string_equal(n->last.curve, "");
	assert_int_equal(n->asked, 0);
	monitor_freep(&w);
	socket_closep(&s);
	node_until(n, &n->gone, 1);
	assert_true(wire_peer_eq(&n->last_gone, &n->last));
}

/* A path is taken over from the dead, not from the living, and no other file is removed. */
static void
test_ipc_path_in_use(void **state)
{
	struct node *n = *state;
	_cleanup_(freep) char *endpoint = NULL;
	_cleanup_(freep) char *again = NULL;
	struct stat st;
	void *s = NULL;
	FILE *f;

	ipc_listen(n);
	assert_int_equal(socket_listen(n->ctx, n->endpoint, NULL, 0, &s, &endpoint), -EADDRINUSE);
	monitor_freep(&n->monitor);
	socket_closep(&n->router);
	zap_freep(&n->zap);
	zmq_ctx_termp(&n->ctx);
	assert_int_equal(lstat(n->endpoint + strlen("ipc://"), &st), 0);
	n->ctx = zmq_ctx_new();
	assert_int_equal(socket_listen(n->ctx, n->endpoint, NULL, 0, &n->router, &again), 0);
	socket_closep(&n->router);
	zmq_ctx_termp(&n->ctx);

	assert_int_equal(unlink(n->endpoint + strlen("ipc://")), 0);
	f = fopen(n->endpoint + strlen("ipc://"), "wx");
	assert_non_null(f);
	fclose(f);
	n->ctx = zmq_ctx_new();
	assert_int_equal(socket_listen(n->ctx, n->endpoint, NULL, 0, &s, &endpoint), -EEXIST);
	assert_int_equal(lstat(n->endpoint + strlen("ipc://"), &st), 0);
	assert_null(s);
}

/* A client in a process of its own: this program again, since a fork of a process with libzmq's
 * threads may find a lock held for ever. It connects when told to, says Hello `hellos` times, and
 * stays. */
struct child {
	pid_t pid;
	int go;
};

enum { CHILD_ENDPOINT = 1, CHILD_HELLOS, CHILD_PUBLIC, CHILD_SECRET, CHILD_SERVER, CHILD_ARGC };

static int
child_main(char **argv)
{
	struct identity me = { .has_secret = true };
	const char *endpoint = argv[CHILD_ENDPOINT];
	unsigned hellos = (unsigned)atoi(argv[CHILD_HELLOS]);
	void *ctx, *s;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(me.curve_public, sizeof(me.curve_public), "%s", argv[CHILD_PUBLIC]);
	snprintf(me.curve_secret, sizeof(me.curve_secret), "%s", argv[CHILD_SECRET]);
	if (read(STDIN_FILENO, &c, 1) != 1)
		return 1;
	ctx = zmq_ctx_new();
	if (socket_connect(ctx, endpoint, &me,
		    endpoint_is_local(endpoint) ? NULL : argv[CHILD_SERVER], HEARTBEAT_MS, &s) < 0)
		return 1;
	while (hellos-- > 0)
		send_hello(s);
	for (;;)
		pause();
}

static struct child
child_start(const struct node *n, unsigned hellos)
{
	char self[] = "/proc/self/exe", number[16];
	char *argv[CHILD_ARGC + 1] = { self };
	posix_spawn_file_actions_t actions;
	struct child c;
	int fds[2];

	snprintf(number, sizeof(number), "%u", hellos);
	argv[CHILD_ENDPOINT] = n->endpoint;
	argv[CHILD_HELLOS] = number;
	argv[CHILD_PUBLIC] = client_id.curve_public;
	argv[CHILD_SECRET] = client_id.curve_secret;
	argv[CHILD_SERVER] = server_id.curve_public;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO), 0);
	assert_int_equal(posix_spawn(&c.pid, self, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	c.go = fds[1];
	return c;
}

static void
child_go(const struct child *c)
{
	assert_int_equal(write(c->go, "g", 1), 1);
}

static void
child_kill(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->go);
}

/* Until the I/O thread has closed its end; the monitor is not read meanwhile. */
static void
wait_closed(int fd)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (fcntl(fd, F_GETFD) >= 0) {
		assert_true(clock_mono_ms() < end);
		usleep(1000);
	}
}

static void
wait_readable(void *socket)
{
	zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };

	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
}

static void
test_killed_peer(void **state)
{
	struct node *n = *state;
	struct child c = child_start(n, 1);

	child_go(&c);
	node_until(n, &n->hellos, 1);
	child_kill(&c);
	node_until(n, &n->gone, 1);
	assert_true(wire_peer_eq(&n->last_gone, &n->last));
	node_quiet(n);
	assert_int_equal(n->gone, 1);
}

static void
test_stopped_peer(void **state)
{
	struct node *n = *state;
	struct child c = child_start(n, 1);
	uint64_t start;

	child_go(&c);
	node_until(n, &n->hellos, 1);
	kill(c.pid, SIGSTOP);
	start = clock_mono_ms();
	node_until(n, &n->gone, 1);
	/* By heartbeat, so not at once. */
	assert_true(clock_mono_ms() - start >= 2 * HEARTBEAT_MS);
	assert_true(wire_peer_eq(&n->last_gone, &n->last));
	child_kill(&c);
	node_quiet(n);
	assert_int_equal(n->gone, 1);
}

/* The number of a dead peer's descriptor goes to the next one before its end was heard of. */
static void
test_descriptor_reused(void **state)
{
	struct node *n = *state;
	struct child a, b;
	struct wire_peer first;

	ipc_listen(n);
	a = child_start(n, 1);
	b = child_start(n, 1);
	child_go(&a);
	node_until(n, &n->hellos, 1);
	first = n->last;
	/* Not child_kill: closing a pipe would free another descriptor for b's connection. */
	kill(a.pid, SIGKILL);
	wait_closed(first.fd);
	child_go(&b);
	wait_readable(n->router);
	node_receive(n);
	assert_int_equal(n->hellos, 2);
	assert_int_equal(n->last.fd, first.fd);
	assert_false(wire_peer_eq(&n->last, &first));
	node_events(n);
	assert_int_equal(n->gone, 1);
	assert_true(wire_peer_eq(&n->last_gone, &first));
	node_quiet(n);
	assert_int_equal(n->gone, 1);
	child_kill(&b);
	node_until(n, &n->gone, 2);
	assert_true(wire_peer_eq(&n->last_gone, &n->last));
	child_kill(&a);
	node_quiet(n);
	assert_int_equal(n->gone, 2);
}

/* A peer whose first word is read when it is dead already, its end heard of first. */
static void
test_dead_before_it_was_read(void **state)
{
	struct node *n = *state;
	struct child c;
	struct wire_peer peer;
	struct wire_msg m = WIRE_MSG_INIT;

	ipc_listen(n);
	c = child_start(n, 3);
	child_go(&c);
	wait_readable(n->router);
	child_kill(&c);
	wait_readable(monitor_socket(n->monitor));
	usleep(100000);
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_NONE);
	/* All three greetings are there, from one that has gone: said once. */
	node_receive(n);
	assert_true(n->hellos >= 1);
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_PEER_GONE);
	assert_true(wire_peer_eq(&peer, &n->last));
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_NONE);
	assert_int_equal(wire_recv(n->router, &peer, WIRE_FROM_CLIENT, &m), -EAGAIN);
	wire_msg_done(&m);
}

/* The same with a successor on its descriptor: whichever is read first, the old one goes. */
static void
test_dead_unread_and_reused(void **state)
{
	struct node *n = *state;
	struct child a, b;

	ipc_listen(n);
	a = child_start(n, 2);
	b = child_start(n, 1);
	child_go(&a);
	wait_readable(n->router);
	kill(a.pid, SIGKILL);
	waitpid(a.pid, NULL, 0);
	wait_readable(monitor_socket(n->monitor));
	usleep(100000);
	child_go(&b);
	node_until(n, &n->hellos, 2);
	node_quiet(n);
	assert_int_equal(n->gone, 1);
	child_kill(&b);
	node_until(n, &n->gone, 2);
	node_quiet(n);
	assert_int_equal(n->gone, 2);
	close(a.go);
}

static struct wire_peer
made_up(uint32_t count, int fd)
{
	struct wire_peer p = { .id_len = 5, .fd = fd };

	p.id[1] = (uint8_t)(count >> 24);
	p.id[2] = (uint8_t)(count >> 16);
	p.id[3] = (uint8_t)(count >> 8);
	p.id[4] = (uint8_t)count;
	return p;
}

static void
expect_gone(struct monitor *w, const struct wire_peer *p)
{
	struct wire_peer gone;

	assert_int_equal(monitor_next(w, &gone), MONITOR_PEER_GONE);
	assert_true(wire_peer_eq(&gone, p));
	assert_int_equal(monitor_next(w, &gone), MONITOR_NONE);
}

/* Orders that real sockets show rarely, on a descriptor of which the monitor said nothing. */
static void
test_orders_of_notes(void **state)
{
	struct monitor *w = ((struct node *)*state)->monitor;
	struct wire_peer a = made_up(0xfffffffe, 900), b = made_up(0xffffffff, 900),
			 c = made_up(0, 900), chosen = made_up(7, 900), nowhere = made_up(7, -1);

	monitor_note(w, &b);
	monitor_note(w, &b);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);
	monitor_note(w, &c); /* the counter wrapped: newer */
	expect_gone(w, &b);
	monitor_note(w, &b); /* left behind */
	monitor_note(w, &c);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);
	monitor_note(w, &a); /* never seen while it lived */
	expect_gone(w, &a);
	monitor_note(w, &a);
	monitor_note(w, &c);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);

	/* A name that libzmq did not make, and unknown descriptors, disturb nobody. */
	chosen.id[0] = 'x';
	monitor_note(w, &chosen);
	monitor_note(w, &nowhere);
	nowhere.fd = INT32_MAX;
	monitor_note(w, &nowhere);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);

	/* Many events between two looks, in order. */
	for (uint32_t i = 1; i <= 100; i++) {
		struct wire_peer p = made_up(i, 900);

		monitor_note(w, &p);
	}
	for (uint32_t i = 0; i < 100; i++) {
		struct wire_peer p = made_up(i, 900), gone;

		assert_int_equal(monitor_next(w, &gone), MONITOR_PEER_GONE);
		assert_true(wire_peer_eq(&gone, &p));
	}
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);
}

/* The client's side: the server goes and comes back on the same port. */
static void
test_server_comes_back(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	_cleanup_(freep) char *endpoint = strdup(n->endpoint);
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	int r;

	assert_int_equal(socket_connect_monitored(n->ctx, endpoint, &client_id,
				 server_id.curve_public, HEARTBEAT_MS, &s, &w),
		0);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	monitor_freep(&n->monitor);
	socket_closep(&n->router);
	wait_readable(monitor_socket(w));
	assert_int_equal(monitor_next(w, NULL), MONITOR_DISCONNECTED);

	free(steal_ptr(n->endpoint));
	/* The port is given back by libzmq's own thread. */
	while ((r = socket_listen(n->ctx, endpoint, &server_id, HEARTBEAT_MS, &n->router,
			&n->endpoint)) == -EADDRINUSE) {
		assert_true(clock_mono_ms() < end);
		usleep(10000);
	}
	assert_int_equal(r, 0);
	assert_int_equal(monitor_new(n->ctx, n->router, &n->monitor), 0);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	send_hello(s);
	node_until(n, &n->hellos, 1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test_setup_teardown(test_no_tcp_without_keys, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_other_transports, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_listen_wants_authenticator, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_allowed_key, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_refused_key, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_wrong_server_key, node_up, node_down),
		cmocka_unit_test_teardown(test_any_key, node_down),
		cmocka_unit_test_setup_teardown(test_unencrypted_client, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_authenticator_gone, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_garbage_bytes, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_ipc, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_ipc_path_in_use, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_killed_peer, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_stopped_peer, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_descriptor_reused, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_dead_before_it_was_read, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_dead_unread_and_reused, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_orders_of_notes, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_server_comes_back, node_up, node_down),
	};

	if (argc == CHILD_ARGC)
		return child_main(argv);
	/* A test that fails leaves its sockets open, and ending their context waits for them for
	 * ever. */
	alarm(120);
	return cmocka_run_group_tests(tests, keys_up, NULL);
}
