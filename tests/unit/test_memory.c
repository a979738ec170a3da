/* memory: the kernel's texts, and how many compiles there is room for. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/slots/memory.h"
#include "common/fs.h"

#define M ((uint64_t)1 << 20)
#define NEED (512 * M)

static void
test_meminfo(void **state)
{
	static const char *const bad[] = {
		"",
		"MemTotal: 1 kB\n",
		"MemAvailable:\n",
		"MemAvailable: kB\n",
		"MemAvailable: 12\n",
		"MemAvailable: 12 MB\n",
		"MemAvailable: -12 kB\n",
		"XMemAvailable: 12 kB\n",
		"MemAvailable: 99999999999999999 kB\n",
	};
	uint64_t n = 7;

	assert_int_equal(memory_parse_available("MemTotal:       32866364 kB\n"
						"MemFree:         1046072 kB\n"
						"MemAvailable:   23729316 kB\n"
						"Buffers:          131244 kB\n",
				 &n),
		0);
	assert_int_equal(n, 23729316ull * 1024);
	assert_int_equal(memory_parse_available("MemAvailable:          0 kB", &n), 0);
	assert_int_equal(n, 0);
	n = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (memory_parse_available(bad[i], &n) != -EBADMSG)
			fail_msg("taken: \"%s\"", bad[i]);
	assert_int_equal(n, 7);
}

static void
test_pressure(void **state)
{
	static const char both[] = "some avg10=12.34 avg60=0.00 avg300=0.28 total=32984346\n"
				   "full avg10=56.78 avg60=0.00 avg300=0.04 total=9792255\n";
	static const char *const bad[] = {
		"",
		"some",
		"some avg10=\n",
		"some avg10=1\n",
		"some avg10=-1.00 avg60=0.00\n",
		"some avg10=101.00 avg60=0.00\n",
		"somewhat avg10=1.00 avg60=0.00\n",
		"full avg10=1.00 avg60=0.28 avg300=0.28 total=1\n",
	};
	unsigned n = 7;

	assert_int_equal(memory_parse_pressure(both, "some", &n), 0);
	assert_int_equal(n, 1234);
	assert_int_equal(memory_parse_pressure(both, "full", &n), 0);
	assert_int_equal(n, 5678);
	assert_int_equal(memory_parse_pressure(
				 "some avg10=100.00 avg60=0.00 avg300=0.28 total=1\n", "some", &n),
		0);
	assert_int_equal(n, 10000);
	assert_int_equal(memory_parse_pressure("some avg10=0.05 avg60=0.00", "some", &n), 0);
	assert_int_equal(n, 5);
	n = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (memory_parse_pressure(bad[i], "some", &n) != -EBADMSG)
			fail_msg("taken: \"%s\"", bad[i]);
	assert_int_equal(memory_parse_pressure("some avg10=1.00 avg60=0.00", "full", &n), -EBADMSG);
	assert_int_equal(n, 7);
}

static void
test_slots(void **state)
{
	static const struct {
		uint64_t available;
		unsigned pressure, n, held, young, want;
	} cases[] = {
		/* enough */
		{ 64 * NEED, 0, 8, 0, 0, 8 },
		{ 64 * NEED, 0, 8, 8, 8, 8 },
		{ 8 * NEED, 0, 8, 0, 0, 8 },
		/* room for three more than there are */
		{ 3 * NEED, 0, 8, 0, 0, 3 },
		{ 3 * NEED, 0, 8, 4, 0, 7 },
		{ 4 * NEED - 1, 0, 8, 4, 0, 7 },
		/* but two of these have just begun */
		{ 3 * NEED, 0, 8, 4, 2, 5 },
		{ 3 * NEED, 0, 8, 2, 2, 3 },
		/* all have, and there is no room for them: those that run do so */
		{ 1 * NEED, 0, 8, 4, 4, 1 },
		/* nothing left: none beside those that run; and one if none does */
		{ NEED - 1, 0, 8, 4, 0, 4 },
		{ 0, 0, 8, 4, 1, 3 },
		{ 0, 0, 8, 1, 0, 1 },
		{ 0, 0, 8, 0, 0, 1 },
		{ 0, 0, 1, 0, 0, 1 },
		/* more young ones than are held (they ended meanwhile) */
		{ 2 * NEED, 0, 8, 1, 3, 2 },
		/* the machine waits for memory, whatever there is */
		{ 64 * NEED, MEMORY_PRESSURE_HIGH, 8, 4, 0, 4 },
		{ 64 * NEED, MEMORY_PRESSURE_HIGH - 1, 8, 4, 0, 8 },
		{ 64 * NEED, 10000, 8, 1, 1, 1 },
		{ 64 * NEED, 10000, 8, 0, 0, 1 },
		{ 0, 10000, 8, 3, 0, 3 },
		/* more than any number of slots */
		{ UINT64_MAX, 0, 8, 8, 0, 8 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct memory_now m = { .known = true,
			.available = cases[i].available,
			.pressure = cases[i].pressure };
		unsigned got = memory_slots(&m, NEED, cases[i].n, cases[i].held, cases[i].young);

		if (got != cases[i].want)
			fail_msg("case %zu: %u, not %u", i, got, cases[i].want);
	}
}

