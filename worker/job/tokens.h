/* A job's part of the tokens that all compilers of a worker share.
 *
 * A job has one token for itself, if there is one, and finds the others in the pool that it
 * inherits. That is the worker's own, unless the client's build may run fewer jobs than the worker
 * has cores: then it is a pool of the job's, with at most one token less than the build's jobs, and
 * all of them are the worker's, taken from its pool while the job needs them. */
#ifndef DRAY_WORKER_JOB_TOKENS_H
#define DRAY_WORKER_JOB_TOKENS_H

#include "machine/jobserver.h"

struct tokens {
	const struct jobserver *shared;
	struct jobserver own; /* -1, -1: the shared one is used */
	unsigned max, taken;  /* of those in the job's pool */
	bool self;	      /* the job's first one was had */
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
/* When it is time to: takes more where all are in use, and lends what lies idle where others may
 * want it. */
void tokens_tick(struct tokens *t, uint64_t now_ms);
/* Gives all of them back, whatever the job did to its pool. */
void tokens_done(struct tokens *t);

#endif
