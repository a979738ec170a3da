/* log: levels, one line a message, no control characters, throttling. stderr is a pipe meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log/log.h"

static int saved_stderr = -1, pipe_rd = -1;
static char text[65536];

static int
setup(void **state)
{
	int p[2];

	unsetenv("DRAY_LOG");
	if (pipe2(p, O_CLOEXEC) < 0 || fcntl(p[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	pipe_rd = p[0];
	return 0;
}

static int
teardown(void **state)
{
	unsetenv("DRAY_LOG");
	dup2(saved_stderr, STDERR_FILENO);
	closep(&saved_stderr);
	closep(&pipe_rd);
	return 0;
}

static const char *
written(void)
{
	ssize_t n = read(pipe_rd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_levels(void **state)
{
	log_init("prog", LOG_LEVEL_NONE);
	log_error("never");
	assert_string_equal(written(), "");
	log_init("prog", LOG_LEVEL_WARN);
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_false(log_enabled(LOG_LEVEL_NONE));
	log_info("no");
	log_warn("x=%d", 5);
	assert_string_equal(written(), "prog: warn: x=5\n");
	log_error_errno(-ENOENT, "open %s", "f");
	log_warn_errno(ENOENT, "again");
	assert_string_equal(written(), "prog: error: open f: No such file or directory\n"
				       "prog: warn: again: No such file or directory\n");
}

static void
test_environment_wins(void **state)
{
	setenv("DRAY_LOG", "none", 1);
	log_init("p", LOG_LEVEL_DEBUG);
	assert_false(log_enabled(LOG_LEVEL_ERROR));
	setenv("DRAY_LOG", "info", 1);
	log_init("p", LOG_LEVEL_NONE);
	assert_true(log_enabled(LOG_LEVEL_INFO));
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	setenv("DRAY_LOG", "loud", 1);
	log_init("p", LOG_LEVEL_NONE);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	setenv("DRAY_LOG", "", 1);
	log_init("p", LOG_LEVEL_ERROR);
	assert_false(log_enabled(LOG_LEVEL_WARN));
}

static void
test_hostile_text(void **state)
{
	_cleanup_(freep) char *big = malloc(10000);

	log_init("p", LOG_LEVEL_INFO);
	log_info("a\nb\x1b[31m\r\x7f\tc");
	assert_string_equal(written(), "p: info: a?b?[31m??\tc\n");
	memset(big, 'x', 9999);
	big[9999] = '\0';
	errno = EBADF;
	log_info("%s%s", big, "tail");
	assert_int_equal(errno, EBADF);
	written();
	assert_true(strlen(text) > 1000 && strlen(text) <= 2048);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void
test_throttle(void **state)
{
	struct log_throttle t = { 0 };

	log_init("p", LOG_LEVEL_INFO);
	for (int i = 0; i < 100; i++)
		log_throttled(&t, 2, "n=%d", i);
	assert_string_equal(written(), "p: warn: n=0\np: warn: n=1\n");
	assert_int_equal(t.dropped, 98);
	/* As if the window had begun long ago. */
	t.window_start_ms = clock_mono_ms() - 20000;
	log_throttled(&t, 2, "later");
	assert_string_equal(written(), "p: warn: (98 like this left out) later\n");
	log_throttled(&t, 2, "more");
	assert_string_equal(written(), "p: warn: more\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_throttle, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
