/* What a seed consists of: each file with its size and digest. A file that is damaged on the disk
 * is found when it is copied out, before a compiler sees it.
 *
 *     dray-seed 1
 *     DIGEST SIZE STATE/NAME              the lock of a session
 *     DIGEST SIZE STATE/SESSION/NAME
 *     DIGEST                              of all that stands before
 *
 * One file a line, by name, each once: all files of a state stand together. Digests are SHA-256 in
 * hex (common/digest.h). */
#ifndef DRAY_CLIENT_INCREMENTAL_SUMS_H
#define DRAY_CLIENT_INCREMENTAL_SUMS_H

#include "common/buf.h"
#include "common/digest.h"

#define SUMS_FILES_MAX 100000u
#define SUMS_BYTES_MAX (UINT64_C(64) << 20) /* of the text */

struct sum {
	char *name; /* STATE/…, of two or three parts, each a plain file name without a newline */
	uint64_t size;
	struct digest digest;
};

struct sums {
	struct sum *v;
	size_t n, cap;
};

#define SUMS_INIT          \
	{                  \
		NULL, 0, 0 \
	}

void sums_done(struct sums *s);
/* 0; -EINVAL: there is no such name; -E2BIG; -ENOMEM. */
int sums_add(struct sums *s, const char *name, uint64_t size, const struct digest *d);
/* Sorts them, and adds the text to *ret. 0; -EEXIST: one is there twice; -E2BIG; -ENOMEM. */
int sums_encode(struct sums *s, struct buf *ret);
/* *ret must be empty. 0; -EBADMSG: it is damaged, or of another version; -ENOMEM. */
int sums_decode(const void *p, size_t n, struct sums *ret);

#endif
