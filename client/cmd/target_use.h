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
	bool holds_more; /* a repository or a package, where cargo makes none */
	bool others;	 /* another user's directory, which cannot be emptied */
};

/* Whether cargo made the directory for what it builds: its tag, and a profile's lock or what it
 * notes of the compiler. CARGO_HOME has the tag as well. */
bool target_is_cargos(const char *dir);

/* Whether it is what target_remove could not finish. */
bool target_is_rest(const char *dir);
/* Adds the rests in dir. 0 or -ENOMEM. */
int target_find_rests(const char *dir, struct strv *ret);

/* Adds the target directories at dir or below it, without links, but for what is below one, and
 * rests. Calls looked(arg, n) with the number of directories read. 0 or -errno. */
int target_find(
	const char *dir, void (*looked)(void *arg, uint64_t n), void *arg, struct strv *ret);

/* By the times of what is in it; a rest was never used. A build in which nothing was to be done
 * only reads: that is seen by the day (relatime), and not at all where times of reading are not
 * kept. 0; -ENOENT: it is gone; -errno. */
int target_look(const char *dir, struct target_use *ret);

/* Why the directory may not be removed, now; NULL: it may. The descriptors in fd hold it (the first
 * one) and cargo's locks until they are closed by target_unlock. dir is absolute, without links. */
#define TARGET_LOCKS_MAX 64
struct target_locks {
	int fd[TARGET_LOCKS_MAX];
	unsigned n;
};
const char *target_lock(const char *dir, struct target_locks *ret);
void target_unlock(struct target_locks *l);

/* Removes the one that is locked: under another name beside it first, so that a build that begins
 * now makes a new one. -ESTALE: something else is there now, and stays. -errno; *ret_rest then
 * names what is left of it under that name, or is NULL. */
int target_remove(const char *dir, const struct target_locks *l, char **ret_rest);

#endif
