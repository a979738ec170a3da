/* Finding this process's cgroup and reading what the kernel counts, from text. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine/cgroupfs.h"
#include "common/fs.h"

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
	int r = cgroupfs_locate(self, mountinfo, &path);

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
	assert_located("0::/\n", mounts, "/sys/fs/cgroup");
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

	assert_int_equal(cgroupfs_number(events, "oom_kill"), 2);
	assert_int_equal(cgroupfs_number(events, "oom"), 3);
	assert_int_equal(cgroupfs_number(events, "low"), 0);
	assert_int_equal(cgroupfs_number(events, "kill"), 0);
	assert_int_equal(cgroupfs_number("max", "max"), 0);
	assert_int_equal(cgroupfs_number("", "max"), 0);
	assert_int_equal(cgroupfs_number("\n\nmax 4", "max"), 4);
}

/* This machine's own, where it has one. */
static void
test_own(void **state)
{
	_cleanup_(freep) char *path = NULL, *procs = NULL;
	int r = cgroupfs_own("", &path);

	if (r < 0)
		skip();
	assert_true(path_is_normal(path));
	procs = path_join(path, "cgroup.procs");
	assert_true(fs_exists(procs));
	free(steal_ptr(path));
	assert_int_equal(cgroupfs_own("/nonexistent", &path), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locate),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
