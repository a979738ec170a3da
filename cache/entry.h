/* An entry of the cache: all results that are known for one unit key, each with its inputs.
 *
 * On disk it is the 8 bytes "drayent4", a CacheEntry (proto/entry.proto) and the SHA-256 of both. A
 * file that was cut or changed, or is of another version, is no entry. */
#ifndef DRAY_CACHE_ENTRY_H
#define DRAY_CACHE_ENTRY_H

#include "cache/result.h"

#define ENTRY_RESULTS_MAX 16 /* the least lately used is dropped */
#define ENTRY_MAX (32u << 20)

struct entry {
	struct digest key;
	struct strv recipe;
	struct buf *results; /* encoded; the latest used first */
	size_t n_results;
};

#define ENTRY_INIT                            \
	{                                     \
		{ { 0 } }, STRV_INIT, NULL, 0 \
	}

/* *ret must be empty. 0; -EBADMSG: it is damaged, or another key's; -ENOMEM. */
int entry_decode(const void *p, size_t n, const struct digest *key, struct entry *ret);
int entry_encode(const struct entry *e, struct buf *ret); /* 0; -EFBIG; -ENOMEM */
void entry_done(struct entry *e);

/* Decodes one of its results; it may be a bundle. 0; -EBADMSG: it may not be put in place; -ENOMEM.
 */
int entry_result(const struct entry *e, size_t i, struct result *ret);
/* Puts a result first. It replaces one with the same inputs, since only the latest of these would
 * ever be used. 0 or -ENOMEM. */
int entry_add_result(struct entry *e, const struct result *r);
void entry_drop_result(struct entry *e, size_t i);
void entry_make_first(struct entry *e, size_t i);

/* Drops the results that this producer made (NULL: anybody), and that were made before (seconds
 * since 1970; 0: at any time). Returns how many. Those that cannot be decoded stay: they are never
 * used. */
size_t entry_drop_made(struct entry *e, const char *producer, uint64_t before_s);

#endif
