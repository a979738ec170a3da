/* A captured link, as dray wants it (ledger.h): staging/link-N and staging/tail, and the link's
 * inputs where the linker's arguments say. */
#ifndef DRAY_CLIENT_DISPATCH_BUNDLE_H
#define DRAY_CLIENT_DISPATCH_BUNDLE_H

#include "client/dispatch/outputs.h"
#include "client/wrap/ledger.h"
#include "client/dispatch/unit.h"

#define BUNDLE_CALLS_MAX 16

/* The calls are the worker's word. Here it is checked that the linker is the one that rustc would
 * run, and that temporary directories are rustc's own, below the out-dir; the arguments are checked
 * by dray, before it links (client/link/link_check.h). 0; -errno; or -ENOTSUP with a reason in
 * *ret_home.
 */
int bundle_make(struct unit *u, struct outputs *o, const Dray__JobResult *result,
	const struct buf *tail, struct ledger *rep, char **ret_home);

#endif
