/* A cgroup (version 2) for each job, where the worker may make groups: below its own group if no
 * other process is in it (a systemd unit with Delegate=yes, a container), or below a directory from
 * the configuration.
 *
 * Then the kernel enforces a job's limits of memory and processes, and counts both and the
 * processor time exactly. */
#ifndef DRAY_WORKER_SANDBOX_CGROUP_H
#define DRAY_WORKER_SANDBOX_CGROUP_H

#include <sys/types.h>

#include "common/base.h"

struct cgroup; /* where jobs' groups are made */

/* dir: a directory of a cgroup2 file system; NULL or "": this process's own group, which this
 * process then leaves for a group "dray-worker" below it (the kernel wants processes in leaves
 * only). What a crash left there is removed. -ENOTSUP and a sentence in *ret_why (caller frees):
 * groups cannot be used, and nothing has changed. */
int cgroup_open(const char *dir, struct cgroup **ret, char **ret_why);
void cgroup_freep(struct cgroup **g);
/* Lets that user make groups there, and put processes into them. 0; or -ENOTSUP, as above. */
int cgroup_give(const struct cgroup *g, uid_t uid, gid_t gid, char **ret_why);
const char *cgroup_path(const struct cgroup *g);

struct cgroup_job {
	char *path;
	int dir, procs; /* its directory, and the file that a process joins by */
};

#define CGROUP_JOB_INIT                \
	{                              \
		.dir = -1, .procs = -1 \
	}

/* name: a plain name. memory: bytes, 0: any. 0 or -errno. */
int cgroup_job_new(const struct cgroup *g, const char *name, uint64_t memory, uint64_t processes,
	struct cgroup_job *ret);

/* Moves a process into the group. The process must not have children yet. */
int cgroup_job_add(const struct cgroup_job *j, pid_t pid);

struct cgroup_usage {
	uint64_t peak;		/* bytes, with the page cache; 0: not known */
	uint64_t cpu_us;	/* of all its processes, ended ones too */
	uint64_t oom_kills;	/* processes killed for being over the limit of memory */
	uint64_t forks_refused; /* for being at the limit of processes */
};

int cgroup_job_usage(const struct cgroup_job *j, struct cgroup_usage *ret);
/* Kills what is in it, and removes it. */
void cgroup_job_done(struct cgroup_job *j);

#endif
