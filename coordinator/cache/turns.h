/* Whose turn it is to be sent a chunk: readers of the shared cache share the coordinator's memory,
 * and so its link. A step function over plain structs; nothing here sends or reads anything.
 *
 * Keys take turns, and a key's requests take turns among themselves. A turn is one chunk. What was
 * sent, or is being read, and not acknowledged yet is memory, whether it lies here, in libzmq or in
 * the system's buffers: there is a bound on all of it, on each key's part, and on the number of
 * chunks of a request, which its asker gave. So one that reads slowly slows only itself. */
#ifndef DRAY_COORDINATOR_CACHE_TURNS_H
#define DRAY_COORDINATOR_CACHE_TURNS_H

#include <sys/queue.h>

#include "common/table.h"
#include "proto/wire.h"

/* A chunk is charged as if it were a full one until its size is known. */
#define TURNS_CHUNK (WIRE_PAYLOAD_MAX + 512u)
#define TURNS_ALL_MAX (64u * 1024 * 1024) /* of all keys */
#define TURNS_KEY_MAX (8u * 1024 * 1024)  /* of one: what a link of 3 Gbit/s takes in 20 ms */

struct turns;
struct turns_key;

/* What a request has of its own; zeros, but for what turns_add sets. */
struct turns_job {
	TAILQ_ENTRY(turns_job) link;
	struct turns_key *key;
	bool wants;	 /* turns */
	bool ready;	 /* may have one: it is in its key's list */
	bool reading;	 /* has a chunk reserved whose size is not known */
	unsigned credit; /* chunks that may be on their way beside the others */
	uint32_t sizes[WIRE_SHARED_CREDIT_MAX]; /* of those on their way, in their order: a ring */
	unsigned first, n;
};

int turns_new(struct turns **ret);
void turns_free(struct turns *t);

/* One more request of that account; it wants turns from now on. 0 or -ENOMEM. */
int turns_add(struct turns *t, struct turns_job *job, uint64_t account, unsigned credit);
/* It wants no more turns. What it has on its way still counts. */
void turns_rest(struct turns *t, struct turns_job *job);
/* It wants turns again. */
void turns_want(struct turns *t, struct turns_job *job);
/* It is no more, and nothing of it is on its way. */
void turns_remove(struct turns *t, struct turns_job *job);

/* The next one that may read a chunk; it is reserved, and turns_read has to follow. NULL: none. */
struct turns_job *turns_next(struct turns *t);
/* The chunk that was reserved has so many bytes, and is sent; 0: there is none. */
void turns_read(struct turns *t, struct turns_job *job, size_t bytes);
/* n chunks were acknowledged. -EINVAL: so many were not on their way. */
int turns_acked(struct turns *t, struct turns_job *job, unsigned n);
/* Whether something of it is on its way, or being read. */
static inline bool
turns_owes(const struct turns_job *job)
{
	return job->n > 0 || job->reading;
}
/* Bytes on their way: of all; of the one key. */
uint64_t turns_all(const struct turns *t);
uint64_t turns_of(const struct turns_job *job);
/* Whether somebody waits for memory that others have. */
bool turns_wanted(const struct turns *t);

#endif
