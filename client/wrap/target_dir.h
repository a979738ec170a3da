/* Where cargo puts what it makes. */
#ifndef DRAY_CLIENT_WRAP_TARGET_DIR_H
#define DRAY_CLIENT_WRAP_TARGET_DIR_H

#include <stdbool.h>

/* The target (or build) directory that an out-dir belongs to. It holds, by itself or below a
 * target triple, the profile's directory that cargo has locked; else it is the nearest directory
 * above the out-dir that is marked by CACHEDIR.TAG, as cargo marks those that it makes. The out-dir
 * itself when there is neither, or when only a lock speaks for a directory that the compiler was
 * started in or below: other things lie there as well. NULL: out of memory. */
char *target_dir_of(const char *out_dir, const char *cwd);

/* Whether cargo puts a profile's files there. */
bool target_dir_is_profile(const char *dir);

#endif
