/* A thread that owns a chain (chain.h), for threads that ask it and do not wait for places. */
#ifndef DRAY_STORE_CHAIN_CLERK_H
#define DRAY_STORE_CHAIN_CLERK_H

#include <sys/queue.h>

#include "store/store.h"

struct clerk;
struct object; /* store/object.h */

enum clerk_what { CLERK_GET, CLERK_HAS, CLERK_PUT_OBJECT, CLERK_PUT_ENTRY };

/* Filled by who asks, who keeps it until it is answered: done is called once, by the clerk's
 * thread, which it must not keep long. */
struct clerk_request {
	TAILQ_ENTRY(clerk_request) link;
	enum clerk_what what;
	enum store_kind kind;	     /* GET, HAS */
	struct digest name;	     /* GET, HAS, PUT_ENTRY: its key */
	uint64_t max;		     /* GET */
	unsigned ms;		     /* GET: its limit of time; 0: as the chain says */
	const struct object *object; /* PUT_OBJECT: its descriptor is the clerk's from now on */
	const void *p;		     /* PUT_ENTRY */
	size_t n;
	store_done_fn done;
	void *arg;
	struct clerk *clerk;
	const char *store; /* GET: which of the places had it, without secrets; "" */
	char why[256];	   /* of an error: what went wrong last there, without secrets; "" */
};

/* The chain is the clerk's from the call on, also on an error. 0 or -errno. */
int clerk_open(struct store *chain, struct clerk **ret);
/* Its thread ends: what is open, and what is asked from now on, is answered with -ECANCELED; the
 * latter before clerk_ask returns. */
void clerk_end(struct clerk *c);
/* Its thread ends when all that was asked is answered; what is asked from now on as above. */
void clerk_finish(struct clerk *c);
/* After one of these. NULL is fine. */
void clerk_free(struct clerk *c);

void clerk_ask(struct clerk *c, struct clerk_request *q);
/* The same, and waits for it: for a thread with nothing else to do. reply->fd is the caller's. */
int clerk_ask_now(struct clerk *c, struct clerk_request *q, struct store_reply *reply);

#endif
