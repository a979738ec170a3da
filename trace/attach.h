/* In the process that is to be traced. libc only: dray-exec has it, too. */
#ifndef DRAY_TRACE_ATTACH_H
#define DRAY_TRACE_ATTACH_H

#include <stddef.h>

/* Puts the BPF program of n bytes in place and sends its listener through the socket, for
 * trace_listener_accept. From then on every call that it notifies of waits for an answer, also this
 * process's own: an exec should come next. 0, or -1 with errno set. */
int trace_attach(const void *code, size_t n, int socket);

#endif
