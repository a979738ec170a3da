/* A process of its own for what can wait until cargo has ended. */
#ifndef DRAY_CLIENT_INCREMENTAL_BACKGROUND_H
#define DRAY_CLIENT_INCREMENTAL_BACKGROUND_H

#include "common/conf/conf.h"
#include "rustc/call.h"

/* At most so many wait, one after another; then no more are begun. */
#define BACKGROUND_MAX 64
#define BACKGROUND_CPU_S 900 /* processor seconds of one */

typedef void (*background_fn)(const struct conf *conf, const struct rustc_call *call);

/* call: with -C incremental. Starts a process that waits for this one's parent to end and for its
 * turn (one at a time compiles, and one does not), and then calls `what`, at idle priority; nothing
 * where the machine is on battery, where CI is set, where memory is short, where the cache
 * directory is not this user's own, or where it is not wanted (prime). Never fails. */
void background_start(
	const struct conf *conf, const struct rustc_call *call, bool compiles, background_fn what);

/* Of a process that was forked for something that nobody waits for: it has a session of its own, no
 * descriptor of cargo's, and every signal's default. False: it should end. */
bool background_withdraw(void);

/* For its test: whether a battery is being drained. root: before /sys, "" but there. */
bool background_on_battery(const char *root);

#endif
