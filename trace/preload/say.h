/* How a program that is traced says something to the tracer (trace/paths.h). */
#ifndef DRAY_TRACE_SAY_H
#define DRAY_TRACE_SAY_H

#include <errno.h>
#include <fcntl.h>

#include "trace/paths.h"

/* A signal of the program ends the call before the tracer has seen it: then it is made again. What
 * openat returns: the descriptor of an answer, or -1. Leaves errno as it was. */
static inline int
trace_say(const char *what)
{
	int saved = errno, fd;

	do
		fd = openat(TRACE_SAID_FD, what, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	errno = saved;
	return fd;
}

#endif
