/* What a stat of a file tells, as an input (inputs.h): a macro may put it into what it makes.
 *
 * Kind, size, mode and owner always count. Times count until it was seen that they do not: each has
 * a bit, and those in `ignored` may differ. The time of the last access is not among them: reading
 * a file changes it, so that a compile would never be found again. */
#ifndef DRAY_CACHE_ATTRIBUTES_H
#define DRAY_CACHE_ATTRIBUTES_H

#include "common/buf.h"

enum attribute {
	ATTRIBUTE_KIND,
	ATTRIBUTE_MODE,
	ATTRIBUTE_UID,
	ATTRIBUTE_GID,
	ATTRIBUTE_SIZE,	    /* of a directory: 0, it is the file system's affair */
	ATTRIBUTE_MODIFIED, /* ns since 1970, as all below */
	ATTRIBUTE_CHANGED,
	ATTRIBUTE_CREATED, /* 0: the file system does not know */
	ATTRIBUTES
};

#define ATTRIBUTE_TIMES \
	((1u << ATTRIBUTE_MODIFIED) | (1u << ATTRIBUTE_CHANGED) | (1u << ATTRIBUTE_CREATED))

struct attributes {
	int64_t v[ATTRIBUTES];
	uint64_t ignored; /* of ATTRIBUTE_TIMES */
};

/* links: of what a symbolic link leads to. 0 or -errno. */
int attributes_read(const char *path, bool links, struct attributes *ret);
/* The first that differs and counts, in words ("mtime"); NULL: none does. */
const char *attributes_difference(const struct attributes *kept, const struct attributes *now);
/* The times that differ by so much that who looks at them sees it: by a second at least. */
unsigned attributes_moved(const struct attributes *a, const struct attributes *b);

/* The value of an input, and back. 0; -ENOMEM; -EBADMSG. */
int attributes_encode(const struct attributes *a, struct buf *ret);
int attributes_decode(const struct buf *b, struct attributes *ret);

#endif
