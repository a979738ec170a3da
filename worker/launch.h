/* Turns a laid-out unit into a sandbox that runs its compiler. */
#ifndef DRAY_WORKER_LAUNCH_H
#define DRAY_WORKER_LAUNCH_H

#include "common/conf.h"
#include "worker/sandbox.h"
#include "worker/stage.h"

/* Copies dray-exec and dray-ld below state_dir, once at the start, so that jobs can hard-link them. 0,
 * or -errno and a sentence in *ret_why (caller frees). */
int launch_prepare(const char *state_dir, char **ret_why);

/* Starts the compiler. The sentence in *ret_why (caller frees) says what failed. */
int launch_start(const struct conf *conf, const struct stage *stage, const struct stage_unit *unit,
	const struct jobserver *js, struct sandbox *ret, char **ret_why);

#endif
