/* The worker's link to its coordinator (the conversation of proto/worker.proto). The link may break
 * at any time; running jobs do not depend on it. A step function: the caller polls and passes the
 * clock in.
 */
#ifndef DRAY_WORKER_LINK_UP_H
#define DRAY_WORKER_LINK_UP_H

#include "common/conf/conf.h"
#include "keys/identity.h"
#include "common/strv.h"
#include "proto/wire.h"
#include "worker/offers.h"

struct link_up;

struct link_up_conf {
	const struct conf *conf;
	const char *at;			    /* the coordinator's endpoint */
	const struct identity *identity;    /* ours; may be NULL for ipc */
	const struct identity *coordinator; /* its public half; may be NULL for ipc */
	const struct offers *offers;
	const char *name;
	const char *endpoint;	  /* where clients reach us */
	const char *curve_public; /* "" over ipc */
	unsigned cores, slots, twins;
	uint64_t memory;	  /* bytes */
	const struct digest *cpu; /* toolchain/cpu.h; NULL: not known */
	/* called back from link_up_step */
	void (*list_running)(void *arg, struct strv *ret, struct strv *ret_twins);
	void (*cancel)(void *arg, const char *job);
	void (*expect)(void *arg, const Dray__WorkerExpect *m);
	bool samples; /* it takes part in them (worker.proto, Samples): the next two are not NULL */
	void (*lend)(void *arg, const Dray__WorkerLend *m);
	void (*unshared)(void *arg, const Dray__WorkerUnshared *m);
	bool peers; /* it gives other workers blobs */
	void (*found)(void *arg, const Dray__WorkerFound *m);
	bool takes_toolchains;				    /* clients may give it some */
	void (*drop)(void *arg, const Dray__WorkerDrop *m); /* may be NULL */
	/* the coordinator is to have another key (keys/succession.h); may be NULL */
	void (*successor)(void *arg, const char *statement);
	void *arg;
};

int link_up_new(void *ctx, const struct link_up_conf *c, struct link_up **ret);
void link_up_free(struct link_up *l);
/* What `at` points to is another endpoint now ("": none is known): a new connection is made. */
void link_up_moved(struct link_up *l);

/* Poll both for ZMQ_POLLIN. They may change with each step, and may be NULL. */
void *link_up_socket(struct link_up *l);
void *link_up_monitor(struct link_up *l);

/* What a heartbeat tells. */
struct link_up_news {
	unsigned running;      /* jobs that have a slot */
	unsigned elsewhere;    /* of them, those of other coordinators: a change is told at once */
	unsigned coordinators; /* with so many this worker is registered */
	uint64_t store_bytes;
};
/* Handles messages that came, registers when it is time, and sends heartbeats. now_ms is the
 * monotonic clock, wall_ms the wall clock. */
void link_up_step(
	struct link_up *l, uint64_t now_ms, uint64_t wall_ms, const struct link_up_news *news);
/* The coordinator's key is another one now: the connection is made anew. */
void link_up_reconnect(struct link_up *l);
/* The next step tells how many slots are in use, whatever was told before. */
void link_up_tell_soon(struct link_up *l);
/* The coordinator's time, as far as it is known. Tickets expire by it. */
uint64_t link_up_time(const struct link_up *l, uint64_t now_ms, uint64_t wall_ms);
/* How long until link_up_step has something to do, in ms. */
uint64_t link_up_wait(const struct link_up *l, uint64_t now_ms);

bool link_up_welcomed(const struct link_up *l); /* the coordinator has accepted us on this link */
const char *link_up_refusal(const struct link_up *l); /* its last refusal, or NULL */

/* Whether other clients wait for its slots, as the coordinator said last. */
bool link_up_wanted(const struct link_up *l);

/* When the heartbeat after one at `now` is due; time_ms: the coordinator's time then. A coordinator
 * wakes up for each that comes alone. All its workers therefore send theirs in a few moments of
 * each interval, by its clock; not all in one, or what comes then would wait for thousands. At most
 * an interval later, and at least half of one. */
#define LINK_UP_MOMENTS 2
uint64_t link_up_next(uint64_t now, uint64_t time_ms, uint64_t beat_ms, unsigned moment);

/* Without a link these do nothing: the next registration says what runs. */
void link_up_job_started(struct link_up *l, const char *job, bool twin);
/* Of a sample: it was opened; compiles: its compiler runs. */
void link_up_sample_started(struct link_up *l, const char *job, bool compiles);
/* Said once more: its compiler runs. alike: job_alike; may be NULL. */
void link_up_job_compiles(struct link_up *l, const char *job, const struct digest *alike);
/* No slot was free for it: said before its client is told. */
void link_up_job_refused(struct link_up *l, const char *job);
void link_up_job_ended(struct link_up *l, const Dray__WorkerJobEnded *m);
void link_up_lent(struct link_up *l, const char *sample, const char *job, Dray__LendEnd end,
	const char *text);
/* Nothing is said to a coordinator that does not know these. False: it was not asked. */
void link_up_holds(struct link_up *l, const Dray__WorkerHolds *m);
bool link_up_seek(struct link_up *l, const Dray__WorkerSeek *m);
void link_up_bye(struct link_up *l, const char *why);

#endif
