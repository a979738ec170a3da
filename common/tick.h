/* A wait for a lock has no time limit of its own. Between tick_begin and tick_end a timer's signal
 * (SIGALRM) comes again and again, and each ends such a wait with EINTR. One such pair at a time in
 * a process; the process that is started meanwhile has no timer. */
#ifndef DRAY_COMMON_TICK_H
#define DRAY_COMMON_TICK_H

#include <signal.h>

struct tick {
	struct sigaction old;
};

void tick_begin(struct tick *t, unsigned every_ms);
/* The signal does what it did before. */
void tick_end(const struct tick *t);

#endif
