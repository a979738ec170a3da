/* What a worker compiled for its clients goes into the coordinator's shared cache, sealed by the
 * worker (doc/shared-cache.md).
 *
 *   a job's thread                                      the thread of shares.c
 *     shares_begin ─▶ shares_text, shares_output …
 *     (its client has its JobResult)
 *     shares_offer: makes the result by itself,
 *       or says why not; seals it          ── queue ──▶ blobs that the coordinator lacks, then the
 *                                                       entry, over a connection of its own
 *
 * What is made is made of what the worker gave the job: of the client's word there is nothing in it
 * but what the compiler itself was told. A coordinator that is away, slow, or full loses what it is
 * not given in time; no job waits for it. */
#ifndef DRAY_WORKER_SHARES_H
#define DRAY_WORKER_SHARES_H

#include "cache/same.h"
#include "common/conf/conf.h"
#include "common/digest.h"
#include "keys/identity.h"
#include "proto/job.pb-c.h"
#include "proto/worker.pb-c.h"
#include "store/store.h"
#include "toolchain/toolchain.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/sysroot.h"
#include "worker/tracer/trace.h"

struct shares;
struct whereabouts;
struct shares_job;
struct unit_index;
struct captures;

struct shares_conf {
	const struct conf *conf;
	const struct identity *identity; /* this worker's */
	const char *at;			 /* the coordinator's endpoint; */
	struct whereabouts *moves;	 /* or where that is now; NULL: it stays */
	struct whereabouts *key;	 /* has its public CURVE key */
	struct store *store;		 /* with the blobs of outputs */
	const char *tmp;		 /* a directory for what is on its way */
	void *ctx;			 /* of ZeroMQ */
};

/* All of c must outlive it. 0 or -errno. */
int shares_open(const struct shares_conf *c, struct shares **ret);
/* What still waits is lost. */
void shares_closep(struct shares **s);

struct loans;
/* What it can hand over of what it has shared. */
struct loans *shares_loans(struct shares *s);

/* A job of that client's key begins whose results may be shared in this namespace. s and namespace
 * may be NULL: then, and without memory, NULL; the functions below do nothing with that. */
struct shares_job *shares_begin(struct shares *s, const char *namespace, const char *client);
void shares_end(struct shares_job **j);
/* What it printed, as its client was sent it. */
void shares_text(struct shares_job *j, bool out, const void *p, size_t n);
/* An output that its client was sent, and that is in the store. */
void shares_output(struct shares_job *j, const char *name, unsigned mode, const struct digest *d,
	uint64_t size);

/* What its client said of a file that the compile asked for. */
void shares_answer(struct shares_job *j, const char *path, const Dray__FileAnswer *m);

/* A job that has ended. */
struct shares_made {
	const char *job;	   /* for the log */
	const Dray__JobOpen *open; /* with its ticket: whose job it is */
	const Dray__Unit *unit;
	const struct unit_index *index;
	const Dray__JobResult *result; /* with its trace, and what was read */
	const struct toolchain *toolchain;
	const struct sysroot *sysroot;
	const struct stage *stage;
	const struct captures *captures; /* its links' (worker/job/capture.h) */
	const struct trace *trace;
	struct store *store;
};
/* Whether its result is on its way; one that failed has none. */
bool shares_offer(struct shares_job *j, const struct shares_made *made);

/* The same of a sample: what it comes to is only told. False: it has no result that could be
 * shared. */
struct shares_sum {
	struct digest key;
	struct same same;
};
bool shares_sum(struct shares_job *j, const struct shares_made *made, struct shares_sum *ret);

/* The coordinator names packages of which nothing is to be shared: all of them. */
void shares_unshared(struct shares *s, const Dray__WorkerUnshared *m);

#endif
