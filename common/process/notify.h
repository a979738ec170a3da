/* What a service manager is told of a daemon's life, by the protocol of sd_notify(3): datagrams of
 * lines to the socket that NOTIFY_SOCKET names. Without that variable nothing is said.
 *
 * libsystemd is not linked for this: it would bring five more libraries into processes that hold
 * keys. Its manual page describes the protocol, for programs to speak it themselves.
 *
 * Nothing here waits. What the socket has no room for is said at a later step. A NULL for the
 * struct is one that tells nobody. */
#ifndef DRAY_COMMON_PROCESS_NOTIFY_H
#define DRAY_COMMON_PROCESS_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/base.h"

#define NOTIFY_TEXT_MAX 256 /* bytes of a status; what is longer is cut */

struct notify {
	int fd; /* -1: nobody is told */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t every_ms; /* between two signs of life; 0: nobody asked for them */
	uint64_t alive_ms; /* when the last one was given */
	unsigned owed;	   /* what the socket had no room for */
	bool alive;	   /* one was given */
	uint64_t status_ms;
	char status[NOTIFY_TEXT_MAX]; /* said last, or owed */
};

#define NOTIFY_INIT       \
	{                 \
		.fd = -1, \
	}

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them: programs that this one
 * starts do not speak for it. Call it before there are threads. 0 also without a socket; -EINVAL
 * when one of them cannot be understood, or another -errno: nobody is told then. */
int notify_open(struct notify *n);
void notify_done(struct notify *n);

/* It serves. Said again after notify_reloading. */
void notify_ready(struct notify *n);
/* It reads its settings anew. now_us: clock_mono_us(). */
void notify_reloading(struct notify *n, uint64_t now_us);
/* It has begun to end. */
void notify_stopping(struct notify *n);
/* One line for people. Said when it differs from the last one, once a second at most; give it
 * again with each step. Control characters become spaces. now_ms: clock_mono_ms(). */
void notify_status(struct notify *n, uint64_t now_ms, const char *text);
/* To be called with each turn of the main loop, and nowhere else: a loop that hangs gives no signs
 * of life, and the manager starts the daemon anew. */
void notify_step(struct notify *n, uint64_t now_ms);
/* How long until the next sign of life, in ms, at most `most`: a loop waits no longer. */
uint64_t notify_wait(const struct notify *n, uint64_t now_ms, uint64_t most);

#endif
