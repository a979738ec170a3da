/* monitor.c with real sockets: a peer that leaves, dies or hangs is reported gone, once, and never
 * another in its place. */
#include "config.h"

#include <dirent.h>

#include "common/fs.h"
#include "tests/unit/socket_fixture.h"

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

static size_t
count_descriptors(void)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

/* Ends a child whose connection is the only descriptor that came since there were `before`. When it
 * is closed, libzmq has told its monitor (stream_engine_base.cpp: error() before the destructor).
 * No message and no event is read for it. */
static void
kill_unheard(const struct child *c, size_t before)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	assert_int_equal(count_descriptors(), before + 1);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	while (count_descriptors() > before) {
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
	size_t before;

	ipc_listen(n);
	c = child_start(n, 3);
	before = count_descriptors();
	child_go(&c);
	wait_readable(n->router);
	kill_unheard(&c, before);
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_NONE);
	/* All three greetings are there, from one that has gone: said once. */
	node_receive(n);
	assert_true(n->hellos >= 1);
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_PEER_GONE);
	assert_true(wire_peer_eq(&peer, &n->last));
	assert_int_equal(monitor_next(n->monitor, &peer), MONITOR_NONE);
	assert_int_equal(wire_recv(n->router, &peer, WIRE_FROM_CLIENT, &m), -EAGAIN);
	wire_msg_done(&m);
	close(c.go);
}

/* The same with a successor on its descriptor: whichever is read first, the old one goes. */
static void
test_dead_unread_and_reused(void **state)
{
	struct node *n = *state;
	struct child a, b;
	size_t before;

	ipc_listen(n);
	a = child_start(n, 2);
	b = child_start(n, 1);
	before = count_descriptors();
	child_go(&a);
	wait_readable(n->router);
	kill_unheard(&a, before);
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
	while ((r = socket_listen(n->ctx, ADMIT_COORDINATOR, endpoint, &server_id, HEARTBEAT_MS,
			&n->router, &n->endpoint)) == -EADDRINUSE) {
		assert_true(clock_mono_ms() < end);
		usleep(10000);
	}
	assert_int_equal(r, 0);
	assert_int_equal(monitor_new(n->ctx, n->router, &n->monitor), 0);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	send_hello(s);
	node_until(n, &n->hellos, 1);
}

/* A frame that no message of a client may have ends the connection, before it is read whole. */
static void
test_too_large_a_frame(void **state)
{
	struct node *n = *state;
	size_t size = admit_frame_max(ADMIT_COORDINATOR);
	void *s = NULL;
	char *p = calloc(1, size + 4096);

	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &s), 0);
	send_hello(s);
	node_until(n, &n->hellos, 1);
	assert_int_equal(zmq_send(s, p, size, 0), (int)size);
	node_until(n, &n->errors, 1);
	assert_int_equal(n->gone, 0);
	assert_int_equal(zmq_send(s, p, size + 4096, 0), (int)size + 4096);
	node_until(n, &n->gone, 1);
	assert_int_equal(n->errors, 1);
	free(p);
	socket_closep(&s);
}

/* A connection that says nothing is ended, and one that was refused, after a moment; no other. */
static void
test_silent_and_refused_are_ended(void **state)
{
	struct node *n = *state;
	void *silent = NULL, *refused = NULL, *good = NULL;
	struct monitor *w = NULL;
	struct wire_peer peer;
	uint64_t now = 1000000;

	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
				 server_id.curve_public, 0, &silent, &w),
		0);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	assert_int_equal(socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0,
				 &refused),
		0);
	send_hello(refused);
	node_until(n, &n->hellos, 1);
	peer = n->last;
	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &good),
		0);
	send_hello(good);
	node_until(n, &n->hellos, 2);
	monitor_expire(n->monitor, 5000, now);
	monitor_end(n->monitor, &peer, now);
	monitor_expire(n->monitor, 5000, now + MONITOR_GRACE_MS - 1);
	node_quiet(n);
	assert_int_equal(n->gone, 0);
	monitor_expire(n->monitor, 5000, now + MONITOR_GRACE_MS);
	node_until(n, &n->gone, 1);
	assert_true(wire_peer_eq(&n->last_gone, &peer));
	socket_closep(&refused);
	monitor_expire(n->monitor, 5000, now + 5000);
	assert_int_equal(next_event(n, w), MONITOR_DISCONNECTED);
	monitor_freep(&w);
	socket_closep(&silent);
	node_quiet(n);
	assert_int_equal(n->gone, 1);
	send_hello(good);
	node_until(n, &n->hellos, 3);
	socket_closep(&good);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_killed_peer, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_stopped_peer, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_descriptor_reused, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_dead_before_it_was_read, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_dead_unread_and_reused, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_orders_of_notes, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_server_comes_back, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_too_large_a_frame, node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_silent_and_refused_are_ended, node_up, node_down),
	};

	if (argc == CHILD_ARGC)
		return child_main(argv);
	/* A test that fails leaves its sockets open, and ending their context waits for them for
	 * ever. */
	alarm(120);
	return cmocka_run_group_tests(tests, keys_up, NULL);
}
