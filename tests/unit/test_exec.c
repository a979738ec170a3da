/* dray-exec by itself, outside of a sandbox; test_sandbox.c has it inside. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "common/fs.h"
#include "common/process/spawn.h"
#include "worker/inside/orders.h"

/* dray-exec alone, which tells its state to *ret_report. */
static pid_t
start_exec(const char *option, int *ret_report)
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	_cleanup_(freep) char *path = path_join(build ? build : ".", "worker/dray-exec");
	_cleanup_(freep) char *with = strdup(option);
	char report[] = "--status-fd=5", end[] = "--", sleep[] = "/bin/sleep", s[] = "20";
	struct spawn_fd to = { .to = 5 };
	int pipe_of[2];
	pid_t pid;

	assert_true(path && with);
	assert_int_equal(pipe2(pipe_of, O_CLOEXEC), 0);
	to.from = pipe_of[1];
	assert_int_equal(
		spawn_start(&(struct spawn){ .path = path,
				    .argv = (char *[]){ path, report, with, end, sleep, s, NULL },
				    .fds = &to,
				    .n_fds = 1,
				    .new_group = true },
			&pid),
		0);
	close(pipe_of[1]);
	*ret_report = pipe_of[0];
	return pid;
}

/* Its worker is gone, as it runs or before it was started. */
static void
test_ends_with_its_reader(void **state)
{
	char line[16] = "";

	(void)state;
	for (int early = 0; early < 2; early++) {
		int report, status;
		pid_t pid = start_exec("--core=0", &report);

		if (!early)
			assert_int_equal(read(report, line, sizeof(line)), strlen("started\n"));
		close(report);
		status = spawn_wait(pid, NULL);
		kill(-pid, SIGKILL);
		assert_int_equal(status, 1);
	}
	assert_memory_equal(line, "started\n", strlen("started\n"));
}

static void
test_of_another_uid(void **state)
{
	static const char said[] = "error the job's uid: ";
	char line[128] = "";
	int report;
	pid_t pid = start_exec("--uid=54321", &report);

	(void)state;
	assert_true(read(report, line, sizeof(line) - 1) > 0);
	close(report);
	assert_int_equal(spawn_wait(pid, NULL), 127);
	assert_memory_equal(line, said, strlen(said));
}

/* One that waits: its socket is *ret_orders. */
static pid_t
start_waiting(int *ret_orders, int *ret_report)
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	_cleanup_(freep) char *path = path_join(build ? build : ".", "worker/dray-exec");
	char orders[] = "--orders-fd=6", report[] = "--status-fd=5", line[16] = "";
	struct spawn_fd to[2] = { { .to = 5 }, { .to = 6 } };
	int pipe_of[2], pair[2];
	pid_t pid;

	assert_non_null(path);
	assert_int_equal(pipe2(pipe_of, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	to[0].from = pipe_of[1];
	to[1].from = pair[1];
	assert_int_equal(spawn_start(&(struct spawn){ .path = path,
					     .argv = (char *[]){ path, orders, report, NULL },
					     .fds = to,
					     .n_fds = 2 },
				 &pid),
		0);
	close(pipe_of[1]);
	close(pair[1]);
	assert_int_equal(read(pipe_of[0], line, sizeof(line)), strlen("ready\n"));
	assert_memory_equal(line, "ready\n", strlen("ready\n"));
	*ret_report = pipe_of[0];
	*ret_orders = pair[0];
	return pid;
}

/* Nobody will order anything: it was thrown away, or its worker is gone. */
static void
test_never_ordered(void **state)
{
	int orders, report;
	pid_t pid = start_waiting(&orders, &report);

	(void)state;
	close(orders);
	assert_int_equal(spawn_wait(pid, NULL), 1);
	close(report);
}

static void
test_odd_orders(void **state)
{
	static const struct orders m = { 0, 0 };
	static const char said[] = "error orders: Bad message\n";
	char line[128] = "";
	int orders, report;

	(void)state;
	/* too short; and without descriptors */
	for (size_t n = 1; n <= sizeof(m); n += sizeof(m) - 1) {
		pid_t pid = start_waiting(&orders, &report);

		assert_int_equal(send(orders, &m, n, 0), n);
		assert_true(read(report, line, sizeof(line) - 1) > 0);
		assert_string_equal(line, said);
		assert_int_equal(spawn_wait(pid, NULL), 127);
		close(orders);
		close(report);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_with_its_reader),
		cmocka_unit_test(test_of_another_uid),
		cmocka_unit_test(test_never_ordered),
		cmocka_unit_test(test_odd_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
