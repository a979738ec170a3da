/* What a job must see of this machine so that a toolchain runs: the toolchain itself, and the
 * system libraries it is linked with, copied once. */
#ifndef DRAY_WORKER_SANDBOX_SYSROOT_H
#define DRAY_WORKER_SANDBOX_SYSROOT_H

#include "common/strv.h"

struct sysroot {
	char *path;	/* the toolchain on this machine (resolved) */
	char *view;	/* what is mounted at the client's sysroot: path itself, or a view of it */
	char *lib_root; /* below it are the copies, at the paths of the originals */
	struct strv lib_dirs;  /* their directories as jobs see them: lib_root/<dir> is mounted at
				  <dir> */
	struct strv lib_names; /* the names of all libraries of the system that the compiler is
				* linked with, wherever they are; sorted */
};

/* state_dir/base/… holds the copies. 0, or -errno with a sentence in *ret_why (caller frees). */
int sysroot_prepare(const char *state_dir, const char *path, struct sysroot *ret, char **ret_why);
/* The same of a toolchain that a client gave, in a directory of its own: nothing of it is run, nor
 * loaded, to learn what it needs. What it needs and neither it nor this system has is an error. */
int sysroot_prepare_foreign(
	const char *state_dir, const char *path, struct sysroot *ret, char **ret_why);
/* The directory below state_dir/base that holds the copies; it is the caller's to free, and to
 * remove once no job has them. NULL: out of memory. */
char *sysroot_base(const struct sysroot *s);
void sysroot_done(struct sysroot *s);

#endif
