/* Tokens of a worker's cores, which its jobs share without sharing a pipe.
 *
 * The worker has one count. Each job has one token for itself, if one is free, and a jobserver's
 * pipe of its own, which holds tokens of that count: no more than the client's build may run jobs,
 * and none that another job has a use for. So what a job does to its pipe is its own affair. */
#ifndef DRAY_WORKER_JOB_TOKENS_H
#define DRAY_WORKER_JOB_TOKENS_H

#include <pthread.h>

#include "machine/jobserver.h"

struct tokens {
	struct token_bank *bank; /* NULL: none was begun */
	struct tokens *next;
	struct jobserver own;
	unsigned max, taken; /* of those in the job's pipe, or in use by what it runs */
	bool self;	     /* the job's first token was taken */
	uint64_t next_ms;    /* when to look again; 0: never */
};

#define TOKENS_INIT                    \
	{                              \
		.own = JOBSERVER_INIT, \
	}

struct token_bank {
	pthread_mutex_t lock;
	unsigned size, free;
	struct tokens *jobs;
};

void token_bank_init(struct token_bank *b, unsigned cores);
void token_bank_done(struct token_bank *b);

/* jobs: of the client's build, 0: not known. *ret must stay where it is until tokens_done. */
int tokens_begin(struct token_bank *bank, uint32_t jobs, struct tokens *ret);
/* What the compiler inherits. */
const struct jobserver *tokens_pool(const struct tokens *t);
/* When it is time: a job that has none left gets what is free, and what others do not use. */
void tokens_tick(struct tokens *t, uint64_t now_ms);
/* Gives all tokens back, even if the job spoiled its pipe. */
void tokens_done(struct tokens *t);

#endif
