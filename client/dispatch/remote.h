/* The conversation with a worker (proto/job.proto), from the client's side: one try of one unit. */
#ifndef DRAY_CLIENT_DISPATCH_REMOTE_H
#define DRAY_CLIENT_DISPATCH_REMOTE_H

#include "client/dispatch/farm.h"
#include "client/dispatch/pool.h"
#include "client/dispatch/say.h"
#include "client/dispatch/unit.h"

#define REMOTE_CONNECT_MS 2000 /* until the connection stands */
#define REMOTE_ANSWER_MS \
	120000		 /* of silence while it takes the job and its blobs: 4 MiB at 300 kbit/s */
#define REMOTE_CREDIT 64 /* content messages a worker may have under way: 16 MiB */

enum remote_end {
	REMOTE_DONE,  /* outputs in place, all said: in.rep says DONE or LINK */
	REMOTE_AGAIN, /* this worker did not do it; verdict and text say why */
	REMOTE_HOME,  /* the unit is to be compiled here: text says why */
	REMOTE_CUT,   /* the tether */
};

struct remote_in {
	void *zctx;
	struct pool *pool; /* NULL: each try has a connection of its own */
	struct farm *farm; /* minded meanwhile */
	struct tether *tether;
	struct unit *unit;
	struct memo *memo;
	char *const *envp;
	struct say *say;
	struct ledger *rep;
	const struct placement *place;
	int compress;  /* enum compress */
	unsigned jobs; /* JobOpen.jobs */
	unsigned try;
	mode_t umask;
	bool join;	    /* it may join a job that is the same */
	uint64_t silent_ms; /* of silence while the compiler runs, then the worker is given up */
	uint64_t unit_ms;   /* for which it may have the unit before the compiler runs, and while it
			       does */
	uint64_t run_ms;
	bool refill; /* for the shared cache alone: nothing of what it makes is wanted, say, outputs
			and what cargo is told are not there */
	uint64_t push_bytes; /* not 0: with refill: a toolchain of so many bytes is given */
	uint64_t rate;	     /* bytes a second at most; 0: any */
	/* How much of the blobs that the worker lacks has been sent; may be NULL. */
	void (*on_sent)(void *arg, uint64_t done, uint64_t of);
	void (*on_started)(void *arg); /* the compiler runs; may be NULL */
	void *arg;
	bool keep; /* what the worker saw and said is left in the staging directory */
};

struct remote_result {
	enum remote_end end;
	Dray__Verdict verdict;
	char text[256];
	bool lied;  /* no honest worker says what this one did */
	bool held;  /* the unit, for longer than it may */
	bool ran;   /* the compiler came to its end there */
	int status; /* of the compiler, when ran */
};

void remote_run(const struct remote_in *in, struct remote_result *ret);

#endif
