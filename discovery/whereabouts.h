/* Where a coordinator is now: a worker's main loop says it when the network does (find.h), and
 * threads that make connections of their own read it. */
#ifndef DRAY_DISCOVERY_WHEREABOUTS_H
#define DRAY_DISCOVERY_WHEREABOUTS_H

#include <pthread.h>

#include "discovery/found.h"

struct whereabouts {
	pthread_mutex_t lock;
	char at[FOUND_ENDPOINT_MAX]; /* ""; nowhere yet */
};

/* Before any thread has it. */
void whereabouts_init(struct whereabouts *w);
void whereabouts_set(struct whereabouts *w, const char *endpoint);
void whereabouts_get(struct whereabouts *w, char ret[FOUND_ENDPOINT_MAX]);
void whereabouts_done(struct whereabouts *w);

#endif
