/* How often keys that are in no list may come, to join by a token (join_tokens.h): bounds for each
 * address and for all. With the time after which a connection that says nothing ends, they bound
 * how many such connections there are. A step function: the clock is passed in (monotonic ms). */
#ifndef DRAY_COORDINATOR_ADMIN_GUESTS_H
#define DRAY_COORDINATOR_ADMIN_GUESTS_H

#include "proto/gate.h"

#define GUESTS_OF_ONE 16 /* of an address at once, and then one a second */
#define GUESTS_OF_ALL 64 /* likewise, and then GUESTS_PER_S */
#define GUESTS_PER_S 8
#define GUESTS_ADDRESSES 64 /* that are remembered; the one that may come most often makes room */

struct guests_bucket {
	struct gate_address address;
	uint64_t at_ms; /* 0: it is full */
	double used;
};
struct guests {
	struct guests_bucket all, v[GUESTS_ADDRESSES];
	unsigned n;
};

/* Whether one may come from there now (family 0: it cannot be told; all of these count as one
 * address), which then counts. g is zeros at first. */
bool guests_take(struct guests *g, const struct gate_address *from, uint64_t now);

#endif
