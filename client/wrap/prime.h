/* Makes an incremental state ready in the background, for the first edit after a unit came from the
 * cache, the farm, or a compile without one. */
#ifndef DRAY_CLIENT_WRAP_PRIME_H
#define DRAY_CLIENT_WRAP_PRIME_H

#include "common/conf.h"
#include "rustc/call.h"

/* At most so many wait, one after another; then no more are begun. */
#define PRIME_WAITING_MAX 64
#define PRIME_CPU_S 900 /* processor seconds of one */

/* call: with -C incremental. Starts a process of its own that waits for this one's parent to end
 * and then compiles, at idle priority; nothing where the machine is on battery, where CI is set, or
 * where it is not wanted. Never fails. */
void prime_start(const struct conf *conf, const struct rustc_call *call);

/* For its test: whether a battery is being drained. root: before /sys, "" but there. */
bool prime_on_battery(const char *root);

/* Whether this bwrap can mount a directory in another's place here, by trying it. */
bool prime_binds_with(const char *bwrap);

#endif
