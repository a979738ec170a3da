/* git's index file: what it says of the files that git knows.
 *
 * It also holds the files' times and inodes, by which git knows whether to read them again. git
 * writes a new one when these have changed (after a checkout, a touch, or within a second of a
 * commit), though it says the same. */
#ifndef DRAY_MEMO_GIT_INDEX_H
#define DRAY_MEMO_GIT_INDEX_H

#include "common/digest.h"
#include "memo/memo.h"

/* The digest of its entries: names, modes, flags and objects. 0; -EBADMSG: no index of a version
 * that is known (2 to 4, of SHA-1 objects, neither split nor sparse); -errno. */
int git_index_digest(const char *path, struct digest *ret);
/* The same; what is known of the very file is taken from the memo, which may be NULL. */
int git_index_digest_memo(struct memo *memo, const char *path, struct digest *ret);

/* Whether it says, or may say, which files are untracked (core.untrackedCache). Git then lists a
 * directory only where its time is another one. */
bool git_index_has_untracked(const char *path);

#endif
