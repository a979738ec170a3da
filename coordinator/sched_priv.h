/* The scheduler's structs, for its files only. From the bottom up, each calls only what is above it
 * here: sched_quota.c (what a namespace may have), sched_share.c (whose turn it is), sched_pool.c
 * (which worker can run what: toolchains, heaps, queues), sched_job.c (a job's life, and the
 * actions), sched_kin.c (twins; it and sched_job.c call each other), sched_worker.c (workers and
 * trust), sched.c (inputs). */
#ifndef DRAY_COORDINATOR_SCHED_PRIV_H
#define DRAY_COORDINATOR_SCHED_PRIV_H

#include <sys/queue.h>

#include "common/buf.h"
#include "coordinator/sched.h"
#include "common/table.h"

#define MAX_TRIES 3	 /* of a job */
#define MAX_BOUNCES 32	 /* how often workers may refuse a job ("full") before it is denied */
#define TRUST_FAILURES 3 /* in a row */
#define OPEN_MS 3000u
#define OPEN_WANTED_MS 1500u /* it takes about five ways there and back */
#define DOUBT_MS 500u	     /* how long a worker's own word is waited for that it is full */
#define TRUST_WAIT_MS 10000u
#define TRUST_WAIT_MAX_MS 300000u
#define ORPHAN_MS 500u	/* how often a job without a client is looked at */
#define SETTLE_MS 5000u /* how long a client may take to say how its job ended */
#define REMEMBER_MS (2 * TRUST_WAIT_MAX_MS) /* a worker that is gone */
#define NOTICE_MS 1000u			    /* QUEUED again */
#define NOTICE_BURST 2000		    /* of them in one tick: 20,000 a second at ten ticks */
#define RETRY_SCAN 64 /* queued retries of an account looked at for one free slot */

enum job_state { JOB_QUEUED, JOB_PLACED, JOB_STARTED, JOB_AWAY };
/* What the worker reported of a try that is AWAY. */
enum worker_word { WORD_NONE, WORD_OK, WORD_BAD, WORD_FULL };

TAILQ_HEAD(job_list, sched_job);

/* All keys of a namespace. */
struct space {
	struct table_node node;
	char name[SCHED_NAME_SIZE];
	struct sched_quota may;
	size_t refs; /* jobs and accounts that name it */
	size_t jobs, queued;
	unsigned holding; /* slots */
	bool held_back;	  /* a job of it had to wait for one of its own slots */
};

/* What a client key has used, and how it went. */
struct account {
	struct table_node node;
	TAILQ_ENTRY(account) idle_link, waiting_link;
	uint64_t id;
	struct space *space; /* of the job that came last */
	size_t jobs, queued;
	unsigned holding; /* slots */
	unsigned bare;	  /* of them, and of those that were late: no compiler runs there yet */
	unsigned width;	  /* so many of these while others wait */
	bool held_back;	  /* a job of it had to wait for that, or for a penalty */
	bool indebted;	  /* after a penalty: one slot at a time */
	uint64_t used_us, mean_us; /* in all; a job of it */
	uint64_t idle_ms;
	uint64_t late_ms;  /* the longest time after which a slot was opened that was taken back */
	int64_t credit_ms; /* below 0: a debt */
	uint64_t wasted_until;	       /* what was wasted before has been counted */
	unsigned rounds;	       /* penalties */
	uint64_t waits_from, waits_ms; /* the last penalty: since when, and until */
};

struct owner {
	struct table_node node;
	uint64_t handle;
	size_t n;
	struct job_list jobs;
};

/* Jobs of equal hints. */
struct kin {
	struct table_node node;
	TAILQ_ENTRY(kin) idle_link; /* while it has no jobs */
	struct digest id, toolchain;
	struct job_list jobs;
	struct sched_worker *last; /* where one of them has ended well, or NULL */
	uint64_t last_ms, idle_ms, last_account;
};

