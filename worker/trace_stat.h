/* Answers a statx in the kernel's place, with the times that the client's file has: a macro may put
 * them into what it makes. */
#ifndef DRAY_WORKER_TRACE_STAT_H
#define DRAY_WORKER_TRACE_STAT_H

#include <linux/seccomp.h>

#include "common/base.h"
#include "proto/job.pb-c.h"

struct trace_stat {
	struct trace_times {
		char *path;
		int64_t modified, created;
	} * v; /* sorted by path */
	size_t n, cap;
};

/* From unit->files. 0 or -ENOMEM. */
int trace_stat_init(struct trace_stat *s, const Dray__Unit *unit);
void trace_stat_done(struct trace_stat *s);
/* One more; without memory for it, nothing. */
void trace_stat_add(struct trace_stat *s, const char *path, const Dray__FileTimes *times);
/* path: below the directory root. Writes the caller's struct statx; then the call's value is 0.
 * False: the kernel is to answer. */
bool trace_stat_answer(
	const struct trace_stat *s, const struct seccomp_notif *req, int root, const char *path);

#endif
