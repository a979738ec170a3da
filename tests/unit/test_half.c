/* What wrappers and the farm half say to each other, where they meet, and who meets whom. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/half/key.h"
#include "client/half/place.h"
#include "client/half/request.h"
#include "common/clock.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "tests/unit/half_fixture.h"

static char rustc[] = "/bin/rustc", option[] = "--crate-name", empty[] = "", blank[] = "x y";
static char var_a[] = "A=1", var_b[] = "B=", odd[] = "NOTHING";
static char *argv[] = { rustc, option, empty, blank, NULL };
static char *env[] = { var_a, var_b, odd, NULL };

static void
encode(struct buf *ret)
{
	const struct half_request q = { .jobs = 7,
		.mapped = true,
		.is_alike = true,
		.alike = { { { 1, 2 } }, { { 3, 4 } } },
		.umask = 027,
		.argv = argv,
		.env = env };

	assert_int_equal(half_request_encode(&q, ret), 0);
}

static void
test_request(void **state)
{
	struct buf b = BUF_INIT;
	struct half_request q;

	encode(&b);
	assert_int_equal(half_request_decode(b.p, b.n, &q), 0);
	assert_int_equal(q.jobs, 7);
	assert_true(q.mapped);
	assert_int_equal(q.umask, 027);
	assert_true(q.is_alike);
	assert_int_equal(q.alike.sought.b[1], 2);
	assert_int_equal(q.alike.called.b[0], 3);
	for (size_t i = 0; argv[i] || q.argv[i]; i++)
		assert_string_equal(q.argv[i], argv[i]);
	for (size_t i = 0; env[i] || q.env[i]; i++)
		assert_string_equal(q.env[i], env[i]);
	half_request_done(&q);
	buf_done(&b);
}

/* In memory of just that size, so that a look beyond it is seen. */
static int
decode_cut(const struct buf *b, size_t n)
{
	struct half_request q = { .argv = NULL };
	uint8_t *p = malloc(n ? n : 1);
	int r;

	assert_non_null(p);
	memcpy(p, b->p, n);
	r = half_request_decode(p, n, &q);
	half_request_done(&q);
	free(p);
	return r;
}

static void
test_bad_requests(void **state)
{
	struct buf b = BUF_INIT;

	encode(&b);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(decode_cut(&b, n), -EBADMSG);
	assert_int_equal(decode_cut(&b, b.n), 0);
	/* each number made large: the version, flags, the jobs, the umask, both counts */
	for (size_t i = 0; i < 6; i++) {
		struct buf bad = BUF_INIT;
		const uint32_t large = UINT32_MAX;

		assert_int_equal(buf_add(&bad, b.p, b.n), 0);
		memcpy(bad.p + 4 * i, &large, sizeof(large));
		assert_int_equal(decode_cut(&bad, bad.n), -EBADMSG);
		buf_done(&bad);
	}
	assert_int_equal(buf_add(&b, "x", 2), 0);
	assert_int_equal(decode_cut(&b, b.n), -EBADMSG);
	buf_done(&b);
}

static void
test_hello(void **state)
{
	struct digest key = { { 1, 2, 3 } }, other = { { 1, 2, 4 } };
	enum half_purpose purpose = HALF_PURPOSES;
	struct half_hello h;

	half_hello_make(&key, HALF_FOR_STORES, &h);
	assert_true(half_hello_ok(&h, sizeof(h), &key, &purpose));
	assert_int_equal(purpose, HALF_FOR_STORES);
	purpose = HALF_PURPOSES;
	assert_false(half_hello_ok(&h, sizeof(h) - 1, &key, &purpose));
	assert_false(half_hello_ok(&h, sizeof(h), &other, &purpose));
	h.purpose = HALF_PURPOSES;
	assert_false(half_hello_ok(&h, sizeof(h), &key, &purpose));
	half_hello_make(&key, HALF_FOR_UNIT, &h);
	h.magic[0] ^= 1;
	assert_false(half_hello_ok(&h, sizeof(h), &key, &purpose));
	assert_int_equal(purpose, HALF_PURPOSES);
}

