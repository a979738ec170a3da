/* Inside the conversation with the coordinator. */
#ifndef DRAY_CLIENT_DISPATCH_FARM_PRIV_H
#define DRAY_CLIENT_DISPATCH_FARM_PRIV_H

#include "client/dispatch/farm.h"
#include "common/digest.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define FARM_FAILED_MAX 8
/* After a restart workers come back within a second or two (proto/socket.c: RECONNECT_MAX_MS). */
#define FARM_REPEAT_MS 200

enum farm_state_now {
	FARM_CONNECTING,
	FARM_CONNECTED, /* the handshake is done; not welcomed yet (or not again) */
	FARM_WELCOMED,
	FARM_AWAY, /* was there, is not now */
};

struct hub_seat;

/* What a job does on a connection that others share. */
struct farm_line {
	int (*send)(struct hub_seat *s, enum wire_type type, const ProtobufCMessage *body);
	int (*receive)(struct hub_seat *s, struct wire_msg *ret); /* as wire_recv */
	enum monitor_event (*event)(struct hub_seat *s);
	int (*fd)(const struct hub_seat *s); /* readable: there is mail, or an event */
	const struct identity *(*identity)(const struct hub_seat *s);
	const char *(*at)(const struct hub_seat *s); /* as farm_at */
	void (*name)(struct hub_seat *s, const char *job);
	void (*leave)(struct hub_seat *s); /* what was sent still leaves */
};

struct farm {
	void *socket; /* this and the next: NULL where there is a seat */
	struct monitor *monitor;
	struct hub_seat *seat; /* on a connection that units share; NULL: it has its own */
	const struct farm_line *line;
	struct identity identity;
	bool has_identity;
	char *key, *key_dir; /* of the coordinator, with what comes after it; may be NULL */
	char *at;	     /* NULL: there is one coordinator alone, or a seat */
	enum farm_state_now state;
	bool greeted;  /* Hello is sent already */
	bool lost;     /* since Hello was said: on the next connection it is due again */
	bool welcomed; /* once */
	bool rejected; /* the handshake failed: keys */
	bool unreachable;
	uint64_t opened_ms, connect_ms;
	uint64_t away_ms, heard_ms;
	uint64_t asked_ms; /* on a connection that stood before: since when nothing was heard, or 0
			    */

	/* the job; what is needed to ask again */
	bool waiting; /* for a placement */
	char id[JOB_ID_SIZE];
	uint8_t toolchain[DIGEST_SIZE];
	char *crate, *kind;
	uint32_t glibc;
	uint64_t source_bytes;
	struct digest hint;
	bool has_hint, refill, has_alike, push;
	struct digest sought, alike;
	bool knows_pushes, knows_progress; /* the coordinator */
	bool give;			   /* JobDenied.give */
	uint32_t having;		   /* JobDenied.having */
	struct farm_failed {
		char worker[80];
		Dray__Verdict verdict;
	} failed[FARM_FAILED_MAX]; /* of this job, the last ones */
	unsigned n_failed;
	char queue_why[160];  /* of this request: what it waited for, where that was a quota */
	Dray__Verdict denied; /* the last word on it, or NONE */
	bool retried;	      /* JobRetry is not answered yet */
	uint64_t anew_ms;     /* when it was asked for anew, or 0 */
	uint64_t ask_ms;      /* when to ask again, or 0 */

	/* instead of a job: what the farm looks like */
	bool asks_status; /* and is not answered yet */
	bool has_toolchain;
};

/* What the coordinator says of its next key is kept. */
void farm_hear_successor(const struct farm *f, const Dray__Successor *m);

/* One without a connection. NULL: no memory. */
struct farm *farm_new(const struct conf *conf);
int farm_hello(struct farm *f);
int farm_ask(struct farm *f);	   /* sends JobRequest */
int farm_ask_look(struct farm *f); /* sends StatusRequest */
/* Asks anew: on a new connection, or a coordinator that does not know the job. */
int farm_ask_anew(struct farm *f, uint64_t now);
/* A message came: unless it is of a connection that was lost since, the coordinator knows us. */
void farm_heard(struct farm *f, enum wire_type type);
/* Takes all that the monitor has; asks again after a reconnection. */
void farm_connection_events(struct farm *f, uint64_t now);
void farm_take_event(struct farm *f, enum monitor_event event, uint64_t now);
/* As wire_recv. */
int farm_receive(struct farm *f, struct wire_msg *ret);

#endif
