/* Replies of a Redis server, by hiredis's reader. */
#ifndef DRAY_STORE_REDIS_REPLY_H
#define DRAY_STORE_REDIS_REPLY_H

#include "common/base.h"

/* One reply has this many bytes at most; there are no arrays. */
#define REPLY_MAX ((size_t)(4 << 20) + 64)

enum reply_kind { REPLY_OK, REPLY_ERROR, REPLY_INTEGER, REPLY_NOTHING, REPLY_BYTES };

struct reply {
	enum reply_kind kind;
	int64_t integer;
	const char *p; /* bytes, or of an error its text; gone when the function returns */
	size_t n;
};
typedef void (*reply_fn)(void *arg, const struct reply *r);

struct replies;

/* Loads hiredis. 0; -ENOPKG, and a sentence or NULL. */
int replies_load(char **ret_why);
/* 0 or -errno; only after replies_load. */
int replies_new(reply_fn fn, void *arg, struct replies **ret);
void replies_free(struct replies *r); /* NULL is fine; not from the function */
/* Calls the function for each that is whole. -EPROTO: that is none, or too large; then there is
 * nothing more in it. -ENOMEM. */
int replies_feed(struct replies *r, const void *p, size_t n);

#endif
