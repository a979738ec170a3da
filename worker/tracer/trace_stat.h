/* Answers a stat in place of the kernel, with the mode, owner and times of the client's file: a
 * macro may put them into its output. Device, inode, number of links and blocks stay the worker's.
 */
#ifndef DRAY_WORKER_TRACER_TRACE_STAT_H
#define DRAY_WORKER_TRACER_TRACE_STAT_H

#include <linux/seccomp.h>

#include "common/base.h"
#include "proto/job.pb-c.h"
#include "trace/listener.h"

struct trace_stat {
	struct trace_times {
		char *path;
		Dray__FileTimes times;
	} * v; /* sorted by path */
	size_t n, cap;
};

/* From unit->files. 0 or -ENOMEM. */
int trace_stat_init(struct trace_stat *s, const Dray__Unit *unit);
void trace_stat_done(struct trace_stat *s);
/* Adds a file, or replaces what is known of it. Does nothing without memory. */
void trace_stat_add(struct trace_stat *s, const char *path, const Dray__FileTimes *times);
/* NULL: nothing is known of it. */
const Dray__FileTimes *trace_stat_find(const struct trace_stat *s, const char *path);
/* Whether a call asks an open descriptor. */
bool trace_stat_is_by_descriptor(const struct seccomp_notif *req);
/* Whether a call asks more than whether a path is there and can be read: access with W_OK or X_OK.
 */
bool trace_stat_is_access(const struct seccomp_notif *req);
/* path: below the directory root. Writes the caller's struct stat or statx; then the call's value
 * is 0. False: the kernel is to answer. */
bool trace_stat_answer(
	const struct trace_stat *s, const struct trace_listener *l, int root, const char *path);

#endif
