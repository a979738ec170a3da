/* What connections may hold of a listening process without a message of them being taken: frames
 * that lack a byte, messages that do not end, and the connections themselves. */
#include "config.h"

#include <netinet/in.h>
#include <poll.h>

#include "proto/gate.h"
#include "tests/unit/socket_fixture.h"

#define MIB (1024u * 1024)
#define SILENT_MAX 150

static uint8_t zeros[MIB];

static void
look(struct node *n)
{
	node_turn(n, 5);
	monitor_look(n->monitor, false, clock_mono_ms());
}

/* A connection that says nothing more than it is told to. */
static int
dial(const struct node *n)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)atoi(strrchr(n->endpoint, ':') + 1));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Whether the other end has closed it. */
static bool
is_ended(int fd)
{
	char c[64];
	ssize_t r;

	do
		r = recv(fd, c, sizeof(c), MSG_DONTWAIT);
	while (r > 0);
	return r == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Without a key: all but some of the last bytes of a frame of the handshake. All are connected
 * before: the address of one that is ended for it is soon let in no more. */
static void
hold(struct node *n, const char *mechanism, int *fds, size_t count, size_t lacking)
{
	uint8_t head[64 + 9] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0 };
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	memcpy(head + 12, mechanism, strlen(mechanism));
	head[64] = 0x06; /* a command; its size is 1 MiB */
	head[64 + 1 + 5] = MIB >> 16;
	for (size_t i = 0; i < count; i++)
		fds[i] = dial(n);
	for (size_t i = 0; i < count; i++) {
		size_t left = MIB - lacking;

		assert_int_equal(send(fds[i], head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
		while (left > 0) {
			ssize_t k = send(fds[i], zeros, left, MSG_NOSIGNAL | MSG_DONTWAIT);

			assert_true(clock_mono_ms() < end);
			if (k < 0 && errno != EAGAIN)
				break;
			left -= k > 0 ? (size_t)k : 0;
			look(n);
		}
	}
}

static void
test_halves(void **state)
{
	struct node *n = *state;
	int fds[100];
	size_t open = ARRAY_LEN(fds), ended = 0;
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	void *good = NULL;

	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &good),
		0);
	send_hello(good);
	node_until(n, &n->hellos, 1);
	hold(n, "CURVE", fds, open, 1);
	/* At most 64 MiB are held, and no more are ended than that takes. */
	while (ended < 36) {
		assert_true(clock_mono_ms() < end);
		look(n);
		ended = 0;
		for (size_t i = 0; i < open; i++)
			ended += is_ended(fds[i]);
	}
	assert_true(ended < 90);
	send_hello(good);
	node_until(n, &n->hellos, 2);
	assert_int_equal(n->gone, 0);
	for (size_t i = 0; i < open; i++)
		close(fds[i]);
	socket_closep(&good);
}