static void
test_ready(void **state)
{
	struct half_ready r;
	pid_t pid = 0;

	half_ready_make(77, &r);
	assert_true(half_ready_ok(&r, sizeof(r), &pid));
	assert_int_equal(pid, 77);
	assert_false(half_ready_ok(&r, sizeof(r) - 1, &pid));
	/* nobody to be killed */
	half_ready_make(-1, &r);
	assert_false(half_ready_ok(&r, sizeof(r), &pid));
	half_ready_make(1, &r);
	assert_false(half_ready_ok(&r, sizeof(r), &pid));
}

static void
test_place(void **state)
{
	struct digest key = { { 0xab } }, other = { { 0xcd } };
	char name[HALF_NAME_SIZE];
	int dir = half_dir_open(*state), listener, conn, start;
	pid_t pid = 0;

	assert_true(dir >= 0);
	assert_int_equal(half_connect(dir, &key), -ENOENT);
	listener = half_listen(dir, &key);
	assert_true(listener >= 0);
	conn = half_connect(dir, &key);
	assert_true(conn >= 0);
	assert_true(half_peer_is_ours(conn, &pid));
	assert_int_equal(pid, getpid());
	assert_int_equal(half_connect(dir, &other), -ENOENT);
	/* one that lives is left alone, one that is dead goes, and is replaced */
	half_sweep(dir, &other);
	close(conn);
	conn = half_connect(dir, &key);
	assert_true(conn >= 0);
	close(conn);
	close(listener);
	assert_int_equal(half_connect(dir, &key), -ECONNREFUSED);
	listener = half_listen(dir, &key);
	assert_true(listener >= 0);
	close(listener);
	half_start_name(&key, name);
	start = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(half_sign_start(start, 4711), 0);
	close(start);
	/* which is locked while another takes the place of the dead one */
	half_sweep(dir, &key);
	assert_int_equal(faccessat(dir, name, F_OK, 0), 0);
	half_sweep(dir, &other);
	assert_int_equal(faccessat(dir, name, F_OK, 0), -1);
	assert_int_equal(half_connect(dir, &key), -ENOENT);
	close(dir);
}

/* On a disk that machines share: to this one the other's live socket looks like a dead one's. */
static void
test_place_of_another_machine(void **state)
{
	struct digest key = { { 7 } }, other = { { 8 } };
	const struct timespec week[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = time(NULL) - HALF_STRANGE_S - 10 } };
	char socket[HALF_NAME_SIZE], name[HALF_NAME_SIZE];
	int dir = half_dir_open(*state), start;

	close(half_listen(dir, &key));
	half_socket_name(&key, socket);
	half_start_name(&key, name);
	start = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(start, "1 0123456789abcdef\n", 19), 19);
	close(start);
	half_sweep(dir, &other);
	assert_int_equal(half_connect(dir, &key), -ECONNREFUSED);
	assert_int_equal(faccessat(dir, name, F_OK, 0), 0);
	assert_int_equal(utimensat(dir, socket, week, AT_SYMLINK_NOFOLLOW), 0);
	half_sweep(dir, &other);
	assert_int_equal(half_connect(dir, &key), -ENOENT);
	assert_int_equal(faccessat(dir, name, F_OK, 0), -1);
	close(dir);
}

