/* Invariant: a job that is found over a limit ends with a sentence about that limit. A job with
 * files or processes that cannot be looked at ends too: no compile makes such. */
#include "config.h"

#include "worker/sandbox/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

#include "common/clock.h"
#include "common/text/why.h"
#include "worker/sandbox/usage.h"

/* Of a job's share of the machine's memory: what hardly any crate needs more of. A machine with
 * many small slots counts on it that jobs are not all of that size at once. */
#define MEMORY_LEAST (1ull << 30)

#define LOOK_MS 100
#define OPEN_UP_TRIES 4
#define LOOK_SHARE 20 /* the checks take at most one part in so many of the time */
#define DISK_RESERVE (64ull << 20)
#define INODE_RESERVE 1024
/* A /tmp with less room left counts as full: the next write may not have fitted. */
#define TMP_SLACK (64u << 10)

uint64_t
limits_memory(const struct conf *conf)
{
	struct sysinfo si;

	uint64_t all, slots = conf->worker.slots ? conf->worker.slots : conf->worker.cores;

	if (conf->worker.job_memory)
		return conf->worker.job_memory;
	if (sysinfo(&si) < 0)
		return 0;
	all = (uint64_t)si.totalram * si.mem_unit;
	if (!slots)
		slots = (uint64_t)MAX2(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	return MIN2(MAX2(all / slots, MEMORY_LEAST), all / 4 * 3);
}

/* A job that forks without end takes nearly all turns of the processor. The check that ends it must
 * not wait for its own turn. Only a privileged worker may raise its priority, and only root needs
 * it: RLIMIT_NPROC does not bind root's processes. */
static void
set_urgent(pid_t pid, bool urgent)
{
	struct sched_param p = { .sched_priority = urgent ? 1 : 0 };

	(void)sched_setscheduler(pid, urgent ? SCHED_RR | SCHED_RESET_ON_FORK : SCHED_OTHER, &p);
}

int
limits_begin(const struct conf *conf, const struct cgroup *cgroup, const char *job,
	const char *out_dir, struct limits *ret, char **ret_why)
{
	_cleanup_(limits_done) struct limits l = LIMITS_INIT;
	struct stat st;
	int r;

	l.out = open(out_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l.out < 0 || fstat(l.out, &st) < 0)
		return why_set(ret_why, -errno, "out-dir: %s", strerror(errno));
	l.conf = conf_ref(conf);
	l.memory = limits_memory(conf);
	r = cgroup ? cgroup_job_new(cgroup, job, l.memory, conf->worker.job_processes, &l.cgroup)
		   : 0;
	if (r < 0)
		return why_set(ret_why, r, "cannot make a cgroup: %s", strerror(-r));
	l.out_dev = st.st_dev;
	limits_start(&l);
	*ret = l;
	l = (struct limits)LIMITS_INIT;
	return 0;
}

void
limits_start(struct limits *l)
{
	l->oom_kills = usage_oom_kills();
	l->next_ms = clock_mono_ms() + LOOK_MS;
}

const struct cgroup_job *
limits_cgroup(const struct limits *l)
{
	return l->cgroup.dir >= 0 ? &l->cgroup : NULL;
}

void
limits_done(struct limits *l)
{
	if (l->conf)
		conf_unrefp(&l->conf);
	closep(&l->out);
	closep(&l->tmp);
	cgroup_job_done(&l->cgroup);
	l->next_ms = 0;
	if (l->urgent)
		set_urgent(0, false);
	l->urgent = false;
}

static enum limits_verdict
over(char *text, size_t size, const char *what, uint64_t value, const char *unit, const char *key)
{
	snprintf(text, size, "%s %llu%s (worker.%s)", what, (unsigned long long)value, unit, key);
	return LIMITS_OVER;
}

static enum limits_verdict
over_bytes(char *text, size_t size, const char *what, uint64_t bytes, const char *tail,
	const char *key)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	char unit[80];
	size_t i = 0;

	for (; i + 1 < ARRAY_LEN(units) && bytes && bytes % 1024 == 0; i++)
		bytes /= 1024;
	snprintf(unit, sizeof(unit), " %s%s", units[i], tail);
	return over(text, size, what, bytes, unit, key);
}

