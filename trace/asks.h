/* Which questions about the time of day, for random numbers, and about the machine count as what a
 * build script's result depends on. Any does, but those that programs are known to put at their
 * start, or only to compare times, to name temporary files, or to share their work. */
#ifndef DRAY_TRACE_ASKS_H
#define DRAY_TRACE_ASKS_H

#include "common/base.h"

enum ask {
	ASK_CLOCK,
	ASK_RANDOM,
	ASK_UNAME,
	ASK_CPUS,
	ASK_LIMITS,
};

/* program: its path. function: libc's name, for ASK_CLOCK. nth: how many times it has asked so,
 * this one included; since_fork: the same of this process. 0: not known. */
bool asks_count(
	const char *program, enum ask ask, const char *function, unsigned nth, unsigned since_fork);
/* Whether the program's own scripts read SOURCE_DATE_EPOCH, where it is set. */
bool asks_heeds_epoch(const char *program);

#endif
