/* Inside the memo module: the LMDB file (memo_file.c), and what is in it (memo.c). */
#ifndef DRAY_COMMON_MEMO_PRIV_H
#define DRAY_COMMON_MEMO_PRIV_H

#include <lmdb.h>

#include "common/base.h"

enum memo_db { MEMO_DIGESTS, MEMO_ARTIFACTS, MEMO_NOTES, MEMO_N_DBS };

struct memo_file {
	char *path;	 /* <dir>/memo.lmdb */
	int guard;	 /* <dir>/memo.lmdb-guard */
	MDB_env *env;	 /* NULL: unusable for the rest of this process */
	MDB_txn *reader; /* reset between uses; NULL until the first */
	MDB_dbi dbi[MEMO_N_DBS];
	bool renewed; /* the file was thrown away once already */
};

int memo_file_open(const char *dir, struct memo_file *ret);
void memo_file_done(struct memo_file *f);

/* Finds key and calls found with the value, gone when it returns. -ENOENT: there is none. */
typedef int (*memo_found_fn)(void *arg, const void *p, size_t n);
int memo_file_get(struct memo_file *f, enum memo_db db, const void *key, size_t key_n,
	memo_found_fn found, void *arg);

struct memo_put {
	enum memo_db db;
	void *key;
	size_t key_n;
	void *value;
	size_t value_n;
};
/* Writes all in one transaction. In a full file digests are forgotten first, then the rest. */
int memo_file_put(struct memo_file *f, const struct memo_put *puts, size_t n);

#endif
