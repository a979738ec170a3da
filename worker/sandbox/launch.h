/* Turns a laid-out unit into a sandbox that runs its compiler. */
#ifndef DRAY_WORKER_SANDBOX_LAUNCH_H
#define DRAY_WORKER_SANDBOX_LAUNCH_H

#include "common/conf/conf.h"
#include "toolchain/toolchain.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/sysroot.h"

#define LAUNCH_TOOLS "bin" /* below the state directory */

/* Copies dray-exec and dray-ld below state_dir, once at the start, so that jobs can hard-link them.
 * 0, or -errno and a sentence in *ret_why (caller frees). */
int launch_prepare(const char *state_dir, char **ret_why);

struct launch {
	const struct conf *conf; /* the job_… limits */
	const struct stage *stage;
	const Dray__Unit *unit;
	const struct sysroot *sysroot;
	const struct toolchain *toolchain; /* of that sysroot; NULL: only to see that it runs */
	const struct jobserver *jobserver;
	const struct filters *filters;
	int trace_socket;		 /* -1: not traced */
	const struct cgroup_job *cgroup; /* NULL: none */
	const struct job_user *user;	 /* NULL: the worker's own uid */
};

/* Starts the compiler. The sentence in *ret_why (caller frees) says what failed. */
int launch_start(const struct launch *l, struct sandbox *ret, char **ret_why);
/* Starts a sandbox that waits for a job of that toolchain. The unit has the client's sysroot, and
 * SANDBOX_AHEAD_OUT as its out-dir, else nothing; trace_socket and jobserver are not used. */
int launch_ahead(const struct launch *l, struct sandbox *ret, char **ret_why);
/* Starts the compiler in it; it is ready, and its root has been filled. If that fails, the sandbox
 * is of no use, but the tree is as good as before for launch_start. */
int launch_order(const struct launch *l, struct sandbox *box, char **ret_why);

#endif
