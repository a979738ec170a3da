/* The scheduler: which job runs on which worker.
 *
 * A step function over plain structs: no I/O, the clock is passed in (milliseconds, monotonic), and
 * the same inputs give the same outputs. Each input below changes the state and adds actions; the
 * caller takes them all with sched_next_action before its next input.
 *
 *            add                    started                 ended
 *   client ──────▶ QUEUED ─▶ PLACED ───────▶ STARTED ──────────────▶ AWAY ─▶ finished, cancelled
 *                    ▲          │ no start in open_ms,      │          │
 *                    │          ╰──── or its worker gone ───┴────────▶ │
 *                    ╰──────────────────── retry ──────────────────────╯
 *
 * A job holds a slot while PLACED or STARTED, but for twins (sched_kin.c), which join another job
 * where that has its slot. The coordinator never moves a job by itself: the
 * client is the first to see that its worker failed. It sends a retry, and then gets another
 * worker. So no job can be placed twice. AWAY is a job without a slot whose client has not reported
 * yet. A client that has its result before the worker has cleaned up leaves its job STARTED, an
 * orphan that holds the slot until the worker reports its end, or for 5 s.
 *
 * Trust. A worker whose jobs fail three times in a row gets none for 10 s, then one at a time
 * (probes); each failed probe doubles the wait, up to 5 min; a probe that succeeds restores it.
 * Blame needs evidence. A failure is the worker's own word ("not ok"), the loss of its connection
 * while it ran jobs, or what several client keys say of jobs that it had started; never what one
 * says. That it is full is its own word, too; a client's alone moves only that client's job. Trust
 * outlives a connection: registering again does not restore it.
 *
 * Order. Of the jobs that a worker with a free slot can run, that of the client key goes first
 * which has used the least processor time, or time of slots (sched_share.c), and of one key the
 * oldest. A key has few slots at a time in which nothing runs yet, and one that wastes slots has to
 * wait for a while. The queues are by (toolchain, least
 * glibc), so that a job that has to wait blocks no other. A job gets the worker with the smallest
 * share of its slots in use, then the fewest failures, then by name: a heap per (toolchain, glibc
 * of the worker), so that no placement looks at all workers.
 */
#ifndef DRAY_COORDINATOR_SCHED_H
#define DRAY_COORDINATOR_SCHED_H

#include "common/digest.h"
#include "proto/link.pb-c.h"

#define JOB_ID_SIZE 16
#define JOB_ID_HEX_SIZE 33
#define SCHED_NAME_SIZE 65

struct job_id {
	uint8_t b[JOB_ID_SIZE];
};

int sched_job_id_parse(const char *hex, struct job_id *ret); /* 32 lower-case digits, or -EINVAL */
void sched_job_id_hex(const struct job_id *id, char out[JOB_ID_HEX_SIZE]);

struct sched;
struct sched_worker;

/* Of the jobs of all keys of a namespace, at a time; 0: as many as there are. */
struct sched_quota {
	unsigned slots; /* that they hold */
	size_t queue;	/* that wait for one */
};

struct sched_conf {
	uint8_t hash_key[16];	 /* secret: jobs' ids are chosen by clients */
	size_t max_queue;	 /* jobs */
	size_t max_account_jobs; /* of one client key */
	uint64_t open_ms;	 /* how long a placed job may take to start */
	uint64_t open_wanted_ms; /* the same while other keys wait for a slot; not more. Less for
				    keys that are on trial (sched_share.c) */
	/* Whether jobs of that toolchain are taken; NULL: of all. sched_allows_changed when its
	 * answers are others. */
	bool (*allows)(void *arg, const struct digest *toolchain);
	void *allows_arg;
	/* What that namespace may have; NULL: there are no quotas. sched_quotas_changed when its
	 * answers are others. Has allows_arg. */
	void (*quota)(void *arg, const char *space, struct sched_quota *ret);
};

/* The limits are generous. hash_key stays zero. */
void sched_conf_default(struct sched_conf *c);

struct sched_offer {
	struct digest toolchain;
	const char *text; /* for people */
};

struct sched_worker_info {
	const char *name; /* unique; shorter than SCHED_NAME_SIZE */
	const char *endpoint;
	const char *curve;
	uint64_t tag; /* the caller's handle */
	const struct sched_offer *offers;
	size_t n_offers;
	unsigned slots;
	unsigned cores;
	unsigned glibc; /* minor version of 2.x */
	bool draining;
	const struct job_id *running;
	size_t n_running;
	unsigned twins; /* that it takes at a time */
	const struct job_id *joined;
	size_t n_joined;
};

/* A failed try of a job that this scheduler does not know. */
struct sched_failed {
	const char *worker;
	Dray__Verdict verdict;
};

