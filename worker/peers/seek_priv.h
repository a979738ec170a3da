/* Inside of what asks for blobs: seek.c (what jobs and the main loop say, and its life) is above
 * seek_ask.c (the thread). */
#ifndef DRAY_WORKER_PEERS_SEEK_PRIV_H
#define DRAY_WORKER_PEERS_SEEK_PRIV_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "store/tier/tier.h"
#include "worker/peers/seek.h"

#define SEEK_EACH 2 /* workers that are asked for a blob */

struct source;

struct item {
	struct seek *seek;
	uint32_t index;
	struct digest digest;
	uint64_t size;
	bool made, cache_asked;
	uint8_t holders[SEEK_EACH], n_holders, next;
	struct source *at; /* where it was asked for; NULL: nowhere now */
};

struct seek {
	TAILQ_ENTRY(seek) link;
	struct seeker *seeker;
	char job[33];
	int fd;
	size_t n;
	uint64_t until; /* for the coordinator's answer */

	/* the thread's */
	struct item *items;
	uint64_t max; /* of one blob */
	bool asked;   /* the coordinator has answered, or is not waited for */
	bool alone;   /* it is not asked for blobs, either */
	Dray__WorkerFound *found;
	struct tier_by by[WIRE_HOLDERS_MAX], by_job;
	unsigned open; /* items that are on their way */

	/* the lock's */
	uint32_t *out; /* what was told: the number, and its lowest bit says whether it is here */
	size_t n_out, n_read;
	bool planned, left;
};
TAILQ_HEAD(seeks, seek);

struct question {
	TAILQ_ENTRY(question) link;
	struct seeker_question q;
};

struct heard {
	TAILQ_ENTRY(heard) link;
	char job[33];
	Dray__WorkerFound *found; /* NULL: it was not asked */
};

struct seeker {
	struct seeker_conf c;
	pthread_t thread;
	bool started;
	int fd, wake; /* for the main loop, for the thread */

	/* the thread's */
	struct seeks seeks;
	LIST_HEAD(, source) sources;
	unsigned n_sources, n_stores;
	unsigned serial;
	struct source *at_work; /* within its store: it is neither closed nor freed */
	bool ending;		/* nothing is asked any more */

	pthread_mutex_t lock; /* of all below, and of seeks' parts */
	TAILQ_HEAD(, question) questions;
	TAILQ_HEAD(, heard) heard;
	struct seeks fresh;
	uint64_t ask_after; /* the coordinator did not answer */
	struct seeker_counts counts;
	bool ends;
};

static inline void
seek_ring(int fd)
{
	(void)!write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static inline void
seek_hush(int fd)
{
	uint64_t rung;

	(void)!read(fd, &rung, sizeof(rung));
}

/* ---- seek_ask.c */

/* The thread; arg: a seeker. */
void *seek_work(void *arg);
void seek_free(struct seek *k); /* NULL is fine */

#endif
