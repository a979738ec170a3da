/* Runs a toolchain's driver in the very sandbox that jobs get, to see that it works: no program of
 * a toolchain that a client gave runs anywhere else. */
#ifndef DRAY_WORKER_TRIAL_H
#define DRAY_WORKER_TRIAL_H

#include "common/buf.h"
#include "common/conf/conf.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/job_user.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/sysroot.h"

#define TRIAL_OUT_MAX 4096
#define TRIAL_MS 30000

struct trial_conf {
	const struct conf *conf;
	const char *jobs_dir, *tools_dir; /* as in struct job_shared */
	const struct filters *filters;
	struct job_users *users; /* NULL: none. Given up where no toolchain can be run by them, but
				    for one that a client gave */
	const struct cgroup *cgroup; /* NULL: none may be used */
	bool (*stop)(void *arg);     /* whether it is to end now; NULL: it never is */
	void *arg;
};

struct trial {
	const struct trial_conf *c;
	const struct sysroot *sysroot;
	const char *driver;
	const char *job;    /* the name of its directory */
	const char *target; /* of TRIAL_COMPILES: NULL: the host */
	bool foreign;	    /* a client gave it */
};

/* `driver -vV`. What it prints, at most TRIAL_OUT_MAX bytes of it, is added to out, which may be
 * NULL. 0; -EPERM: the sandbox itself failed; -ENOEXEC: it does not run, not within
 * TRIAL_MS, or not within a job's limits; with a sentence in *ret_why (caller frees); -ECANCELED:
 * it was told to stop; or -errno. */
int trial_version(const struct trial *t, struct buf *out, char **ret_why);
/* Compiles a small library. Returns as above; -ENOEXEC also where it made none. */
int trial_compile(const struct trial *t, char **ret_why);

#endif
