/* What watch.c (calls), run.c (programs) and watch_path.c (paths) share. watch_path.c is below the
 * other two; watch.c calls run.c. */
#ifndef DRAY_TRACE_WATCH_PRIV_H
#define DRAY_TRACE_WATCH_PRIV_H

#include <sys/types.h>

#include "trace/watch.h"

/* ---- watch_path.c */

bool watch_below_any(const char *path, const struct strv *dirs);
/* Whether a compile may write there. */
bool watch_is_writable(const struct watch *w, const char *path);
/* Whether it, or a directory above it, was made by the compile itself. */
bool watch_is_made(const struct watch *w, const char *path);
/* Whether files on the device hold what the kernel says when they are read. */
bool watch_is_kernels(struct watch *w, const char *path, dev_t dev);
/* The compile's own entry in /proc (trace_call.h has no link left in it). */
bool watch_is_own_entry(const char *path);
/* Whether what the kernel says there only suits a program to this machine. */
bool watch_suits_machine(const struct watch *w, const char *path);
/* It was asked for, or opened: an input, if it is one. */
void watch_look(struct watch *w, const char *path, bool opens);

/* ---- run.c */

/* A program is about to be run. */
void watch_run(struct watch *w, const struct trace_call *c, const char *path);

#endif
