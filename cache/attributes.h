/* The attributes of a file, as inputs (inputs.h). A macro may put them into what it makes.
 *
 * Kind, size, mode and owner always count. Times count until it was seen that they do not matter
 * (times.h): each has a bit, and those in `ignored` may differ. The time of the last access is left
 * out: reading a file changes it, so no compile would ever hit. */
#ifndef DRAY_CACHE_ATTRIBUTES_H
#define DRAY_CACHE_ATTRIBUTES_H

#include "common/buf.h"
#include "common/digest.h"

enum attribute {
	ATTRIBUTE_KIND,
	ATTRIBUTE_MODE,
	ATTRIBUTE_UID,
	ATTRIBUTE_GID,
	ATTRIBUTE_SIZE,	    /* 0 for a directory: there it depends on the file system */
	ATTRIBUTE_MODIFIED, /* ns since 1970, as all below */
	ATTRIBUTE_CHANGED,
	ATTRIBUTE_CREATED, /* 0: the file system does not know */
	ATTRIBUTES
};

#define ATTRIBUTE_TIMES \
	((1u << ATTRIBUTE_MODIFIED) | (1u << ATTRIBUTE_CHANGED) | (1u << ATTRIBUTE_CREATED))

#define ATTRIBUTE_OWNER ((1u << ATTRIBUTE_UID) | (1u << ATTRIBUTE_GID))

struct attributes {
	int64_t v[ATTRIBUTES];
	uint64_t ignored; /* of ATTRIBUTE_TIMES and ATTRIBUTE_OWNER */
};

/* With `links` the attributes of what a symbolic link leads to. 0 or -errno. */
int attributes_read(const char *path, bool links, struct attributes *ret);
/* The name of the first attribute that counts and differs ("mtime"); NULL: none does. */
const char *attributes_difference(const struct attributes *kept, const struct attributes *now);
/* The times that differ by at least a second: a program that looks at them sees that. */
unsigned attributes_moved(const struct attributes *a, const struct attributes *b);

/* A digest of all extended attributes: of a symbolic link itself, and of what the path leads to. A
 * file system that has none counts as a file without any. 0 or -errno. */
int attributes_extended(const char *path, struct digest *ret);

/* The value of an input, and back. 0; -ENOMEM; -EBADMSG. */
int attributes_encode(const struct attributes *a, struct buf *ret);
int attributes_decode(const struct buf *b, struct attributes *ret);

#endif
