/* Where this process is alone in a cgroup that it may use: the kernel's own limits. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "common/fs.h"
#include "worker/sandbox/cgroup.h"

static void
test_not_to_be_had(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *g = NULL;
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(cgroup_open("/proc/self", &g, &why), -ENOTSUP);
	assert_non_null(why);
	assert_null(g);
}

/* Runs fn in the job's group. */
static int
run_in(const struct cgroup_job *j, int (*fn)(void))
{
	int go[2], status = -1;
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &c, 1) == 1 ? fn() : 99);
	}
	assert_int_equal(cgroup_job_add(j, pid), 0);
	assert_int_equal(write(go[1], "x", 1), 1);
	close(go[0]);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
take_memory(void)
{
	const size_t n = 64u << 20;
	volatile char *p = malloc(n);

	for (size_t i = 0; p && i < n; i += 1024)
		p[i] = 1;
	return 0;
}

static int
take_processes(void)
{
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 7;
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	return 0;
}

/* Only where DRAY_TEST_CGROUP says so: this process leaves its group for one below. */
static void
test_kernel(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *g = NULL;
	_cleanup_(freep) char *why = NULL;
	_cleanup_(cgroup_job_done) struct cgroup_job j = CGROUP_JOB_INIT;
	_cleanup_(freep) char *path = NULL;
	struct cgroup_usage u;
	int status;

	if (!getenv("DRAY_TEST_CGROUP"))
		skip();
	if (cgroup_open(NULL, &g, &why) < 0)
		fail_msg("%s", why);

	assert_int_equal(cgroup_job_new(g, "memory", 16 << 20, 10, &j), 0);
	status = run_in(&j, take_memory);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(cgroup_job_usage(&j, &u), 0);
	assert_true(u.oom_kills >= 1);
	assert_int_equal(u.forks_refused, 0);
	assert_true(u.cpu_us > 0);
	path = strdup(j.path);
	cgroup_job_done(&j);
	assert_false(fs_exists(path));

	assert_int_equal(cgroup_job_new(g, "processes", 0, 10, &j), 0);
	status = run_in(&j, take_processes);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(cgroup_job_usage(&j, &u), 0);
	assert_true(u.forks_refused >= 1);
	assert_int_equal(u.oom_kills, 0);
	/* Its children run on; with the group they end. */
	free(path);
	path = strdup(j.path);
	cgroup_job_done(&j);
	assert_false(fs_exists(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_not_to_be_had),
		cmocka_unit_test(test_kernel) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
