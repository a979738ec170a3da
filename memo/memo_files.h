/* The memo where there can be no LMDB file: on a file system without locks, or behind a limit or a
 * filter that refuses what LMDB needs. A record is a small file of its own, <dir>/memo.d/NNNN, put
 * there by a rename: there is nothing to lock. Only some records are worth a file: see memo.c.
 *
 * Invariant: a file that is cut, damaged, of another boot or of another record is none. Their
 * number is bounded: two records of one name replace each other. */
#ifndef DRAY_MEMO_MEMO_FILES_H
#define DRAY_MEMO_MEMO_FILES_H

#include "common/buf.h"

struct memo_record {
	uint8_t db; /* which kind of record: enum memo_db */
	const void *key;
	size_t key_n;
};

/* 0 or -errno. */
int memo_files_put(const char *dir, const struct memo_record *rec, const void *value, size_t n);
/* 0 and the value, added to *ret; -ENOENT; -ENOMEM. */
int memo_files_get(const char *dir, const struct memo_record *rec, struct buf *ret);

#endif
