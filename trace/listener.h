/* The tracer's end of trace_attach: takes a compile's calls one by one. */
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
	int refused; /* after -EPIPE: the errno of why there is no filter; 0: not known */
};

/* 0 or -errno. */
int trace_listener_init(struct trace_listener *l);
void trace_listener_done(struct trace_listener *l);
/* Waits for the descriptor that trace_attach sends. 0; -EPIPE: the other end is closed, and no
 * filter was installed (l->refused); -ECANCELED: `stop` became readable; another error: the filter
 * is installed and cannot be served.
 */
int trace_listener_accept(struct trace_listener *l, int socket, int stop);
/* 1: a call waits, and l->req describes it; 0: it is gone again; -EIO: no more will come. */
int trace_listener_next(struct trace_listener *l);
/* Whether the call still waits. Then its caller lives, and the memory that was read was the
 * caller's. */
bool trace_listener_waits(const struct trace_listener *l);
/* Writes to the caller's memory: all of it, or false. What is written to is the memory of a caller
 * that still waits, and of no process that has its number now. */
bool trace_listener_write(const struct trace_listener *l, uint64_t at, const void *p, size_t n);
/* Answers the call: the kernel does it, or this is its value. -errno: the caller is gone. */
int trace_listener_go_on(struct trace_listener *l);
void trace_listener_answer(struct trace_listener *l, int64_t value);
/* Answers the call with a descriptor of its own for the same file (Linux 5.9; elsewhere the kernel
 * does the call). */
void trace_listener_give(struct trace_listener *l, int fd);

#endif