static void
test_place_is_private(void **state)
{
	char *path = NULL;
	int dir;

	assert_true(asprintf(&path, "%s/half-%lu", (char *)*state, (unsigned long)geteuid()) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(half_dir_open(*state), -EPERM);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_true(half_dir_open(*state) < 0);
	assert_int_equal(unlink(path), 0);
	free(path);
	dir = half_dir_open(*state);
	assert_true(dir >= 0);
	close(dir);
}

/* An address has room for 107 bytes. */
static void
test_long_place(void **state)
{
	struct digest key = { { 0xab } };
	char long_name[201];
	int dir, listener, conn;
	char *path;

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	path = path_join(*state, long_name);
	dir = half_dir_open(path);
	assert_true(dir >= 0);
	listener = half_listen(dir, &key);
	assert_true(listener >= 0);
	conn = half_connect(dir, &key);
	assert_true(conn >= 0);
	close(conn);
	close(listener);
	close(dir);
	free(path);
}

static const char *shared;

/* Only root may. */
static bool
may(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		errno = 0;
		fn();
		_exit(errno != 0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void
become_another(void)
{
	errno = 0;
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return;
	/* else its /proc is root's */
	prctl(PR_SET_DUMPABLE, 1);
}

/* Also where the directory lets another user in. */
static void
test_place_of_another(void **state)
{
	struct digest key = { { 0xab } };
	int dir = half_dir_open(*state), fds[2], status;
	char word;
	pid_t pid;

	if (!may(become_another)) {
		close(dir);
		return;
	}
	assert_int_equal(fchmod(dir, 0777), 0);
	assert_int_equal(chmod(*state, 0755), 0);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		become_another();
		if (half_listen(dir, &key) < 0 || write(fds[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &word, 1), 1);
	assert_int_equal(half_connect(dir, &key), -EPERM);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	close(dir);
}

static void
open_as_another(void)
{
	become_another();
	if (errno == 0)
		errno = half_dir_open(shared) < 0 ? EACCES : 0;
}

/* A cache that several users share: each has a place of its own. */
static void
test_place_in_shared_cache(void **state)
{
	int dir = half_dir_open(*state);

	assert_true(dir >= 0);
	close(dir);
	if (!may(become_another))
		return;
	shared = *state;
	assert_int_equal(chmod(*state, 0777), 0);
	assert_true(may(open_as_another));
}

static bool
is_same(struct conf *a, struct conf *b)
{
	struct digest x, y;

	assert_int_equal(half_key_make(a, "/proc/self/exe", &x), 0);
	assert_int_equal(half_key_make(b, "/proc/self/exe", &y), 0);
	return digest_eq(&x, &y);
}

static void
test_key_of_conf(void **state)
{
	static const char *const differ[] = { "client.coordinator=tcp://127.0.0.1:1",
		"client.offload=always", "client.pass_env=X", "client.connect_ms=77",
		"client.cache=off" };
	char *error = NULL;

	for (size_t i = 0; i < ARRAY_LEN(differ); i++) {
		struct conf *a = make_conf(*state), *b = make_conf(*state);

		assert_true(is_same(a, b));
		assert_int_equal(conf_set(b, differ[i], &error), 0);
		assert_false(is_same(a, b));
		conf_free(a);
		conf_free(b);
	}
	{
		struct conf *a = make_conf(*state), *b = make_conf(*state);

		assert_int_equal(conf_set(b, "client.job_log=/tmp/another", &error), 0);
		assert_true(is_same(a, b));
		conf_free(a);
		conf_free(b);
	}
}

/* A key file that is written anew is another one. */
static void
test_key_of_files(void **state)
{
	_cleanup_(freep) char *path = path_join(*state, "identity"), *set = NULL;
	struct conf *c = make_conf(*state);
	char *error = NULL;
	struct digest before, after;

	assert_true(asprintf(&set, "client.identity=%s", path) > 0);
	assert_int_equal(conf_set(c, set, &error), 0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &before), 0);
	assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &after), 0);
	assert_false(digest_eq(&before, &after));
	before = after;
	assert_int_equal(fs_write_atomic(path, "y", 1, 0600), 0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &after), 0);
	assert_false(digest_eq(&before, &after));
	conf_free(c);
}

static void
lower_limit(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_CPU, &l);
	l.rlim_cur = 1000;
	setrlimit(RLIMIT_CPU, &l);
}

static void
lower_priority(void)
{
	(void)!nice(1);
}

static void
change_scheduler(void)
{
	const struct sched_param none = { 0 };

	sched_setscheduler(0, SCHED_BATCH, &none);
}

static void
preload(void)
{
	setenv("LD_PRELOAD", "/nonexistent", 1);
}

static void
add_filter(void)
{
	struct sock_filter yes[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog all = { .len = ARRAY_LEN(yes), .filter = yes };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all), 0);
}

static void
add_filters(void)
{
	add_filter();
	add_filter();
}

static void
change_nothing(void)
{
	umask(0);
	(void)!chdir("/");
	setenv("OUT_DIR", "/x", 1);
	setenv("LD_LIBRARY_PATH", "/x", 1);
}

