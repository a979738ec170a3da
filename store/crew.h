/* Threads for a place whose calls wait: a directory on a network, which may hang for minutes. Jobs
 * are given to the crew and come back by crew_step, done or late; one that is late goes on alone,
 * and keeps nobody from closing the store or ending the process. */
#ifndef DRAY_STORE_CREW_H
#define DRAY_STORE_CREW_H

#include "common/base.h"
#include "store/waiter.h"

struct crew;

/* The first member of a job of the caller's. */
struct crew_job {
	void (*run)(struct crew_job *j); /* by a thread */
	/* By crew_step. error: 0, or -ETIMEDOUT: then run may be under way, and nothing that it
	 * writes may be looked at. */
	void (*done)(struct crew_job *j, int error);
	/* Frees it: the last call, by crew_step or by a thread. */
	void (*drop)(struct crew_job *j);
	/* the crew's: */
	struct crew_job *prev, *next;	/* waiting for a thread, or finished */
	struct crew_job *older, *newer; /* open */
	uint64_t until;
	int state;
};

/* most: threads, made when there is work for them. limit_ms: of every job. The waiter tells of it
 * by the crew. 0 or -errno. */
int crew_new(struct waiter *w, unsigned most, unsigned limit_ms, struct crew **ret);
/* Jobs that are open are dropped, and not told of; those that run are not waited for. NULL is fine.
 */
void crew_free(struct crew *c);

void crew_add(struct crew *c, struct crew_job *j);
/* Calls `done` of what is done or late. now: clock_mono_ms(). */
void crew_step(struct crew *c, uint64_t now);
/* When it has to be called at the latest; 0: never. */
uint64_t crew_next(const struct crew *c);
bool crew_is_idle(const struct crew *c); /* no job is open */

#endif
