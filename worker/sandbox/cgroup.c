/* Invariant: a group is used only once its controllers memory and pids are on for jobs.
 */
#include "config.h"

#include "worker/sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "machine/cgroupfs.h"
#include "common/fs.h"
#include "common/text/why.h"

#define OWN "dray-worker"
#define JOB_PREFIX "dray-job-"
#define REMOVE_TRIES 200 /* of 5 ms each: killed processes have to be gone first */

struct cgroup {
	char *path;
	bool own; /* this process was moved to a group of its own below */
};

static int
write_at(int dir, const char *name, const char *text)
{
	_cleanup_(closep) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* These files say their size is 0; they are small. */
static int
read_at(int dir, const char *name, char *out, size_t size)
{
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || at[-1] == ' ') && (!at[n] || strchr(" \n", at[n])))
			return true;
	return false;
}

static void
remove_group(int at, const char *name)
{
	for (unsigned i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	}
}

static void
kill_group(int dir)
{
	/* Linux 5.14; before that, a job's process 1 has been killed, and with it all others. */
	(void)write_at(dir, "cgroup.kill", "1");
}

static void
remove_left(int dir)
{
	_cleanup_(closedirp) DIR *d = NULL;
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	d = own < 0 ? NULL : fdopendir(own);
	if (!d)
		return;
	while ((e = readdir(d))) {
		_cleanup_(closep) int job = -1;

		if (!starts_with(e->d_name, JOB_PREFIX))
			continue;
		job = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (job >= 0)
			kill_group(job);
		remove_group(dir, e->d_name);
	}
}

static int
enter(int dir, const char *name)
{
	_cleanup_(closep) int leaf = -1;

	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	leaf = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return leaf < 0 ? -errno : write_at(leaf, "cgroup.procs", "0");
}