static void
test_not_looked_at(void **state)
{
	struct memory_now m = { .known = true, .available = 0, .pressure = 10000, .io = 10000 };

	assert_int_equal(memory_slots(&m, 0, 8, 4, 4), 8);
	/* a kernel that does not say how much there is may still say that it is short */
	m.known = false;
	assert_int_equal(memory_slots(&m, NEED, 8, 4, 0), 4);
	m.pressure = m.io = 0;
	assert_int_equal(memory_slots(&m, NEED, 8, 4, 0), 8);
}

/* This machine's own files: what is known is sensible. */
static void
test_read(void **state)
{
	struct memory_now m;

	memory_read("", &m);
	assert_true(m.known);
	assert_true(m.available > M && m.available < (uint64_t)1 << 50);
	assert_true(m.pressure <= 10000 && m.io <= 10000);
}

/* Likewise if it waits for disks. */
static void
test_slots_by_io(void **state)
{
	struct memory_now m = { .known = true, .available = 64 * NEED, .io = MEMORY_IO_HIGH };

	assert_int_equal(memory_slots(&m, NEED, 8, 4, 0), 4);
	assert_int_equal(memory_slots(&m, NEED, 8, 0, 0), 1);
	m.io--;
	assert_int_equal(memory_slots(&m, NEED, 8, 4, 0), 8);
}

static void
test_why_not(void **state)
{
	struct memory_now m = { .known = true, .available = 2 * NEED };

	assert_int_equal(memory_lack(&m, NEED, 8, 4, 0), MEMORY_ENOUGH);
	assert_int_equal(memory_lack(&m, NEED, 8, 4, 2), MEMORY_NO_ROOM);
	m.io = MEMORY_IO_HIGH;
	assert_int_equal(memory_lack(&m, NEED, 8, 4, 0), MEMORY_IO_PRESSURE);
	m.pressure = MEMORY_PRESSURE_HIGH;
	assert_int_equal(memory_lack(&m, NEED, 8, 4, 0), MEMORY_UNDER_PRESSURE);
	assert_int_equal(memory_lack(&m, NEED, 8, 1, 1), MEMORY_UNDER_PRESSURE);
	assert_int_equal(memory_lack(&m, NEED, 8, 0, 0), MEMORY_ENOUGH);
	assert_int_equal(memory_lack(&m, 0, 8, 4, 4), MEMORY_ENOUGH);
}

static void
put(const char *root, const char *path, const char *fmt, ...)
{
	_cleanup_(freep) char *full = path_join(root, path);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_int_equal(fs_mkdir_parent(full, 0755), 0);
	assert_int_equal(fs_write_atomic(full, text, strlen(text), 0644), 0);
}

/* max, high: bytes, 0 for none. */
static void
put_group(const char *root, const char *dir, uint64_t max, uint64_t high, uint64_t current,
	uint64_t files)
{
	static const char top[] = "/sys/fs/cgroup";
	_cleanup_(freep) char *at = path_join(root, top), *group = path_join(at, dir);

	put(group, "cgroup.procs", "1\n");
	if (max)
		put(group, "memory.max", "%" PRIu64 "\n", max);
	else
		put(group, "memory.max", "max\n");
	if (high)
		put(group, "memory.high", "%" PRIu64 "\n", high);
	else
		put(group, "memory.high", "max\n");
	put(group, "memory.current", "%" PRIu64 "\n", current);
	put(group, "memory.stat",
		"anon 1\nfile 2\ninactive_file %" PRIu64 "\nactive_file 4096\n"
		"slab_reclaimable 4096\nslab 3\n",
		files);
}

static uint64_t
available(const char *root)
{
	struct memory_now m;

	memory_read(root, &m);
	assert_true(m.known);
	return m.available;
}

