/* Whether anybody still wants this unit: cargo, which reads our stderr, and every process that may
 * send a signal; or dray, at the other end of a socket. Everything that waits in dray-dispatch
 * waits for these too. */
#ifndef DRAY_CLIENT_DISPATCH_TETHER_H
#define DRAY_CLIENT_DISPATCH_TETHER_H

#include <unistd.h>
#include <zmq.h>

#include "common/base.h"

#define TETHER_ITEMS 2

struct tether {
	int signals;  /* signalfd for SIGINT, SIGTERM, SIGHUP; or dray's end of file ends all */
	bool is_dray; /* ... the latter */
	int out, err; /* where the unit's text goes */
	bool watch_stderr; /* stderr is open, so its reader's end can be seen */
	int signal;	   /* the one that came, or 0 */
	bool reader_gone;
};

#define TETHER_INIT                                                      \
	{                                                                \
		-1, false, STDOUT_FILENO, STDERR_FILENO, false, 0, false \
	}

/* Blocks the signals (call before any thread is made), ignores SIGPIPE, and asks for SIGTERM when
 * dray dies. A signal that was ignored stays ignored. -ECANCELED: dray is dead already. */
int tether_open(struct tether *t);
/* For one unit among others: conn is the connection with dray. None of the descriptors is closed.
 */
void tether_hold(struct tether *t, int conn, int out, int err);
void tether_done(struct tether *t);

/* Fills items for zmq_poll; how many (at most TETHER_ITEMS). */
size_t tether_items(const struct tether *t, zmq_pollitem_t *items);
/* Looks at them after a poll. Whether it is time to stop. */
bool tether_look(struct tether *t, const zmq_pollitem_t *items, size_t n);
/* Whether it was already. */
bool tether_cut(const struct tether *t);

/* Writes all to stdout or stderr as its reader takes it. 0; -EPIPE: the reader is gone; -ECANCELED:
 * a signal came; -errno. The tether is cut after -EPIPE on stderr and -ECANCELED. */
int tether_write(struct tether *t, bool out, const void *p, size_t n);

#endif