struct sched_job {
	struct table_node node;
	struct job_id id;
	struct digest toolchain;
	unsigned glibc;
	bool may_wait;
	bool probe;    /* this try is its worker's probe */
	bool twin;     /* this try is for joining another job: it has no slot */
	bool judged;   /* this try was counted for or against its worker */
	bool opened;   /* its worker has started this try */
	bool settled;  /* what this try cost is in its account */
	bool lost;     /* one of its tries joined a job that gave it no result */
	bool kept;     /* its worker keeps what it made for a while */
	bool bare;     /* this try is in its account's count */
	bool late;     /* its slot was taken back; its client may still come to open it */
	bool excused;  /* that its slot is given up is not its client's doing */
	bool cut;      /* this try made no whole result, its worker says */
	bool listed;   /* scratch of sched_worker_set */
	uint8_t state; /* enum job_state */
	uint8_t word;  /* enum worker_word */
	uint64_t seq;  /* order of arrival */

	struct owner *owner; /* NULL: its client is not known, or gone */
	TAILQ_ENTRY(sched_job) owner_link;
	struct kin *kin; /* NULL: it is alone */
	TAILQ_ENTRY(sched_job) kin_link;
	struct account *account; /* NULL: of a job whose client is not known */
	struct space *space;	 /* likewise */
	uint64_t charged_us;	 /* for the present try */
	uint64_t held_ms;	 /* when it got its slot */
	uint64_t wasted_ms;	 /* of that slot's time */
	uint64_t former;	 /* the account that has opened it, if a twin's has it now; or 0 */

	struct sched_worker *cur;		/* of the present or last try */
	TAILQ_ENTRY(sched_job) worker_link;	/* in cur->jobs while PLACED or STARTED */
	struct sched_worker *failed[MAX_TRIES]; /* not these again */
	unsigned n_failed, tries, bounces;

	struct job_list *timed; /* the list it waits in for its deadline, or NULL */
	uint64_t deadline;
	TAILQ_ENTRY(sched_job) timed_link;

	struct tc *tc; /* while queued */
	struct lane *lane;
	TAILQ_ENTRY(sched_job) queue_link;
	TAILQ_ENTRY(sched_job) notice_link;
	uint64_t notice_ms, pos;
};

/* Queued jobs of one account in a class, by seq. Freed when empty. */
struct lane {
	TAILQ_ENTRY(lane) link;
	struct class *class;
	struct account *account;
	struct job_list jobs;
};

/* Queued jobs of a toolchain with the same need of glibc. Freed when empty. */
struct class
{
	TAILQ_ENTRY(class) link;
	unsigned glibc;
	TAILQ_HEAD(, lane) lanes;
};

/* Workers with the same toolchain and glibc. The heap holds those that can take a job now. */
struct pool {
	TAILQ_ENTRY(pool) link;
	struct tc *tc;
	unsigned glibc;
	size_t members;	 /* offers attached */
	size_t live;	 /* whose worker is connected */
	size_t eligible; /* and not draining or shunned */
	struct pool_seat **heap;
	size_t n, cap; /* cap >= members: insertion cannot fail */
};

struct tc {
	struct table_node node;
	struct digest id;
	char text[128];
	TAILQ_HEAD(, pool) pools;
	TAILQ_HEAD(, class) classes;
	struct class retries; /* queued jobs that some workers have failed, of any glibc */
	size_t queued;
	uint64_t entered, left; /* of its queues, to guess a place in the line */
};

struct pool_seat {
	struct sched_worker *w;
	struct pool *pool;
	size_t at;     /* in the heap, or NOT_IN_HEAP */
	bool shut;     /* it is not believed: no job gets there by it */
	bool eligible; /* as counted in the pool */
};
#define NOT_IN_HEAP SIZE_MAX

struct sched_worker {
	struct table_node node;
	TAILQ_ENTRY(sched_worker) all_link; /* live, or gone */
	TAILQ_ENTRY(sched_worker) shunned_link, news_link;
	char name[SCHED_NAME_SIZE];
	char *endpoint, *curve;
	uint64_t tag;
	struct pool_seat *offers;
	size_t n_offers, n_shut;
	unsigned slots, cores, glibc;
	unsigned placed, started, foreign;
	unsigned twins, twins_max;
	unsigned refs; /* jobs that name it */
	bool live, draining;
	bool eligible; /* as counted in the pools */
	uint64_t gone_ms;
	struct job_list jobs; /* PLACED or STARTED here */

