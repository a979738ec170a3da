/* A pack: entries and blobs in one file, to be taken from one cache to another as a whole, as a CI
 * does that keeps archives.
 *
 *   "draypck1", then one frame of zstd with a checksum; in it, for each item
 *     1   'b': a blob; 'e': an entry
 *    32   its name
 *     8   the content's bytes, big-endian
 *     …   the content
 *   and at the end 'z', 32 bytes of zero, and how many items there were, in 8 bytes.
 *
 * A file that was cut or changed is none from there on. Of blobs the names say what they hold;
 * entries are as believable as the file. */
#ifndef DRAY_STORE_PACK_H
#define DRAY_STORE_PACK_H

#include "common/buf.h"
#include "common/digest.h"
#include "store/store.h"

#define PACK_ENTRY_MAX (64u << 20)
#define PACK_BLOB_MAX (UINT64_C(16) << 30)

struct pack_item {
	enum store_kind kind;
	struct digest name;
	uint64_t size;
};

/* Writes to fd, which stays the caller's. The first error stays. 0 or -errno. */
struct pack_writer;
int pack_writer_new(int fd, struct pack_writer **ret);
void pack_writer_freep(struct pack_writer **w);
/* The content is what can be read from blob, or the bytes at p: item->size of them; -ESTALE: it has
 * another length. */
int pack_put_fd(struct pack_writer *w, const struct pack_item *item, int fd);
int pack_put(struct pack_writer *w, const struct pack_item *item, const void *p);
/* Without it the pack is not whole. */
int pack_end(struct pack_writer *w);

/* Reads from fd, which stays the caller's. 0; -EBADMSG: it is no pack; -EPROTONOSUPPORT: it is one
 * of a later form; -errno. */
struct pack_reader;
int pack_reader_new(int fd, struct pack_reader **ret);
void pack_reader_freep(struct pack_reader **r);
/* The next item, behind what was not read of the last one. 1; 0: the pack has ended, and was whole;
 * -EBADMSG: it is cut or damaged, or an item is larger than any is; -errno. */
int pack_next(struct pack_reader *r, struct pack_item *ret);
/* The rest of the item's content. 0; -EBADMSG; -errno. */
int pack_get_fd(struct pack_reader *r, int to);
int pack_get(struct pack_reader *r, struct buf *to); /* of an entry */

#endif
