/* Clients whose results are looked at (sampler.h), and how long that has taken of late: one that
 * has much to be looked at, or what takes long, delays its own samples and nobody else's. */
#ifndef DRAY_COORDINATOR_CACHE_SAMPLED_H
#define DRAY_COORDINATOR_CACHE_SAMPLED_H

#include <sys/queue.h>

#include "keys/identity.h"

#define SAMPLED_HALVED_MS (3600u * 1000) /* what was used counts half after that */

struct sampled_client {
	TAILQ_ENTRY(sampled_client) link;
	char key[CURVE_KEY_SIZE]; /* "": of results whose client is not known */
	uint64_t spent_ms;
	unsigned open; /* samples */
	size_t weight; /* its user's */
};

struct sampled {
	TAILQ_HEAD(, sampled_client) clients;
	uint64_t halved_ms;
};

void sampled_init(struct sampled *s);
void sampled_done(struct sampled *s);
/* One more sample of that client is open. NULL: no memory. */
struct sampled_client *sampled_open(struct sampled *s, const char *client);
/* One less. It is not valid any more. */
void sampled_close(struct sampled *s, struct sampled_client *c);
/* Time has passed. */
void sampled_tick(struct sampled *s, uint64_t now);

#endif
