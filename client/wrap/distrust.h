/* Workers that this user's units do not go to: one was caught at a word that was not so, or kept a
 * unit for longer than any takes. What they made before is not taken from the cache either.
 *
 * A text file in the cache directory, so that it can be read, and a line be removed, by hand: one
 * line a worker, <seconds since 1970 until when, or 0> TAB <key> TAB <name> TAB <reason>. A worker
 * behind a Unix socket has no key; its name stands for it. */
#ifndef DRAY_CLIENT_WRAP_DISTRUST_H
#define DRAY_CLIENT_WRAP_DISTRUST_H

#include "common/base.h"

#define DISTRUST_FILE "distrusted"
#define DISTRUST_REASON_MAX 256
#define DISTRUST_EVER 0

/* 0 or -errno. until_s: since 1970, or DISTRUST_EVER. */
int distrust_add(const char *cache_dir, const char *key, const char *name, uint64_t until_s,
	const char *reason);
/* Whether it is there now. */
bool distrust_find(const char *cache_dir, const char *key, const char *name, uint64_t now_s,
	char ret_reason[DISTRUST_REASON_MAX]);

#endif
