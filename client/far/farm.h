/* What the stores of a farm half need of its connection with the coordinator, which is somebody
 * else's (client/dispatch/hub.h). Any thread may ask. */
#ifndef DRAY_CLIENT_FAR_FARM_H
#define DRAY_CLIENT_FAR_FARM_H

#include "store/store.h"

#define FAR_FARM_NAME "coordinator"

enum far_puts {
	FAR_PUTS_LATER, /* it is away, or has not said it yet */
	FAR_PUTS_NO,	/* not of this client */
	FAR_PUTS,
};

struct far_farm {
	void *arg;
	/* The coordinator's shared cache, as the first place of a chain (store/chain/chain.h). */
	int (*share)(void *arg, bool read_only, const struct store_in *in, struct store **ret);
	enum far_puts (*puts)(void *arg);
	/* Whether it may still be the first word on whom the coordinator vouches for. */
	bool (*will_vouch)(void *arg);
	/* Whether it takes what is to be compiled again for that cache (refill.h). */
	bool (*takes_refills)(void *arg);
	/* From now on: nothing. */
	void (*end)(void *arg);
};

#endif
