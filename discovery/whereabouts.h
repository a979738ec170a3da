/* Where a coordinator is now, and by which key it is known: a worker's main loop says it when the
 * network does (find.h), or the key before (succession.h), and threads that make connections of
 * their own read it. */
#ifndef DRAY_DISCOVERY_WHEREABOUTS_H
#define DRAY_DISCOVERY_WHEREABOUTS_H

#include <pthread.h>

#include "discovery/found.h"
#include "keys/identity.h"

struct whereabouts {
	pthread_mutex_t lock;
	char at[FOUND_ENDPOINT_MAX]; /* ""; nowhere yet */
	char curve[CURVE_KEY_SIZE];
};

/* Before any thread has it. */
void whereabouts_init(struct whereabouts *w);
void whereabouts_set(struct whereabouts *w, const char *endpoint);
void whereabouts_get(struct whereabouts *w, char ret[FOUND_ENDPOINT_MAX]);
void whereabouts_set_key(struct whereabouts *w, const char *curve);
void whereabouts_get_key(struct whereabouts *w, char ret[CURVE_KEY_SIZE]);
void whereabouts_done(struct whereabouts *w);

#endif
