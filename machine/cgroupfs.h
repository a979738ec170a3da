/* Where this process's cgroup (version 2) is, and what its files say (the kernel's cgroup-v2.rst).
 */
#ifndef DRAY_MACHINE_CGROUPFS_H
#define DRAY_MACHINE_CGROUPFS_H

#include "common/base.h"

/* Where the group is that /proc/self/cgroup names, by what /proc/self/mountinfo mounts; the files'
 * texts. 0 and a normal path (caller frees); -ENOENT: there is no version 2, or the group is not
 * mounted here. */
int cgroupfs_locate(const char *self, const char *mountinfo, char **ret);
/* This process's, by these files below root (""; tests have another). The path is without root.
 * With "" it is looked for once in a process. */
int cgroupfs_own(const char *root, char **ret);
/* The number after `key` at a line's start ("oom_kill 3"); 0 when it is not there. */
uint64_t cgroupfs_number(const char *text, const char *key);

#endif
