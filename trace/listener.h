/* The other end of trace_attach: a compile's calls, one by one. */
#ifndef DRAY_TRACE_LISTENER_H
#define DRAY_TRACE_LISTENER_H

#include <linux/seccomp.h>

#include "common/base.h"

struct trace_listener {
	int fd; /* readable when a call waits; -1 before accept */
	struct seccomp_notif *req;
	size_t req_size; /* the kernel's, which may be more than ours */
	struct seccomp_notif_resp *resp;
	uint32_t failures;
};

/* 0 or -errno. */
int trace_listener_init(struct trace_listener *l);
void trace_listener_done(struct trace_listener *l);
/* Waits for the descriptor that trace_attach sends. 0; -EPIPE: the other end is closed, nothing was
 * put in place; -ECANCELED: `stop` became readable; else it was put in place and cannot be served.
 */
int trace_listener_accept(struct trace_listener *l, int socket, int stop);
/* 1: a call waits, l->req says which; 0: it is gone again; -EIO: no more will come. */
int trace_listener_next(struct trace_listener *l);
/* Whether the call still waits: its caller lives, and what was read of it was its own. */
bool trace_listener_waits(const struct trace_listener *l);
/* The answer to it: the kernel is to do it; or: this is its value. It fails (-errno) when the
 * caller is gone: nobody waits then. */
int trace_listener_go_on(struct trace_listener *l);
void trace_listener_answer(struct trace_listener *l, int64_t value);

#endif
