/* What runs in the process that is to be traced. It needs libc only, since dray-exec has it, too.
 */
#ifndef DRAY_TRACE_ATTACH_H
#define DRAY_TRACE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>

/* Installs the BPF program of n bytes as a filter and sends its listener through the socket, for
 * trace_listener_accept. From then on each call that the filter notifies of waits for an answer,
 * those of this process too, so an exec should come next. 0; -1 with errno set: the filter is not
 * installed; 1: it is installed but the listener could not be sent (the socket gets a byte without
 * it), so this process can run nothing any more. */
int trace_attach(const void *code, size_t n, int socket);
/* Says through the socket why there is no filter: an errno. */
void trace_attach_refused(int error, int socket);
/* Makes one call that the filter notifies of and that has no effect. True: the tracer answered.
 * False: this process can run nothing any more. */
bool trace_attach_try(void);

#endif
