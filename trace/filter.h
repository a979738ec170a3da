/* The filter that makes the kernel report a compile's calls and wait for an answer. */
#ifndef DRAY_TRACE_FILTER_H
#define DRAY_TRACE_FILTER_H

#include "common/buf.h"

/* Whether this kernel can report a call and wait for an answer (Linux 5.5). */
bool trace_filter_possible(void);
enum {
	TRACE_FILTER_DESCRIPTORS = 1, /* stats of open descriptors, too */
	/* getrandom, but not in the ways that std and libc use it for their own tables; what the
	 * machine is (TRACE_MACHINE); and no
	 * question that has ASKED_PASS (asked.h) */
	TRACE_FILTER_SCRIPT = 2,
};
/* Adds to *ret a BPF program (struct sock_filter[]) that notifies of the calls in trace_calls, and
 * of sockets other than Unix ones, of changes of modes, owners and times (TRACE_MARK; not with
 * TRACE_FILTER_DESCRIPTORS), and of what `also` has. 0 or -errno. */
int trace_filter_make(unsigned also, struct buf *ret);

#endif
