/* What a compile on a worker looked at and said, left in the staging directory for dray, which
 * keeps it with the outputs (ledger.h). */
#ifndef DRAY_CLIENT_DISPATCH_FARM_RECORD_H
#define DRAY_CLIENT_DISPATCH_FARM_RECORD_H

#include "client/dispatch/outputs.h"
#include "client/dispatch/say.h"
#include "client/dispatch/unit.h"

/* Without a trace the record says that nothing was seen. 0 or -errno: there is none. */
int farm_record_write(const struct unit *u, const struct outputs *o, const Dray__JobResult *m,
	const struct say *say);
/* The record alone, to *ret. 0 or -ENOMEM. */
int farm_record_make(
	const struct unit *u, const struct outputs *o, const Dray__JobResult *m, struct buf *ret);

#endif
