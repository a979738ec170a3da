/* Which results of workers are compiled again by others, and how far each such sample is
 * (doc/shared-cache.md, Samples). A step function: no I/O, the clock and random numbers are passed
 * in; what is to be done is told to the host.
 *
 *   sampler_kept ─▶ one in so many ─▶ ASKED ── KEPT ─▶ WAITING ── host.give ─▶ RUNNING
 *                                       │                 ▲                        │ sampler_ended
 *                                       ▼                 ╰── one more has to ─────┤
 *                                    a failure                                     ▼
 *                                                               panel.h judges ─▶ host.end
 *
 * A worker whose connection was lost is waited for (AWAY), and asked again when the same process is
 * back: what it keeps of its samples it has in memory. A run has three parts, each with its time:
 * until the one that shared it has come to the runner, until it has handed over all, and the
 * compile. The runner says when each begins.
 *
 * The worker that compiles it again is drawn: each that could is as likely, whatever slots it says
 * that it has, and whether they are free. It is waited for, for a while.
 *
 * Blame needs evidence. That a worker does not hand over what it has shared counts by its own word,
 * by the loss of its connection, or by the word of two others; what follows of it is in lender.h:
 * whatever a client can bring about counts for that client alone. Of the next results of one that
 * failed, or was the odd one, one in two is looked at.
 *
 * Nobody can keep results from being looked at. A sample that nobody has had time for is put off no
 * more after SAMPLER_PATIENCE_MS: it runs beside whatever there is. Clients take turns, by the time
 * that their samples have taken (sampled.h), and where too many wait one of the client that has
 * most of them goes. What was chosen and could not be looked at is not believed. */
#ifndef DRAY_COORDINATOR_CACHE_SAMPLER_H
#define DRAY_COORDINATOR_CACHE_SAMPLER_H

#include "cache/same.h"
#include "coordinator/cache/panel.h"
#include "proto/worker.pb-c.h"

#define SAMPLE_ID_SIZE 33		  /* 32 hex digits */
#define SAMPLER_OPEN_MAX 512		  /* samples at a time; */
#define SAMPLER_OPEN_WORKER 32		  /* of one worker: another one takes the place of any */
#define SAMPLER_NEW 8			  /* so many first results of a worker: one in two; */
#define SAMPLER_YOUNG 64		  /* and so many: one in eight */
#define SAMPLER_ANSWER_MS 30000		  /* how long a worker may take to say that it keeps it */
#define SAMPLER_WAIT_MS (3600u * 1000)	  /* for its turn */
#define SAMPLER_PATIENCE_MS (300u * 1000) /* for a free slot elsewhere, and a quiet queue */
#define SAMPLER_NOBODY_MS (600u * 1000)	  /* for somebody who could compile it */
#define SAMPLER_PICK_MS (60u * 1000)	  /* for the one that was drawn; then another is */
#define SAMPLER_SECOND_MS                                                      \
	(60u * 1000) /* ... before those that it did not reach are asked again \
		      */
#define SAMPLER_RUN_MS (2400u * 1000)
#define SAMPLER_OPEN_MS (45u * 1000)  /* of a run, until its job is opened; */
#define SAMPLER_FEED_MS (600u * 1000) /* from then until it compiles */
#define SAMPLER_AWAY_MS (120u * 1000) /* for the one that shared it, whose connection was lost */
#define SAMPLER_INSTANCE_SIZE 16
#define SAMPLER_POOL_MAX 1024 /* workers among which one is drawn */
#define SAMPLER_AVOID_MAX 8

struct sampler;

/* A result of a worker that is in the cache. */
struct sampler_kept {
	char worker[CURVE_KEY_SIZE];
	char name[KEYS_NAME_MAX + 1]; /* the worker's, for logs */
	uint8_t sign[SIGN_KEY_SIZE];
	char namespace[KEYS_NAME_MAX + 1];
	char client[CURVE_KEY_SIZE]; /* whose job it was; "": not known */
	struct digest key;
	struct same same;
	struct same_unit unit;
};

struct sample {
	char id[SAMPLE_ID_SIZE];
	char job[SAMPLE_ID_SIZE];    /* of the present run; "" */
	char runner[CURVE_KEY_SIZE]; /* likewise */
	struct sampler_kept kept;
	const struct panel *panel;
	bool overdue; /* it has waited so long that it is not put off any more */
};

enum sample_outcome {
	SAMPLE_SAME,
	SAMPLE_ODD,	 /* `who` made what no other makes */
	SAMPLE_OTHER,	 /* what `who`, who shared it, hands over comes to something else */
	SAMPLE_VARIES,	 /* the unit comes out differently each time */
	SAMPLE_UNPROVEN, /* it could not be decided: the result is not to be believed */
	SAMPLE_ALONE,	 /* nobody else could compile it: nothing is known */
	/* `who` does not hand over what it shares, for that sample's client, or for anybody. Its
	 * samples have ended before. */
	SAMPLE_WITHHELD,
	SAMPLE_BARRED,
};

