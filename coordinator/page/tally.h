/* What has happened in the farm since the coordinator began: counts, times, the last faults, the
 * jobs that ended last, the slowest units. A plain struct that the coordinator's loop adds to, and
 * copies whole for those that show it. Bounded: what there may be any number of (namespaces, units)
 * has a limit here.
 *
 * Words that come from crates or peers are foreign bytes without ASCII control characters: what
 * shows them sees to that. */
#ifndef DRAY_COORDINATOR_PAGE_TALLY_H
#define DRAY_COORDINATOR_PAGE_TALLY_H

#include "common/base.h"
#include "proto/link.pb-c.h"

#define TALLY_WORD 65
#define TALLY_TEXT 200
#define TALLY_BUCKETS 12
#define TALLY_SPACES 32	 /* namespaces with a row of their own; the last row is all others' */
#define TALLY_FAULTS 64	 /* that are remembered */
#define TALLY_JOBS 200	 /* that ended last */
#define TALLY_SLOWEST 40 /* units, by their longest run in the last day */
#define TALLY_DAY_MS (24u * 3600 * 1000)

/* Times of events, in seconds: how many took at most bound[i], and more than the bound before;
 * those that took longer than all are in `more`. */
struct tally_times {
	uint64_t n[TALLY_BUCKETS], more, sum_us;
};
extern const double tally_bounds_s[TALLY_BUCKETS];

enum tally_outcome {
	TALLY_COMPILED,	 /* the compiler ran to its end, whatever its status */
	TALLY_JOINED,	 /* it was another one's twin: one compile for both */
	TALLY_FAILED,	 /* its worker is why there is no result; the client tries again */
	TALLY_STOPPED,	 /* its client, or its unit, is */
	TALLY_CANCELLED, /* its client wanted it no more */
	TALLY_N_OUTCOMES
};

enum tally_cause {
	TALLY_WORKER_FAULT, /* disk full, no sandbox, … */
	TALLY_WORKER_LOST,  /* its connection, or its heartbeats */
	TALLY_LIMIT,	    /* a job went over a limit */
	TALLY_UNIT,	    /* a job that cannot be laid out, or asked for what only home has */
	TALLY_INPUT,	    /* bytes that are not what they should be */
	TALLY_TICKET,	    /* a ticket that the worker does not take */
	TALLY_TOOLCHAIN,    /* the worker does not have it */
	TALLY_UNREACHABLE,  /* the client could not talk to the worker, or did not say why */
	TALLY_REFUSED_PEER, /* a peer said what it may not */
	TALLY_SHUNNED,	    /* a worker gets no jobs, since too many failed */
	TALLY_N_CAUSES
};

enum tally_tier {
	TALLY_MISS,
	TALLY_DISK,  /* on the coordinator's disk */
	TALLY_STORE, /* in a store behind it */
	TALLY_N_TIERS
};

struct tally_job {
	uint64_t at_ms; /* when it ended; wall clock, since 1970 */
	char crate[TALLY_WORD], kind[TALLY_WORD], namespace[TALLY_WORD], worker[TALLY_WORD];
	enum tally_outcome outcome;
	uint64_t wall_us, cpu_us, peak_rss, wait_us; /* wait: for a slot */
};

struct tally_fault {
	uint64_t number; /* counts up from 1 */
	uint64_t at_ms;
	enum tally_cause cause;
	char crate[TALLY_WORD], worker[TALLY_WORD], text[TALLY_TEXT];
};

struct tally_slow {
	char crate[TALLY_WORD], kind[TALLY_WORD], namespace[TALLY_WORD];
	uint64_t runs, longest_us, last_us, at_ms; /* at_ms: of the longest */
};

struct tally_space {
	char namespace[TALLY_WORD]; /* "": of keys without one */
	uint64_t jobs, cpu_us, wall_us, hits, misses, saved_us;
	uint64_t over_quota; /* jobs that were denied for that */
};

struct tally {
	uint64_t outcomes[TALLY_N_OUTCOMES];
	uint64_t denied[DRAY__VERDICT__VERDICT_QUOTA + 1]; /* by verdict */
	uint64_t faults[TALLY_N_CAUSES];
	uint64_t cpu_us;
	struct tally_times wait, run; /* run: of compiles */
	uint64_t looked[TALLY_N_TIERS], saved_us[TALLY_N_TIERS];
	struct tally_times
		look[2]; /* of a result in the cache: until a miss is known, a hit sent */

	struct tally_space spaces[TALLY_SPACES];
	size_t n_spaces;
	/* rings: the next one is [n % size] */
	struct tally_fault fault[TALLY_FAULTS];
	uint64_t n_faults, refused_ms;
	struct tally_job job[TALLY_JOBS];
	uint64_t n_jobs;
	struct tally_slow slow[TALLY_SLOWEST]; /* the slowest first */
	size_t n_slow;
};

const char *tally_outcome_name(enum tally_outcome o);
const char *tally_cause_name(enum tally_cause c);
const char *tally_tier_name(enum tally_tier t);
/* A word for a verdict, "queue_full"; "other" for one that is not known. */
const char *tally_verdict_name(Dray__Verdict v);

void tally_times_add(struct tally_times *t, uint64_t us);

/* A job has got its slot, after so long. */
void tally_placed(struct tally *t, uint64_t wait_us);
/* A try of a job ended. */
void tally_ended(struct tally *t, const struct tally_job *j);
void tally_denied(struct tally *t, Dray__Verdict v);
/* A job of that namespace, because of its quota. */
void tally_over_quota(struct tally *t, const char *namespace);
/* Something went wrong; what the words point to is copied, without control characters. NULL is "".
 */
struct tally_words {
	const char *crate, *worker, *text;
};
void tally_failed(
	struct tally *t, enum tally_cause cause, const struct tally_words *w, uint64_t at_ms);
/* The same by what a client says of a worker. Verdicts that are no faults (it was full, or the
 * client wanted it no more) count as nothing. */
void tally_failed_verdict(
	struct tally *t, Dray__Verdict v, const struct tally_words *w, uint64_t at_ms);
/* A result was asked for; it took so long until it was sent, or known not to be there. saved_us:
 * what its compile took. */
void tally_looked(struct tally *t, const char *namespace, enum tally_tier tier, uint64_t us,
	uint64_t saved_us);

#endif