/* So many that each holds little: these are ended, too. */
static void
test_many_hold_little(void **state)
{
	enum { EACH = 40 * 1024 };
	struct node *n = *state;
	int fds[240];
	size_t ended = 0;
	uint64_t end;

	monitor_held_max(n->monitor, 8 * MIB);
	hold(n, "CURVE", fds, ARRAY_LEN(fds), MIB - EACH);
	end = clock_mono_ms() + PATIENCE_MS;
	while (ended < ARRAY_LEN(fds) - 4 * MIB / EACH) {
		assert_true(clock_mono_ms() < end);
		look(n);
		ended = 0;
		for (size_t i = 0; i < ARRAY_LEN(fds); i++)
			ended += is_ended(fds[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* A client in the middle of a long message holds more than each of many who never said anything.
 * Without CURVE, so that it can stop there. */
static void
test_halves_before_clients(void **state)
{
	static const uint8_t start[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L',
		'L' };
	static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
				    "DEALER";
	/* a message, then all but a byte of another */
	static const char begin[] = "\0\1x\x02\0\0\0\0\0\x10\0\0";
	struct node *n = *state;
	int fds[110], good;
	size_t ended = 0, size = 256;
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	char endpoint[256];

	zap_freep(&n->zap);
	n->router = zmq_socket(n->ctx, ZMQ_ROUTER);
	assert_int_equal(zmq_bind(n->router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(n->router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
	n->endpoint = strdup(endpoint);
	assert_int_equal(monitor_new(n->ctx, n->router, &n->monitor), 0);
	good = dial(n);
	assert_int_equal(send(good, start, sizeof(start), MSG_NOSIGNAL), sizeof(start));
	assert_int_equal(send(good, ready, sizeof(ready) - 1, MSG_NOSIGNAL), sizeof(ready) - 1);
	/* a message before the other's READY would be an error */
	for (size_t heard = 0; heard <= sizeof(start); look(n)) {
		char c[256];
		ssize_t k = recv(good, c, sizeof(c), MSG_DONTWAIT);

		assert_true(clock_mono_ms() < end);
		heard += k > 0 ? (size_t)k : 0;
	}
	assert_int_equal(send(good, begin, sizeof(begin) - 1, MSG_NOSIGNAL), sizeof(begin) - 1);
	node_until(n, &n->errors, 1);
	for (size_t left = MIB - 1; left > 0; look(n)) {
		ssize_t k = send(good, zeros, left, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(clock_mono_ms() < end);
		left -= k > 0 ? (size_t)k : 0;
	}
	for (uint64_t until = clock_mono_ms() + QUIET_MS; clock_mono_ms() < until;)
		look(n);
	hold(n, "NULL", fds, ARRAY_LEN(fds), 300 * 1024);
	while (ended < 30) {
		assert_true(clock_mono_ms() < end);
		look(n);
		ended = 0;
		for (size_t i = 0; i < ARRAY_LEN(fds); i++)
			ended += is_ended(fds[i]);
	}
	assert_false(is_ended(good));
	assert_int_equal(n->gone, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(good);
}

/* With one: a message of frames without end. Its peer is ended before it is whole. */
static void
test_parts(void **state)
{
	struct node *n = *state;
	void *bad = NULL, *good = NULL;
	struct monitor *w = NULL;
	unsigned hellos = 2;

	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &good),
		0);
	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
				 server_id.curve_public, 0, &bad, &w),
		0);
	send_hello(good);
	send_hello(bad);
	node_until(n, &n->hellos, 2);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	for (unsigned i = 0; i < 1024; i++) {
		zmq_msg_t m;

		/* not copied */
		zmq_msg_init_data(&m, zeros, MIB, NULL, NULL);
		assert_int_equal(zmq_msg_send(&m, bad, i < 1023 ? ZMQ_SNDMORE : 0), MIB);
	}
	while (n->gone == 0) {
		assert_int_equal(n->errors, 0); /* it came through */
		look(n);
		if (n->hellos == hellos) {
			send_hello(good);
			hellos++;
		}
	}
	assert_int_equal(next_event(n, w), MONITOR_DISCONNECTED);
	send_hello(good);
	node_until(n, &n->hellos, hellos + 1);
	assert_int_equal(n->gone, 1);
	monitor_freep(&w);
	socket_closep(&bad);
	socket_closep(&good);
}

/* A client that says much and ends while nobody listens: the next heartbeat to it must not end this
 * process, as it does in libzmq when its queue is full. */
static void
test_gone_with_much_unread(void **state)
{
	struct node *n = *state;
	void *bad = NULL;
	Dray__Hello hello;
	uint64_t end;
	unsigned said = 1;

	dray__hello__init(&hello);
	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &bad),
		0);
	send_hello(bad);
	node_until(n, &n->hellos, 1);
	for (end = clock_mono_ms() + QUIET_MS; clock_mono_ms() < end; poll(NULL, 0, 1))
		while (wire_send(bad, NULL, WIRE_HELLO, &hello.base, NULL, 0) == 0 && said < 20000)
			said++;
	assert_true(said > 1000);
	socket_closep(&bad);
	poll(NULL, 0, 3 * HEARTBEAT_MS);
	node_until(n, &n->gone, 1);
	assert_true(n->hellos > 1);
}

/* Small messages cost more than their bytes: of one that says many of them less may wait. */
static void
test_small_messages_weigh_more(void **state)
{
	enum { MANY = 4000, MOST = 384 * 1024 };
	Dray__Hello hello;
	struct node *n = *state;
	void *bad = NULL;
	struct monitor *w = NULL;
	bool ended = false;
	/* each message may wake another thread, and wait for it */
	uint64_t end = clock_mono_ms() + 3 * PATIENCE_MS;

	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
				 server_id.curve_public, 0, &bad, &w),
		0);
	send_hello(bad);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	node_until(n, &n->hellos, 1);
	monitor_took(n->monitor, &n->last, 64);
	/* until it is heard no more: else it would be held back */
	for (uint64_t quiet = clock_mono_ms() + QUIET_MS; clock_mono_ms() < quiet;)
		look(n);
	monitor_held_max(n->monitor, MOST);
	dray__hello__init(&hello);
	for (unsigned i = 0; i < MANY;) {
		int r = wire_send(bad, NULL, WIRE_HELLO, &hello.base, NULL, 0);

		assert_true((r == 0 || r == -EAGAIN) && clock_mono_ms() < end);
		i += r == 0;
		if (r < 0)
			poll(NULL, 0, 1);
	}
	while (!ended && clock_mono_ms() < end) {
		ended = monitor_next(w, NULL) == MONITOR_DISCONNECTED;
		monitor_look(n->monitor, false, clock_mono_ms());
		poll(NULL, 0, 5);
	}
	monitor_freep(&w);
	socket_closep(&bad);
	assert_true(ended);
	node_until(n, &n->gone, 1);
	assert_true(n->hellos > 1000);
}

/* A node whose heartbeats do not end a connection that is held back. */
static int
patient_node_up(void **state)
{
	struct node *n = node_new(decide);

	*state = n;
	return socket_listen_monitored(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", &server_id,
		3 * PATIENCE_MS, &n->router, &n->monitor, &n->endpoint);
}

/* Says Hello again and again until nothing more goes for a while, or it has said that many; now and
 * then one is taken. How many it said. */
static unsigned
say_hellos(struct node *n, void *from, unsigned many)
{
	uint64_t end = clock_mono_ms() + QUIET_MS, heard = 0, since = 0;
	static char software[2000];
	Dray__Hello hello;
	unsigned said = 0, lately = 0;
	int few = 64;

	/* the longer it is held back, the longer its kernel waits before it tries again */
	zmq_setsockopt(from, ZMQ_SNDHWM, &few, sizeof(few));
	/* large ones: each may wake another thread, and wait for it */
	memset(software, 'x', sizeof(software) - 1);
	dray__hello__init(&hello);
	hello.software = software;
	while (said < many && clock_mono_ms() < end) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;

		/* few between two looks */
		if (clock_mono_ms() - since >= 50) {
			since = clock_mono_ms();
			lately = 0;
		}
		if (lately >= 100 || wire_send(from, NULL, WIRE_HELLO, &hello.base, NULL, 0) < 0) {
			poll(NULL, 0, 1);
		} else {
			said++;
			lately++;
			end = clock_mono_ms() + QUIET_MS;
		}
		if (clock_mono_ms() - heard >= 100 &&
			wire_recv(n->router, &n->last, WIRE_FROM_CLIENT, &m) == 0) {
			heard = clock_mono_ms();
			n->hellos++;
			monitor_note(n->monitor, &n->last);
			monitor_took(n->monitor, &n->last, sizeof(software));
		}
		monitor_look(n->monitor, false, clock_mono_ms());
	}
	return said;
}