/* A machine with 8000 MiB, of which a container may have less. */
static void
test_groups(void **state)
{
	_cleanup_(freep) char *root = NULL;
	struct memory_now m;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-memory-", &root), 0);
	memory_read(root, &m);
	assert_false(m.known);
	put(root, "/proc/meminfo", "MemAvailable: 8192000 kB\n");
	put(root, "/proc/self/mountinfo",
		"31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
	put(root, "/proc/self/cgroup", "4:memory:/x\n");
	/* version 1; no files; a group without limits; the machine's root group has none */
	assert_int_equal(available(root), 8000 * M);
	put(root, "/proc/self/cgroup", "0::/pod/build\n");
	assert_int_equal(available(root), 8000 * M);
	put(root, "/sys/fs/cgroup/cgroup.procs", "1\n");
	put_group(root, "/pod", 0, 0, 3000 * M, 0);
	put_group(root, "/pod/build", 0, 0, 2000 * M, 0);
	assert_int_equal(available(root), 8000 * M);
	/* its own limit; files' pages and the like are given back */
	put_group(root, "/pod/build", 4000 * M, 0, 1000 * M, 0);
	assert_int_equal(available(root), 3000 * M + 8192);
	put_group(root, "/pod/build", 4000 * M, 0, 4000 * M, 2500 * M);
	assert_int_equal(available(root), 2500 * M + 8192);
	/* more than is used is not given back; over the limit there is nothing */
	put_group(root, "/pod/build", 4000 * M, 0, 1000 * M, 2000 * M);
	assert_int_equal(available(root), 4000 * M);
	put_group(root, "/pod/build", 4000 * M, 0, 5000 * M, 0);
	assert_int_equal(available(root), 0);
	/* memory.high is one, too */
	put_group(root, "/pod/build", 4000 * M, 1500 * M, 1000 * M, 0);
	assert_int_equal(available(root), 500 * M + 8192);
	/* the limit of one above; a group between without that controller */
	put_group(root, "/pod", 2000 * M, 0, 1900 * M, 0);
	assert_int_equal(available(root), 100 * M + 8192);
	put(root, "/proc/self/cgroup", "0::/pod/plain/build\n");
	put(root, "/sys/fs/cgroup/pod/plain/cgroup.procs", "1\n");
	put(root, "/sys/fs/cgroup/pod/plain/build/cgroup.procs", "1\n");
	assert_int_equal(available(root), 100 * M + 8192);
	/* more than the machine has */
	put_group(root, "/pod", 20000 * M, 0, 1000 * M, 0);
	assert_int_equal(available(root), 8000 * M);
	/* nothing but the group is known */
	put_group(root, "/pod", 2000 * M, 0, 1000 * M, 0);
	put(root, "/proc/meminfo", "MemFree: 1 kB\n");
	assert_int_equal(available(root), 1000 * M + 8192);
	/* what makes no sense is no limit */
	put(root, "/sys/fs/cgroup/pod/memory.current", "much\n");
	memory_read(root, &m);
	assert_false(m.known);
	fs_rm_rf(root);
}

/* some: of memory; full: of io. In hundredths. */
static void
put_pressure(const char *root, const char *memory, const char *io, unsigned some, unsigned full)
{
	put(root, memory,
		"some avg10=%u.%02u avg60=0.00 avg300=0.00 total=1\n"
		"full avg10=0.01 avg60=0.00 avg300=0.00 total=1\n",
		some / 100, some % 100);
	put(root, io,
		"some avg10=99.00 avg60=0.00 avg300=0.00 total=1\n"
		"full avg10=%u.%02u avg60=0.00 avg300=0.00 total=1\n",
		full / 100, full % 100);
}

static void
assert_pressure(const char *root, unsigned some, unsigned full)
{
	struct memory_now m;

	memory_read(root, &m);
	assert_int_equal(m.pressure, some);
	assert_int_equal(m.io, full);
}

#define GROUP "/sys/fs/cgroup/pod"

/* The machine's pressure, or that within the limits of the groups that the build is in. */
static void
test_pressure_is_read(void **state)
{
	_cleanup_(freep) char *root = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-memory-", &root), 0);
	assert_pressure(root, 0, 0);
	put_pressure(root, "/proc/pressure/memory", "/proc/pressure/io", 1234, 5678);
	assert_pressure(root, 1234, 5678);
	put(root, "/proc/self/mountinfo",
		"31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
	put(root, "/proc/self/cgroup", "0::/pod/build\n");
	put(root, "/sys/fs/cgroup/cgroup.procs", "1\n");
	put_group(root, "/pod", 0, 0, 1000 * M, 0);
	put_group(root, "/pod/build", 0, 0, 1000 * M, 0);
	put_pressure(root, GROUP "/memory.pressure", GROUP "/io.pressure", 5, 600);
	put_pressure(root, GROUP "/build/memory.pressure", GROUP "/build/io.pressure", 7, 500);
	/* groups without a limit share what the machine has */
	assert_pressure(root, 1234, 5678);
	put_group(root, "/pod", 4000 * M, 0, 1000 * M, 0);
	assert_pressure(root, 5, 600);
	/* each that has one */
	put_group(root, "/pod/build", 0, 2000 * M, 1000 * M, 0);
	assert_pressure(root, 7, 600);
	/* what does not tell, or not sensibly, is as before */
	put(root, GROUP "/build/memory.pressure", "some avg10=much\n");
	assert_pressure(root, 5, 600);
	put_group(root, "/pod/build", 0, 0, 1000 * M, 0);
	put(root, GROUP "/memory.pressure", "?\n");
	put(root, GROUP "/io.pressure", "\n");
	assert_pressure(root, 1234, 5678);
	/* the machine's files are not shown in there */
	put_pressure(root, GROUP "/build/memory.pressure", GROUP "/build/io.pressure", 7, 500);
	put(root, "/proc/pressure/memory", "\n");
	put(root, "/proc/pressure/io", "\n");
	assert_pressure(root, 7, 500);
	fs_rm_rf(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_not_looked_at),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_slots_by_io),
		cmocka_unit_test(test_why_not),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_pressure_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
