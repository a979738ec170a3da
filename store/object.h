/* What a far place keeps: objects, of one form in all of them, so that they may be copied from one
 * place to another by any tool. An object is a file that `zstd -d` reads, unless it is raw:
 *
 *   0   4  0x184D2A5D, little-endian: a frame that zstd skips
 *   4   4  88, little-endian: the bytes of this frame that follow
 *   8   8  "drayobj1"
 *  16   1  0: a blob; 1: an entry
 *  17   1  0: the content follows as it is (raw); 1: as one frame of zstd
 *  18   6  zero
 *  24   8  the content's bytes, big-endian
 *  32  32  the name: of a blob, the SHA-256 of the content; of an entry, its key
 *  64  32  the SHA-256 of the content
 *  96      the content
 *
 * incoming.h reads one, outgoing.h makes one. */
#ifndef DRAY_STORE_OBJECT_H
#define DRAY_STORE_OBJECT_H

#include "store/store.h"

#define OBJECT_HEAD_SIZE 96
/* "v1/entries/ab/", 64 digits and a NUL */
#define OBJECT_PATH_SIZE 80
/* What an object has beyond its content at most: of the head, and of what zstd adds to content that
 * does not shrink. */
#define OBJECT_OVERHEAD(size) (OBJECT_HEAD_SIZE + 1024 + (size) / 128)

enum object_coding { OBJECT_RAW, OBJECT_ZSTD, OBJECT_N_CODINGS };

struct object_head {
	enum store_kind kind;
	enum object_coding coding;
	uint64_t size; /* of the content */
	struct digest name, content;
};

/* A whole object, ready to be sent. */
struct object {
	struct object_head head;
	int fd;		 /* at the object's begin; its offset belongs to who has it */
	uint64_t length; /* of the object */
};
void object_done(struct object *o);

/* Its content from the begin to the end, which nobody else has changed: for a place that keeps no
 * objects. The object's descriptor is only read, and stays its owner's. */
struct object_reader;
int object_reader_new(const struct object *o, struct object_reader **ret); /* 0 or -ENOMEM */
void object_reader_free(struct object_reader *r);			   /* NULL is fine */
/* The next n bytes, all of them. 0; -EIO: there are fewer; -errno. */
int object_reader_read(struct object_reader *r, void *p, size_t n);

void object_head_write(const struct object_head *h, uint8_t out[OBJECT_HEAD_SIZE]);
/* 0; -EBADMSG: that is none. Of a blob, name and content are equal. */
int object_head_read(const uint8_t in[OBJECT_HEAD_SIZE], struct object_head *ret);

/* Where an object is, below a place's prefix: "v1/blobs/ab/abcdef…". A later form of objects will
 * be below another number, so that old and new programs share a place. */
void object_path(enum store_kind kind, const struct digest *name, char out[OBJECT_PATH_SIZE]);

/* A file without a name, for what is not whole yet: in the directory, where linkat can give it one
 * later, or in memory (NULL). A descriptor, or -errno. */
int object_temp(const char *dir);

#endif
