/* A job: one thread, from its client's JobOpen to the JobResult (the conversation of
 * proto/job.proto).
 *
 * The thread and the main loop exchange messages over an inproc PAIR socket. The main loop passes
 * the thread's messages to the client unchanged; only WorkerJobEnded, always the last one, is for
 * the coordinator. It passes the client's messages to the thread. With JobStop it ends the job. */
#ifndef DRAY_WORKER_JOB_JOB_H
#define DRAY_WORKER_JOB_JOB_H

#include "common/buf.h"
#include "common/conf/conf.h"
#include "store/store.h"
#include "proto/admit.h"
#include "proto/wire.h"
#include "worker/peers/owners.h"
#include "worker/job/tokens.h"
#include "worker/offers.h"
#include "worker/sandbox/ready.h"
#include "worker/sandbox/seccomp.h"
#include "worker/share/shares.h"

struct job;

/* What all jobs share; it must outlive them. */
struct job_shared {
	void *ctx;		 /* of ZeroMQ */
	const struct conf *conf; /* a job keeps the one with which it began */
	const char *jobs_dir;	 /* where jobs are laid out */
	const char *tools_dir;	 /* with dray-exec and dray-ld, on the same file system */
	const struct filters *filters;
	const char *name; /* this worker's */
	uint64_t owed_ms; /* how long a client that owes something may be silent; 0: JOB_OWED_MS */
	bool wanted;	  /* others wait for a slot; written by the main loop, atomically */
	unsigned credit;  /* content messages of one job on their way, each direction; 0: JOB_CREDIT
			   */
	struct store *store;
	struct token_bank *tokens;
	struct owners *owners;	     /* of the store's blobs */
	struct tapes *tapes;	     /* NULL: none joins another */
	const struct cgroup *cgroup; /* NULL: none may be used */
	struct job_users *users;     /* NULL: jobs have the worker's uid */
	struct ready_pool *ready;    /* NULL: no sandbox stands ready */
	struct shares *share;	     /* NULL: results are not shared */
	struct seeker *seeker;	     /* NULL: other workers are not asked for blobs */
	void *arg;		     /* the caller's own */
};

struct job_in {
	const char *id; /* 32 hex digits */
	struct offer *offer;
	const struct wire_peer *peer; /* the client, by whose number (open's) it goes on */
	const char *namespace;	      /* of its key */
	const char *share_in;	      /* the same where its results may be shared; or NULL */
	bool twin;		      /* it has no slot, and may only join another one */
	bool sample; /* another worker has shared it, and hands it over: nothing is sent of what it
			makes, nobody joins it, and it is the last to get processor time */
	bool push;   /* no job: the client gives a toolchain (push.c), of no more than */
	uint64_t push_max; /* so many bytes; then there is no offer */
	bool refill; /* with sample: but a client hands it over, and what it makes is shared */
	struct wire_msg *open; /* a JobOpen; the thread takes its content over */
};

/* Starts the thread. */
int job_start(const struct job_shared *shared, const struct job_in *in, struct job **ret);

const char *job_id(const struct job *j);
void *job_arg(const struct job *j); /* of what it shares with others */
const struct wire_peer *job_peer(const struct job *j);
uint32_t job_number(const struct job *j);
bool job_is_twin(const struct job *j);
bool job_is_sample(const struct job *j);
/* Once its JobStarted was received: unit_alike of its unit (proto/unit_digest.h); NULL: what it
 * makes is not shared. */
const struct digest *job_alike(const struct job *j);
bool job_is_push(const struct job *j);
struct offer *job_offer(const struct job *j); /* NULL: it gives one */
/* After its WorkerJobEnded: what it gave, proved, and in no list yet; it is the caller's. NULL:
 * nothing. */
struct offer *job_take_pushed(struct job *j);
uint32_t job_unit_size(const struct job *j); /* as its JobOpen says */
void *job_socket(struct job *j);	     /* the main loop's end, to poll for ZMQ_POLLIN */
/* Where the conversation is (proto/admit.h), as the main loop has told the client; DROPPED: it has
 * its last message. */
enum admit_state job_phase(const struct job *j);
void job_set_phase(struct job *j, enum admit_state phase);

/* Hands a client's message to the thread, which decodes it. -EAGAIN: the thread does not keep up,
 * or the client sends more than its credit allows. */
int job_hand(struct job *j, struct wire_raw *raw);
/* Less patience with its client while others wait for a slot. */
void job_put_on_trial(struct job *j);
/* Its client does not want it any more. It ends at once, unless others have joined it; its
 * WorkerJobEnded still comes. */
void job_stop(struct job *j, const char *why);
/* Ends it, even if others have joined it. */
void job_kill(struct job *j, const char *why);

/* Joins the thread and frees all; only after its WorkerJobEnded was received. */
void job_join(struct job *j);

#endif
