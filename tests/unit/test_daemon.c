/* daemon.c: settings of the command line win and bad ones are named; descriptors; the message that
 * a daemon serves. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/process/daemon.h"
#include "common/log/log.h"

static const char *named;
static bool flag;
static const struct daemon_option options[] = {
	{ "slots", .key = "worker.slots" },
	{ "name", .text = &named },
	{ "list", .flag = &flag },
	{ "allow", .key = "worker.user", .value = "root" },
	{ .name = NULL },
};
static const struct daemon_program program = { "a-daemon", "what it is\n", options };

/* Begins with these arguments; *ret_said is what it says on stderr. The exit status; -1: it goes
 * on. */
static int
begin(char **argv, struct conf **ret, int *ret_ready, char *ret_said, size_t size)
{
	int saved = dup(STDERR_FILENO), argc = 0, status = -1, said;
	ssize_t n;
	bool r;

	while (argv[argc])
		argc++;
	said = memfd_create("said", MFD_CLOEXEC);
	assert_true(saved >= 0 && said >= 0);
	assert_true(dup2(said, STDERR_FILENO) >= 0);
	optind = 0;
	r = daemon_begin(&program, argc, argv, ret_ready, ret, &status);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = pread(said, ret_said, size - 1, 0);
	ret_said[MAX2(n, (ssize_t)0)] = '\0';
	close(saved);
	close(said);
	return r ? -1 : status;
}

static void
settings_in_their_order(void **state)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	char *argv[] = { (char[]){ "a-daemon" }, (char[]){ "--slots=3" }, (char[]){ "-o" },
		(char[]){ "worker.slots=5" }, (char[]){ "--name" }, (char[]){ "me" },
		(char[]){ "--list" }, (char[]){ "--allow" }, (char[]){ "--ready-fd=9" }, NULL };
	char said[512];
	int ready = -1;

	assert_int_equal(begin(argv, &c, &ready, said, sizeof(said)), -1);
	assert_string_equal(said, "");
	assert_int_equal(c->worker.slots, 5);
	assert_string_equal(named, "me");
	assert_true(flag);
	assert_string_equal(c->worker.user, "root");
	assert_int_equal(ready, 9);
}

static void
settings_are_read_again(void **state)
{
	char *argv[] = { (char[]){ "a-daemon" }, (char[]){ "--slots=3" }, (char[]){ "--config" },
		(char[]){ "/nonexistent" }, (char[]){ "--ready-fd=9" }, NULL };
	const char *path = getenv("DRAY_CONFIG");
	struct conf *again = NULL;
	char *error = NULL;
	FILE *f = fopen(path, "we");

	/* its first time was long ago: DRAY_CONFIG names the file since then, and is left alone */
	assert_non_null(f);
	fputs("[worker]\nslots = 7\njob_time_s = 5\n", f);
	fclose(f);
	assert_int_equal(daemon_load_again(&program, 5, argv, &again, &error), 0);
	assert_int_equal(again->worker.slots, 3);
	assert_int_equal(again->worker.job_time_s, 5);
	assert_string_equal(getenv("DRAY_CONFIG"), path);
	conf_free(again);
	again = NULL;
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("[worker]\nslotz = 7\n", f);
	fclose(f);
	assert_int_equal(daemon_load_again(&program, 5, argv, &again, &error), -EINVAL);
	assert_null(again);
	assert_non_null(strstr(error, "slotz"));
	free(error);
	assert_int_equal(truncate(path, 0), 0);
}

/* The option is named as it was given. */
static void
what_is_wrong_is_named(void **state)
{
	static const struct {
		char argument[32], said[32];
	} wrong[] = { { "--slots=x", "--slots: bad value" },
		{ "-oworker.slots=x", "-o: bad value" }, { "-oworker.slotz=3", "slotz" },
		{ "--slots", "--slots" }, { "--ready-fd=x", "--ready-fd: " },
		{ "--slotz", "a-daemon --help" }, { "more", "\"more\" is not an option" } };
	char said[512];

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char argument[32];
		char *argv[] = { (char[]){ "a-daemon" }, argument, NULL };
		struct conf *c = NULL;
		int ready = -1;

		memcpy(argument, wrong[i].argument, sizeof(argument));
		assert_int_equal(begin(argv, &c, &ready, said, sizeof(said)), 2);
		assert_null(c);
		assert_int_equal(ready, -1);
		if (!strstr(said, wrong[i].said))
			fail_msg("%s: %s", wrong[i].argument, said);
	}
}