/* Of one that is heard, and of whom too much waits, nothing more is read until it was taken. Then
 * all of it comes. */
static void
test_who_is_heard_is_held_back(void **state)
{
	enum { MANY = 16000 };
	struct node *n = *state;
	void *bad = NULL;
	unsigned said;

	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &bad),
		0);
	send_hello(bad);
	node_until(n, &n->hellos, 1);
	monitor_held_max(n->monitor, MIB);
	said = 1 + say_hellos(n, bad, MANY);
	assert_true(said > 100);
	assert_true(said < MANY);
	node_events(n);
	assert_int_equal(n->gone, 0);
	socket_closep(&bad);
}

/* What one that has ended left in the queue counts until it was taken: who comes after it is held
 * back. */
static void
test_what_is_left_counts(void **state)
{
	enum { MANY = 3000 };
	struct node *n = *state;
	void *bad[2] = { NULL, NULL };
	struct monitor *w = NULL;
	Dray__Hello hello;
	uint64_t end;

	dray__hello__init(&hello);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &client_id,
					 server_id.curve_public, 0, &bad[i], &w),
			0);
		send_hello(bad[i]);
		node_until(n, &n->hellos, (unsigned)i + 1);
		monitor_took(n->monitor, &n->last, 64);
		monitor_freep(&w);
	}
	/* the first: its messages wait when it ends */
	for (unsigned i = 0; i < MANY;) {
		i += wire_send(bad[0], NULL, WIRE_HELLO, &hello.base, NULL, 0) == 0;
		monitor_look(n->monitor, false, clock_mono_ms());
	}
	for (end = clock_mono_ms() + QUIET_MS; clock_mono_ms() < end; poll(NULL, 0, 5))
		monitor_look(n->monitor, false, clock_mono_ms());
	socket_closep(&bad[0]);
	for (end = clock_mono_ms() + QUIET_MS; clock_mono_ms() < end; poll(NULL, 0, 5))
		monitor_look(n->monitor, false, clock_mono_ms());
	monitor_held_max(n->monitor, MIB / 2);
	assert_true(say_hellos(n, bad[1], 16000) < 16000);
	/* all is taken: nothing is left, and nobody is held back */
	for (end = clock_mono_ms() + PATIENCE_MS; n->hellos < MANY; look(n))
		assert_true(clock_mono_ms() < end);
	socket_closep(&bad[1]);
}

