/* An object that comes in from a far place: the one place where what others kept is checked. It is
 * added in pieces of any size, as they come, and becomes an open file with the content.
 *
 * Invariant: a descriptor is given only of content that has the length and the digest that the head
 * says, under the name that was asked for; of a blob, name and digest are one. Nothing that comes
 * in makes it take more than `max` bytes of disk, or more than 9 MiB of memory. */
#ifndef DRAY_STORE_INCOMING_H
#define DRAY_STORE_INCOMING_H

#include "store/object.h"

struct incoming;

/* tmp: as of object_temp; copied. The file is made when there is content: what waits for an answer
 * holds none. max: of the content. 0 or -ENOMEM. */
int incoming_new(const char *tmp, enum store_kind kind, const struct digest *name, uint64_t max,
	struct incoming **ret);
void incoming_free(struct incoming *in); /* NULL is fine */
void incoming_freep(struct incoming **in);

/* The first error stays. -EBADMSG: it is no such object; -EFBIG: its content is longer than max;
 * another -errno: our own disk or memory, and no fault of the place. A place need not be read
 * further after an error. */
int incoming_add(struct incoming *in, const void *p, size_t n);
/* When all has come: a descriptor at the content's begin, the caller's to close, and in *ret_size
 * (NULL is fine) how long it is; or -errno as above. */
int incoming_end(struct incoming *in, uint64_t *ret_size);
/* Afresh, for another try: what came is forgotten. 0 or -errno. */
int incoming_restart(struct incoming *in);
/* As of incoming_add so far: 0, or the first error. */
int incoming_error(const struct incoming *in);

#endif