	enum sched_trust trust;
	bool news; /* it is in the list of those whose trust has changed */
	unsigned failures, rounds;
	unsigned complaints;	/* of clients, since the last success */
	uint64_t complained[2]; /* the first two accounts that did */
	uint64_t shunned_until;
	struct sched_job *probe;
	struct job_id probed; /* the last probe */
};

TAILQ_HEAD(worker_list, sched_worker);

/* Of a worker, whether it is here or not, and a toolchain. */
struct doubt {
	TAILQ_ENTRY(doubt) link;
	char worker[SCHED_NAME_SIZE];
	struct digest toolchain;
	uint64_t account;  /* the one that has said so; 0: none has */
	uint64_t until_ms; /* until then that counts, or it is shut */
	unsigned rounds;   /* how often it was shut */
	bool shut, news;
};

struct pending {
	struct sched_action a;
	size_t text; /* offset in texts, or NO_TEXT */
};
#define NO_TEXT SIZE_MAX

struct sched {
	struct sched_conf conf;
	uint64_t now, seq;
	bool draining;
	struct table jobs, owners, workers, tcs, accounts, kins, spaces;
	TAILQ_HEAD(, kin) idle_kins;
	size_t n_idle_kins;
	TAILQ_HEAD(, account) idle, waiting; /* without jobs; with queued ones */
	bool let_on;			     /* one that was held back may have a slot now */
	size_t busy;			     /* accounts with jobs */
	uint64_t floor_us;		     /* where accounts begin that had nothing to do */
	uint64_t most_us;		     /* that any has used */
	uint64_t mean_us;		     /* what a job costs */
	uint64_t woken_ms;		     /* when accounts that have to wait were looked at */
	struct worker_list live, gone, shunned, news;
	/* by deadline: each has one constant wait */
	struct job_list placed, settling, doubted, orphans;
	TAILQ_HEAD(, doubt) doubts; /* the one that was spoken of least lately first */
	size_t n_doubts;
	struct job_list late;	 /* whose slots were taken back */
	struct job_list notices; /* queued jobs by notice_ms */
	size_t queued;
	struct pending *act;
	size_t act_head, act_n, act_cap;
	struct buf texts;
	struct sched_stats stats;
};

/* sched_quota.c */
/* The job is one of that name until space_leave. 0, -ENOMEM, or -EINVAL: the name is too long. */
int space_join(struct sched *s, struct sched_job *job, const char *name);
void space_leave(struct sched *s, struct sched_job *job);
/* One more names it, or one less; NULL is fine, as below. */
struct space *space_ref(struct space *sp);
void space_put(struct sched *s, struct space *sp);
bool space_has_room(const struct space *sp); /* for one more slot */
bool space_may_hold(struct space *sp); /* the same; if not, it is noted that it is held back */
bool space_may_queue(const struct space *sp);
/* So many slots more, or less: others of it may have one then. */
void space_holds(struct sched *s, struct space *sp, int slots);
void space_queued(struct space *sp, bool in);
void spaces_ask(struct sched *s); /* what each may have, anew */
/* What it has, and why that is all, as a sentence without an end. */
void space_explain_slots(const struct space *sp, char *out, size_t n);
void space_explain_queue(const struct space *sp, char *out, size_t n);

