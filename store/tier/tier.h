/* The coordinator's shared cache (proto/serve.proto) as a place of the store's table.
 *
 * What is asked for before the next store_work goes out as one message: a result's blobs are one
 * round trip. They come in the order in which they were asked for.
 *
 * Threads: a store is one thread's; any number of them share a connection (hub.h). */
#ifndef DRAY_STORE_TIER_H
#define DRAY_STORE_TIER_H

#include "common/conf/conf.h"
#include "keys/identity.h"
#include "proto/wire.h"
#include "store/store.h"

#define TIER_CREDIT 16		/* chunks on their way for one message */
#define TIER_REQUEST_MS 10000	/* without a sign of the coordinator, if store_in says nothing */
#define TIER_NUMBERS (1u << 16) /* of requests that one store may have */

enum tier_state {
	TIER_COMING, /* it is being connected to: what is asked for waits */
	TIER_AWAY,   /* there is no connection: -ENOTCONN */
	TIER_NONE,   /* it has no shared cache: -ENOTSUP */
	TIER_READS,  /* it takes no puts of this client: -EROFS */
	TIER_WRITES,
};

/* A way to the coordinator. */
struct tier_line {
	/* The payload's content is taken when it is sent. -errno. */
	int (*send)(void *arg, uint32_t number, enum wire_type type, const ProtobufCMessage *body,
		zmq_msg_t *payload);
	/* As wire_recv. -EAGAIN: there is nothing; -ENOTCONN: the connection was lost, and what was
	 * asked for on it is; said once. */
	int (*receive)(void *arg, struct wire_msg *ret);
	/* Readable when there is something to receive. */
	int (*fd)(void *arg);
	/* What can be asked for now. A change makes `fd` readable. NULL: it was opened as it is. */
	enum tier_state (*state)(void *arg);
	/* Whether there is, where `fd` may not say so after a send; NULL: it always does. */
	bool (*ready)(void *arg);
	void (*close)(void *arg);
};

/* Over that line, with the numbers from `first` on. in: tmp, request_ms. read_only: what is put is
 * -EROFS, whatever the line says. The line is closed with the store, or at once on an error. 0 or
 * -errno. */
int tier_open(const struct tier_line *line, void *arg, uint32_t first, bool read_only,
	const struct store_in *in, struct store **ret);
/* Whether content is compressed on the way, both ways; it is not, until this says so. */
void tier_compress(struct store *s, bool compress);

/* What is put from now on is for this namespace; NULL, and at first: the one that the coordinator's
 * list gives to the key. A worker's alone may be another one: that of the client that it compiled
 * for. */
void tier_for(struct store *s, const char *namespace);

/* What is said beside the names of blobs (proto/serve.proto). */
struct tier_by {
	ProtobufCBinaryData ticket, signature; /* at a worker */
	const char *job;		       /* at a coordinator, of a worker; or NULL */
	bool near;
};
/* What is got from now on is asked for with that, which stays until it is answered; NULL, and at
 * first: with nothing. */
void tier_by(struct store *s, const struct tier_by *by);
/* Whose job the entries are of that are put from now on, by the ticket with which it was opened on
 * this worker, and its signature (SharedPut). Without one, and at first: nothing is said. Each of
 * TIER_TICKET_MAX at most, or nothing is said. */
#define TIER_TICKET_MAX 1024
void tier_of_job(
	struct store *s, const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n);

/* alone.c: over a connection of its own, for a program that has no other. Waits for the
 * coordinator, connect_ms at most. -ENOTSUP: it has no shared cache; -errno, and a sentence in
 * *ret_why (the caller frees it). */
struct tier_dial {
	const char *endpoint;
	const struct identity *identity; /* NULL over ipc */
	const char *coordinator;	 /* its public CURVE key, likewise */
	const char *role;
	unsigned connect_ms;
	bool worker; /* of tier_reach: it is a worker, which is read only (worker.proto, Peers
			first) */
};
int tier_dial(void *zctx, const struct tier_dial *d, const struct store_in *in, struct store **ret,
	char **ret_why);
/* The same without waiting: what is asked for waits, connect_ms at most. A connection that was lost
 * is not made again. */
int tier_reach(
	void *zctx, const struct tier_dial *d, const struct store_in *in, struct store **ret);
/* As tier_dial, as the configuration of a client says: of several coordinators with the first that
 * answers. */
int tier_connect(void *zctx, const struct conf *conf, const struct store_in *in, struct store **ret,
	char **ret_why);

#endif
