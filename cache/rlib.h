/* The metadata in a library's rlib: all that a compiler takes of it before a link, unless it
 * optimizes at link time.
 *
 * An rlib is an archive as ar(1) makes it; in it the member "lib.rmeta" beside objects, and objects
 * of bundled C archives. */
#ifndef DRAY_CACHE_RLIB_H
#define DRAY_CACHE_RLIB_H

#include "common/digest.h"
#include "memo/memo.h"

/* The digest of that member's content; remembered by the digest of the whole file. memo may be
 * NULL. 0; -EBADMSG: no archive, or it has none; -EAGAIN: it changed meanwhile; -errno. */
int rlib_metadata_digest(struct memo *memo, const char *path, struct digest *ret);

/* For its test: the same of an open file of `size` bytes, with no memo. */
int rlib_find_metadata(int fd, uint64_t size, struct digest *ret);

#endif
