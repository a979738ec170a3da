/* The addresses of what a listening socket of libzmq's has accepted.
 *
 * libzmq accepts in a thread of its own and tells a descriptor. Once this process looks at it, that
 * may be closed, or another connection's; and of a connection that was reset while it waited the
 * kernel says whose it was in accept(2) alone. So the accept that libzmq calls is this module's,
 * which the loader finds before the C library's, and which notes the addresses of the sockets that
 * are watched. Where it is not found (a library that calls the kernel itself) nothing is noted. */
#ifndef DRAY_PROTO_ACCEPTED_H
#define DRAY_PROTO_ACCEPTED_H

#include <stdbool.h>
#include <sys/socket.h>

#define ACCEPTED_SOCKETS 16 /* that are watched at a time */
#define ACCEPTED_NOTES 4096 /* of a socket, that wait; more are not noted */

struct accepted {
	int fd;
	struct sockaddr_storage from;
};

/* 0; -EBUSY: as many are watched; -ENOMEM. May be called by any thread, like the others. */
int accepted_watch(int listen_fd);
void accepted_unwatch(int listen_fd);
/* The one that was accepted first and not taken yet, if one that waits has this descriptor: what
 * comes before that has ended before anybody was told of it. */
bool accepted_take(int listen_fd, int fd, struct accepted *ret);

#endif
