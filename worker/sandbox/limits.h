/* clang-format off */
/* The limits of a running job, and how they are enforced.
 *
 *   memory, processes   the job's cgroup where the worker has one (cgroup.h); else its processes
 *                       are looked at ten times a second, with rlimits behind
 *   processor time      looked at likewise, with RLIMIT_CPU behind it for each process
 *   bytes and files     looked at likewise: it is a plain directory on the disk of the worker's
 *   in the out-dir      store, so that outputs get into the store by a rename. A tmpfs could be
 *                       limited exactly, but would hold outputs in memory and have them copied;
 *                       project quotas need a file system, and a privilege, that few workers
 *                       have. What can be written between two looks is bounded by the disk's
 *                       speed, one file by RLIMIT_FSIZE; and a disk that is nearly full ends
 *                       the job, too
 *   bytes in /tmp       the size of its tmpfs; files in it are counted
 *   open files          RLIMIT_NOFILE
 *   wall time, text     job.c, job_text.c
 *
 * Looking costs a tenth of a millisecond; where it costs more it is done less often. */
/* clang-format on */
#ifndef DRAY_WORKER_SANDBOX_LIMITS_H
#define DRAY_WORKER_SANDBOX_LIMITS_H

#include <sys/types.h>

#include "common/conf/conf.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/job_user.h"
#include "worker/sandbox/sandbox.h"

struct limits {
	const struct conf *conf;
	uint64_t memory; /* bytes */
	int out, tmp;	 /* the job's directories; -1: not open */
	dev_t out_dev;
	uint64_t next_ms;   /* when to look again; 0: nothing to look at */
	uint64_t oom_kills; /* of the machine, when the job began */
	uint64_t peak;	    /* bytes of memory, the most that was seen */
	bool urgent;
	struct cgroup_job cgroup;
	const struct job_user *user; /* NULL: the worker's own uid */
};

#define LIMITS_INIT                                             \
	{                                                       \
		.out = -1, .tmp = -1, .cgroup = CGROUP_JOB_INIT \
	}

/* What job_memory means on this machine: its value, or the machine's memory by its slots, but not
 * less than 1 GiB of it, nor more than three quarters. */
uint64_t limits_memory(const struct conf *conf);

/* Before a job's sandbox is started: makes its cgroup (where there is one to make it in). *ret_why:
 * as in launch.h. */
int limits_begin(const struct conf *conf, const struct cgroup *cgroup, const char *job,
	const char *out_dir, struct limits *ret, char **ret_why);
/* The job begins only now: what was counted before is not its own, and nothing was looked at. */
void limits_start(struct limits *l);
/* That cgroup, or NULL. */
const struct cgroup_job *limits_cgroup(const struct limits *l);

enum limits_verdict {
	LIMITS_FINE,
	LIMITS_OVER, /* the job used more than it may */
	LIMITS_FULL, /* the worker itself ran out of something: not this job's fault, perhaps */
};

/* Checks the limits when it is time to. The sentence names the limit and the key that sets it. */
enum limits_verdict limits_check(
	struct limits *l, const struct sandbox *box, uint64_t now_ms, char *text, size_t size);
/* After its end: what it left in its out-dir, also between the last look and then. */
enum limits_verdict limits_check_end(struct limits *l, char *text, size_t size);
/* Says why a job's compiler was killed, if not by the worker. Call it after the sandbox was waited
 * for. */
enum limits_verdict limits_why_killed(struct limits *l, char *text, size_t size);
/* Says why a job's compiler may have failed other than by the crate's fault. Call it before
 * limits_done. */
enum limits_verdict limits_why_failed(struct limits *l, char *text, size_t size);
void limits_done(struct limits *l);

#endif
