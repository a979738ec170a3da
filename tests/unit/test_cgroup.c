/* Finding this process's cgroup and reading what the kernel counts, from text; and, where this
 * process is alone in a cgroup that it may use, the kernel's own limits. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "common/fs.h"
#include "worker/cgroup.h"

static const char mounts[] =
	"25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw\n"
	"31 25 0:27 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate\n"
	"36 25 0:31 / /sys/fs/bpf rw - bpf bpf rw\n";
static const char hybrid[] =
	"32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	"33 25 0:29 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n";
static const char part[] = "31 25 0:27 /machine/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

static void
assert_located(const char *self, const char *mountinfo, const char *expected)
{
	_cleanup_(freep) char *path = NULL;
	int r = cgroup_locate(self, mountinfo, &path);

	if (!expected) {
		assert_int_equal(r, -ENOENT);
		assert_null(path);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(path, expected);
}

static void
test_locate(void **state)
{
	assert_located("0::/system.slice/dray-worker.service\n", mounts,
		"/sys/fs/cgroup/system.slice/dray-worker.service");
	assert_located("0::/\n", mounts, "/sys/fs/cgroup/");
	assert_located("4:memory:/a\n1:cpu:/\n0::/b c/d\n", hybrid, "/sys/fs/cgroup/unified/b c/d");
	assert_located("0::/machine/a/b\n", part, "/sys/fs/cgroup/b");
	/* not below what is mounted here */
	assert_located("0::/machine/ab\n", part, NULL);
	assert_located("0::/../x\n", mounts, NULL);
	/* version 1 only, nothing, rubbish */
	assert_located("4:memory:/a\n", mounts, NULL);
	assert_located("0::/x\n", "32 25 0:28 / /m rw - cgroup cgroup rw,memory\n", NULL);
	assert_located("", mounts, NULL);
	assert_located("0::", mounts, NULL);
	assert_located("0::\n0::/x", "", NULL);
	assert_located("0::/x\n", " - cgroup2 \n\n - cgroup2 - cgroup2 ", NULL);
}

static void
test_number(void **state)
{
	static const char events[] = "low 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";

	assert_int_equal(cgroup_number(events, "oom_kill"), 2);
	assert_int_equal(cgroup_number(events, "oom"), 3);
	assert_int_equal(cgroup_number(events, "low"), 0);
	assert_int_equal(cgroup_number(events, "kill"), 0);
	assert_int_equal(cgroup_number("max", "max"), 0);
	assert_int_equal(cgroup_number("", "max"), 0);
	assert_int_equal(cgroup_number("\n\nmax 4", "max"), 4);
}

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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_locate),
		cmocka_unit_test(test_number), cmocka_unit_test(test_not_to_be_had),
		cmocka_unit_test(test_kernel) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
