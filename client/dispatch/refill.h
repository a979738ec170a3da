/* One refill (client/far/refill.h), in a process of its own: what was compiled here is compiled
 * again by a worker that has nothing to do, for the shared cache alone. */
#ifndef DRAY_CLIENT_DISPATCH_REFILL_H
#define DRAY_CLIENT_DISPATCH_REFILL_H

#include "client/far/refill.h"

/* Prints REFILL_RUNS on a line when the worker's compiler was started, and then a sentence that
 * says how it ended. Environment, directory and umask of this process are the unit's afterwards. */
enum refill_end refill_run(const struct conf *conf, const struct queue_item *i);

#endif
