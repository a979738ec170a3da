/* socket.c and zap.c with real sockets: which peers get in. */
#include "config.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/fs.h"
#include "tests/unit/socket_fixture.h"

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
	assert_int_equal(socket_listen(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", NULL, 0, &s,
				 &endpoint),
		-EINVAL);
	assert_int_equal(socket_listen(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", &public_only,
				 0, &s, &endpoint),
		-EINVAL);
	assert_int_equal(socket_listen(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", &short_key,
				 0, &s, &endpoint),
		-EINVAL);
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
		assert_true(socket_listen(n->ctx, ADMIT_COORDINATOR, bad[i], &server_id, 0, &s,
				    &endpoint) < 0);
		assert_true(socket_connect(
				    n->ctx, bad[i], &client_id, server_id.curve_public, 0, &s) < 0);
	}
	assert_null(s);
}

/* libzmq gives its name back in another thread. */
static void
end_authenticator(struct node *n)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	zap_freep(&n->zap);
	while (zap_present(n->ctx)) {
		assert_true(clock_mono_ms() < end);
		poll(NULL, 0, 1);
	}
}

static void
test_listen_wants_authenticator(void **state)
{
	struct node *n = *state;
	void *s = NULL;
	char *endpoint = NULL;

	assert_true(zap_present(n->ctx));
	end_authenticator(n);
	assert_int_equal(socket_listen(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", &server_id,
				 0, &s, &endpoint),
		-EINVAL);
	/* The look did not take the name away. */
	assert_int_equal(zap_new(n->ctx, decide, n, &n->zap), 0);
	assert_int_equal(socket_listen(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", &server_id,
				 0, &s, &endpoint),
		0);
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
	assert_int_equal(next_event(n, w), MONITOR_PUT_OFF);
	/* It goes on trying, and each try is one PUT_OFF. */
	assert_int_equal(next_event(n, w), MONITOR_PUT_OFF);
	assert_int_equal(n->asked + n->hellos + n->errors + n->gone, 0);
}

static bool named;

static enum zap_answer
decide_when_named(void *arg, const char *key)
{
	struct node *n = arg;

	n->asked++;
	return named ? ZAP_YES : ZAP_WAIT;
}

/* A key that is not known yet waits, and is let in at once when it is; others need not wait for it.
 */