static enum limits_verdict
over_memory(const struct limits *l, char *text, size_t size)
{
	return over_bytes(text, size, "used more than", l->memory, " of memory", "job_memory");
}

static enum limits_verdict
over_tasks(const struct limits *l, char *text, size_t size)
{
	return over(text, size, "had more than", l->conf->worker.job_processes,
		" processes and threads", "job_processes");
}

static enum limits_verdict
over_cpu(const struct limits *l, char *text, size_t size)
{
	return over(text, size, "used more than", l->conf->worker.job_cpu_s, " s of processor time",
		"job_cpu_s");
}

/* What the kernel did to the group, or counted there. */
static enum limits_verdict
check_cgroup(struct limits *l, char *text, size_t size)
{
	const uint64_t cpu_s = l->conf->worker.job_cpu_s;
	struct cgroup_usage u;

	if (!limits_cgroup(l) || cgroup_job_usage(&l->cgroup, &u) < 0)
		return LIMITS_FINE;
	l->peak = MAX2(l->peak, u.peak);
	if (u.oom_kills)
		return over_memory(l, text, size);
	if (u.forks_refused)
		return over_tasks(l, text, size);
	return cpu_s && u.cpu_us / 1000000 >= cpu_s ? over_cpu(l, text, size) : LIMITS_FINE;
}

/* By way of bwrap, where the process inside is not known or its /proc cannot be looked at. */
static int
look_at_processes(const struct limits *l, const struct sandbox *box, struct usage *ret)
{
	const uint64_t tasks = l->conf->worker.job_processes;
	int r = box->child > 0 ? usage_of_sandbox(box->child, box->pidfd, l->out_dev, tasks, ret)
			       : -ENOENT;

	return r < 0 ? usage_of_processes(box->pid, l->out_dev, tasks, ret) : r;
}

static enum limits_verdict
check_processes(
	struct limits *l, const struct sandbox *box, uint64_t *unlinked, char *text, size_t size)
{
	const uint64_t tasks = l->conf->worker.job_processes, cpu_s = l->conf->worker.job_cpu_s;
	struct usage u;

	/* The job may have ended; then its exit status comes next. */
	if (look_at_processes(l, box, &u) < 0)
		return LIMITS_FINE;
	*unlinked = u.unlinked;
	/* a file without a name is not found there, nor its bytes on the disk */
	if (u.in_sockets) {
		snprintf(text, size, "keeps open files in a socket");
		return LIMITS_OVER;
	}
	if (limits_cgroup(l))
		return check_cgroup(l, text, size);
	l->peak = MAX2(l->peak, u.memory);
	if (l->memory && u.memory > l->memory)
		return over_memory(l, text, size);
	if (u.tasks > tasks)
		return over_tasks(l, text, size);
	if (cpu_s && u.cpu_us / 1000000 >= cpu_s)
		return over_cpu(l, text, size);
	return LIMITS_FINE;
}

static enum limits_verdict
check_disk(const struct limits *l, char *text, size_t size)
{
	struct statvfs v;

	if (fstatvfs(l->out, &v) < 0)
		return LIMITS_FINE;
	/* A file system that makes inodes on demand says that it has 0. */
	if (v.f_bavail * v.f_frsize >= DISK_RESERVE && (!v.f_files || v.f_favail >= INODE_RESERVE))
		return LIMITS_FINE;
	snprintf(text, size, "the worker's disk is full");
	return LIMITS_FULL;
}

/* A job of another uid may have closed a directory, as by its umask. */
static int
look_into(struct limits *l, struct usage_dir *ret)
{
	const uint64_t files = l->conf->worker.job_files_max;
	int r = usage_of_dir(l->out, files, ret);

	/* It may be closing more of them at this very moment. */
	for (unsigned i = 0; i < OPEN_UP_TRIES && r == 0 && ret->hidden && l->user; i++) {
		r = job_user_open_up(l->user, l->out);
		if (r == 0)
			r = usage_of_dir(l->out, files, ret);
	}
	return r;
}

