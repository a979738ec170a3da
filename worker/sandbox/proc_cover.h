/* What a job does not see of the kernel in its /proc. */
#ifndef DRAY_WORKER_SANDBOX_PROC_COVER_H
#define DRAY_WORKER_SANDBOX_PROC_COVER_H

#include "common/buf.h"

/* Adds bwrap's options, for behind --proc: /proc/sys can only be read, and what is about the
 * machine or its devices, or is not known here, is an empty directory, or a file that cannot be
 * opened. empty: an empty directory outside of the sandbox. 0 or -errno. */
int proc_cover_options(struct buf *options, const char *empty);

/* Whether an entry of /proc (no process) stays as it is. */
bool proc_cover_shows(const char *name);
/* For its test: the i-th row of the table, and its reason. False: there are no more. */
bool proc_cover_row(size_t i, const char **ret_name, const char **ret_why);

#endif