static void
descriptors(void **state)
{
	static const char *const bad[] = { "", "x", "3x", "-1", "99999999999999999999", "1048577" };
	int fd = -7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(daemon_parse_fd(bad[i], &fd), -EINVAL);
		assert_int_equal(fd, -7);
	}
	assert_int_equal(daemon_parse_fd("9", &fd), 0);
	assert_int_equal(fd, 9);
}

static void
ready_is_said_once(void **state)
{
	char text[64];
	int fds[2], fd;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fd = fds[1];
	assert_int_equal(daemon_say_ready(&fd, "tcp://127.0.0.1:1"), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(daemon_say_ready(&fd, "tcp://127.0.0.1:1"), 0);
	assert_int_equal(read(fds[0], text, sizeof(text)), 18);
	assert_memory_equal(text, "tcp://127.0.0.1:1\n", 18);
	/* the end: it was closed */
	assert_int_equal(read(fds[0], text, sizeof(text)), 0);
	close(fds[0]);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(daemon_say_ready(&fd, "x"), -ENOSPC);
	assert_int_equal(fd, -1);
}

static void
limits_are_raised(void **state)
{
	struct rlimit before, low, after;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = MIN2(before.rlim_max, 64);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(daemon_raise_limits(), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_true(after.rlim_cur == before.rlim_max);
}

/* A configuration of their own, empty. */
static int
config_up(void **state)
{
	static char path[] = "/tmp/dray-test-XXXXXX";
	int fd = mkstemp(path);

	*state = path;
	return fd < 0 || close(fd) < 0 ? -1 : setenv("DRAY_CONFIG", path, 1);
}

static int
config_down(void **state)
{
	return unlink(*state);
}

/* Pages of this process that are in memory. */
static unsigned long
resident(void)
{
	unsigned long size, n = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &n), 2);
	fclose(f);
	return n * (unsigned long)sysconf(_SC_PAGESIZE);
}

static void
memory_goes_back_at_rest(void **state)
{
	enum { N = 100, SIZE = 256 * 1024 };
	struct daemon_rest r = { .owed = false };
	unsigned long before;
	uint64_t bytes = 0, now = 1000;
	void *v[N], *last;

	(void)state;
	daemon_return_memory();
	before = resident();
	for (int i = 0; i < N; i++) {
		v[i] = malloc(SIZE);
		assert_non_null(v[i]);
		memset(v[i], i + 1, SIZE);
		bytes += SIZE;
	}
	/* what lies behind them is in use, so their end of the heap is not its end */
	last = malloc(1000);
	assert_non_null(last);
	assert_false(daemon_rest(&r, bytes, now));
	for (int i = 0; i < N; i++)
		free(v[i]);
	assert_false(daemon_rest(&r, bytes, now + 1999));
	/* a little is no work */
	assert_false(daemon_rest(&r, bytes + 100000, now + 1999));
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(resident() > before + N * SIZE / 2);
#endif
	assert_true(daemon_rest(&r, bytes + 100000, now + 2000));
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(resident() < before + N * SIZE / 4);
#endif
	(void)before; /* where an allocator of its own keeps what is freed */
	/* once */
	assert_false(daemon_rest(&r, bytes + 100000, now + 5000));
	assert_false(daemon_rest(&r, bytes + (8u << 20), now + 6000));
	assert_true(daemon_rest(&r, bytes + (8u << 20), now + 8000));
	free(last);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_in_their_order),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(settings_are_read_again),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(ready_is_said_once),
		cmocka_unit_test(limits_are_raised),
		cmocka_unit_test(memory_goes_back_at_rest),
	};

	log_init("a-daemon", LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, config_up, config_down);
}
