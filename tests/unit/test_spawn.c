/* spawn: what a child gets and what it does not; statuses; bounds. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/spawn.h"

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })
#define S(text) ((char[]){ text })

static int
run(const struct spawn *s)
{
	pid_t pid = -1;
	int r = spawn_start(s, &pid);

	return r < 0 ? r : spawn_wait(pid, NULL);
}

static int
sh(const char *script)
{
	_cleanup_(freep) char *copy = strdup(script);

	return run(&(struct spawn){ .path = "sh", .argv = ARGV(S("sh"), S("-c"), copy) });
}

static void
test_status(void **state)
{
	struct rusage usage = { 0 };
	pid_t pid;

	assert_int_equal(sh("exit 0"), 0);
	assert_int_equal(sh("exit 101"), 101);
	assert_int_equal(sh("kill -9 $$"), 128 + SIGKILL);
	assert_int_equal(
		run(&(struct spawn){ .path = "/none/such", .argv = ARGV(S("x")) }), -ENOENT);
	assert_int_equal(
		run(&(struct spawn){ .path = "no-such-program", .argv = ARGV(S("x")) }), -ENOENT);
	assert_int_equal(
		run(&(struct spawn){ .path = "/etc/passwd", .argv = ARGV(S("x")) }), -EACCES);
	assert_int_equal(spawn_wait(1, NULL), -ECHILD);
	assert_int_equal(
		spawn_start(&(struct spawn){ .path = "sh", .argv = ARGV(S("sh"), S("-c"), S(":")) },
			&pid),
		0);
	assert_int_equal(spawn_wait(pid, &usage), 0);
	assert_true(usage.ru_maxrss > 0);
}

static void
test_environment_and_directory(void **state)
{
	char *env[] = { S("ONLY=this"), NULL };
	struct spawn s = { .path = "/bin/sh", .envp = env, .cwd = "/proc" };

	s.argv = ARGV(S("sh"), S("-c"),
		S("test \"$ONLY\" = this && test -z \"$HOME\" && "
		  "test \"$(pwd)\" = /proc"));
	assert_int_equal(run(&s), 0);
	s.cwd = "/none/such";
	assert_int_equal(run(&s), -ENOENT);
}

static void
read_line(int fd, char *out, size_t room)
{
	ssize_t n = read(fd, out, room - 1);

	out[n > 0 ? n : 0] = '\0';
}

static void
test_descriptors_swap(void **state)
{
	int a[2], b[2];
	char text[16];

	/* Each one's number is the other's target: done one after the other, both would be the
	 * same. */
	assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
	{
		struct spawn_fd fds[] = { { a[1], b[1] }, { b[1], a[1] } };
		_cleanup_(freep) char *script = NULL;

		assert_true(asprintf(&script, "echo A >&%d; echo B >&%d", b[1], a[1]) > 0);
		assert_int_equal(run(&(struct spawn){ .path = "sh",
					 .argv = ARGV(S("sh"), S("-c"), script),
					 .fds = fds,
					 .n_fds = 2 }),
			0);
	}
	read_line(a[0], text, sizeof(text));
	assert_string_equal(text, "A\n");
	read_line(b[0], text, sizeof(text));
	assert_string_equal(text, "B\n");
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void
test_descriptors_kept_and_closed(void **state)
{
	int p[2], bad;
	struct spawn_fd same;
	_cleanup_(freep) char *script = NULL;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	same = (struct spawn_fd){ p[1], p[1] };
	assert_true(asprintf(&script, "test -e /proc/self/fd/%d && test ! -e /proc/self/fd/%d",
			    p[1], p[0]) > 0);
	assert_int_equal(run(&(struct spawn){ .path = "sh",
				 .argv = ARGV(S("sh"), S("-c"), script),
				 .fds = &same,
				 .n_fds = 1 }),
		0);
	/* Without being named, neither end is there. */
	assert_int_not_equal(sh(script), 0);
	bad = p[0];
	close(p[0]);
	close(p[1]);
	same = (struct spawn_fd){ bad, 5 };
	assert_int_equal(run(&(struct spawn){ .path = "sh",
				 .argv = ARGV(S("sh"), S("-c"), S(":")),
				 .fds = &same,
				 .n_fds = 1 }),
		-EBADF);
	same = (struct spawn_fd){ -1, 5 };
	assert_int_equal(run(&(struct spawn){ .path = "sh",
				 .argv = ARGV(S("sh"), S("-c"), S(":")),
				 .fds = &same,
				 .n_fds = 1 }),
		-EBADF);
}

