/* Whether /proc can be asked about processes by their numbers. /proc/self is always this process
 * where it is there at all; a number is looked up in the PID namespace that /proc was mounted for,
 * which need not be the one this process runs in (bubblewrap's --unshare-pid with the host's /proc,
 * containers). */
#ifndef DRAY_COMMON_PROCESS_PROCFS_H
#define DRAY_COMMON_PROCESS_PROCFS_H

#include "common/base.h"

/* Whether /proc is there and of this process's own PID namespace. Found out once. */
bool procfs_is_ours(void);

/* For tests: the same by what /proc says of a process with the number `pid`: what /proc/self leads
 * to, and the text of its status (proc_pid_status(5)). */
bool procfs_says(long pid, const char *self, const char *status);

#endif
