/* Takes results out of the local cache, by who made them and when. Their outputs are evicted in
 * time, as what is not used. */
#ifndef DRAY_CLIENT_CMD_CACHE_PURGE_H
#define DRAY_CLIENT_CMD_CACHE_PURGE_H

#include "store/depot.h"

struct purged {
	uint64_t entries, results; /* changed, removed */
};

/* Of all entries, as entry_drop_made. *ret counts what was done before an error, too. 0 or -errno.
 */
int purge_depot(struct depot *d, const char *producer, uint64_t before_s, struct purged *ret);

#endif
