/* The local cache: a store on disk (disk.h) that a user's processes, or those of a group's members,
 * share, each of which may be killed or stopped at any instant, and what only such a cache does:
 * entries (cache/entry.h) are replaced, what is made of a key is locked, and a blob is shared with
 * a checkout.
 *
 *   <cache>/entries/ab/…  the name is the unit's key
 *   <cache>/locks/ab      byte ranges in it are locked for twins (depot_lock)
 *   <cache>/locks/eab     the same for changing an entry (depot_lock_entry)
 *
 * The index may be lost, wrong or unusable: it decides only what is evicted, and is made anew from
 * the files. A cache that is read-only, full or gone costs nothing but hits. */
#ifndef DRAY_STORE_DEPOT_H
#define DRAY_STORE_DEPOT_H

#include <sys/types.h>

#include "memo/memo.h"
#include "store/disk.h"

struct depot;

struct depot_in {
	const char *dir;   /* the cache directory */
	uint64_t max;	   /* bytes; 0: a tenth of its disk, at most 20 GiB */
	bool read_only;	   /* nothing is added or evicted */
	const char *group; /* whose members share it (share_check); NULL: it is this user's own */
	struct memo *memo; /* remembers digests of blobs and of what is restored; may be NULL */
};

/* Cheap: nothing is made or scanned before it is needed. A depot belongs to one thread, does not
 * pass through a fork, and is a process's only one of that directory at a time (LMDB). Whatever is
 * not there any more is made again. Where read_only is set, what would change the cache is -EROFS,
 * or does nothing. -EPERM: not a directory to be believed (fs_check_owner, share_check). */
int depot_open(const struct depot_in *in, struct depot **ret);
/* After an -EPERM: why, and what helps. */
void depot_why_refused(const struct depot_in *in, char why[SHARE_WHY_SIZE]);
void depot_close(struct depot *d); /* NULL is fine */
void depot_closep(struct depot **d);

enum depot_way {
	DEPOT_COPY,  /* a reflink, or a copy: the file may be changed in place later */
	DEPOT_SHARE, /* may be one file under two names: it is replaced, and not changed in place
		      * (rlib, rmeta). Where users share the cache it is a copy all the same */
};

/* Keeps the content of path (a regular file, whole, to which nobody writes any more). With
 * DEPOT_SHARE it may become a hard link of the blob. 0; -EAGAIN: it changed meanwhile; -ENOSPC,
 * -EROFS and the like: it is not kept, and nothing is left half. */
int depot_add(struct depot *d, const char *path, enum depot_way way, struct digest *ret,
	uint64_t *ret_size);

/* Puts a blob's content at path, in place of what is there, by rename: a new file with these mode
 * bits (DEPOT_SHARE: the blob itself if it has no other name yet, since its time and mode are
 * set; writable like any other, since rustc refuses to replace a read-only rmeta) and the time of
 * now. A file that anybody may write to is never shared. The memo then knows its digest. -ENOENT:
 * it is not here; -EBADMSG: it was damaged, and is not here any more; -ENOTDIR: there is no
 * directory for path; -errno of the disk. What is at path stays when it fails. */
int depot_restore(struct depot *d, const struct digest *digest, uint64_t size, enum depot_way way,
	mode_t mode, const char *path);
/* The same for a text that is in no blob: by a name that left_sweep knows. */
int depot_put_text(const void *p, size_t n, mode_t mode, const char *path);
/* Whether the blob is here and as long as it should be; its content is not looked at. */
bool depot_has(struct depot *d, const struct digest *digest, uint64_t size);
/* Keeps what can be read from fd, of another place, if it is this blob: it is copied, and hashed on
 * the way. 0; -EBADMSG: it is not; -errno. */
int depot_take(struct depot *d, int fd, const struct digest *digest, uint64_t size);
/* The same of a file that is known to be this blob, and that nobody else writes to, as what a store
 * has answered (store_get): it is not hashed again, and where it has no name and lies on the same
 * disk it becomes the blob; else it is copied. Read from where its offset is. */
int depot_take_checked(struct depot *d, int fd, const struct digest *digest, uint64_t size);
/* The blob, for reading: verified. A descriptor; -ENOENT; -EBADMSG; -errno. */
int depot_open_blob(struct depot *d, const struct digest *digest, uint64_t size);

/* An entry's bytes, as they are on disk: decoding them finds damage. -ENOENT. */
int depot_read_entry(struct depot *d, const struct digest *key, struct buf *ret);
/* Replaces it in one step. */
int depot_write_entry(struct depot *d, const struct digest *key, const void *p, size_t n);
int depot_drop_entry(struct depot *d, const struct digest *key);
/* Each entry in turn, in no order; a call other than 0 ends it, and is its result. */
int depot_each_entry(struct depot *d, disk_each_fn fn, void *arg);
/* The keys of all entries, in no order: *ret_n of them, in an array that the caller frees. 0 or
 * -errno; then there is no array. */
int depot_list_entries(struct depot *d, struct digest **ret, size_t *ret_n);

/* Marks an entry and its blobs as used now (at most once an hour each). */
void depot_used(struct depot *d, const struct digest *key, const struct digest *blobs, size_t n);

/* One process at a time makes what has this key; the lock ends with the descriptor, so with the
 * process. *ret_fd; or -EWOULDBLOCK when `wait` is false, else -EINTR after a signal, or -EBUSY
 * when it is held in vain. */
int depot_lock(struct depot *d, const struct digest *key, bool wait, int *ret_fd);
/* Waits until nobody makes that, ms at most: 0: nobody did just now; -EAGAIN: it is made still;
 * -EINTR; -errno (disk_wait). */
int depot_wait(struct depot *d, const struct digest *key, unsigned ms);
/* Whether its holder is seen to be stopped, or to wait for us: then one goes on without. */
bool depot_is_held_in_vain(struct depot *d, const struct digest *key);
/* For reading an entry, changing it and writing it: what others add meanwhile would be lost. Waits
 * for a moment at most, since its holder may be stopped. A descriptor to close, or -1: without. */
int depot_lock_entry(struct depot *d, const struct digest *key);

/* Evicts what was used least recently until within the budget, at most max_files of them, and
 * sweeps what killed processes left in tmp/: call it often. Does nothing while another process is
 * at it. */
void depot_trim(struct depot *d, unsigned max_files);
void depot_on_progress(struct depot *d, disk_progress_fn fn, void *arg);

/* disk_gc. */
int depot_gc(struct depot *d, const struct disk_goal *goal, struct store_stats *ret_before,
	struct store_stats *ret_after);
/* By the index, or by the files while it has not seen them all. */
int depot_get_stats(struct depot *d, struct store_stats *ret);

#endif
