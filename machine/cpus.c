#include "config.h"

#include "machine/cpus.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>

#include "machine/cgroupfs.h"
#include "common/fs.h"

#define SMALL_FILE 4096
#define LARGE_FILE (1u << 20)
#define V1_MOUNTS 2

static unsigned
by_affinity(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)MAX2(CPU_COUNT(&set), 1);
	/* more than 1024 of them */
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

static unsigned
whole(uint64_t quota, uint64_t period)
{
	if (period == 0)
		return UINT_MAX;
	return (unsigned)MIN2(MAX2(quota / period, UINT64_C(1)), (uint64_t)UINT_MAX);
}

unsigned
cpus_parse_max(const char *text)
{
	uint64_t quota, period;

	if (sscanf(text, "%18" SCNu64 " %18" SCNu64, &quota, &period) != 2)
		return UINT_MAX;
	return whole(quota, period);
}

static bool
read_below(const char *dir, const char *name, struct buf *ret)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	return path && fs_read_file(path, SMALL_FILE, ret) == 0 && ret->n > 0;
}

/* Version 2. */
static unsigned
max_of(const char *dir)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return read_below(dir, "cpu.max", &b) ? cpus_parse_max((const char *)b.p) : UINT_MAX;
}

/* Version 1. A quota of -1 is none. */
static unsigned
cfs_of(const char *dir)
{
	_cleanup_(buf_done) struct buf q = BUF_INIT;
	_cleanup_(buf_done) struct buf p = BUF_INIT;
	int64_t quota, period;

	if (!read_below(dir, "cpu.cfs_quota_us", &q) || !read_below(dir, "cpu.cfs_period_us", &p) ||
		sscanf((const char *)q.p, "%18" SCNd64, &quota) != 1 ||
		sscanf((const char *)p.p, "%18" SCNd64, &period) != 1 || quota <= 0 || period <= 0)
		return UINT_MAX;
	return whole((uint64_t)quota, (uint64_t)period);
}

/* The least of a group and those above it. */
static unsigned
least_upwards(const char *root, const char *group, unsigned (*limit)(const char *dir))
{
	_cleanup_(freep) char *dir = path_join(root, group);
	unsigned least = UINT_MAX;

	while (dir) {
		_cleanup_(freep) char *procs = path_join(dir, "cgroup.procs");
		unsigned n;
		char *up;

		if (!procs || !fs_exists(procs))
			break;
		n = limit(dir);
		least = MIN2(least, n);
		up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	return least;
}

/* Version 1: the line "N:cpu,cpuacct:/group" of /proc/self/cgroup. */
static char *
v1_group(const char *self)
{
	for (const char *line = self; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char names[64], path[PATH_MAX];
		char *rest, *word;

		if (sscanf(line, "%*d:%63[^:\n]:%4095[^\n]", names, path) != 2)
			continue;
		for (word = strtok_r(names, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
			if (streq(word, "cpu"))
				return strdup(path);
	}
	return NULL;
}

/* In a container the group may be mounted as the root of what is seen. */
static unsigned
by_v1(const char *root)
{
	static const char *const mounts[V1_MOUNTS] = { "/sys/fs/cgroup/cpu",
		"/sys/fs/cgroup/cpu,cpuacct" };
	_cleanup_(freep) char *file = path_join(root, "/proc/self/cgroup");
	_cleanup_(buf_done) struct buf self = BUF_INIT;
	_cleanup_(freep) char *group = NULL;
	unsigned least = UINT_MAX;

	if (!file || fs_read_file(file, LARGE_FILE, &self) < 0 || !self.n)
		return UINT_MAX;
	group = v1_group((const char *)self.p);
	for (size_t i = 0; group && i < V1_MOUNTS; i++) {
		_cleanup_(freep) char *dir = path_join(mounts[i], group);
		unsigned n = UINT_MAX;

		if (dir && !streq(group, "/"))
			n = least_upwards(root, dir, cfs_of);
		if (n == UINT_MAX)
			n = least_upwards(root, mounts[i], cfs_of);
		least = MIN2(least, n);
	}
	return least;
}

unsigned
cpus_usable(const char *root)
{
	_cleanup_(freep) char *own = NULL;
	unsigned n = by_affinity(), quota = UINT_MAX;

	if (n > 1 && cgroupfs_own(root, &own) == 0)
		quota = least_upwards(root, own, max_of);
	if (n > 1 && quota == UINT_MAX)
		quota = by_v1(root);
	return MIN2(n, quota);
}
