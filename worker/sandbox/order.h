/* Gives a sandbox that waits its job: what is mounted for it alone, and its command. */
#ifndef DRAY_WORKER_SANDBOX_ORDER_H
#define DRAY_WORKER_SANDBOX_ORDER_H

#include "common/strv.h"
#include "worker/sandbox/sandbox.h"

/* Covers what a job does not see of /proc (proc_cover.h), moves the out-dir from SANDBOX_AHEAD_OUT
 * to out_dir, and mounts each of these names, which are in the tree's /tmp, in the private /tmp, as
 * sandbox_start mounts them. Only where box->ready. 0 or -errno: it is of no use then. */
int order_mounts(const struct sandbox *box, const char *out_dir, const struct strv *tmp);

/* Starts the command: cwd, argv, env, js (not NULL), trace_socket and umask count. */
int order_command(struct sandbox *box, const struct sandbox_spec *spec);

#endif