static void
test_descriptors_inherited(void **state)
{
	_cleanup_(freep) char *script = NULL;
	struct spawn_fd fd;
	int p[2], low, high;
	struct spawn s = { .path = "sh", .fds = &fd, .n_fds = 1 };

	/* Three that stay open over an exec: one handed over to a number between the other two. */
	low = dup(STDERR_FILENO);
	assert_int_equal(pipe(p), 0);
	high = fcntl(p[0], F_DUPFD, p[1] + 10);
	assert_true(low > STDERR_FILENO && high > 0);
	fd = (struct spawn_fd){ p[1], high - 1 };
	assert_true(asprintf(&script,
			    "test ! -e /proc/$$/fd/%d && test ! -e /proc/$$/fd/%d && "
			    "test ! -e /proc/$$/fd/%d && test -e /proc/$$/fd/%d",
			    low, p[1], high, high - 1) > 0);
	s.argv = ARGV(S("sh"), S("-c"), script);
	assert_int_not_equal(run(&s), 0);
	s.only_fds = true;
	assert_int_equal(run(&s), 0);
	close(low);
	close(high);
	close(p[0]);
	close(p[1]);
}

static void
test_signals(void **state)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* Blocked or ignored, the shell would outlive this. */
	assert_int_equal(sh("kill -TERM $$; exit 7"), 128 + SIGTERM);
	assert_int_equal(sh("kill -PIPE $$; exit 7"), 128 + SIGPIPE);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(sh("kill -HUP $$; exit 7"), 7);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(sh("kill -HUP $$; exit 7"), 128 + SIGHUP);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

static void
test_group(void **state)
{
	pid_t pid;

	assert_int_equal(spawn_start(&(struct spawn){ .path = "sleep",
					     .argv = ARGV(S("sleep"), S("100")),
					     .new_group = true },
				 &pid),
		0);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(kill(-pid, SIGKILL), 0);
	assert_int_equal(spawn_wait(pid, NULL), 128 + SIGKILL);
}

static void
test_capture(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int status = -1;

	assert_int_equal(
		spawn_capture(ARGV(S("sh"), S("-c"), S("cat; echo out; echo err >&2; exit 3")),
			NULL, 100, &b, &status),
		0);
	assert_int_equal(status, 3);
	assert_string_equal((char *)b.p, "out\n");
	/* Exactly the limit is fine; what was there before stays, also on failure. */
	assert_int_equal(spawn_capture(ARGV(S("printf"), S("12345")), NULL, 5, &b, NULL), 0);
	assert_string_equal((char *)b.p, "out\n12345");
	assert_int_equal(
		spawn_capture(ARGV(S("printf"), S("123456")), NULL, 5, &b, &status), -EFBIG);
	assert_int_equal(spawn_capture(ARGV(S("yes")), NULL, 100000, &b, &status), -EFBIG);
	assert_string_equal((char *)b.p, "out\n12345");
	assert_int_equal(spawn_capture(ARGV(S("no-such-program")), NULL, 5, &b, &status), -ENOENT);
}

static void
check_found(const char *name, const char *want)
{
	_cleanup_(freep) char *got = spawn_find_program(name);

	assert_string_equal(got ? got : "(null)", want);
}

static void
test_find_program(void **state)
{
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *prog = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	prog = path_join(dir, "dray-no-such-name");
	setenv("DRAY_LIBEXEC", dir, 1);
	check_found("dray-no-such-name", "(null)");
	assert_int_equal(fs_write_atomic(prog, "", 0, 0600), 0);
	check_found("dray-no-such-name", "(null)");
	assert_int_equal(chmod(prog, 0700), 0);
	check_found("dray-no-such-name", prog);
	check_found("../dray-no-such-name", "(null)");
	check_found("", "(null)");
	unsetenv("DRAY_LIBEXEC");
	check_found("dray-no-such-name", "(null)");
	assert_int_equal(fs_rm_rf(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_environment_and_directory),
		cmocka_unit_test(test_descriptors_swap),
		cmocka_unit_test(test_descriptors_kept_and_closed),
		cmocka_unit_test(test_descriptors_inherited),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_find_program),
	};

	/* A directory of the user's PATH that cannot be read makes "not found" into EACCES. */
	setenv("PATH", "/usr/bin:/bin", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