struct sched_job_info {
	struct job_id id;
	uint64_t owner;	   /* the client's handle, not 0 */
	uint64_t account;  /* of its key; 0: it has one of its own */
	uint64_t former;   /* the one it had on another connection, or 0: takes its job over */
	const char *space; /* the namespace of its key; NULL: as "" */
	struct digest toolchain;
	struct digest kin; /* of its hint and namespace; zeros: it has no hint */
	unsigned glibc;	   /* least minor version; 0: any */
	bool may_wait;
	/* Failed tries before the client asked anew. As after a retry for that reason, the job does
	 * not go to that worker, if the worker is known by now. Costs no trust. */
	const struct sched_failed *failed;
	size_t n_failed;
};

enum sched_action_type {
	SCHED_PLACE,  /* tell owner to run job on worker */
	SCHED_QUEUED, /* tell owner that about `ahead` jobs come first */
	SCHED_DENY,   /* tell owner; the job is forgotten */
	SCHED_CANCEL, /* tell worker to stop job */
};

struct sched_action {
	enum sched_action_type type;
	struct job_id job;
	uint64_t owner;
	struct sched_worker *worker; /* PLACE, CANCEL */
	bool twin;		     /* PLACE: without a slot, to join another one there */
	unsigned ahead;
	Dray__Verdict verdict;
	struct digest toolchain; /* DENY: the job's */
	const char *text; /* DENY; QUEUED: what it waits for, where that is its quota, or "". Valid
			     until the scheduler's next input */
};

enum sched_trust { SCHED_TRUSTED, SCHED_SHUNNED, SCHED_PROBED };

/* What is known of a worker; pointers are valid until the next input. */
struct sched_worker_view {
	const char *name, *endpoint, *curve;
	uint64_t tag;
	unsigned slots, cores, glibc;
	unsigned used;	   /* placed, started, and foreign to this coordinator */
	unsigned twins;	   /* placed and started, without slots */
	unsigned failures; /* in a row, as far as there is evidence */
	enum sched_trust trust;
	bool draining;
	size_t n_offers;
	size_t n_doubted; /* of these: they get no jobs (sched_doubt.c) */
};

struct sched_stats {
	size_t workers, jobs, queued, slots, used;
	uint64_t placed, ended; /* since start */
	uint64_t twins;		/* of those that were placed */
	size_t doubted;		/* toolchains of workers that get no jobs, since clients say that
				   they are not there */
	uint64_t compares;	/* of two workers: the cost of choosing */
};

int sched_new(const struct sched_conf *conf, struct sched **ret);
void sched_free(struct sched *s);
void sched_freep(struct sched **s);

/* Takes the next action. false: there is none left. */
bool sched_next_action(struct sched *s, struct sched_action *ret);

/* A worker registers, for the first time or again. Jobs it lists as running count as slots in use,
 * known here or not; known ones that it does not list are AWAY. The returned worker is valid until
 * sched_worker_gone. 0; or -ENOMEM, and then it counts as gone. */
int sched_worker_set(struct sched *s, const struct sched_worker_info *info, uint64_t now,
	struct sched_worker **ret);
/* Its connection is lost, or it was silent too long. */
void sched_worker_gone(struct sched *s, struct sched_worker *w, uint64_t now);
/* A heartbeat: `running` is the worker's own count of its jobs. Jobs beyond our own count are
 * another coordinator's, or were given up here and still run; their slots are not used. */
void sched_worker_heard(struct sched *s, struct sched_worker *w, unsigned running, uint64_t now);
/* The worker gets no new job; running jobs go on. */
void sched_worker_drain(struct sched *s, struct sched_worker *w, uint64_t now);
/* It may get jobs again. */
void sched_worker_resume(struct sched *s, struct sched_worker *w, uint64_t now);
/* The connected worker of that name, or NULL. */
struct sched_worker *sched_worker_find(struct sched *s, const char *name);
/* Walks those that are connected: NULL begins. */
struct sched_worker *sched_worker_walk(struct sched *s, struct sched_worker *prev);
void sched_worker_get(const struct sched_worker *w, struct sched_worker_view *ret);
/* Takes the next worker whose trust has changed since this was last asked; its view says how it is
 * now. It may be one that is not connected. NULL: there is none. */
struct sched_worker *sched_worker_news(struct sched *s);
/* A worker gets no more jobs of a toolchain that it offers, for so long (sched_doubt.c). */
struct sched_doubt {
	char worker[SCHED_NAME_SIZE];
	struct digest toolchain;
	uint64_t ms;
};
/* Takes the next of which this was not said yet. */
bool sched_doubt_news(struct sched *s, struct sched_doubt *ret);
/* All that a worker of that name offers is believed again. False: it was. */
bool sched_worker_believe(struct sched *s, const char *name, uint64_t now);
const struct digest *sched_worker_offer(
	const struct sched_worker *w, size_t i, const char **ret_text);

/* A client asks for a place. The answer is an action: PLACE, QUEUED or DENY. A job of `former` is
 * cancelled where it runs, and starts anew. -EEXIST: there is such a job already, and it goes on;
 * -ENOMEM. */
