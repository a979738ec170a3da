/* A store on disk, and what only a disk can do.
 *
 *   DIR/blobs/ab/abcdef…    the name is the SHA-256 of the content
 *   DIR/entries/ab/abcdef…  the name is a key
 *   DIR/tmp/                what is not whole yet, under names of left.h
 *   DIR/locks/              byte ranges in its files are locked
 *   DIR/sums                bytes of each sub-directory, where there can be no index
 *
 * Invariants: what has a name under blobs/ or entries/ was whole when it got it: content is written
 * under tmp/ and then renamed. A blob's name is given once its digest is known. Nothing is synced,
 * so a power cut may leave a name with wrong bytes: how that is found out is the index's matter.
 * Evicting a blob never disturbs its other names. Where users share the directory, a blob has no
 * other name: one file is never two users'.
 *
 * The index knows what is there and when it was last used. There are two, and the opener says
 * which: a program links only its own.
 *
 *   disk_index_memory  one process owns the directory (DIR/lock), its threads share the store
 *   disk_index_lmdb    a user's processes, or a group's, share the directory (DIR/index.lmdb),
 *                      any of which may be killed or stopped at any instant. A store belongs to
 *                      one thread, does not pass through a fork, and is a process's only one of
 *                      that directory at a time (LMDB). */
#ifndef DRAY_STORE_DISK_H
#define DRAY_STORE_DISK_H

#include <sys/types.h>

#include "common/share.h"
#include "store/store.h"

struct memo;
struct disk_index;

extern const struct disk_index disk_index_memory;
extern const struct disk_index disk_index_lmdb;

/* Of store_in: max is 0 for no limit (memory), or a tenth of the disk and at most 20 GiB (LMDB). */
struct disk_in {
	const struct disk_index *index;
	/* For disk_index_lmdb alone: */
	bool read_only;	    /* what would change the store is -EROFS, or does nothing */
	struct memo *memo;  /* remembers digests; may be NULL */
	struct share share; /* of a directory that several users share (common/share.h) */
};

/* Another max of a store that is open, from the next trim on; from any thread. */
void disk_set_max(struct store *s, uint64_t max);

/* By disk_index_memory store_open scans what is there; -EBUSY: another process has it. By
 * disk_index_lmdb it makes and scans nothing; -EPERM: not a directory to be believed
 * (fs_check_owner; where it is shared, the opener has looked: share_check). */

/* Puts the blob at path as a hard link (a copy where links are refused: EMLINK, EXDEV). -ENOENT
 * when it is not here. */
int disk_link(struct store *s, const struct digest *d, const char *path);
/* Takes a finished file by rename (same file system), after hashing it: the caller guarantees that
 * nobody can write to it any more. Copies across file systems. 1: the same was here; 0; -errno. */
int disk_adopt(struct store *s, const char *path, struct digest *ret, uint64_t *ret_size);

/* The same of one that the caller has hashed itself, as it is open in fd. */
int disk_adopt_as(
	struct store *s, const char *path, int fd, const struct digest *digest, uint64_t size);

/* Puts an entry in the place of an earlier one, in one step. What is read, changed and put back is
 * the caller's to keep apart, by disk_lock or, in an owner's process, by a lock of its own. */
int disk_replace(struct store *s, const struct digest *key, const void *p, size_t n);

/* Removes it, by disk_index_memory: 0, also where it is not there. */
int disk_drop(struct store *s, enum store_kind kind, const struct digest *name);

/* All that follows is for a store by disk_index_lmdb. */

int disk_drop_entry(struct store *s, const struct digest *key);
/* Each file of that kind in turn, in no order; a call other than 0 ends it, and is its result. */
typedef int (*disk_each_fn)(void *arg, const struct digest *name);
int disk_each(struct store *s, enum store_kind kind, disk_each_fn fn, void *arg);
/* Marks an entry and its blobs as used now (at most once an hour each). */
void disk_used(struct store *s, const struct digest *key, const struct digest *blobs, size_t n);

/* Locks one byte of DIR/locks/<name>, which is made when it is not there. The lock ends with the
 * descriptor, so with the process. *ret_fd; or -EWOULDBLOCK when `wait` is false, else -EINTR after
 * a signal, or -EBUSY when it is held in vain. */
int disk_lock(struct store *s, const char *name, off_t at, bool wait, int *ret_fd);
/* Waits until nobody has locked that byte, ms at most; what it waits with is no lock to others, so
 * all that wait go on at once. 0: it was free just now; -EAGAIN: it is locked still; -EINTR: the
 * process got a signal meanwhile; -errno. Uses SIGALRM (common/tick.h). */
int disk_wait(struct store *s, const char *name, off_t at, unsigned ms);
/* Whether its holder is seen to be stopped, or to wait for us: then one goes on without. */
bool disk_is_held_in_vain(struct store *s, const char *name, off_t at);

/* Told of long work, often: what is counted, how many there are of how many. */
typedef void (*disk_progress_fn)(void *arg, const char *what, uint64_t done, uint64_t of);
void disk_on_progress(struct store *s, disk_progress_fn fn, void *arg);

/* What is to go. */
struct disk_goal {
	uint64_t max; /* the oldest, until within these bytes; 0: the store's budget */
	uint64_t
		unused_since; /* and all that was not used since (seconds since 1970); 0: no more */
	bool all;	      /* everything */
};

/* Removes by the files, and the index is put right by them. When a file was used is known to the
 * hour: what may have been used since then stays. Waits for another process that is at it, unless
 * that is stopped: -EINTR after a signal. -EACCES: there are files that cannot be removed.
 * ret_before and ret_after may be NULL. */
int disk_gc(struct store *s, const struct disk_goal *goal, struct store_stats *ret_before,
	struct store_stats *ret_after);

#endif
