/* One unit through the farm: packs it, asks for a worker, tries it there, tries again elsewhere. */
#ifndef DRAY_CLIENT_DISPATCH_DISPATCH_H
#define DRAY_CLIENT_DISPATCH_DISPATCH_H

#include "client/wrap/ledger.h"
#include "common/conf.h"

struct dispatch_in {
	const struct conf *conf;
	char **argv;   /* the compiler's, as dray was given it, or mapped */
	unsigned jobs; /* of the build (given.h), 0: not known */
	bool mapped;   /* by mapping_argv */
};

/* All that happened is in *rep (never LEDGER_RUNNING at the end, unless a signal came). Returns the
 * exit status of dray-dispatch: 0, or 128 + signal. */
int dispatch_unit(const struct dispatch_in *in, struct ledger *rep);

#endif
