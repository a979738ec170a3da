/* What the page draws over time: a point a second for ten minutes, a point a minute for a day. The
 * counts in a point are since the coordinator began; what happened in between is their difference.
 */
#ifndef DRAY_COORDINATOR_PAGE_SERIES_H
#define DRAY_COORDINATOR_PAGE_SERIES_H

#include "common/base.h"

#define SERIES_SECONDS 600
#define SERIES_MINUTES 1440
#define SERIES_MINUTE_MS 60000

struct series_point {
	uint64_t at_ms; /* wall clock, since 1970 */
	uint64_t workers, slots, used, queued, queue_ms;
	uint64_t ended, faults, hits, misses, saved_us, sent, received, fetched; /* counts */
};

struct series {
	/* rings: the next one is [n % size] */
	struct series_point seconds[SERIES_SECONDS], minutes[SERIES_MINUTES];
	uint64_t n_seconds, n_minutes;
};

void series_add(struct series *s, const struct series_point *p);

#endif
