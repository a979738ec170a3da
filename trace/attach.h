/* In the process that is to be traced. libc only: dray-exec has it, too. */
#ifndef DRAY_TRACE_ATTACH_H
#define DRAY_TRACE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>

/* Puts the BPF program of n bytes in place and sends its listener through the socket, for
 * trace_listener_accept. From then on every call that it notifies of waits for an answer, also this
 * process's own: an exec should come next. 0; -1 with errno set: nothing was put in place; 1: it
 * was, and nobody can listen (the socket gets a byte without it): nothing can be run in this
 * process any more. */
int trace_attach(const void *code, size_t n, int socket);
/* One call that is notified of and means nothing. Whether the tracer answered; else again nothing
 * can be run in this process. */
bool trace_attach_try(void);

#endif