static int
turn_on(struct cgroup *g, char **ret_why)
{
	_cleanup_(closep) int dir = open(g->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[1024];
	int r = dir < 0 ? -errno : read_at(dir, "cgroup.controllers", text, sizeof(text));

	if (r < 0)
		return why_set(ret_why, -ENOTSUP, "%s: %s", g->path, strerror(-r));
	if (!has_word(text, "memory") || !has_word(text, "pids"))
		return why_set(ret_why, -ENOTSUP, "%s has no memory and pids controllers", g->path);
	/* The machine's root group was not delegated to this worker. */
	if (g->own && faccessat(dir, "cgroup.type", F_OK, 0) < 0)
		return why_set(ret_why, -ENOTSUP, "%s is not this worker's alone", g->path);
	r = g->own ? enter(dir, OWN) : 0;
	if (r == 0) {
		r = write_at(dir, "cgroup.subtree_control", "+memory +pids");
		if (r < 0 && g->own && write_at(dir, "cgroup.procs", "0") == 0)
			remove_group(dir, OWN);
	}
	if (r < 0)
		return why_set(ret_why, -ENOTSUP, "%s: %s", g->path,
			r == -EBUSY ? "other processes are in it" : strerror(-r));
	/* Where there are these two, a job takes no more than its share of them from the worker and
	 * from other jobs. */
	(void)write_at(dir, "cgroup.subtree_control", "+cpu");
	(void)write_at(dir, "cgroup.subtree_control", "+io");
	remove_left(dir);
	return 0;
}

int
cgroup_open(const char *dir, struct cgroup **ret, char **ret_why)
{
	_cleanup_(cgroup_freep) struct cgroup *g = calloc(1, sizeof(*g));
	int r = g ? 0 : -ENOMEM;

	if (r == 0 && dir && *dir) {
		g->path = strdup(dir);
		r = g->path ? 0 : -ENOMEM;
	} else if (r == 0) {
		g->own = true;
		r = cgroupfs_own("", &g->path);
	}
	if (r < 0)
		return why_set(ret_why, -ENOTSUP, "%s",
			r == -ENOENT ? "no cgroup version 2 here" : strerror(-r));
	r = turn_on(g, ret_why);
	if (r == 0)
		*ret = steal_ptr(g);
	return r;
}

int
cgroup_give(const struct cgroup *g, uid_t uid, gid_t gid, char **ret_why)
{
	/* cgroups(7), "delegation": who may move a process has cgroup.procs of the group above both
	 */
	static const char *const files[] = { "cgroup.procs", "cgroup.threads",
		"cgroup.subtree_control" };
	_cleanup_(closep) int dir = open(g->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 || fchown(dir, uid, gid) < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++)
		if (fchownat(dir, files[i], uid, gid, 0) < 0 && errno != ENOENT)
			r = -errno;
	return r < 0 ? why_set(ret_why, -ENOTSUP, "%s cannot be given to the worker's user: %s",
			       g->path, strerror(-r))
		     : 0;
}

void
cgroup_freep(struct cgroup **g)
{
	if (*g)
		free((*g)->path);
	free(*g);
	*g = NULL;
}

const char *
cgroup_path(const struct cgroup *g)
{
	return g->path;
}

static int
set_number(int dir, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_at(dir, name, text);
}

int
cgroup_job_new(const struct cgroup *g, const char *name, uint64_t memory, uint64_t processes,
	struct cgroup_job *ret)
{
	_cleanup_(cgroup_job_done) struct cgroup_job j = CGROUP_JOB_INIT;
	int r;

	if (asprintf(&j.path, "%s/" JOB_PREFIX "%s", g->path, name) < 0) {
		j.path = NULL;
		return -ENOMEM;
	}
	if (mkdir(j.path, 0755) < 0) {
		r = -errno;
		free(steal_ptr(j.path));
		return r;
	}
	j.dir = open(j.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (j.dir < 0)
		return -errno;
	r = memory ? set_number(j.dir, "memory.max", memory) : 0;
	/* The kernel kills all of the group: half a compile is of no use. */
	if (r == 0)
		r = write_at(j.dir, "memory.oom.group", "1");
	if (r == 0)
		r = set_number(j.dir, "pids.max", processes);
	if (r < 0)
		return r;
	/* Against the worker's own group, which has 100 each: it answers clients while jobs run. */
	(void)write_at(j.dir, "cpu.weight", "50");
	(void)write_at(j.dir, "io.weight", "50");
	/* Without swap, so that the limit counts all that a job takes. */
	(void)write_at(j.dir, "memory.swap.max", "0");
	j.procs = openat(j.dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (j.procs < 0)
		return -errno;
	*ret = j;
	j = (struct cgroup_job)CGROUP_JOB_INIT;
	return 0;
}

int
cgroup_job_add(const struct cgroup_job *j, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return write(j->procs, text, strlen(text)) < 0 ? -errno : 0;
}

int
cgroup_job_usage(const struct cgroup_job *j, struct cgroup_usage *ret)
{
	struct cgroup_usage u = { 0 };
	char text[4096];
	int r = read_at(j->dir, "memory.events", text, sizeof(text));

	if (r < 0)
		return r;
	u.oom_kills = cgroupfs_number(text, "oom_kill");
	r = read_at(j->dir, "pids.events", text, sizeof(text));
	if (r < 0)
		return r;
	u.forks_refused = cgroupfs_number(text, "max");
	r = read_at(j->dir, "cpu.stat", text, sizeof(text));
	if (r < 0)
		return r;
	u.cpu_us = cgroupfs_number(text, "usage_usec");
	/* Linux 5.19. */
	if (read_at(j->dir, "memory.peak", text, sizeof(text)) == 0)
		u.peak = strtoull(text, NULL, 10);
	*ret = u;
	return 0;
}

void
cgroup_job_done(struct cgroup_job *j)
{
	if (j->dir >= 0)
		kill_group(j->dir);
	closep(&j->procs);
	closep(&j->dir);
	if (j->path)
		remove_group(AT_FDCWD, j->path);
	free(j->path);
	*j = (struct cgroup_job)CGROUP_JOB_INIT;
}
