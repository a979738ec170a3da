/* Counts what happens. Invariant: every index stays within its array, whatever is counted. */
#include "config.h"

#include "coordinator/page/tally.h"

#include "common/text/clean.h"

#define REFUSED_EVERY_MS 10000 /* peers that are refused do not fill the list of faults */

const double tally_bounds_s[TALLY_BUCKETS] = { 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
	300 };

#define COPY(to, from) clean_text(from, to, sizeof(to))

const char *
tally_outcome_name(enum tally_outcome o)
{
	static const char *const names[] = {
		[TALLY_COMPILED] = "compiled",
		[TALLY_JOINED] = "joined",
		[TALLY_FAILED] = "failed",
		[TALLY_STOPPED] = "stopped",
		[TALLY_CANCELLED] = "cancelled",
	};

	return o < ARRAY_LEN(names) ? names[o] : "other";
}

const char *
tally_cause_name(enum tally_cause c)
{
	static const char *const names[] = {
		[TALLY_WORKER_FAULT] = "worker_fault",
		[TALLY_WORKER_LOST] = "worker_lost",
		[TALLY_LIMIT] = "limit",
		[TALLY_UNIT] = "unit",
		[TALLY_INPUT] = "input",
		[TALLY_TICKET] = "ticket",
		[TALLY_TOOLCHAIN] = "toolchain",
		[TALLY_UNREACHABLE] = "unreachable",
		[TALLY_REFUSED_PEER] = "refused_peer",
		[TALLY_SHUNNED] = "shunned",
	};

	return c < ARRAY_LEN(names) ? names[c] : "other";
}

const char *
tally_tier_name(enum tally_tier t)
{
	return t == TALLY_DISK ? "disk" : t == TALLY_STORE ? "store" : "none";
}

const char *
tally_verdict_name(Dray__Verdict v)
{
	static const char *const names[] = {
		[DRAY__VERDICT__VERDICT_VERSION] = "version",
		[DRAY__VERDICT__VERDICT_MALFORMED] = "malformed",
		[DRAY__VERDICT__VERDICT_TOO_LARGE] = "too_large",
		[DRAY__VERDICT__VERDICT_NOT_ALLOWED] = "not_allowed",
		[DRAY__VERDICT__VERDICT_NO_WORKER] = "no_worker",
		[DRAY__VERDICT__VERDICT_QUEUE_FULL] = "queue_full",
		[DRAY__VERDICT__VERDICT_DRAINING] = "draining",
		[DRAY__VERDICT__VERDICT_FULL] = "full",
		[DRAY__VERDICT__VERDICT_NO_TRIES_LEFT] = "no_tries_left",
		[DRAY__VERDICT__VERDICT_UNKNOWN_JOB] = "unknown_job",
		[DRAY__VERDICT__VERDICT_NOT_PINNED] = "not_pinned",
		[DRAY__VERDICT__VERDICT_QUOTA] = "quota",
	};

	return (size_t)v < ARRAY_LEN(names) && names[v] ? names[v] : "other";
}

void
tally_times_add(struct tally_times *t, uint64_t us)
{
	size_t i = 0;

	while (i < TALLY_BUCKETS && (double)us > tally_bounds_s[i] * 1e6)
		i++;
	if (i < TALLY_BUCKETS)
		t->n[i]++;
	else
		t->more++;
	t->sum_us += us;
}

/* A row of its own while there is room; the last one is all others'. */
static struct tally_space *
space_of(struct tally *t, const char *namespace)
{
	struct tally_space *row;

	for (size_t i = 0; i < t->n_spaces; i++)
		if (streq(t->spaces[i].namespace, namespace))
			return &t->spaces[i];
	if (t->n_spaces == TALLY_SPACES)
		return &t->spaces[TALLY_SPACES - 1];
	row = &t->spaces[t->n_spaces++];
	COPY(row->namespace, t->n_spaces == TALLY_SPACES ? "(others)" : namespace);
	return row;
}

void
tally_placed(struct tally *t, uint64_t wait_us)
{
	tally_times_add(&t->wait, wait_us);
}

/* ---- the slowest units */

static struct tally_slow *
slow_find(struct tally *t, const struct tally_job *j)
{
	for (size_t i = 0; i < t->n_slow; i++)
		if (streq(t->slow[i].crate, j->crate) && streq(t->slow[i].kind, j->kind) &&
			streq(t->slow[i].namespace, j->namespace))
			return &t->slow[i];
	return NULL;
}

static void
slow_forget(struct tally *t, uint64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_slow; i++)
		if (t->slow[i].at_ms + TALLY_DAY_MS >= now_ms)
			t->slow[n++] = t->slow[i];
	t->n_slow = n;
}

/* Up, to where it belongs. */
static void
slow_rise(struct tally *t, size_t i)
{
	struct tally_slow row = t->slow[i];

	for (; i > 0 && t->slow[i - 1].longest_us < row.longest_us; i--)
		t->slow[i] = t->slow[i - 1];
	t->slow[i] = row;
}

