/* spawn: what a child gets and what it does not; statuses; bounds. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/process/spawn.h"

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })
#define S(text) ((char[]){ text })
#define LONG_MS 100000 /* never reached when all is well */

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
	assert_int_equal(sh("kill -9 $$"), SPAWN_SIGNALLED + SIGKILL);
	assert_int_equal(sh("exit 137"), 137);
	assert_int_equal(spawn_signal(SPAWN_SIGNALLED + SIGKILL), SIGKILL);
	assert_int_equal(spawn_signal(137), 0);
	assert_int_equal(spawn_shown(SPAWN_SIGNALLED + SIGKILL), 137);
	assert_int_equal(spawn_shown(255), 255);
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
	assert_int_equal(sh("kill -TERM $$; exit 7"), SPAWN_SIGNALLED + SIGTERM);
	assert_int_equal(sh("kill -PIPE $$; exit 7"), SPAWN_SIGNALLED + SIGPIPE);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(sh("kill -HUP $$; exit 7"), 7);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(sh("kill -HUP $$; exit 7"), SPAWN_SIGNALLED + SIGHUP);
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
	assert_int_equal(spawn_wait(pid, NULL), SPAWN_SIGNALLED + SIGKILL);
}

static void
test_capture(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int status = -1;

	assert_int_equal(
		spawn_capture(ARGV(S("sh"), S("-c"), S("cat; echo out; echo err >&2; exit 3")),
			NULL, LONG_MS, 100, &b, &status),
		0);
	assert_int_equal(status, 3);
	assert_string_equal((char *)b.p, "out\n");
	/* Exactly the limit is fine; what was there before stays, also on failure. */
	assert_int_equal(
		spawn_capture(ARGV(S("printf"), S("12345")), NULL, LONG_MS, 5, &b, NULL), 0);
	assert_string_equal((char *)b.p, "out\n12345");
	assert_int_equal(
		spawn_capture(ARGV(S("printf"), S("123456")), NULL, LONG_MS, 5, &b, &status),
		-EFBIG);
	assert_int_equal(spawn_capture(ARGV(S("yes")), NULL, LONG_MS, 100000, &b, &status), -EFBIG);
	assert_string_equal((char *)b.p, "out\n12345");
	assert_int_equal(
		spawn_capture(ARGV(S("no-such-program")), NULL, LONG_MS, 5, &b, &status), -ENOENT);
}

static int
capture_sh(const char *script, unsigned ms, struct buf *b)
{
	_cleanup_(freep) char *copy = strdup(script);
	int status = 77, r = spawn_capture(ARGV(S("sh"), S("-c"), copy), NULL, ms, 100, b, &status);

	if (r < 0)
		assert_int_equal(status, 77);
	return r;
}

/* All that have the pipe are gone: the last of them ended it. */
static void
expect_gone(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char c;

	assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_int_equal(read(fd, &c, 1), 0);
}

static void
test_capture_has_an_end(void **state)
{
	static const char *const scripts[] = {
		"echo begun; sleep 1000",	    /* it hangs */
		"echo begun; sleep 1000 & wait",    /* what it started does */
		"echo begun; exec >&-; sleep 1000", /* having said all */
		"echo begun; sleep 1000 & exit 0",  /* it ends, and leaves a process behind */
		"echo begun; trap '' TERM INT; sleep 1000", /* it does not listen */
	};
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_adds(&b, "before"), 0);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		int leash[2];

		/* Not close-on-exec: every process that lives has it. */
		assert_int_equal(pipe(leash), 0);
		assert_int_equal(fcntl(leash[0], F_SETFD, FD_CLOEXEC), 0);
		assert_int_equal(capture_sh(scripts[i], 50, &b), -ETIMEDOUT);
		assert_string_equal((char *)b.p, "before");
		close(leash[1]);
		expect_gone(leash[0]);
		close(leash[0]);
	}
	/* Nothing of it is left to wait for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	/* No time at all. */
	assert_int_equal(capture_sh(":", 0, &b), -ETIMEDOUT);
}

static volatile sig_atomic_t n_signals;

static void
count_signal(int sig)
{
	n_signals++;
}

/* The terminal's Ctrl-C does not reach another process group, so the process that is told to end
 * ends it. */
static void
test_capture_ends_with_us(void **state)
{
	struct sigaction sa = { .sa_handler = count_signal }, old;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	sigset_t set;

	n_signals = 0;
	assert_int_equal(sigaction(SIGTERM, &sa, &old), 0);
	assert_int_equal(capture_sh("kill $PPID; sleep 1000", LONG_MS, &b), -ECANCELED);
	assert_int_equal(n_signals, 1);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &set), 0);
	assert_false(sigismember(&set, SIGTERM));
	/* Ignored: it stays so. */
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(capture_sh("kill $PPID; echo on", LONG_MS, &b), 0);
	assert_string_equal((char *)b.p, "on\n");
	assert_int_equal(sigaction(SIGTERM, &old, NULL), 0);
	assert_int_equal(n_signals, 1);
}

