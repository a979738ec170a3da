/* Inside the store on disk: what its files share. From the ground up:
 *
 *   disk_name.c    names, temporary files
 *   disk_lock.c    locks
 *   disk_scan.c    what is on the disk; removal
 *   disk_evict.c   the least recently used go: the one way, over the index's table
 *   disk_read.c    is it here, open it, link it out
 *   disk_put.c     written, adopted, replaced
 *   disk_sample.c  disk_trim.c  disk_gc.c   keeping within the budget, and all of it at once
 *   disk.c         the row of functions
 *   disk_memory.c with disk_owner.c, disk_lmdb.c   the two indexes */
#ifndef DRAY_STORE_DISK_PRIV_H
#define DRAY_STORE_DISK_PRIV_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/disk.h"
#include "store/store_row.h"

/* Directories of each kind have 256 below them, 00 to ff. */
#define DISK_SUBS 256
/* A file is marked as used at most this often. */
#define DISK_USED_S 3600

/* A file, as the index or a scan knows it. */
struct disk_item {
	enum store_kind kind;
	struct digest name;
	uint64_t bytes;
	uint64_t used; /* seconds since 1970 */
	uint32_t used_ns;
	bool verified; /* its content is what its name says */
};

/* What is there altogether. This is what disk_lmdb.c writes. */
struct disk_state {
	uint64_t files[STORE_N_KINDS];
	uint64_t bytes;
	uint64_t scanned;  /* when the last scan ended, in seconds; 0: none since it was made */
	uint64_t next_sub; /* the scan that is under way goes on there; DISK_SUBS: none is */
};

struct disk {
	struct store base;
	char *dir;
	atomic_uint_fast64_t max;
	bool read_only;
	struct memo *memo;
	struct share share;
	const struct disk_index *index;
	void *index_data;
	uint64_t added;			/* bytes noted since the last eviction */
	uint8_t touched[DISK_SUBS / 8]; /* a bit for each sub-directory where something was noted */
	uint64_t evicted;
	disk_progress_fn progress;
	void *progress_arg;
};

static inline struct disk *
disk_of(struct store *s)
{
	return (struct disk *)s;
}

/* The index. Its failures are its own: what it does not take in is found by a scan. All but open,
 * close, digest and learn are called between lock and unlock. Each gives 0 or -errno. */
struct disk_index {
	const char *name;
	bool shared; /* by processes that know nothing of each other; else one process is the owner,
		      * and many threads use it at a time */
	mode_t dir_mode, blob_mode;
	int (*open)(struct disk *d); /* all but index_data is set */
	void (*close)(struct disk *d);
	/* Between these the index and the names of files agree. */
	void (*lock)(struct disk *d);
	void (*unlock)(struct disk *d);
	/* Finds it, and marks it as used now. *ret_touch: its file's atime is to be set as well. An
	 * index that cannot say what is there gives -ENODATA. */
	int (*find)(struct disk *d, enum store_kind kind, const struct digest *name,
		struct disk_item *ret, bool *ret_touch);
	/* The file was put here, or used, now. */
	int (*note)(struct disk *d, const struct disk_item *i);
	int (*state)(struct disk *d, struct disk_state *ret);
	/* Up to max items, the least recently used first. */
	int (*oldest)(struct disk *d, struct disk_item *ret, size_t max, size_t *ret_n);
	/* Forgets those that nobody has used since they were looked up. */
	int (*forget)(struct disk *d, const struct disk_item *items, size_t n);
	/* All files of both kinds in the sub-directories from `from` to before `to`, as a scan saw
	 * them that began at `begun`: what is not among them is forgotten, what is new is taken in.
	 * Puts into each item when the index says that it was used. The scan goes on at `to`. An
	 * owner's scan is one, of everything, and the first that the index hears. */
	int (*scanned)(struct disk *d, unsigned from, unsigned to, struct disk_item *items,
		size_t n, uint64_t begun);
	/* A blob's or a file's digest (memo_digest_fd), and one that is known otherwise. */
	int (*digest)(struct disk *d, int fd, bool sealed, struct digest *ret, struct stat *ret_st);
	void (*learn)(struct disk *d, const struct stat *st, const struct digest *digest);
};

/* disk_owner.c: makes the directory this process's own, and clean; then scans it. Blobs are marked
 * as verified if nothing can have damaged them. *ret_lock: a descriptor. */
int disk_own(struct disk *d, int *ret_lock);

/* disk_name.c */

extern const char *const disk_dirs[STORE_N_KINDS];

/* Everything below the store's directory fits: store_open refuses one that is too long. */
void disk_path(
	const struct disk *d, enum store_kind kind, const struct digest *name, char out[PATH_MAX]);
void disk_tmp_dir(const struct disk *d, char out[PATH_MAX]);
bool disk_fits(const char *dir);
/* A new name in dir for a file that is not whole yet; left_sweep knows it when we are killed.
 * -ENAMETOOLONG. */
