/* clang-format off */
/* What a user's earlier builds taught dray, in one LMDB file (<cache>/memo.lmdb), shared by all of
 * the user's processes:
 *
 *   digests    (device, inode, size, mtime, ctime) -> SHA-256: a file is hashed once
 *   artifacts  path of a crate artifact -> its direct externs: a dependent's closure is then known
 *   notes      short strings by name, e.g. a toolchain's id
 *
 * All of it may be lost or wrong without harm: each record carries what is needed to see that it no
 * longer holds. Where LMDB cannot work, notes and digests of large files are small files in
 * <cache>/memo.d (memo_files.h). A memo that cannot be opened is NULL, and every function accepts
 * that. */
/* clang-format on */
#ifndef DRAY_MEMO_MEMO_H
#define DRAY_MEMO_MEMO_H

#include <sys/stat.h>

#include "common/digest.h"
#include "common/buf.h"
#include "common/strv.h"

struct memo;

/* Opens or creates <dir>/memo.lmdb, or where that cannot be, <dir>/memo.d. *ret is NULL on failure.
 * A damaged file is removed and made anew. */
int memo_open(const char *dir, struct memo **ret);
void memo_close(struct memo *m);
void memo_closep(struct memo **m);

/* The digest of a regular file, remembered by its stat. Hashes it when unknown. A file changed so
 * lately that a further change could keep the same stat is hashed each time. One whose times may be
 * an image's (image.h) is hashed once per mount, or each time where mounts cannot be told apart.
 * ret_st may be NULL. 0 or -errno (as open). Writes are batched until memo_flush or memo_close. */
int memo_digest_file(struct memo *m, const char *path, struct digest *ret, struct stat *ret_st);

/* The same for an open file. sealed: it is never changed in place, such as a cache's blob; a new
 * name of it, or one less, moves its ctime, and that alone is then no change. */
int memo_digest_fd(struct memo *m, int fd, bool sealed, struct digest *ret, struct stat *ret_st);

/* Remembers a digest that is known otherwise: the caller has just put the file there, whole, by
 * rename, and no process that could write to it knows of it yet. Does nothing when it cannot. */
void memo_note_digest(struct memo *m, const char *path, const struct digest *d);
/* The same for the file that has this stat. */
void memo_note_stat(struct memo *m, const struct stat *st, const struct digest *d);

/* Remembers that the artifact at path (as it is on disk now) was made with these direct externs
 * (absolute paths). */
int memo_set_artifact(struct memo *m, const char *path, const struct strv *externs);
/* 0 and the list; -ENOENT when nothing is known of the file that is there now. Adds to *ret. */
int memo_get_artifact(struct memo *m, const char *path, struct strv *ret);

int memo_set_note(struct memo *m, const char *name, const void *p, size_t n);
int memo_get_note(struct memo *m, const char *name, struct buf *ret); /* -ENOENT */

int memo_flush(struct memo *m);

/* For what takes long to learn, and is the same for all: one of this user's processes learns it,
 * and the others wait for that, ms at most, and find it then. It calls memo_flush before it gives
 * the turn back. A descriptor to close, with the turn; -ETIMEDOUT: the other one takes longer, or
 * is stopped; -errno. Not NULL. */
int memo_turn(struct memo *m, unsigned ms);

/* For a process that stays: whether the file that is open is still the one of that name (another
 * process may have begun it anew); if not, it should be opened again. From now on locks that were
 * waited for in vain are waited for again. Not NULL. */
bool memo_is_current(struct memo *m);

#endif
