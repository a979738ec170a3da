/* Where cargo puts what it makes. */
#ifndef DRAY_CLIENT_TARGET_DIR_H
#define DRAY_CLIENT_TARGET_DIR_H

/* The target directory an out-dir belongs to: the nearest directory above it that is marked by
 * CACHEDIR.TAG, as cargo marks it; else the out-dir itself. NULL: out of memory. */
char *target_dir_of(const char *out_dir);

#endif
