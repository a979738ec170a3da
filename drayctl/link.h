/* The way to a coordinator: its Unix socket for admins of its machine, or its endpoint, with an
 * admin's key. Invariant: a wait here has an end, or a descriptor that ends it. */
#ifndef DRAY_DRAYCTL_LINK_H
#define DRAY_DRAYCTL_LINK_H

#include "common/conf/conf.h"
#include "proto/wire.h"

#define LINK_WELCOME_MS 5000
#define LINK_WELCOME_EACH_MS 2000 /* where there are several */
#define LINK_ANSWER_MS 15000

struct link_where {
	const char *socket;	 /* the path of a socket; NULL: what the configuration says */
	bool remote;		 /* the [client] coordinator, even if there is a socket here */
	const char *coordinator; /* the one of these with this endpoint, likewise; NULL: of several
				    the first that answers */
	uint64_t wait_ms;	 /* for a welcome; 0: LINK_WELCOME_MS */
};

struct link;

/* Connects, and waits until it is welcomed. 0; -ENOTCONN: there is no coordinator, or it does not
 * answer; -EACCES: it lets nobody in with this key, or user; -EOPNOTSUPP: it is too old; or another
 * -errno. Then *ret_why is a sentence with the way out (the caller frees it). */
int link_open(
	const struct conf *conf, const struct link_where *where, struct link **ret, char **ret_why);
/* Where it is. */
const char *link_endpoint(const struct link *l);
void link_free(struct link *l);
void link_freep(struct link **l);

/* Sends a request, and gives its number in *ret_number. 0 or -errno. */
int link_send(
	struct link *l, enum wire_type type, const ProtobufCMessage *body, uint32_t *ret_number);
/* Waits for the answer of that type and number (0: of one without), at most so long; others are
 * dropped. 0; -ENOTCONN: the connection ended; -EACCES: it refuses us; -ETIMEDOUT; -EINTR: fd was
 * readable (-1: none). *ret_why as above, but for the last two. */
int link_wait(struct link *l, enum wire_type type, uint32_t number, uint64_t wait_ms, int fd,
	struct wire_msg *ret, char **ret_why);

#endif
