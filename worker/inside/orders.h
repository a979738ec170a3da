/* What is sent to a dray-exec that waits: one message of one packet, with descriptors. */
#ifndef DRAY_WORKER_INSIDE_ORDERS_H
#define DRAY_WORKER_INSIDE_ORDERS_H

#include <stdint.h>

struct orders {
	uint32_t umask; /* plus one; 0: stays as it is */
	uint32_t traced;
};

/* Its descriptors, in this order. Strings are NUL-terminated, one after the other. */
enum {
	ORDERS_COMMAND, /* the directory, then the arguments */
	ORDERS_ENV,	/* NAME=VALUE */
	ORDERS_TOKENS_READ,
	ORDERS_TOKENS_WRITE,
	ORDERS_TRACE, /* for the tracer's listener: only where traced */
	ORDERS_FDS
};

#endif