static void
slow_add(struct tally *t, const struct tally_job *j)
{
	struct tally_slow *s;

	if (!*j->crate)
		return;
	slow_forget(t, j->at_ms);
	s = slow_find(t, j);
	if (!s) {
		if (t->n_slow == TALLY_SLOWEST &&
			t->slow[TALLY_SLOWEST - 1].longest_us >= j->wall_us)
			return;
		s = t->n_slow < TALLY_SLOWEST ? &t->slow[t->n_slow++] : &t->slow[TALLY_SLOWEST - 1];
		*s = (struct tally_slow){ .at_ms = j->at_ms };
		COPY(s->crate, j->crate);
		COPY(s->kind, j->kind);
		COPY(s->namespace, j->namespace);
	}
	s->runs++;
	s->last_us = j->wall_us;
	if (j->wall_us < s->longest_us)
		return;
	s->longest_us = j->wall_us;
	s->at_ms = j->at_ms;
	slow_rise(t, (size_t)(s - t->slow));
}

void
tally_ended(struct tally *t, const struct tally_job *j)
{
	struct tally_space *space = space_of(t, j->namespace);
	struct tally_job *ring = &t->job[t->n_jobs++ % TALLY_JOBS];

	*ring = *j;
	COPY(ring->crate, j->crate);
	COPY(ring->kind, j->kind);
	if (j->outcome < TALLY_N_OUTCOMES)
		t->outcomes[j->outcome]++;
	space->jobs++;
	/* A twin's compile is the one that it has joined. */
	if (j->outcome == TALLY_JOINED)
		return;
	t->cpu_us += j->cpu_us;
	space->cpu_us += j->cpu_us;
	space->wall_us += j->wall_us;
	if (j->outcome != TALLY_COMPILED)
		return;
	tally_times_add(&t->run, j->wall_us);
	slow_add(t, j);
}

void
tally_over_quota(struct tally *t, const char *namespace)
{
	space_of(t, namespace)->over_quota++;
}

void
tally_denied(struct tally *t, Dray__Verdict v)
{
	t->denied[(size_t)v < ARRAY_LEN(t->denied) ? (size_t)v : 0]++;
}

void
tally_failed(struct tally *t, enum tally_cause cause, const struct tally_words *w, uint64_t at_ms)
{
	struct tally_fault *f;

	if (cause >= TALLY_N_CAUSES)
		return;
	t->faults[cause]++;
	if (cause == TALLY_REFUSED_PEER) {
		if (t->refused_ms && at_ms - t->refused_ms < REFUSED_EVERY_MS)
			return;
		t->refused_ms = at_ms;
	}
	f = &t->fault[t->n_faults++ % TALLY_FAULTS];
	f->number = t->n_faults;
	f->at_ms = at_ms;
	f->cause = cause;
	COPY(f->crate, w->crate);
	COPY(f->worker, w->worker);
	COPY(f->text, w->text);
}

void
tally_failed_verdict(struct tally *t, Dray__Verdict v, const struct tally_words *w, uint64_t at_ms)
{
	static const enum tally_cause causes[] = {
		[DRAY__VERDICT__VERDICT_BAD_TICKET] = TALLY_TICKET,
		[DRAY__VERDICT__VERDICT_NO_TOOLCHAIN] = TALLY_TOOLCHAIN,
		[DRAY__VERDICT__VERDICT_BAD_UNIT] = TALLY_UNIT,
		[DRAY__VERDICT__VERDICT_WITHHELD] = TALLY_UNIT,
		[DRAY__VERDICT__VERDICT_INPUT_CHANGED] = TALLY_INPUT,
		[DRAY__VERDICT__VERDICT_WORKER_FAULT] = TALLY_WORKER_FAULT,
		[DRAY__VERDICT__VERDICT_LIMIT] = TALLY_LIMIT,
		[DRAY__VERDICT__VERDICT_NO_ROOM] = TALLY_WORKER_FAULT,
	};

	if (v == DRAY__VERDICT__VERDICT_FULL || v == DRAY__VERDICT__VERDICT_DRAINING ||
		v == DRAY__VERDICT__VERDICT_CANCELLED)
		return;
	/* WORKER_FAULT is 0, as is what is not in the table */
	if ((size_t)v < ARRAY_LEN(causes) &&
		(causes[v] || v == DRAY__VERDICT__VERDICT_WORKER_FAULT ||
			v == DRAY__VERDICT__VERDICT_NO_ROOM))
		tally_failed(t, causes[v], w, at_ms);
	else
		tally_failed(t, TALLY_UNREACHABLE, w, at_ms);
}

void
tally_looked(struct tally *t, const char *namespace, enum tally_tier tier, uint64_t us,
	uint64_t saved_us)
{
	struct tally_space *space = space_of(t, namespace);

	if (tier >= TALLY_N_TIERS)
		return;
	t->looked[tier]++;
	t->saved_us[tier] += saved_us;
	tally_times_add(&t->look[tier != TALLY_MISS], us);
	space->hits += tier != TALLY_MISS;
	space->misses += tier == TALLY_MISS;
	space->saved_us += saved_us;
}
