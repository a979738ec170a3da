/* Between looking again (inputs.c) and recording (record.c). */
#ifndef DRAY_CACHE_INPUTS_PRIV_H
#define DRAY_CACHE_INPUTS_PRIV_H

#include "cache/inputs.h"

/* Pointers to all of them in an order, for two sets to be compared; compare is qsort's and gets
 * pointers to them. NULL: out of memory. The caller frees the array. */
const struct input **inputs_sorted(
	const struct inputs *s, int (*compare)(const void *a, const void *b));
/* Where an input's name leads now; "": nowhere. NULL: out of memory. The caller frees it. */
char *inputs_real_path(const struct inputs_place *place, const char *name);
int inputs_listing(const char *path, struct digest *ret); /* -errno of opendir */
/* As execvp finds it, among absolute directories; NULL: nowhere. The caller frees it. */
char *inputs_find_program(const char *path_env, const char *name);
/* Where LD_LIBRARY_PATH leads the loader to, for a library of that name: 0 and a path in *ret (the
 * caller frees it), in which \x02 stands for the target directory; NULL: nowhere, so it finds the
 * toolchain's or the system's. The toolchain's own directories are passed over: its id says what is
 * in them. -ENOMEM. */
int inputs_find_library(const struct inputs_place *place, const char *name, char **ret);
/* Of what cargo set: all but LD_LIBRARY_PATH (that one is different in each run in cargo's newer
 * layout). 0 or -ENOMEM. */
int inputs_environ(const struct strv *cargo_env, struct digest *ret);

#endif