struct sampler_host {
	void *arg;
	/* A random number below that, which is above 0. */
	uint64_t (*draw)(void *arg, uint64_t below);
	/* 16 random bytes as hex digits. */
	void (*name)(void *arg, char ret[SAMPLE_ID_SIZE]);
	/* Tells the worker that shared it to keep what it takes. False: it is not there. */
	bool (*keep)(void *arg, const struct sample *m);
	void (*forget)(void *arg, const struct sample *m);
	/* Workers that could compile it, whether they have a free slot or not, and for which
	 * sampler_may_run is true: SAMPLER_POOL_MAX at most. The keys must last for this call of
	 * the sampler. */
	size_t (*able)(void *arg, const struct sample *m, const char **ret);
	/* Of the machine of one that is there: those that are equal compile alike. Zeros: it is not
	 * known. */
	void (*kind)(void *arg, const char *worker, struct digest *ret);
	/* Whether it says how far a run is (sampler_started). */
	bool (*tells)(void *arg, const char *worker);
	/* Has m->job handed over to it. False: it, or the one that shared it, cannot now. */
	bool (*give)(void *arg, const struct sample *m, const char *runner);
	/* Whether its slot is wanted by others now. */
	bool (*is_wanted)(void *arg, const struct sample *m);
	/* Ends m->job on m->runner. */
	void (*cancel)(void *arg, const struct sample *m);
	/* Two results differ: it is not to be believed, however this ends. */
	void (*doubt)(void *arg, const struct sample *m);
	/* who: a worker's key or NULL; text: for the log. With ODD, OTHER, WITHHELD and BARRED it
	 * may call sampler_gone and sampler_drop. */
	void (*end)(void *arg, const struct sample *m, enum sample_outcome o, const char *who,
		const char *text);
};

struct sampler_stats {
	uint64_t chosen, same, odd, varies, failed, alone; /* since the start */
	size_t open;
};

/* every: one in so many; 0: none. 0 or -ENOMEM. */
int sampler_new(const struct sampler_host *host, uint64_t every, struct sampler **ret);
void sampler_free(struct sampler *s);

/* A result was kept. It may be chosen. */
void sampler_kept(struct sampler *s, const struct sampler_kept *k, uint64_t now);
/* The word of the worker that shared it; job: the run that it is about, "" for none. */
void sampler_lent(struct sampler *s, const char *worker, const char *id, const char *job,
	Dray__LendEnd end, const char *text, uint64_t now);
/* A runner says that its job was opened; compiles: all that it takes is there. False: it is no run
 * of a sample. */
bool sampler_started(
	struct sampler *s, const char *runner, const char *job, bool compiles, uint64_t now);
/* A runner did not take it, it says: nobody is to blame. False: it is no run of a sample. */
bool sampler_refused(struct sampler *s, const char *runner, const char *job, uint64_t now);
/* Why a run has no result, as its runner says. */
enum sampler_why {
	SAMPLER_BY_RUNNER, /* it could not */
	SAMPLER_BY_LENDER, /* what was handed over was wrong */
	SAMPLER_UNMADE,	   /* the compile failed */
};
/* A run has ended, the runner says. made: NULL: without a result, and why; key: what it made it of.
 * False: it is no run of a sample. */
bool sampler_ended(struct sampler *s, const char *runner, const char *job, const struct digest *key,
	const struct same *made, enum sampler_why why, uint64_t now);
/* That worker's connection is gone. */
void sampler_gone(struct sampler *s, const char *worker, uint64_t now);
/* It has registered, as this process; zeros: it does not say which. */
void sampler_here(struct sampler *s, const char *worker,
	const uint8_t instance[SAMPLER_INSTANCE_SIZE], uint64_t now);
/* Time has passed, or a slot may be free. Often. */
void sampler_tick(struct sampler *s, uint64_t now);

/* Whether that worker may run it next. */
bool sampler_may_run(const struct sample *m, const char *worker);
/* Whether it runs one now. */
bool sampler_runs_on(const struct sampler *s, const char *worker);
/* Whether one waits for it. */
bool sampler_wants(const struct sampler *s, const char *worker);
/* Whether what that worker makes for that client is taken now; NULL: for anybody. */
bool sampler_may_share(
	const struct sampler *s, const char *worker, const char *client, uint64_t now);
/* Forgets all samples of that worker: what it made is believed no more. */
void sampler_drop(struct sampler *s, const char *worker);
void sampler_get_stats(const struct sampler *s, struct sampler_stats *ret);

#endif
