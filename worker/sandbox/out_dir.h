/* Puts files of the client's out-dir into a job's. The job may write there, so nothing in it is
 * trusted: no function here follows a symbolic link, and content is copied, never linked, since a
 * job could write to a blob through a link. Names are relative to the out-dir, normal, and not
 * empty. */
#ifndef DRAY_WORKER_SANDBOX_OUT_DIR_H
#define DRAY_WORKER_SANDBOX_OUT_DIR_H

#include "common/base.h"

/* 1: the name exists, or is in a directory that the job has closed; 0: it does not; -errno. */
int out_dir_has(int dir, const char *name);
/* Makes a directory and those above it. 0: also when it is there. */
int out_dir_make(int dir, const char *name);
/* Copies a file there, and makes the directories above it; modified: its time, in nanoseconds since
 * 1970. -EEXIST: something is there. */
int out_dir_put(int dir, const char *name, int from, int64_t modified);

#endif
