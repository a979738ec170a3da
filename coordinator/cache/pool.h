/* Threads for what waits for a disk, so that the coordinator's loop never does.
 *
 * A work is run by the thread of its lane, works of one lane one after the other in the order in
 * which they were submitted, and is given back to the loop by pool_step. Whatever it points to
 * belongs to its thread between the two. */
#ifndef DRAY_COORDINATOR_CACHE_POOL_H
#define DRAY_COORDINATOR_CACHE_POOL_H

#include <sys/queue.h>

#include "proto/chunk.h"

#define POOL_LANES 4
#define POOL_KEEPER POOL_LANES /* the lane for what takes long: scans, eviction, the history */

struct pool;

struct pool_work {
	STAILQ_ENTRY(pool_work) link;
	/* in the lane's thread */
	void (*run)(struct pool_work *w, struct chunk_coder *coder);
	/* In the loop. cancelled: the pool ends, and it was not run. */
	void (*done)(struct pool_work *w, bool cancelled);
};

/* threads: false: for tests; pool_step runs the works itself. 0 or -errno. */
int pool_new(bool threads, struct pool **ret);
/* What runs is waited for, what waits is cancelled. */
void pool_free(struct pool *p);
void pool_submit(struct pool *p, unsigned lane, struct pool_work *w);
/* Readable when works are done. */
int pool_fd(const struct pool *p);
/* Gives back those that are done; how many. */
unsigned pool_step(struct pool *p);

#endif
