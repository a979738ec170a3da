/* An LMDB file of a cache: shared by hundreds of processes, any of which may be killed or stopped
 * at any instant, and such that all of it may be lost at any time without harm. A damaged or full
 * file, and one that another boot of this machine wrote, is removed and begun anew.
 *
 * A process opens a file once at a time, and not across a fork (LMDB); of its threads
 * one at a time uses a struct lmdb_file. */
#ifndef DRAY_MEMO_LMDB_FILE_H
#define DRAY_MEMO_LMDB_FILE_H

#include <lmdb.h>

#include "common/base.h"
#include "common/share.h"

#define LMDB_FILE_DBS_MAX 3
#define LMDB_BOOT_ID_SIZE 36

struct lmdb_file_kind {
	const char *name; /* of the file, in its directory */
	size_t map_size;
	unsigned n_dbs;
	const char *db_names[LMDB_FILE_DBS_MAX];
	/* In a full file this many of the databases are emptied, one after another from the first,
	 * until there is room. 0: it is begun anew. */
	unsigned n_forget;
};

struct lmdb_file {
	const struct lmdb_file_kind *kind;
	struct share share;
	char *path;
	int guard;	 /* <path>-guard */
	MDB_env *env;	 /* NULL: unusable for the rest of this process */
	MDB_txn *reader; /* reset between uses; NULL until the first */
	MDB_dbi dbi[LMDB_FILE_DBS_MAX];
	bool renewed;	 /* the file was thrown away once already */
	bool no_waiting; /* a lock was waited for in vain once already */
};

/* This boot's id, no NUL. False, and all '0', where the kernel does not tell. */
bool lmdb_boot_id(char out[LMDB_BOOT_ID_SIZE]);

/* Opens or makes <dir>/<name>. 0 or -errno. */
int lmdb_file_open(const char *dir, const struct lmdb_file_kind *kind, struct lmdb_file *ret);
/* The same in a directory of several users', which was looked at (share_check). */
int lmdb_file_open_shared(const char *dir, const struct lmdb_file_kind *kind,
	const struct share *share, struct lmdb_file *ret);
void lmdb_file_done(struct lmdb_file *f);
/* Whether what is open is the file of that name; forgets that a lock was waited for in vain. */
bool lmdb_file_is_current(struct lmdb_file *f);

/* What is done in one transaction: an LMDB code. Nothing that was read outlives it. It may be
 * called again, with a new transaction, when the first one failed. */
typedef int (*lmdb_file_fn)(void *arg, MDB_txn *txn, const MDB_dbi *dbi);
/* 0 or -errno; -ENOENT: MDB_NOTFOUND, or no usable file. */
int lmdb_file_read(struct lmdb_file *f, lmdb_file_fn fn, void *arg);
/* Commits when fn gives 0. -ETIMEDOUT: another process writes, or is stopped while writing. */
int lmdb_file_write(struct lmdb_file *f, lmdb_file_fn fn, void *arg);

#endif