static enum limits_verdict
check_out(struct limits *l, uint64_t unlinked, char *text, size_t size)
{
	const uint64_t files = l->conf->worker.job_files_max, disk = l->conf->worker.job_disk_max;
	struct usage_dir u;

	if (look_into(l, &u) < 0)
		return LIMITS_FINE;
	if (u.entries > files)
		return over(text, size, "made more than", files, " files", "job_files_max");
	if (u.bytes + unlinked > disk)
		return over_bytes(text, size, "wrote more than", disk, " to its output directory",
			"job_disk_max");
	if (u.hidden) {
		snprintf(text, size, "made directories that cannot be looked into");
		return LIMITS_OVER;
	}
	return check_disk(l, text, size);
}

/* The job's own /tmp, reached through its process 1, which stays in the sandbox once it runs. */
static void
open_tmp(struct limits *l, const struct sandbox *box)
{
	char path[48];
	struct statfs f;

	if (l->tmp >= 0 || box->child <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/root/tmp", (int)box->child);
	l->tmp = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->tmp >= 0 && (fstatfs(l->tmp, &f) < 0 || f.f_type != TMPFS_MAGIC))
		closep(&l->tmp);
}

static enum limits_verdict
tmp_usage(const struct limits *l, uint64_t slack, char *text, size_t size)
{
	struct statvfs v;

	if (l->tmp < 0 || fstatvfs(l->tmp, &v) < 0)
		return LIMITS_FINE;
	if (v.f_blocks && v.f_bfree * v.f_frsize <= slack)
		return over_bytes(text, size, "wrote more than", l->conf->worker.job_tmp_max,
			" to /tmp", "job_tmp_max");
	if (v.f_files && v.f_files - v.f_ffree > l->conf->worker.job_files_max)
		return over(text, size, "made more than", l->conf->worker.job_files_max,
			" files in /tmp", "job_files_max");
	return LIMITS_FINE;
}

static enum limits_verdict
check_tmp(struct limits *l, const struct sandbox *box, char *text, size_t size)
{
	open_tmp(l, box);
	return tmp_usage(l, 0, text, size);
}

enum limits_verdict
limits_check_end(struct limits *l, char *text, size_t size)
{
	return check_out(l, 0, text, size);
}

enum limits_verdict
limits_why_failed(struct limits *l, char *text, size_t size)
{
	enum limits_verdict v = check_cgroup(l, text, size);

	if (v == LIMITS_FINE)
		v = check_disk(l, text, size);
	return v == LIMITS_FINE ? tmp_usage(l, TMP_SLACK, text, size) : v;
}

enum limits_verdict
limits_check(struct limits *l, const struct sandbox *box, uint64_t now_ms, char *text, size_t size)
{
	enum limits_verdict v;
	uint64_t unlinked = 0, done;

	if (!l->next_ms || now_ms < l->next_ms)
		return LIMITS_FINE;
	l->next_ms = now_ms + LOOK_MS;
	if (box->phase != SANDBOX_RUNNING)
		return LIMITS_FINE;
	set_urgent(0, true);
	v = check_processes(l, box, &unlinked, text, size);
	if (v == LIMITS_FINE)
		v = check_out(l, unlinked, text, size);
	if (v == LIMITS_FINE)
		v = check_tmp(l, box, text, size);
	if (v == LIMITS_FINE) {
		set_urgent(0, false);
	} else {
		/* Kept until limits_done; the job is killed in between. */
		l->urgent = true;
		if (box->child > 0)
			set_urgent(box->child, true);
	}
	done = clock_mono_ms();
	if (done > now_ms)
		l->next_ms = done + MAX2((uint64_t)LOOK_MS, LOOK_SHARE * (done - now_ms));
	return v;
}

enum limits_verdict
limits_why_killed(struct limits *l, char *text, size_t size)
{
	if (check_cgroup(l, text, size) == LIMITS_OVER)
		return LIMITS_OVER;
	if (usage_oom_kills() > l->oom_kills) {
		snprintf(text, size, "the compiler was killed: the worker ran out of memory");
		return LIMITS_FULL;
	}
	/* A macro can do that to the compiler that it runs in. Another worker would fare no better.
	 */
	snprintf(text, size, "the compiler was killed on the worker, by itself or by hand");
	return LIMITS_OVER;
}