/* The brake: what comes waits at the other end, what goes goes. */
static void
test_hold(void **state)
{
	struct node *n = *state;
	void *client = NULL;
	uint64_t end;
	unsigned heard;
	Dray__Refused refused;
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int r;

	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &client),
		0);
	send_hello(client);
	node_until(n, &n->hellos, 1);
	monitor_hold(n->monitor, &n->last, 3 * QUIET_MS, clock_mono_ms());
	/* a shorter time changes nothing */
	monitor_hold(n->monitor, &n->last, 1, clock_mono_ms());
	end = clock_mono_ms() + 2 * QUIET_MS;
	send_hello(client);
	dray__refused__init(&refused);
	assert_int_equal(wire_send(n->router, &n->last, WIRE_REFUSED, &refused.base, NULL, 0), 0);
	while (clock_mono_ms() < end)
		look(n);
	heard = n->hellos;
	r = wire_recv(client, NULL, WIRE_FROM_COORDINATOR, &m);
	assert_int_equal(heard, 1);
	assert_int_equal(r, 0);
	for (end = clock_mono_ms() + PATIENCE_MS; n->hellos < 2; look(n))
		assert_true(clock_mono_ms() < end);
	assert_int_equal(n->gone, 0);
	socket_closep(&client);
}

/* Those that say nothing make room for others. */
static void
test_many_silent(void **state)
{
	struct node *n = *state;
	static int fds[SILENT_MAX + 100];
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	monitor_silent_max(n->monitor, SILENT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(n);
		if (i % 16 == 0)
			node_turn(n, 0);
	}
	while (!is_ended(fds[50])) {
		assert_true(clock_mono_ms() < end);
		node_turn(n, 5);
	}
	assert_false(is_ended(fds[SILENT_MAX]));
	assert_false(is_ended(fds[ARRAY_LEN(fds) - 1]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* A connection from 127.0.0.2; -1: there is none. */
static int
dial_from_another(const struct node *n)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd item = { fd, POLLOUT, 0 };

	to.sin_port = htons((uint16_t)atoi(strrchr(n->endpoint, ':') + 1));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	(void)connect(fd, (struct sockaddr *)&to, sizeof(to));
	if (poll(&item, 1, QUIET_MS) == 1)
		return fd;
	close(fd);
	return -1;
}

/* One address makes connections that end at once, before anybody has looked at them: these are its
 * debts as well, and nobody else's, who gets their descriptors. */
static void
test_address_of_what_is_gone(void **state)
{
	struct node *n = *state;
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	char address[GATE_TEXT_SIZE];
	unsigned came = 0;
	void *good = NULL;
	int fd;

	while ((fd = dial_from_another(n)) >= 0) {
		assert_int_equal(
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
		close(fd);
		assert_true(++came < 4 * GATE_DEBT_MAX);
		if (came % 32 == 0) {
			poll(NULL, 0, 1);
			node_turn(n, 0);
		}
	}
	assert_true(came > GATE_DEBT_MAX);
	assert_true(monitor_shut_out(n->monitor, address));
	assert_string_equal(address, "127.0.0.2");
	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &good),
		0);
	send_hello(good);
	node_until(n, &n->hellos, 1);
	socket_closep(&good);
}

/* Of the socket filter that a connection has; 0: it has none. */
static unsigned
filter_size(int fd)
{
	socklen_t n = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n), 0);
	return n;
}

/* One address makes connections and says nothing: after a while it is not let in any more, and
 * another is, whose packets meet no filter. */
static void
test_address_is_shut_out(void **state)
{
	struct node *n = *state;
	int fds[64], fd;
	unsigned came = 0;
	void *good = NULL;

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = -1;
	while ((fd = dial_from_another(n)) >= 0) {
		closep(&fds[came % ARRAY_LEN(fds)]);
		fds[came % ARRAY_LEN(fds)] = fd;
		assert_true(++came < 4 * GATE_DEBT_MAX);
		node_turn(n, 0);
	}
	assert_true(came > GATE_DEBT_MAX);
	assert_int_equal(
		socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public, 0, &good),
		0);
	send_hello(good);
	node_until(n, &n->hellos, 1);
	assert_int_equal(filter_size(n->last.fd), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		closep(&fds[i]);
	socket_closep(&good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_halves, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_many_hold_little, node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_halves_before_clients, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_parts, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_gone_with_much_unread, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_small_messages_weigh_more, node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_who_is_heard_is_held_back, patient_node_up, node_down),
		cmocka_unit_test_setup_teardown(
			test_what_is_left_counts, patient_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_hold, patient_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_many_silent, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_address_is_shut_out, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_address_of_what_is_gone, node_up, node_down),
	};

	return cmocka_run_group_tests(tests, keys_up, NULL);
}
