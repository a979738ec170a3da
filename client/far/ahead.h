/* What a build will ask for, fetched before it does: its first question names the build's list
 * (list.h), and a thread of the farm half fetches what is on it, in its order: entries into memory,
 * and of each the blobs of the latest result that is believed into the local store.
 *
 * Nobody waits for it. What it fetches for a list is bounded in bytes, it has no more under way
 * than what comes in a tenth of a second, and it ends when the stores fail. Of builds it knows the
 * eight that were used last; of one whose list is not done it knows it longer, and takes no other.
 */
#ifndef DRAY_CLIENT_FAR_AHEAD_H
#define DRAY_CLIENT_FAR_AHEAD_H

#include "client/far/messages.h"
#include "cache/list.h"
#include "common/buf.h"

struct far_half;
struct ahead;

/* h outlives it; its stores are open. 0 or -errno. */
int ahead_open(struct far_half *h, struct ahead **ret);
void ahead_closep(struct ahead **a);

/* A build that has a list of this name (all zero: none) begins. */
void ahead_begin(struct ahead *a, const struct digest *list);

/* A wrapper asks for a key, of a build that has a list of this name. True: its entry was fetched;
 * its bytes are added to *ret, and are not kept. store: where it was. */
bool ahead_take(struct ahead *a, const struct digest *list, const struct digest *key,
	struct buf *ret, char store[FAR_STORE_MAX]);

/* For the uploads, which put lists: from now on each that is not in the stores yet is noted in that
 * directory (queue.h), which outlives a. NULL: none is any more. */
void ahead_note_in(struct ahead *a, const char *dir);
/* What builds have asked for that is not in the store's lists yet. True: one of them, which counts
 * as kept from now on; the caller frees it, and says ahead_list_put when it was put, or was not. */
bool ahead_next_list(struct ahead *a, struct digest *ret_name, struct list *ret);
void ahead_list_put(struct ahead *a, const struct digest *name);

#endif
