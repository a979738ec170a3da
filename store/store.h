/* A content-addressed blob store on disk.
 *
 * Layout: DIR/blobs/ab/abcdef… (mode 0444, the name is the SHA-256 of the content), DIR/tmp/.
 * Invariant: a name under blobs/ always holds exactly the bytes of its digest: content is written
 * under tmp/, verified, then renamed. Blobs are handed out as hard links, so evicting one never
 * disturbs who uses it.
 *
 * One process owns a store (an flock on DIR/lock); within it, all functions are thread-safe. */
#ifndef DRAY_STORE_H
#define DRAY_STORE_H

#include "common/digest.h"

struct store;
struct store_writer;

struct store_stats {
	uint64_t blobs;
	uint64_t bytes;
	uint64_t budget;
	uint64_t evicted; /* blobs evicted since open */
};

/* Opens or creates. budget in bytes, 0 for none. Scans what is there: leftovers under tmp/ are
 * removed, names that are not digests too. -EBUSY: another process has it. */
int store_open(const char *dir, uint64_t budget, struct store **ret);
void store_close(struct store *s); /* NULL is fine */
void store_closep(struct store **s);

/* Whether the blob is here; a hit also marks it as used now. */
bool store_has(struct store *s, const struct digest *d, uint64_t *ret_size);

/* Streams a blob in. Commit verifies digest and size, -EBADMSG when they differ (nothing is kept).
 * A full disk is -ENOSPC, and frees room by evicting for the next try. The writer is freed by
 * commit or abort in every case. */
int store_write_begin(struct store *s, struct store_writer **ret);
int store_write(struct store_writer *w, const void *p, size_t n);
int store_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size);
void store_write_abort(struct store_writer *w); /* NULL is fine */

/* Copies a file in (read once: hashed while it is copied) and returns its digest and size. The
 * source may still be open for writing elsewhere: what was read is what is stored. */
int store_add_fd(struct store *s, int fd, struct digest *ret, uint64_t *ret_size);
/* Takes a finished file by rename (same file system), after hashing it: the caller guarantees that
 * nobody can write to it any more. Falls back to a copy across file systems. */
int store_adopt(struct store *s, const char *path, struct digest *ret, uint64_t *ret_size);

/* Puts the blob at path as a hard link (a copy, mode 0444, where links are refused: EMLINK, EXDEV).
 * -ENOENT when it is not here. */
int store_link(struct store *s, const struct digest *d, const char *path);
/* A read-only descriptor, or -errno. */
int store_open_blob(struct store *s, const struct digest *d);

/* Evicts least recently used blobs until within budget, at most max_blobs of them: call it often.
 */
void store_trim(struct store *s, unsigned max_blobs);
void store_get_stats(struct store *s, struct store_stats *ret);

#endif
