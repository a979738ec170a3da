/* The shared cache's side of the conversation in proto/serve.proto: requests of peers, whose turn
 * it is, and what is read and written for them. It has no socket: what it has to say goes out by
 * the functions of its host, which is the coordinator's loop, or a test.
 *
 *   desk_hear ─▶ a request ─▶ turns.h: whose turn ─▶ pool.h: a thread reads ─▶ host.send
 *                                                            writes: vault.h
 *
 * It never waits. What a peer makes it keep is bounded for its key: open requests, names, bytes on
 * their way (turns.h), puts. */
#ifndef DRAY_COORDINATOR_CACHE_DESK_H
#define DRAY_COORDINATOR_CACHE_DESK_H

#include "common/conf/conf.h"
#include "coordinator/cache/merge.h"
#include "proto/wire.h"
#include "store/store.h"

#define DESK_GETS_MAX 4096   /* of one key, at a time */
#define DESK_NAMES_MAX 65536 /* in these */
#define DESK_PUTS_MAX 1024   /* of one key, at a time, most of them waiting */
#define DESK_PUTS_OPEN 12    /* that are written at a time */
#define DESK_PUTS_KEY 6	     /* of one key, of these */
#define DESK_PUT_CREDIT 6
#define DESK_STALL_MS 30000
#define DESK_STALL_WANTED_MS 5000 /* while others wait for what it has */
#define DESK_OPEN_MS 2000	  /* how long a request waits for a scan */
#define DESK_RETRY_MS 10000	  /* before a store that did not open is tried again */

struct desk;

/* The one that asks, as the host knows it. */
struct desk_who {
	uint64_t serial;       /* of the connection */
	uint64_t account;      /* of its key */
	const char *namespace; /* by the list of keys; "" for none */
	/* Whose results that namespace takes, NULL: anybody's; and, of a put, what the list says of
	 * the one that puts. */
	struct signers *signers;
	struct signer signer;
};

/* One result was asked for, by the name of its entry alone, and that request has ended. */
struct desk_looked {
	bool found, from_store; /* from_store: the disk did not have it */
	uint64_t us;		/* from the request on */
	uint64_t saved_us;	/* what the compile took that made its newest result; 0: unknown */
};

struct desk_host {
	void *arg;
	/* payload: its content is taken; NULL: none. May fail: the host then sees to that peer. */
	void (*send)(void *arg, uint64_t serial, uint32_t number, enum wire_type type,
		const ProtobufCMessage *body, zmq_msg_t *payload);
	/* Ends the connection, later, by desk_gone. */
	void (*drop)(void *arg, uint64_t serial, const char *why);
	/* A worker has put a result of its own (note.producer) that was not there before; it may be
	 * gone by now. NULL: nobody wants to know. */
	void (*kept)(void *arg, const char *namespace, const struct digest *key,
		const struct merge_note *note);
	/* NULL: nobody wants to know. */
	void (*looked)(void *arg, const char *namespace, const struct desk_looked *l);
};

/* conf: [coordinator] cache_…; must outlive it. threads: false in tests that step by themselves.
 * 0; -errno with a sentence in *ret_error (caller frees). */
int desk_new(const struct conf *conf, const struct desk_host *host, bool threads, struct desk **ret,
	char **ret_error);
void desk_free(struct desk *c);
void desk_freep(struct desk **c);

/* Readable when desk_step has something to do. */
int desk_fd(const struct desk *c);
void desk_step(struct desk *c, uint64_t now);
/* Every 100 ms or so: who is silent, what waited too long. */
void desk_tick(struct desk *c, uint64_t now);

/* A message that was let in (proto/admit.c), decoded; takes its payload. 0; -EBADMSG with a
 * sentence in *ret_why (static): it is none that is allowed here. The peer is to be dropped then.
 */
int desk_hear(struct desk *c, const struct desk_who *who, struct wire_msg *m, uint64_t now,
	const char **ret_why);
/* The connection is gone, or is not heard any more: all it asked for ends. */
void desk_gone(struct desk *c, uint64_t serial);
/* Scans that namespace's store, so that a first request need not wait. */
void desk_warm(struct desk *c, const char *namespace);

/* Its settings are those of conf from now on, which must outlive it, or the next call of this:
 * budgets of namespaces. */
void desk_use(struct desk *c, const struct conf *conf);
/* Bytes that count as put into that namespace within the hour, where there is a quota. */
uint64_t desk_get_uploads(const struct desk *c, const char *namespace);

/* What that namespace's store had when something was put there last, or it was opened. False: it is
 * not open. Does not wait. */
bool desk_get_space(const struct desk *c, const char *namespace, struct store_stats *ret);

struct desk_stats {
	uint64_t gets, found, absent, bytes; /* items, and bytes of content sent, since the start */
	uint64_t puts, stored, over_quota;   /* over_quota: puts that were refused for that */
	uint64_t dropped;		     /* peers that did not read */
	uint64_t in_memory;		     /* bytes on their way now */
	uint64_t requests;		     /* open now */
	uint64_t fetched, refused, uploaded, due, purged; /* of the stores behind the disk */
};
void desk_get_stats(const struct desk *c, struct desk_stats *ret);

/* ---- removing results */

#define DESK_PURGES_MAX 64    /* at a time; */
#define DESK_PURGES_WAIT 4096 /* so many more wait for their turn */

struct desk_purge {
	bool of_producer, of_key, in_namespace;
	uint8_t producer[SIGN_KEY_SIZE];
	struct digest key;
	char namespace[KEYS_NAME_MAX + 1];
	uint64_t before_s; /* 0: whenever they were sealed */
};

struct desk_purged {
	int error; /* 0; -errno of the first that could not be done: others were */
	uint64_t entries, results;
};
typedef void (*desk_purged_fn)(void *arg, const struct desk_purged *p);

/* Takes out all results that are as that says, at least one of which has to be given; where only a
 * namespace is given, blobs as well. Behind other requests, in pieces. done is called once, later,
 * but not where the cache ends before. What this producer still puts, by a request that is open, is
 * refused, also before its turn comes. 0; -EBUSY: too many wait; -ENOMEM. */
int desk_purge(struct desk *c, const struct desk_purge *what, desk_purged_fn done, void *arg);

struct history;
/* The memory of units; NULL: there is none. */
struct history *desk_history(struct desk *c);

#endif
