/* One unit through the farm: packs it, asks for a worker, tries it there, tries again elsewhere. */
#ifndef DRAY_CLIENT_DISPATCH_DISPATCH_H
#define DRAY_CLIENT_DISPATCH_DISPATCH_H

#include "client/dispatch/tether.h"
#include "client/half/request.h"
#include "client/wrap/ledger.h"
#include "common/conf/conf.h"

/* What the units of one process share. */
struct dispatch_shared {
	void *zctx;
	struct hub *hub;
	struct pool *pool;
	struct memo *memo; /* may be NULL */
};

struct dispatch_in {
	const struct conf *conf;
	char **argv;			/* the compiler's, as dray was given it, or mapped */
	unsigned jobs;			/* of the build (given.h), 0: not known */
	bool mapped;			/* by mapping_argv */
	const struct half_alike *alike; /* another one like it is waited for; NULL: it is not */
	pid_t dray;			/* which waits */
	char *const *envp; /* its environment; its directory and umask are this thread's */
	struct tether *tether;
	const struct dispatch_shared *shared; /* NULL: this process has one unit */
	/* With shared: called once all is done and in the ledger, which is not touched after. */
	void (*release)(void *arg);
	void *arg;
};

/* All that happened is in *rep (never LEDGER_RUNNING at the end, unless a signal came). Returns the
 * exit status of dray-dispatch: 0, or 128 + signal. */
int dispatch_unit(const struct dispatch_in *in, struct ledger *rep);

#endif
