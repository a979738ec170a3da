/* Which refills run: units that a client compiled at home, and an idle worker compiles again for
 * the shared cache (proto/client.proto, Refills). No I/O; the clock is passed in. */
#ifndef DRAY_COORDINATOR_CACHE_REFILLS_H
#define DRAY_COORDINATOR_CACHE_REFILLS_H

#include "common/digest.h"

#define REFILLS_MAX 256		     /* at a time */
#define REFILL_RUN_MS (1800u * 1000) /* after which one is cancelled; */
#define REFILL_LEFT_MS                                                                      \
	20000		  /* one that its client has done with; and after this one that was \
			     cancelled is forgotten: its ticket counts no more then */
#define REFILL_ID_SIZE 33 /* 32 hex digits */

struct refill {
	char job[REFILL_ID_SIZE];
	uint64_t worker;  /* a handle, not 0 */
	uint64_t client;  /* likewise; 0: it is gone */
	uint64_t account; /* likewise: until it has ended, whatever its client says */
	uint64_t until_ms;
	bool cancelled; /* its worker was told so */
	/* of a push: what is given, since when, and how far that is, in bytes, by its client */
	struct digest toolchain;
	uint64_t since_ms, done, of;
	uint64_t giver; /* its account, to the end */
	bool told;	/* what has become of it */
};

struct refills {
	struct refill v[REFILLS_MAX];
	size_t n;
	uint64_t placed, cancelled, ended; /* since the start */
};

/* Whether one more of that account may run: it has none, and there is room. */
bool refills_may(const struct refills *r, uint64_t account);
/* Whether that worker has one. */
bool refills_runs_on(const struct refills *r, uint64_t worker);
/* NULL: there is none. Valid until the next change. */
struct refill *refills_find(struct refills *r, const char *job);
/* After refills_may, of a job that is not there; until_ms is filled in. */
void refills_add(struct refills *r, const struct refill *add, uint64_t now_ms);
/* NULL: it has none. Valid until the next change. */
struct refill *refills_of_worker(struct refills *r, uint64_t worker);
/* Its client has all of it, it says: it is to have ended soon, or is ended. f is of refills_find.
 */
void refills_leave(struct refills *r, struct refill *f, uint64_t now_ms);
/* Its worker is to be told so, now. f is of refills_find. False: it was. */
bool refills_cancel(struct refills *r, struct refill *f, uint64_t now_ms);
/* It has ended, its worker says. */
void refills_end(struct refills *r, struct refill *f);
/* A worker's connection is gone: so are its refills. */
void refills_worker_gone(struct refills *r, uint64_t worker);
/* A client's connection is gone: its refills are nobody's, and to be cancelled. */
void refills_client_gone(struct refills *r, uint64_t client);
/* One that is not cancelled yet, and it is now: nobody's, one whose time is over,
 * or, where a job waits, any. NULL: there is none. */
struct refill *refills_next_cancel(struct refills *r, bool wanted, uint64_t now_ms);
/* Forgets those that were cancelled and should have ended: none that its worker was not told of. */
void refills_expire(struct refills *r, uint64_t now_ms);

#endif
