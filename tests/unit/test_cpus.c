/* How many processors may be kept busy: affinity, and quotas of either version of cgroups. */
#include "config.h"

#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "machine/cpus.h"
#include "common/fs.h"

static char *root;

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-cpus-", &root);
}

static int
teardown(void **state)
{
	fs_rm_rf(root);
	free(root);
	return 0;
}

static void
put(const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(root, name);

	assert_int_equal(fs_mkdir_parent(path, 0700), 0);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
}

static unsigned
affinity(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return (unsigned)CPU_COUNT(&set);
}

static void
test_max(void **state)
{
	assert_int_equal(cpus_parse_max("max 100000\n"), UINT_MAX);
	assert_int_equal(cpus_parse_max("200000 100000\n"), 2);
	assert_int_equal(cpus_parse_max("250000 100000\n"), 2);
	assert_int_equal(cpus_parse_max("50000 100000\n"), 1);
	assert_int_equal(cpus_parse_max("0 0"), UINT_MAX);
	assert_int_equal(cpus_parse_max(""), UINT_MAX);
}

static void
test_version_2(void **state)
{
	put("proc/self/cgroup", "0::/a/b\n");
	put("proc/self/mountinfo", "31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
	put("sys/fs/cgroup/cgroup.procs", "");
	put("sys/fs/cgroup/a/cgroup.procs", "");
	put("sys/fs/cgroup/a/b/cgroup.procs", "");
	assert_int_equal(cpus_usable(root), affinity());
	put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	assert_int_equal(cpus_usable(root), affinity());
	/* one above it */
	put("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
	assert_int_equal(cpus_usable(root), 1);
	put("sys/fs/cgroup/a/cpu.max", "9900000 100000\n");
	assert_int_equal(cpus_usable(root), MIN2(affinity(), 99u));
	put("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
	assert_int_equal(cpus_usable(root), 1);
}

static void
test_version_1(void **state)
{
	put("proc/self/cgroup", "3:cpuset:/c\n2:cpuacct,cpu:/a\n0::/\n");
	put("proc/self/mountinfo", "");
	put("sys/fs/cgroup/cpu/cgroup.procs", "");
	put("sys/fs/cgroup/cpu/a/cgroup.procs", "");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpus_usable(root), affinity());
	put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(cpus_usable(root), 1);
	/* a container sees its own group as the root */
	put("proc/self/cgroup", "2:cpu:/docker/0123\n");
	assert_int_equal(cpus_usable(root), affinity());
	put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(cpus_usable(root), 1);
}

static void
test_nothing_is_known(void **state)
{
	assert_int_equal(cpus_usable(root), affinity());
	put("proc/self/cgroup", "rubbish\n:::\n1:cpu\n");
	assert_int_equal(cpus_usable(root), affinity());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_max),
		cmocka_unit_test_setup_teardown(test_version_2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