/* The key in a process of its own that has done that. */
static void
key_after(struct conf *c, void (*fn)(void), struct digest *ret)
{
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct digest d;

		fn();
		_exit(half_key_make(c, "/proc/self/exe", &d) < 0 ||
			write(fds[1], &d, sizeof(d)) != sizeof(d));
	}
	assert_int_equal(read(fds[0], ret, sizeof(*ret)), sizeof(*ret));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
}

static void
set_token(void)
{
	setenv("DRAY_TEST_TOKEN", "another", 1);
}

static void
set_other(void)
{
	setenv("DRAY_TEST_OTHER", "x", 1);
}

/* One that has opened a store with a token serves nobody who has another one. */
static void
test_key_of_tokens(void **state)
{
	struct conf *c = make_conf(*state);
	char *error = NULL;
	struct digest mine, other;

	assert_int_equal(conf_set(c,
				 "client.store=file:///a, https://h/p?token_env=DRAY_TEST_TOKEN&"
				 "rate=1 ro",
				 &error),
		0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &mine), 0);
	key_after(c, set_token, &other);
	assert_false(digest_eq(&mine, &other));
	key_after(c, set_other, &other);
	assert_true(digest_eq(&mine, &other));
	conf_free(c);
}

static void
test_key_of_process(void **state)
{
	void (*const differ[])(void) = { lower_limit, lower_priority, change_scheduler, preload };
	struct conf *c = make_conf(*state);
	struct digest mine, other;

	assert_int_equal(half_key_make(c, "/proc/self/exe", &mine), 0);
	for (size_t i = 0; i < ARRAY_LEN(differ); i++) {
		key_after(c, differ[i], &other);
		assert_false(digest_eq(&mine, &other));
	}
	/* what each unit has of its own */
	key_after(c, change_nothing, &other);
	assert_true(digest_eq(&mine, &other));
	/* another program */
	assert_int_equal(half_key_make(c, "/bin/sh", &other), 0);
	assert_false(digest_eq(&mine, &other));
	conf_free(c);
}

static void
leave_namespace(void)
{
	(void)!unshare(CLONE_NEWUTS);
}

static void
test_key_of_namespace(void **state)
{
	struct conf *c = make_conf(*state);
	struct digest mine, other;

	if (may(leave_namespace)) {
		assert_int_equal(half_key_make(c, "/proc/self/exe", &mine), 0);
		key_after(c, leave_namespace, &other);
		assert_false(digest_eq(&mine, &other));
	}
	conf_free(c);
}

/* What runs under a filter that others are not under is another one, also where all have one. */
static void
test_key_of_filters(void **state)
{
	struct conf *c = make_conf(*state);
	struct digest none, one, again, two;

	assert_int_equal(half_key_make(c, "/proc/self/exe", &none), 0);
	key_after(c, add_filter, &one);
	key_after(c, add_filter, &again);
	key_after(c, add_filters, &two);
	assert_false(digest_eq(&none, &one));
	assert_true(digest_eq(&one, &again));
	assert_false(digest_eq(&one, &two));
	conf_free(c);
}

/* A cache that was made anew is another one: nobody meets a process that has the old one open. */
static void
test_key_of_cache(void **state)
{
	_cleanup_(freep) char *dir = path_join(*state, "cache"), *old = path_join(*state, "old");
	struct conf *c = make_conf(dir);
	struct digest before, after;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &before), 0);
	assert_int_equal(rename(dir, old), 0);
	assert_true(half_key_make(c, "/proc/self/exe", &after) < 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(half_key_make(c, "/proc/self/exe", &after), 0);
	assert_false(digest_eq(&before, &after));
	conf_free(c);
}

/* A farm half that runs with so few descriptors, and serves nobody's farm. */
struct few {
	char *dir, *program;
	struct digest key;
	pid_t pid;
};

