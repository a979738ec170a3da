/* Runs a compiler, a linker or a build script on this machine, and records what it looked at. dray
 * does it itself, since a process between it and a small script would take longer than the script.
 * By itself it is the program dray-trace (main.c), for tests, measurements and `dray doctor`.
 *
 * Where the kernel refuses to tell, the program runs all the same, and the record says so. */
#ifndef DRAY_TRACE_TRACER_H
#define DRAY_TRACE_TRACER_H

#include <poll.h>

#include "common/buf.h"
#include "common/process/spawn.h"

#define TRACER_FDS 2

struct tracer;

/* 0 or -ENOMEM. */
int tracer_new(struct tracer **ret);
/* For `_cleanup_(tracer_freep) struct tracer *t = NULL;`. */
void tracer_freep(struct tracer **t);
/* One of dray-trace's options, "--script" or "--writable=DIR" (dray-trace(1)); must stay where it
 * is. 0; -EINVAL: it is none; -ENOMEM. */
int tracer_option(struct tracer *t, const char *option);

/* Starts the program: argv[0], looked for in PATH if it has no '/'; of `s` counts what it says of
 * argv, envp and fds, which stay where they are, too. It dies with this process. 0; -errno: it was
 * not started (child_start). */
int tracer_start(struct tracer *t, const struct spawn *s);
/* What to wait for while it runs. Both -1: it is not traced, and its end is not told. */
void tracer_fds(const struct tracer *t, struct pollfd fds[TRACER_FDS]);
/* After poll. False: it has ended, or no more will come of it. */
bool tracer_serve(struct tracer *t, const struct pollfd fds[TRACER_FDS]);
/* Waits for its end. Its status (child_wait), and its record (trace/watch.h), which is empty if
 * there is no memory for it. What it left running is answered by a process that stays behind. */
int tracer_end(struct tracer *t, struct buf *record);

/* All of that. The status, or -errno: it was not started. */
int tracer_run(struct tracer *t, const struct spawn *s, struct buf *record);

#endif
