/* A wrapper's side of the farm half (request.h): finds it, or starts it, and hands a unit over. */
#ifndef DRAY_CLIENT_HALF_ASK_H
#define DRAY_CLIENT_HALF_ASK_H

#include "client/half/request.h"
#include "client/wrap/ledger.h"
#include "common/conf/conf.h"

struct half_ask {
	struct conf *conf;
	const char *program; /* the path of dray-dispatch */
	char *const *argv;   /* of the compiler */
	unsigned jobs;
	bool mapped;
	const struct half_alike *alike; /* NULL: none is waited for */
	struct ledger *ledger;
	int ledger_fd;
};

/* True: it had the unit and has ended, or died; the ledger says how far it came. False: there is
 * none for this unit, and there will be none: the ledger is as it was. A signal (child_signal)
 * ends the unit. */
bool half_run(const struct half_ask *in);
/* Then: a farm half of its own, for this unit alone. 0, and the ledger says how far it came;
 * -errno: it cannot be started. */
int half_run_own(const struct half_ask *in);

#endif
