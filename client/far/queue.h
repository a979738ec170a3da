/* clang-format off */
/* What waits to be uploaded: results of the local cache, each a small file in
 * <cache_dir>/uploads/TARGET, with the stores, the namespace and the identity for a TARGET: what
 * one project's configuration lets go to its stores goes to no other's.
 *
 *   KEY-RESULT   the key of its entry, and the SHA-256 of the result as it is kept there, in hex;
 *                in it the variables that cargo and pass_env set, NAME=VALUE, each with a NUL
 *   list-XXXXXX  a list of what a build asks for (list.h), which a farm half is about to put:
 *                locked by it until it has, and empty
 *   lock         locked by the process that uploads
 *
 * A wrapper adds one, and goes on; a farm half finds it, whichever runs then, and removes it when
 * it is done. So nothing is lost when any of them is killed. */
/* clang-format on */
#ifndef DRAY_CLIENT_FAR_QUEUE_H
#define DRAY_CLIENT_FAR_QUEUE_H

#include "common/conf/conf.h"
#include "common/digest.h"
#include "common/strv.h"

#define QUEUE_MAX 20000 /* results: of more the oldest are not uploaded */

struct queue_item {
	struct digest key, result;
};

/* The directory of what goes where this configuration says: the `dir` of all below, the caller's to
 * free. It need not be there. 0 or -ENOMEM. */
int queue_dir(const struct conf *conf, char **ret);
/* The same of what an idle worker is to compile again (refill.h): in <cache_dir>/refills. */
int queue_refill_dir(const struct conf *conf, char **ret);
/* env: NULL-terminated. 0; -E2BIG: these are too long; -errno. */
int queue_add(const char *dir, const struct queue_item *i, char *const *env);
/* All that wait, the oldest first: *ret_n of them in an array that the caller frees. 0 or -errno;
 * then there is none. */
int queue_list(const char *dir, struct queue_item **ret, size_t *ret_n);
/* Adds its variables to *ret. 0; -ENOENT: it is gone; -EBADMSG; -errno. */
int queue_read(const char *dir, const struct queue_item *i, struct strv *ret);
void queue_remove(const char *dir, const struct queue_item *i);
/* Notes that a list is about to be put, so that others who wait for uploads wait for it, too. A
 * descriptor, or -errno; *ret_path: its file, the caller's. */
int queue_note_list(const char *dir, char **ret_path);
/* It was put, or never will be. Frees the path, and closes the descriptor. */
void queue_drop_list(char *path, int fd);
/* How many of these there are. What a process left that has died is none, and is removed. */
size_t queue_count_lists(const char *dir);
/* The lock of who uploads: a descriptor; -EWOULDBLOCK: another process does; -errno. */
int queue_lock(const char *dir);

#endif