static void
check_found(const char *name, const char *want)
{
	_cleanup_(freep) char *got = spawn_find_program(name);

	assert_string_equal(got ? got : "(null)", want);
}

/* 0 if the descriptors, the environment and the signals are those of a program. */
static int
body(void *arg)
{
	const char *only = getenv("ONLY");
	struct sigaction now;
	sigset_t set;

	if (!only || !streq(only, "this") || getenv("PATH") || !streq(arg, "argument"))
		return 1;
	if (fcntl(7, F_GETFD) != 0)
		return 2;
	if (sigprocmask(SIG_BLOCK, NULL, &set) < 0 || sigismember(&set, SIGTERM))
		return 3;
	if (sigaction(SIGUSR1, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
		return 4;
	return 0;
}

/* A function instead of a program. */
static void
test_body(void **state)
{
	char *env[] = { S("ONLY=this"), NULL };
	_cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fd = { null, 7 };
	struct spawn s = { .envp = env,
		.fds = &fd,
		.n_fds = 1,
		.dies_with_us = true,
		.body = body,
		.arg = S("argument") };
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	signal(SIGUSR1, SIG_IGN);
	assert_int_equal(run(&s), 0);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_null(getenv("ONLY"));
	s.cwd = "/none/such";
	assert_int_equal(run(&s), -ENOENT);
	s.cwd = NULL;
	s.dies_with_us = false;
	assert_int_equal(run(&s), -EINVAL);
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

/* A child that waits for ever, in a process that is killed: *ret_pid is the child's. */
static void
start_and_die(bool tied, int tell)
{
	struct spawn s = {
		.path = "/bin/sleep", .argv = ARGV(S("sleep"), S("1000")), .dies_with_us = tied
	};
	pid_t pid = -1;

	if (spawn_start(&s, &pid) == 0 && write(tell, &pid, sizeof(pid)) == sizeof(pid))
		raise(SIGKILL);
	_exit(1);
}

static void
test_dies_with_us(void **state)
{
	int back[2], status;
	pid_t us, child = -1;
	struct pollfd p;

	assert_int_equal(pipe2(back, O_CLOEXEC), 0);
	us = fork();
	assert_true(us >= 0);
	if (us == 0)
		start_and_die(true, back[1]);
	assert_int_equal(waitpid(us, &status, 0), us);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(read(back[0], &child, sizeof(child)), sizeof(child));
	/* another process collects it: it is gone, or soon */
	p = (struct pollfd){ .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN };
	if (p.fd >= 0) {
		assert_int_equal(poll(&p, 1, LONG_MS), 1);
		close(p.fd);
	}
	close(back[0]);
	close(back[1]);
}

static void
test_tied_is_like_any(void **state)
{
	char *env[] = { S("ONLY=this"), NULL };
	struct spawn s = { .path = "/bin/sh", .envp = env, .cwd = "/proc", .dies_with_us = true };
	_cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[] = { { null, 7 }, { 1, 8 } };
	sigset_t set, old;

	s.argv = ARGV(S("sh"), S("-c"),
		S("test \"$ONLY\" = this && test \"$(pwd)\" = /proc && "
		  "test \"$(readlink /proc/$$/fd/7)\" = /dev/null && test -e /proc/$$/fd/8 && "
		  "! test -e /proc/$$/fd/9 && exit 3"));
	s.fds = fds;
	s.n_fds = 2;
	assert_int_equal(run(&s), 3);
	s.cwd = "/none/such";
	assert_int_equal(run(&s), -ENOENT);
	s.cwd = NULL;
	s.path = "/none/such";
	assert_int_equal(run(&s), -ENOENT);
	s.path = "no-such-program";
	assert_int_equal(run(&s), -ENOENT);
	s.path = "sh";
	s.only_fds = true;
	assert_int_equal(run(&s), -EINVAL);
	s.only_fds = false;
	/* signals as they are by default, and none blocked */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	s.argv = ARGV(S("sh"), S("-c"), S("kill -TERM $$; exit 4"));
	assert_int_equal(run(&s), SPAWN_SIGNALLED + SIGTERM);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
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
		cmocka_unit_test(test_dies_with_us),
		cmocka_unit_test(test_tied_is_like_any),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_capture_has_an_end),
		cmocka_unit_test(test_capture_ends_with_us),
		cmocka_unit_test(test_find_program),
	};

	/* A directory of the user's PATH that cannot be read makes "not found" into EACCES. */
	setenv("PATH", "/usr/bin:/bin", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