/* In the child. */
static void
become_half(struct few *f, int wr)
{
	const struct rlimit few = { 64, 64 };
	_cleanup_(freep) char *config = path_join(f->dir, "none.conf"), *words = NULL;
	_cleanup_(freep) char *farm = NULL;
	char hex[DIGEST_HEX_SIZE], *error = NULL;
	struct conf *c = NULL;
	int dir, listener;

	if (fs_write_atomic(config, "", 0, 0600) < 0 ||
		asprintf(&farm, "ipc://%s/nobody", f->dir) < 0 ||
		setrlimit(RLIMIT_NOFILE, &few) < 0)
		return;
	setenv("DRAY_CONFIG", config, 1);
	setenv("DRAY_CACHE_DIR", f->dir, 1);
	setenv("DRAY_COORDINATOR", farm, 1);
	dir = half_dir_open(f->dir);
	if (conf_load(&c, &error) < 0 || half_key_make(c, f->program, &f->key) < 0)
		return;
	listener = half_listen(dir, &f->key);
	digest_hex(&f->key, hex);
	if (listener < 0 || asprintf(&words, "--key=%s", hex) < 0 || dup2(listener, 3) < 0 ||
		write(wr, &f->key, sizeof(f->key)) != sizeof(f->key))
		return;
	for (int fd = 4; fd < 64; fd++)
		close(fd);
	execl(f->program, f->program, "--half=3", words, NULL);
}

static void
start_half(struct few *f)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	f->pid = fork();
	if (f->pid == 0) {
		become_half(f, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &f->key, sizeof(f->key)), sizeof(f->key));
	close(fds[0]);
}

/* Whether it said it is ready, within ms; false: it closed the connection. */
static bool
is_taken(int conn, int ms)
{
	struct pollfd p = { conn, POLLIN, 0 };
	struct half_ready ready;

	assert_int_equal(poll(&p, 1, ms), 1);
	return recv(conn, &ready, sizeof(ready), 0) == sizeof(ready);
}

static int
greet_half(int dir, const struct digest *key)
{
	struct half_hello hello;
	int conn = half_connect(dir, key);

	assert_true(conn >= 0);
	half_hello_make(key, HALF_FOR_UNIT, &hello);
	/* it may have closed it already */
	(void)!send(conn, &hello, sizeof(hello), MSG_NOSIGNAL);
	return conn;
}

/* A wrapper that cannot be served for lack of descriptors is told at once, and goes on without. */
static void
test_few_descriptors(void **state)
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	_cleanup_(freep) char *program = path_join(build ? build : ".", "client/dray-dispatch");
	struct few f = { .dir = *state, .program = program };
	int dir, conn[70], taken = 0, status;

	start_half(&f);
	dir = half_dir_open(f.dir);
	conn[0] = greet_half(dir, &f.key);
	assert_true(is_taken(conn[0], 10000));
	for (size_t i = 1; i < ARRAY_LEN(conn); i++)
		conn[i] = greet_half(dir, &f.key);
	/* before a connection that says nothing more is given up */
	for (size_t i = 1; i < ARRAY_LEN(conn); i++)
		taken += is_taken(conn[i], 900);
	assert_true(taken < 8);
	for (size_t i = 0; i < ARRAY_LEN(conn); i++)
		close(conn[i]);
	close(dir);
	kill(f.pid, SIGTERM);
	assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
}

static void *
ask_environ(void *arg)
{
	environ_use(env);
	return environ_get("A") && streq(environ_get("A"), "1") && !environ_get("PATH") &&
			       environ_get("B") && !*environ_get("B") && !environ_get("NOTHING")
		       ? arg
		       : NULL;
}

static void
test_environ(void **state)
{
	pthread_t t;
	void *got = NULL;

	assert_int_equal(setenv("A", "2", 1), 0);
	assert_int_equal(pthread_create(&t, NULL, ask_environ, env), 0);
	assert_int_equal(pthread_join(t, &got), 0);
	assert_ptr_equal(got, env);
	assert_string_equal(environ_get("A"), "2");
	assert_non_null(environ_get("PATH"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_ready),
		cmocka_unit_test_setup_teardown(test_place, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			test_place_of_another_machine, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_place_is_private, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_long_place, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_place_of_another, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_place_in_shared_cache, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_conf, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_tokens, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_process, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_namespace, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_filters, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_key_of_cache, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_few_descriptors, make_dir, remove_dir),
		cmocka_unit_test(test_environ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
