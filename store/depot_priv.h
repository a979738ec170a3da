/* Inside the depot: names on disk, and what its files share. */
#ifndef DRAY_STORE_DEPOT_PRIV_H
#define DRAY_STORE_DEPOT_PRIV_H

#include <limits.h>
#include <sys/stat.h>

#include "store/depot.h"
#include "memo/lmdb_file.h"

enum depot_kind { DEPOT_BLOB, DEPOT_ENTRY, DEPOT_N_KINDS };

/* What the index knows of a file. */
struct depot_item {
	enum depot_kind kind;
	struct digest name;
	uint64_t bytes;
	uint64_t used; /* seconds since 1970 */
};

#define DEPOT_PENDING 64
/* Directories of each kind have 256 below them, 00 to ff. */
#define DEPOT_SUBS 256

struct depot {
	char *dir;
	uint64_t max;
	bool read_only;
	struct memo *memo;
	struct lmdb_file index; /* usable when index_open */
	bool index_tried, index_open;
	struct depot_item pending[DEPOT_PENDING]; /* to be written to the index */
	size_t n_pending;
	uint64_t added; /* bytes noted since the last eviction */
	uint8_t touched[DEPOT_SUBS /
			8]; /* a bit for each sub-directory where something was noted */
	depot_progress_fn progress;
	void *progress_arg;
};

/* Directories of each kind, below the cache's. */
extern const char *const depot_dirs[DEPOT_N_KINDS];

/* Everything below the cache directory fits: depot_open refuses one that is too long. */
void depot_path(
	const struct depot *d, enum depot_kind kind, const struct digest *name, char out[PATH_MAX]);
void depot_tmp_dir(const struct depot *d, char out[PATH_MAX]);
/* Opens <cache>/locks/<name>, makes it when it is not there, and locks one byte of it. As
 * depot_lock. */
int depot_lock_byte(const struct depot *d, const char *name, off_t at, bool wait, int *ret_fd);
/* As depot_is_held_in_vain. */
bool depot_byte_is_held_in_vain(const struct depot *d, const char *name, off_t at);

/* A new name in dir for a file that is not whole yet; left_sweep knows it when we are killed.
 * -ENAMETOOLONG. */
int depot_temp_name(const char *dir, char out[PATH_MAX]);
/* A new file under such a name in the cache's tmp/. Descriptor or -errno. */
int depot_open_temp(const struct depot *d, char ret_name[PATH_MAX]);
/* Renames into the cache, whose directory is made when it is not there. */
int depot_rename(const char *from, const char *to);

/* What a file takes of its disk. */
static inline uint64_t
depot_bytes(const struct stat *st)
{
	uint64_t blocks = (uint64_t)st->st_blocks * 512;

	/* what is not written out yet may have no blocks */
	return MAX2(blocks, (uint64_t)st->st_size);
}

/* What is on the disk (depot_scan.c). */

struct depot_found {
	struct depot_item *v;
	size_t n, cap;
};

void depot_found_done(struct depot_found *f);
int depot_found_add(struct depot_found *f, const struct depot_item *i);
/* Adds all files of one kind in one sub-directory; removes what is none of ours, unless read-only.
 */
int depot_look_into(
	const struct depot *d, enum depot_kind kind, unsigned sub, struct depot_found *ret);
/* Whether it is gone. */
bool depot_remove_file(const struct depot *d, const struct depot_item *i);
/* For qsort: what was used least recently comes first. */
int depot_by_use(const void *a, const void *b);

/* One step towards the budget without an index (depot_sample.c). The caller holds the lock. */
void depot_trim_sampled(struct depot *d, uint64_t max, unsigned max_files);

/* The index (depot_index.c). Its failures are its own: what is not written is found by a scan. */

/* What is in the index altogether. */
struct depot_state {
	uint64_t files[DEPOT_N_KINDS];
	uint64_t bytes;
	uint64_t scanned;  /* when the last scan ended, in seconds; 0: none since it was made */
	uint64_t next_sub; /* the scan that is under way goes on there; DEPOT_SUBS: none is */
};

/* The file was put here, or used, now. */
void depot_index_note(
	struct depot *d, enum depot_kind kind, const struct digest *name, const struct stat *st);
void depot_index_flush(struct depot *d);
void depot_index_close(struct depot *d);
/* 0 or -errno, as all that follow. */
int depot_index_state(struct depot *d, struct depot_state *ret);
/* Up to max items, the least recently used first. */
int depot_index_oldest(struct depot *d, struct depot_item *ret, size_t max, size_t *ret_n);
/* Forgets those that nobody has used since they were looked up. */
int depot_index_remove(struct depot *d, const struct depot_item *items, size_t n);
/* All files of both kinds in the sub-directories from `from` to before `to`, as a scan saw them
 * that began at `begun`: what is not among them is forgotten, what is new is taken in. Puts into
 * each item when the index says that it was used. The scan goes on at `to`. */
int depot_index_scanned(struct depot *d, unsigned from, unsigned to, struct depot_item *items,
	size_t n, uint64_t begun);

#endif
