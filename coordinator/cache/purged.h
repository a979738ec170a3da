/* What was purged, so that it does not come back out of a store that is behind the disk: one that
 * was away then, is only read, or had entries that the disk had not. Nothing of it concerns what
 * peers put: what a producer seals anew counts.
 *
 * A file of the cache's directory (coordinator/admin/kept.h), a line each: until when results were
 * sealed that are meant (seconds since 1970), namespace ("-": that without a name; "*": all),
 * producer and key ("-": any). */
#ifndef DRAY_COORDINATOR_CACHE_PURGED_H
#define DRAY_COORDINATOR_CACHE_PURGED_H

#include "coordinator/cache/vault.h"

#define PURGED_MAX 4096	   /* of more the oldest are forgotten */
#define PURGED_SLACK_S 120 /* by which a producer's clock may be ahead */

struct purged;

/* 0; -EBADMSG: another file, or damaged; -EPROTONOSUPPORT: of a later version; -errno. */
int purged_open(const char *dir, struct purged **ret);
void purged_free(struct purged *p); /* NULL is fine */
/* namespace: NULL: in all. On the disk when it returns 0, which waits; or -errno: then it is known
 * until the end. */
int purged_add(
	struct purged *p, const char *namespace, const struct vault_purge *what, uint64_t now_s);
/* Takes out of an entry of that namespace what was purged; how many results. */
size_t purged_sift(struct purged *p, const char *namespace, struct shared_entry *e);

/* For the fuzzer: reads a file's text. As purged_open. */
int purged_parse(const char *text, size_t n, struct purged **ret);
/* Likewise: as it would be written. 0 or -ENOMEM. */
int purged_print(struct purged *p, struct buf *ret);

#endif
