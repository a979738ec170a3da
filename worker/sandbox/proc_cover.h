/* What a job does not see of the kernel in its /proc. */
#ifndef DRAY_WORKER_SANDBOX_PROC_COVER_H
#define DRAY_WORKER_SANDBOX_PROC_COVER_H

#include "common/buf.h"

/* Adds bwrap's options, for behind --proc: /proc/sys can only be read, and what is about the
 * machine or its devices is an empty directory, or a file that cannot be opened. empty: an empty
 * directory outside of the sandbox. 0 or -ENOMEM. */
int proc_cover_options(struct buf *options, const char *empty);

#endif
