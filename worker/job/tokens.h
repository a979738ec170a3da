/* A job's part of the tokens that all compilers of a worker share.
 *
 * A job has one token for itself, if one is free, and takes others from the pool that it inherits.
 * That is the worker's pool, unless the client's build may run fewer jobs than the worker has
 * cores. Then the job has a pool of its own, with at most one token less than the build's jobs.
 * These tokens come from the worker's pool and go back to it. */
#ifndef DRAY_WORKER_JOB_TOKENS_H
#define DRAY_WORKER_JOB_TOKENS_H

#include "machine/jobserver.h"

struct tokens {
	const struct jobserver *shared;
	struct jobserver own; /* -1, -1: the shared one is used */
	unsigned max, taken;  /* of those in the job's pool */
	bool self;	      /* the job's first token was taken */
	uint64_t next_ms;     /* when to look again; 0: never */
};

#define TOKENS_INIT                    \
	{                              \
		.own = JOBSERVER_INIT, \
	}

/* jobs: of the client's build, 0: not known. cores: of the worker. */
int tokens_begin(const struct jobserver *shared, uint32_t jobs, unsigned cores, struct tokens *ret);
/* What the compiler inherits. */
const struct jobserver *tokens_pool(const struct tokens *t);
/* When it is time: takes more tokens if all are in use, and lends idle ones to other jobs. */
void tokens_tick(struct tokens *t, uint64_t now_ms);
/* Gives all tokens back, even if the job spoiled its pool. */
void tokens_done(struct tokens *t);

#endif
