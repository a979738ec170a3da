/* What a job does not see of the kernel in its /proc. */
#ifndef DRAY_WORKER_SANDBOX_PROC_COVER_H
#define DRAY_WORKER_SANDBOX_PROC_COVER_H

#include "common/buf.h"
#include "common/strv.h"

#define PROC_COVER_SYS "/proc/sys" /* can only be read, always */

/* What else is covered on this machine now: paths. Directories are empty in a job, files can not be
 * opened. */
struct proc_cover {
	struct strv dirs, files;
};

#define PROC_COVER_INIT              \
	{                            \
		STRV_INIT, STRV_INIT \
	}

/* 0 or -errno. */
int proc_cover_find(struct proc_cover *ret);
void proc_cover_done(struct proc_cover *c);

/* Adds bwrap's options for all of that, for behind --proc. empty: an empty directory outside of the
 * sandbox. 0 or -errno. */
int proc_cover_options(struct buf *options, const char *empty);

/* Whether an entry of /proc (no process) stays as it is. */
bool proc_cover_shows(const char *name);
/* For its test: the i-th row of the table, and its reason. False: there are no more. */
bool proc_cover_row(size_t i, const char **ret_name, const char **ret_why);

#endif