int sched_job_add(struct sched *s, const struct sched_job_info *info, uint64_t now);
/* The job's owner; 0: it has none, or there is no such job. */
uint64_t sched_job_owner(struct sched *s, const struct job_id *id);
/* Also of one whose owner is gone. */
bool sched_job_is_known(struct sched *s, const struct job_id *id);
/* The client has its result. These three functions accept only the job's owner; -ENOENT for others.
 */
int sched_job_finished(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now);
int sched_job_cancel(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now);
/* As if it had not been asked for: of one whose PLACE is not carried out, so that neither its
 * client nor its worker has heard of it. */
void sched_job_withdraw(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now);
/* worker: the name of the one that failed; "" for the last. -ESTALE: the job is not there. */
int sched_job_retry(struct sched *s, uint64_t owner, const struct job_id *id, const char *worker,
	Dray__Verdict verdict, const char *text, uint64_t now);
/* The worker reports; -ENOENT: the job is not on that worker. */
int sched_job_started(
	struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now);
int sched_job_ended(struct sched *s, struct sched_worker *w, const struct job_id *id, bool ok,
	uint64_t cpu_us, uint64_t now);
/* All that the job needs is there: its compiler runs. */
void sched_job_compiles(
	struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now);
/* Said before its end: it makes no whole result, and its slot was kept for so long until now while
 * its client owed something, and did nothing; 0 where that is not its client's doing. */
void sched_job_cut(struct sched *s, struct sched_worker *w, const struct job_id *id,
	uint64_t wasted_ms, uint64_t now);
/* Whether its client's key has shown nothing yet, or wasted slots since. */
bool sched_job_on_trial(struct sched *s, const struct job_id *id);
/* The same of an account, whatever jobs it has. */
bool sched_account_on_trial(struct sched *s, uint64_t account);
/* Whether its present try is a twin's. What a worker says of a twin is of no other try. */
bool sched_job_is_twin(const struct sched *s, const struct job_id *id);
/* Whether it is placed with that worker. */
bool sched_job_is_with(
	const struct sched *s, const struct sched_worker *w, const struct job_id *id);
/* Whether it has a slot there. */
bool sched_job_has_slot(
	const struct sched *s, const struct sched_worker *w, const struct job_id *id);
/* What it made is kept for a while, for twins; said by its worker. */
void sched_job_kept(struct sched *s, struct sched_worker *w, const struct job_id *id);
/* It is full: it did not take the job. */
int sched_job_refused(
	struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now);
/* The client is gone: its jobs are cancelled wherever they are. */
void sched_owner_gone(struct sched *s, uint64_t owner, uint64_t now);

/* Time has passed: expiry, penalties, notices. Call it at least a few times a second. */
void sched_tick(struct sched *s, uint64_t now);
/* Queued jobs of toolchains that are not taken any more are denied; those that have slots go on. */
void sched_allows_changed(struct sched *s, uint64_t now);
/* All quotas are asked for anew. What has more than it may by now keeps that, and gets no more. */
void sched_quotas_changed(struct sched *s, uint64_t now);
/* Ends all placing: queued and new jobs are denied. */
void sched_drain(struct sched *s, uint64_t now);

/* ---- what there is now, for people; pointers are valid until the next input (sched_view.c) */

enum sched_job_state { SCHED_JOB_QUEUED, SCHED_JOB_PLACED, SCHED_JOB_STARTED, SCHED_JOB_AWAY };
struct sched_job_view {
	const struct job_id *id;
	enum sched_job_state state;
	uint64_t owner;			   /* 0: its client is gone, or not known */
	uint64_t account;		   /* 0: none */
	const struct sched_worker *worker; /* of its present or last try; NULL */
	bool twin;
	unsigned tries;	  /* so far */
	uint64_t held_ms; /* when its present try got its slot; of one that has a slot, or a twin's
			     place */
};
struct sched_job;
/* Walks all jobs, in no order: NULL begins. */
struct sched_job *sched_job_walk(struct sched *s, struct sched_job *prev);
void sched_job_get(const struct sched_job *job, struct sched_job_view *ret);

struct sched_account_view {
	size_t jobs, queued;
	unsigned holding; /* slots */
	uint64_t used_us; /* by which its turn is reckoned: one that had nothing to do begins with
			     what the least of the others has used */
};
/* False: nothing is known of that account; *ret is zeros. */
bool sched_account_get(struct sched *s, uint64_t account, struct sched_account_view *ret);

struct sched_space_view {
	size_t jobs, queued;
	unsigned holding; /* slots */
	struct sched_quota may;
};
/* Of all keys of a namespace. */
void sched_space_get(const struct sched *s, const char *name, struct sched_space_view *ret);

/* Whether some key waits for what others have, and may have it. */
bool sched_wanted(const struct sched *s);
/* Whether some key waits for a slot, and may have one: none that has to wait in any case for what
 * it has wasted, or that has not opened those which it has. */
bool sched_somebody_waits(const struct sched *s);
void sched_get_stats(const struct sched *s, struct sched_stats *ret);

#endif
