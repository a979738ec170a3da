/* Which entries a build asks for, in its order: the list of a build, which a store keeps as the
 * entry of a name that the builds have which will ask for the same (client/wrap/build_name.h). A
 * farm half fetches what is on it before it is asked for (ahead.h).
 *
 * It is a hint, signed by nobody: whatever it says, what is fetched is believed as if it had been
 * asked for, and it is no more than LIST_MAX keys. Its bytes are "draylst1" and the keys. */
#ifndef DRAY_CACHE_LIST_H
#define DRAY_CACHE_LIST_H

#include "common/buf.h"
#include "common/digest.h"

#define LIST_MAX 4096
#define LIST_BYTES_MAX (8 + LIST_MAX * DIGEST_SIZE)

struct list {
	struct digest *v;
	size_t n;
};

void list_done(struct list *l);
bool list_has(const struct list *l, const struct digest *key);
/* Behind the others, if it is not on it, and there is room. 0 or -ENOMEM. */
int list_add(struct list *l, const struct digest *key);

/* Whether these are such bytes, well-formed or not. */
bool list_is(const void *p, size_t n);
/* *ret must be empty, and is so after an error. A key that is there twice is read once. 0;
 * -EBADMSG; -ENOMEM. */
int list_decode(const void *p, size_t n, struct list *ret);
/* Adds its bytes to *ret. 0 or -ENOMEM. */
int list_encode(const struct list *l, struct buf *ret);

/* What is to be kept after a build that has asked for these: they alone, if they are so many (half
 * of what was there) that it was a whole build; else they are added to what was there, since a
 * build whose target directory is there asks for what was edited alone. *ret must be empty. True:
 * it is another list than before. False also without memory. */
bool list_merge(const struct list *before, const struct list *asked, struct list *ret);

#endif
