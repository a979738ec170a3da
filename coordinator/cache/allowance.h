/* So many bytes an hour: what a namespace may put into the shared cache. What is not used is saved
 * for an hour, no longer, and comes back evenly. The clock is passed in; milliseconds, monotonic.
 */
#ifndef DRAY_COORDINATOR_CACHE_ALLOWANCE_H
#define DRAY_COORDINATOR_CACHE_ALLOWANCE_H

#include "common/base.h"

struct allowance {
	uint64_t max;	/* bytes an hour; 0: any number */
	uint64_t taken; /* of the last hour's, still */
	uint64_t at_ms; /* when that was so */
};

/* What was taken before counts on. */
void allowance_set(struct allowance *a, uint64_t max);
/* False: so many bytes are more than may be taken now, and none is. */
bool allowance_take(struct allowance *a, uint64_t bytes, uint64_t now);
/* Of those that were taken so many were not used. */
void allowance_give_back(struct allowance *a, uint64_t bytes);
/* How many are taken. */
uint64_t allowance_taken(const struct allowance *a, uint64_t now);

#endif
