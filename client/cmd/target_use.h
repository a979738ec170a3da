/* Target directories: whether one is cargo's, when it was last built in, what it holds, and how it
 * is removed. */
#ifndef DRAY_CLIENT_CMD_TARGET_USE_H
#define DRAY_CLIENT_CMD_TARGET_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strv.h"

struct target_use {
	uint64_t used_ms; /* since 1970 */
	uint64_t bytes;	  /* what its removal frees: what has another name elsewhere is not in it */
	uint64_t files;
};

/* Whether cargo made the directory for what it builds: its tag, and a profile's lock or what it
 * notes of the compiler. CARGO_HOME has the tag as well. */
bool target_is_cargos(const char *dir);

/* Adds the target directories at dir or below it, without links, but for what is below one. Calls
 * looked(arg, n) with the number of directories read. 0 or -errno. */
int target_find(
	const char *dir, void (*looked)(void *arg, uint64_t n), void *arg, struct strv *ret);

/* By the times of what is in it. A build in which nothing was to be done only reads: that is seen
 * by the day (relatime), and not at all where times of reading are not kept. 0 or -errno. */
int target_look(const char *dir, struct target_use *ret);

/* Why the directory may not be removed, now; NULL: it may. The descriptors in fds hold cargo's
 * locks until they are closed by target_unlock. dir is absolute, without links. */
#define TARGET_LOCKS_MAX 64
struct target_locks {
	int fd[TARGET_LOCKS_MAX];
	unsigned n;
};
const char *target_lock(const char *dir, struct target_locks *ret);
void target_unlock(struct target_locks *l);

/* Removes it: under another name beside it first, so that a build that begins now makes a new one.
 * 0 or -errno. */
int target_remove(const char *dir);

#endif
