/* The filter that makes the kernel report a compile's calls and wait for an answer. */
#ifndef DRAY_TRACE_FILTER_H
#define DRAY_TRACE_FILTER_H

#include "common/buf.h"

/* Whether this kernel can report a call and wait for an answer (Linux 5.5). */
bool trace_filter_possible(void);
/* Adds to *ret a BPF program (struct sock_filter[]) that notifies of the calls in trace_calls, and
 * of sockets other than Unix ones; with `descriptors` also of stats of open descriptors. 0 or
 * -errno. */
int trace_filter_make(bool descriptors, struct buf *ret);
/* Adds a finished libseccomp filter to *ret, in the kernel's form. 0 or -errno. */
int trace_filter_export(void *scmp_filter, struct buf *ret);

#endif
