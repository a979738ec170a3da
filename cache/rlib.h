/* The metadata in an rlib. A compiler that does not link reads nothing else of it, unless it does
 * LTO.
 *
 * An rlib is an archive as ar(1) makes it, with a member "lib.rmeta" beside the objects, those of
 * bundled C archives too. Since 1.64 that is an object file, where the target has any, with the
 * metadata in its section ".rmeta". */
#ifndef DRAY_CACHE_RLIB_H
#define DRAY_CACHE_RLIB_H

#include "common/digest.h"
#include "memo/memo.h"

/* The digest of that member's content. The memo, which may be NULL, remembers it by the digest of
 * the whole file. 0; -EBADMSG: it is no archive, or has no such member; -EAGAIN: the file changed
 * meanwhile; -errno. */
int rlib_metadata_digest(struct memo *memo, const char *path, struct digest *ret);

#define RLIB_NAME_SIZE 16

/* The members of an archive, one after another. */
struct rlib_members {
	int fd;
	uint64_t size, next;
	unsigned count;
	/* of the last one: where its content is, its size, and its name as the header has it */
	uint64_t at, n;
	char name[RLIB_NAME_SIZE];
};

/* Of an open file of `size` bytes. 0; -EBADMSG: it is no archive. */
int rlib_members(int fd, uint64_t size, struct rlib_members *ret);
/* 1; 0: there are no more; -EBADMSG: what follows is none, or there are too many; -errno. */
int rlib_next(struct rlib_members *m);

/* For its test: the same of an open file of `size` bytes, with no memo. */
int rlib_find_metadata(int fd, uint64_t size, struct digest *ret);

/* Whether the metadata in an rlib is what the rmeta holds, byte by byte: one compile makes both. 0;
 * -EBADMSG: it is not; -ENOTSUP: it has none, or in a form that is not known here; -errno. Not with
 * -Z embed-metadata=no. */
int rlib_agrees(const char *rlib, const char *rmeta);

#endif
