/* What a revoked producer made goes from the local cache, as `dray clear --producer KEY` takes it:
 * in the background, at lowest priority, by a process of its own. It is not used before, either
 * (client/wrap/distrust.h): where that process cannot be started nothing is lost but room. */
#ifndef DRAY_CLIENT_FAR_FORGET_H
#define DRAY_CLIENT_FAR_FORGET_H

#include "common/conf/conf.h"
#include "common/strv.h"

#define FORGET_MAX                                                                     \
	16 /* keys at once: each is a look at the whole cache; of more, the first ones \
	    */

/* Takes the keys. Returns at once. */
void forget_made(const struct conf *conf, struct strv *keys);

#endif