/* sched_share.c */
int account_join(struct sched *s, struct sched_job *job, uint64_t id);
void account_leave(struct sched *s, struct sched_job *job);
bool account_before(const struct sched_job *a, const struct sched_job *b);
void account_charge(struct sched *s, struct sched_job *job); /* it is placed */
void account_keep(struct sched *s, struct sched_job *job);   /* it still has its slot */
/* What the try cost in the end; the first call counts. Comes before the slot is given up. */
void account_settle(struct sched *s, struct sched_job *job, uint64_t cost_us);
void account_learn(struct sched *s, uint64_t cost_us);
/* The slot counts as another account's from now on, which has jobs. */
void account_pass(struct sched *s, struct sched_job *job, struct account *to);
/* Whether jobs of other accounts are queued that may have a slot; NULL: of any. */
bool account_others_wait(const struct sched *s, const struct account *a);
/* Whether it may have a slot now. If not, it is noted that it is held back. */
bool account_may(const struct sched *s, const struct sched_job *job);
bool account_may_join(const struct sched *s, const struct sched_job *job); /* a twin, without one */
bool account_on_trial(const struct account *a);
/* NULL: nothing is known of it. */
struct account *account_find(struct sched *s, uint64_t id);
/* How long its clients may take to open a slot that others wait for. */
uint64_t account_open_ms(const struct sched *s, const struct account *a);
/* It is queued, or not any more. */
void account_queued(struct sched *s, const struct sched_job *job, bool in);
void account_hold(struct sched *s, struct sched_job *job);  /* it has a slot now */
void account_shown(struct sched *s, struct sched_job *job); /* its compiler runs */
/* It gives its slot up. If it was bare, and is not excused, that was a waste. */
void account_give(struct sched *s, struct sched_job *job);
/* A slot was kept for it, for as long until now, and was not used. */
void account_wasted(struct sched *s, struct sched_job *job, uint64_t ms);
/* Its slot is about to be taken back, since it was not opened; comes before account_give. It is
 * late then, until one of these: nobody came for it; or its client did, as its worker says, and
 * what was held against its key is not any more. */
void account_late(struct sched *s, struct sched_job *job);
void account_never_opened(struct sched *s, struct sched_job *job);
void account_opened_late(struct sched *s, struct sched_job *job);
void account_used_well(struct sched *s, struct sched_job *job, uint64_t cpu_us);
/* Whether workers are to be looked at again: jobs of accounts that had to wait are in the queue,
 * while slots may be free. */
bool accounts_tick(struct sched *s);
void accounts_free(struct sched *s);

/* sched_doubt.c */
/* A client of that account says that the worker does not have the toolchain. Whether it is shut
 * from now on: doubts_apply is to follow. */
bool doubt_says(struct sched *s, const struct sched_worker *w, const struct digest *toolchain,
	uint64_t account);
/* Walks the names of workers of which the job's own key has said so; *pos is NULL first. */
const char *doubt_next(
	const struct sched *s, const struct sched_job *job, const struct doubt **pos);
void doubts_apply(const struct sched *s, struct sched_worker *w); /* to what it offers */
/* The time of one is over: the name of its worker, until the next call of these; NULL: of none. */
const char *doubts_end_one(struct sched *s);
/* All of that worker. False: none of them is shut, and they stay. */
bool doubts_forget(struct sched *s, const char *worker);
void doubts_free(struct sched *s);

/* sched_pool.c */
struct tc *tc_find(struct sched *s, const struct digest *id);
int offers_attach(struct sched *s, struct sched_worker *w, const struct sched_offer *offers,
	size_t n, struct pool_seat **ret);
void offers_detach(struct sched *s, struct pool_seat *offers, size_t n);
/* Updates heaps and counts after a change of w. Returns whether w lost eligibility. */
bool pools_refresh(struct sched *s, struct sched_worker *w);
bool sched_worker_placeable(const struct sched_worker *w);
unsigned sched_worker_failures(const struct sched_worker *w);
unsigned sched_worker_used(const struct sched_worker *w);
struct sched_worker *pools_pick(struct sched *s, const struct sched_job *job);
bool pools_eligible(struct sched *s, const struct sched_job *job);
int queue_put(struct sched *s, struct sched_job *job); /* ordered by seq. -ENOMEM leaves it out */
void queue_take(struct sched *s, struct sched_job *job);
struct sched_job *queue_next_for(const struct sched *s, struct sched_worker *w);
unsigned queue_ahead(const struct sched_job *job);
void sched_worker_ref(struct sched_worker *w);
void sched_worker_unref(struct sched_worker *w);
/* Whether the farm takes jobs of its toolchain (sched_conf.allows). */
bool sched_job_allowed(const struct sched *s, const struct sched_job *job);
bool sched_job_holds(const struct sched_job *job); /* PLACED or STARTED: a slot, or as a twin */
bool sched_job_failed_on(const struct sched_job *job, const struct sched_worker *w);
/* Moves the queued jobs of a toolchain that no worker can run any more into ret (by queue_link).
 * The caller denies them. */