int disk_temp_name(const char *dir, char out[PATH_MAX]);
/* mkdir -p of a directory in the store. 0 or -errno. */
int disk_mkdir(const struct disk *d, const char *path);
/* What a blob's file has. */
mode_t disk_blob_mode(const struct disk *d);
/* A new file under such a name in tmp/. Descriptor or -errno. */
int disk_open_temp(const struct disk *d, char ret_name[PATH_MAX]);
/* Renames into the store, whose directory is made when it is not there. */
int disk_rename(const struct disk *d, const char *from, const char *to);
/* What a file takes: of its disk, or of an owner's budget. */
uint64_t disk_bytes(const struct disk *d, const struct stat *st);

/* disk_scan.c */

struct disk_found {
	struct disk_item *v;
	size_t n, cap;
};

void disk_found_done(struct disk_found *f);
int disk_found_add(struct disk_found *f, const struct disk_item *i);
/* Adds all files of both kinds in one sub-directory; removes what is none of ours, unless
 * read-only. */
int disk_look_into(const struct disk *d, unsigned sub, struct disk_found *ret);
/* Whether it is gone. The lock is held. Where others wait for the lock, the file is only moved to
 * `later`: disk_free(later) when the lock is free, since a big one's blocks take long. */
bool disk_remove_file(const struct disk *d, const struct disk_item *i, char later[PATH_MAX]);
void disk_free(const char *later);
/* For qsort: what was used least recently comes first. */
int disk_by_use(const void *a, const void *b);

/* disk_evict.c */

int disk_state(struct disk *d, struct disk_state *ret);
/* Evicts until within max, at most max_files; how many. limit_ms, unless 0: after that much time no
 * more goes than was added. */
unsigned disk_evict(struct disk *d, uint64_t max, unsigned max_files, unsigned limit_ms);
/* Passes an error on; an owner answers a full disk by making room for the next try. A user's cache
 * shares its disk with what the user builds: room made there is gone with the next output. */
int disk_after_error(struct disk *d, int r, uint64_t wanted);

/* disk_read.c */

void disk_note(struct disk *d, enum store_kind kind, const struct digest *name, uint64_t bytes);
/* A descriptor of a blob that is what its name says, by its digest. -ENOENT; -EBADMSG (then it is
 * no more); -EFBIG: it is longer than max. */
int disk_open_good(struct disk *d, const struct digest *name, uint64_t max, struct stat *ret);
/* A damaged blob goes, unless another is there by now. fd: of the damaged one, or -1. -EBADMSG. */
int disk_discard(struct disk *d, const struct digest *name, int fd);
/* With the lock held: whether a blob that is known to be good is here; it is used. */
bool disk_is_here(struct disk *d, const struct digest *name, uint64_t size);
void disk_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg);
void disk_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg);

/* disk_put.c */

struct disk_writer {
	struct store_writer base;
	struct hasher *hasher; /* NULL: nobody asks for a digest */
	int fd;
	char temp[PATH_MAX]; /* "" once it is gone */
	uint64_t size;
	int error; /* the first one; nothing is written after it */
};

int disk_writer_new(struct disk *d, bool hashed, struct disk_writer **ret);
/* The same of a file that is whole, has no name (O_TMPFILE), and that nobody writes to any more: it
 * gets a name, and nothing is copied. fd stays the caller's. 0; -errno, mostly -EXDEV: it cannot be
 * linked to the store. */
int disk_writer_adopt(struct disk *d, int fd, struct disk_writer **ret);
void disk_writer_freep(struct disk_writer **w);
/* What is left to read of fd. */
int disk_write_from(struct disk_writer *w, int fd);
/* Makes it a blob of that digest. 1: it was here before; 0: it was not; -errno. */
int disk_write_place(struct disk_writer *w, const struct digest *digest);
int disk_write_begin(struct store *s, struct store_writer **ret);
int disk_write(struct store_writer *w, const void *p, size_t n);
void disk_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg);
void disk_write_abort(struct store_writer *w);
void disk_put_fd(struct store *s, int fd, store_done_fn done, void *arg);
void disk_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg);

/* disk_trim.c, disk_sample.c, disk_gc.c */

/* No sub-directory has this name, so no key's lock is in this file. */
#define DISK_EVICT_LOCK "evict"

uint64_t disk_budget(const struct disk *d);
void disk_progress(const struct disk *d, const char *what, uint64_t done, uint64_t of);
/* The index takes them in, as far as there is one. Adds to *ret, unless NULL. */
int disk_scan_subs(struct disk *d, unsigned from, unsigned to, struct disk_found *ret);
void disk_trim(struct store *s, unsigned max_files);
/* One step towards the budget without an index. The caller holds the lock for evicting. */
void disk_trim_sampled(struct disk *d, uint64_t max, unsigned max_files);
/* What it remembers, where there is an index again. */
void disk_forget_sums(const struct disk *d);
int disk_get_stats(struct store *s, struct store_stats *ret);

#endif
