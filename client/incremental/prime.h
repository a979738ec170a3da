/* Makes an incremental state ready in the background, for the first edit after a unit came from the
 * cache, the farm, or a compile without one. */
#ifndef DRAY_CLIENT_INCREMENTAL_PRIME_H
#define DRAY_CLIENT_INCREMENTAL_PRIME_H

#include "common/conf/conf.h"
#include "rustc/call.h"

/* call: with -C incremental. Compiles in the background (background.h), where no seed of the unit
 * is kept (seed.h). Never fails. */
void prime_start(const struct conf *conf, const struct rustc_call *call);

/* Whether this bwrap can mount a directory in another's place here, by trying it. */
bool prime_binds_with(const char *bwrap);

#endif
