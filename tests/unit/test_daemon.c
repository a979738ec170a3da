/* daemon.c: settings of the command line win and bad ones are named; descriptors; the message that
 * a daemon serves. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "common/daemon.h"

static void
settings_in_their_order(void **state)
{
	_cleanup_(strv_done) struct strv settings = STRV_INIT;
	_cleanup_(conf_freep) struct conf *c = NULL;
	_cleanup_(freep) char *error = NULL;

	assert_int_equal(strv_add(&settings, "worker.slots=3"), 0);
	assert_int_equal(strv_add(&settings, "worker.slots=5"), 0);
	assert_int_equal(daemon_conf(&settings, &c, &error), 0);
	assert_int_equal(c->worker.slots, 5);
	assert_null(error);
}

static void
a_bad_setting_is_named(void **state)
{
	_cleanup_(strv_done) struct strv settings = STRV_INIT;
	_cleanup_(freep) char *error = NULL;
	struct conf *c = NULL;

	assert_int_equal(strv_add(&settings, "worker.slotz=3"), 0);
	assert_int_equal(daemon_conf(&settings, &c, &error), -EINVAL);
	assert_null(c);
	assert_non_null(error);
	assert_non_null(strstr(error, "slotz"));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_in_their_order),
		cmocka_unit_test(a_bad_setting_is_named),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(ready_is_said_once),
		cmocka_unit_test(limits_are_raised),
	};

	return cmocka_run_group_tests(tests, config_up, config_down);
}
