/* What this worker can hand over of what it has shared, so that another one compiles it again
 * (Samples in proto/worker.proto; doc/shared-cache.md).
 *
 *   a job's thread   loans_note: the unit, and what its client said of files
 *   the main loop    loans_hear: the coordinator's orders ── queues ──▶ two threads: one keeps and
 *                    loans_next: what the coordinator is told             forgets, one hands over
 *
 * Of the jobs that were shared lately a record is kept in memory: of each until it is in the cache
 * (loans_release), so that one that is asked for at once is there; then of LOANS_BYTES in all. Each
 * client has its part of both: one that has much compiled pushes out its own alone. What is to be
 * kept for a sample has its blobs as links in a directory, so that the store may evict them. */
#ifndef DRAY_WORKER_SHARE_LOANS_H
#define DRAY_WORKER_SHARE_LOANS_H

#include "cache/same.h"
#include "common/strv.h"
#include "keys/identity.h"
#include "proto/job.pb-c.h"
#include "proto/worker.pb-c.h"
#include "store/store.h"

#define LOANS_BYTES (32u << 20)
#define LOANS_MAX 4096
#define LOANS_PINNED (64u << 20)     /* beside: what is on its way to the cache; */
#define LOANS_PINNED_KEY (32u << 20) /* of a client's key */
#define LOANS_LARGEST (4u << 20)     /* a larger one is not shared */
#define LOANS_HELD 64		     /* for samples, at a time */
#define LOANS_PREFIX "lend-"

struct loans;

struct loans_conf {
	void *ctx; /* of ZeroMQ */
	const struct identity *identity;
	struct store *store;
	const char *tmp; /* a directory on the store's disk */
};

/* A job that was shared. */
struct loan {
	char namespace[KEYS_NAME_MAX + 1];
	char client[CURVE_KEY_SIZE]; /* whose job it was */
	struct digest key;
	struct same same;
	struct buf unit;     /* packed */
	struct strv asked;   /* paths of files on demand, each once */
	struct buf *answers; /* to each, a packed FileAnswer */
};

/* All of c must outlive it. 0 or -errno. */
int loans_open(const struct loans_conf *c, struct loans **ret);
void loans_closep(struct loans **l);

/* NULL: no memory. */
struct loan *loan_new(const Dray__Unit *unit, const struct strv *asked, const struct buf *answers);
void loan_free(struct loan *n);
struct record;
/* Takes it, and keeps it until it is released. 0; -EFBIG: it is too large to be handed over;
 * -ENOBUFS: too much is on its way; -ENOMEM. */
int loans_note(struct loans *l, struct loan *n, struct record **ret);
/* It is in the cache, or will not be. r may be NULL. */
void loans_release(struct loans *l, struct record *r);
/* Whether all that it takes is here still; it counts as used now. 0; -ENOENT; -errno. */
int loans_check(struct loans *l, const struct record *r);
/* An order of the coordinator's. */
void loans_hear(struct loans *l, const Dray__WorkerLend *m);

struct loans_word {
	char sample[33], job[33]; /* job: "" for none */
	Dray__LendEnd end;
	char text[256];
};
/* What the coordinator is to be told next. False: nothing. */
bool loans_next(struct loans *l, struct loans_word *ret);
/* Readable when there is something. */
int loans_fd(const struct loans *l);

#endif
