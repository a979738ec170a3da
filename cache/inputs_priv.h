/* What inputs_check.c, which checks inputs again, and record.c, which records them, share. */
#ifndef DRAY_CACHE_INPUTS_PRIV_H
#define DRAY_CACHE_INPUTS_PRIV_H

#include "cache/inputs.h"

/* Pointers to all of them in an order, for two sets to be compared; compare is qsort's and gets
 * pointers to them. NULL: out of memory. The caller frees the array. */
const struct input **inputs_sorted(
	const struct inputs *s, int (*compare)(const void *a, const void *b));
/* The value of INPUT_UMASK. */
void inputs_umask(const struct inputs_place *place, char ret[8]);
int inputs_listing(const char *path, struct digest *ret); /* -errno of opendir */
/* Adds to *ret the program's path as execvp finds it, in absolute directories only, after those of
 * that name that it passes over because they cannot be run; ':' stands between them. Each with the
 * mark for the place in which it lies. 0 or -ENOMEM. */
int inputs_find_program(const struct inputs_place *place, const char *name, struct buf *ret);
/* Finds a library of that name in the directories of LD_LIBRARY_PATH, as the loader does. *ret is
 * its path, with the mark for the place in which it lies; the caller frees it. NULL: it is in none
 * of them, so that the loader takes the toolchain's or the system's. The toolchain's own
 * directories are skipped: its id says what is in them. 0 or -ENOMEM. */
int inputs_find_library(const struct inputs_place *place, const char *name, char **ret);
/* The digest of all variables that cargo set, but LD_LIBRARY_PATH: in cargo's newer layout it
 * differs from run to run. 0 or -ENOMEM. */
int inputs_environ(const struct strv *cargo_env, struct digest *ret);

#endif