void pools_take_stranded(struct sched *s, struct tc *tc, struct job_list *ret);
/* Why no worker can run it, as a sentence. */
void pools_explain(struct sched *s, const struct sched_job *job, char *out, size_t n);

/* sched_kin.c */
/* id: of its hint; zeros: it has none. 0 or -ENOMEM. */
int kin_join(struct sched *s, struct sched_job *job, const struct digest *id);
void kin_leave(struct sched *s, struct sched_job *job); /* it is alone from then on */
/* The worker where it may be a twin, or NULL. */
struct sched_worker *kin_pick(const struct sched *s, const struct sched_job *job);
/* Whether the worker takes it as a twin, if there is what it is a twin of. */
bool kin_takes(const struct sched_worker *w, const struct sched_job *job);
void kin_ended(struct sched *s, struct sched_job *job); /* and is kept */
void kin_lost(struct sched_job *job); /* there was nothing to join where it was sent */
/* Its client left. Whether its worker goes on with it for a twin, whose slot it is from now on. */
bool kin_wants(struct sched *s, struct sched_job *lead);
void kins_tick(struct sched *s);
void kins_free(struct sched *s);

/* sched_worker.c */
/* The worker of that name, also one that is gone and only remembered. */
struct sched_worker *sched_worker_any(struct sched *s, const char *name);
void sched_worker_changed(struct sched *s, struct sched_worker *w);
/* Places it there, and those of its kin that wait, as its twins. */
void sched_worker_give(struct sched *s, struct sched_worker *w, struct sched_job *job);
void sched_worker_judge(struct sched *s, struct sched_job *job, bool good);
/* The worker says that it failed a job which is not with it any more. The caller calls
 * sched_worker_changed. */
void sched_worker_owns_up(struct sched *s, struct sched_worker *w, const struct job_id *id);
/* Its client says that the worker does not have its toolchain. */
void sched_worker_lacks(struct sched *s, const struct sched_job *job);
/* Its client says that the worker failed it. */
void sched_worker_complain(struct sched *s, struct sched_job *job);
void sched_workers_tick(struct sched *s);
void sched_workers_free(struct sched *s);

/* sched_job.c */
struct sched_job *sched_job_find(struct sched *s, const struct job_id *id);
int sched_job_new(struct sched *s, const struct job_id *id, uint64_t owner, struct sched_job **ret);
void sched_job_free(struct sched *s, struct sched_job *job);
void sched_job_hold(
	struct sched *s, struct sched_job *job, struct sched_worker *w, enum job_state state);
void sched_job_start(struct sched *s, struct sched_job *job); /* PLACED to STARTED */
/* Gives free slots to queued jobs: after slots were given up, or time has passed; and where jobs
 * were held back, and may have one now. */
void sched_look_again(struct sched *s);
void sched_let_on(struct sched *s);
/* Gives up the slot. The caller calls sched_worker_changed when its changes to the worker are
 * complete. */
void sched_job_release(struct sched *s, struct sched_job *job);
void sched_job_place(struct sched *s, struct sched_job *job, struct sched_worker *w);
void sched_job_deny(
	struct sched *s, struct sched_job *job, Dray__Verdict verdict, const char *text);
/* Denies with the reason that no worker is left for it. */
void sched_job_deny_stranded(struct sched *s, struct sched_job *job);
void sched_job_wait(struct sched *s, struct sched_job *job, struct job_list *list, uint64_t ms);
void sched_job_place_twin(struct sched *s, struct sched_job *job, struct sched_worker *w);
struct owner *owner_find(struct sched *s, uint64_t handle);
void disown(struct sched *s, struct sched_job *job);
int actions_reserve(struct sched *s, size_t more);
void action_queued(struct sched *s, const struct sched_job *job);
void action_cancel(struct sched *s, const struct sched_job *job, struct sched_worker *w);
void action_cancel_id(struct sched *s, const struct job_id *id, struct sched_worker *w);

#endif
