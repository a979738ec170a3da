/* What watch.c (calls), run.c (programs) and watch_path.c (paths) share. watch_path.c is below the
 * other two; watch.c calls run.c. */
#ifndef DRAY_TRACE_WATCH_PRIV_H
#define DRAY_TRACE_WATCH_PRIV_H

#include <sys/types.h>

#include "trace/watch.h"

/* ---- watch_path.c */

bool watch_below_any(const char *path, const struct strv *dirs);
/* Whether a compile may write to the path. */
bool watch_is_writable(const struct watch *w, const char *path);
/* Whether the compile itself made the path, or a directory above it. */
bool watch_is_made(const struct watch *w, const char *path);
/* Whether files on the device hold what the kernel says when they are read. */
bool watch_is_kernels(struct watch *w, const char *path, dev_t dev);
/* The compile's own entry in /proc (trace_call.h has no link left in it). */
bool watch_is_own_entry(const char *path);
/* Whether it belongs to the system or to the toolchain. */
bool watch_is_systems(const struct watch *w, const char *path);
/* Whether what the kernel says there only suits a program to this machine. */
bool watch_suits_machine(const struct watch *w, const char *path);
/* Records that a path was asked for or opened, unless it is no input. */
void watch_look(struct watch *w, const char *path, bool opens);

/* ---- run.c */

/* A program is about to be run. */
void watch_run(struct watch *w, const struct trace_call *c, const char *path);

#endif