static void
test_wait_for_a_name(void **state)
{
	_cleanup_(socket_closep) void *s = NULL, *other = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	struct node *n = node_new(decide_when_named);
	uint64_t begin = clock_mono_ms();

	*state = n;
	named = false;
	node_listen(n, "tcp://127.0.0.1:*");
	assert_int_equal(socket_connect_monitored(n->ctx, n->endpoint, &other_id,
				 server_id.curve_public, HEARTBEAT_MS, &s, &w),
		0);
	send_hello(s);
	node_until(n, &n->asked, 1);
	node_quiet(n);
	assert_int_equal(monitor_next(w, NULL), MONITOR_NONE);
	assert_int_equal(n->asked, 1);
	assert_true(zap_wait(n->zap, clock_mono_ms()) > 0);
	named = true;
	zap_again(n->zap, client_id.curve_public);
	assert_int_equal(n->asked, 1);
	assert_int_equal(socket_connect(n->ctx, n->endpoint, &client_id, server_id.curve_public,
				 HEARTBEAT_MS, &other),
		0);
	send_hello(other);
	node_until(n, &n->hellos, 1);
	assert_string_equal(n->last.curve, client_id.curve_public);
	zap_again(n->zap, other_id.curve_public);
	node_until(n, &n->hellos, 2);
	assert_string_equal(n->last.curve, other_id.curve_public);
	assert_int_equal(next_event(n, w), MONITOR_CONNECTED);
	assert_true(clock_mono_ms() - begin < ZAP_WAIT_MS);
	assert_int_equal(zap_wait(n->zap, clock_mono_ms()), -1);
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

	end_authenticator(n);
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

#define HEARD_MS 20000 /* never that long */

/* What another process hears of it, with that user: 'g' the other's greeting, 'e' an end at once,
 * 'n' it may not connect. */
static char
heard_as(const char *path, uid_t uid)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct pollfd fd = { socket(AF_UNIX, SOCK_STREAM, 0), POLLIN, 0 };
		char byte;

		snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
		if (setresuid(uid, uid, uid) < 0 ||
			connect(fd.fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
			_exit('n');
		_exit(poll(&fd, 1, HEARD_MS) == 1 && read(fd.fd, &byte, 1) == 1 ? 'g' : 'e');
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (char)WEXITSTATUS(status);
}

#define NOBODY 65534

/* Whatever the modes are, the kernel says whose a connection is. */
static void
test_own(void **state)
{
	struct node *n = *state;
	_cleanup_(socket_closep) void *s = NULL;
	_cleanup_(monitor_freep) struct monitor *w = NULL;
	char *dir = NULL, *path, endpoint[200];

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	path = path_join(dir, "own");
	snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
	assert_int_equal(
		socket_listen_own(n->ctx, ADMIT_COORDINATOR, "tcp://127.0.0.1:*", 0, &s, &w),
		-EINVAL);
	assert_int_equal(
		socket_listen_own(n->ctx, ADMIT_COORDINATOR, endpoint, HEARTBEAT_MS, &s, &w), 0);
	assert_int_equal(heard_as(path, getuid()), 'g');
	if (getuid() == 0) {
		assert_int_equal(chmod(dir, 0755), 0);
		assert_int_equal(heard_as(path, NOBODY), 'n');
		assert_int_equal(chmod(path, 0666), 0);
		assert_int_equal(heard_as(path, NOBODY), 'e');
	}
	fs_rm_rf(dir);
	free(path);
	free(dir);
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
	assert_int_equal(
		socket_listen(n->ctx, ADMIT_COORDINATOR, n->endpoint, NULL, 0, &s, &endpoint),
		-EADDRINUSE);
	monitor_freep(&n->monitor);
	socket_closep(&n->router);
	zap_freep(&n->zap);
	zmq_ctx_termp(&n->ctx);
	assert_int_equal(lstat(n->endpoint + strlen("ipc://"), &st), 0);
	n->ctx = zmq_ctx_new();
	assert_int_equal(
		socket_listen(n->ctx, ADMIT_COORDINATOR, n->endpoint, NULL, 0, &n->router, &again),
		0);
	socket_closep(&n->router);
	zmq_ctx_termp(&n->ctx);

	assert_int_equal(unlink(n->endpoint + strlen("ipc://")), 0);
	f = fopen(n->endpoint + strlen("ipc://"), "wx");
	assert_non_null(f);
	fclose(f);
	n->ctx = zmq_ctx_new();
	assert_int_equal(
		socket_listen(n->ctx, ADMIT_COORDINATOR, n->endpoint, NULL, 0, &s, &endpoint),
		-EEXIST);
	assert_int_equal(lstat(n->endpoint + strlen("ipc://"), &st), 0);
	assert_null(s);
}

int
main(void)
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
		cmocka_unit_test_teardown(test_wait_for_a_name, node_down),
		cmocka_unit_test_teardown(test_any_key, node_down),
		cmocka_unit_test_setup_teardown(test_unencrypted_client, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_authenticator_gone, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_garbage_bytes, node_up, node_down),
		cmocka_unit_test_setup_teardown(test_ipc, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_own, bare_node_up, node_down),
		cmocka_unit_test_setup_teardown(test_ipc_path_in_use, bare_node_up, node_down),
	};

	/* A test that fails leaves its sockets open, and ending their context waits for them for
	 * ever. */
	alarm(120);
	return cmocka_run_group_tests(tests, keys_up, NULL);
}
