/* Invariants: a sample has one run at a time, and a run's end counts once, by its runner's word; a
 * worker never runs what it has shared itself; host.end is the last word of a sample. */
#include "config.h"

#include "coordinator/cache/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#define RUN_FAULTS_MAX 4
#define AGAIN_MS 500
#define REFUSED_MS 2000

enum state { ASKED, WAITING, RUNNING };

struct open_sample {
	struct sample m; /* first: the host has it */
	TAILQ_ENTRY(open_sample) link;
	struct lender *lender;
	struct panel panel;
	enum state state;
	char avoid[SAMPLER_AVOID_MAX][CURVE_KEY_SIZE];
	size_t n_avoid;
	bool accused;	    /* a runner says that its lender did not hand it over */
	unsigned unreached; /* runners that its lender did not reach, it says */
	unsigned late;	    /* runs that had no end */
	unsigned unmade;    /* runners where its compile failed */
	unsigned faults;    /* of runners */
	uint64_t since_ms;  /* it waits, or is asked for */
	uint64_t run_ms, again_ms;
	uint64_t nobody_ms; /* since when nobody could compile it; 0: somebody can */
};

/* A worker that shares. There are as many as the list of keys has. */
struct lender {
	TAILQ_ENTRY(lender) link;
	char worker[CURVE_KEY_SIZE];
	uint64_t results;
	unsigned failures; /* in a row */
	unsigned open;
	bool runs; /* one of its samples does */
	uint64_t barred_until;
};

struct sampler {
	struct sampler_host host;
	uint64_t every;
	TAILQ_HEAD(, open_sample) samples;
	TAILQ_HEAD(, lender) lenders;
	struct sampler_stats stats;
};

int
sampler_new(const struct sampler_host *host, uint64_t every, struct sampler **ret)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->host = *host;
	s->every = every;
	TAILQ_INIT(&s->samples);
	TAILQ_INIT(&s->lenders);
	*ret = s;
	return 0;
}

static void
take_out(struct sampler *s, struct open_sample *o)
{
	TAILQ_REMOVE(&s->samples, o, link);
	s->stats.open--;
	o->lender->open--;
	if (o->state == RUNNING)
		o->lender->runs = false;
}

static void
release(struct sampler *s, struct open_sample *o)
{
	take_out(s, o);
	free(o);
}

void
sampler_free(struct sampler *s)
{
	struct open_sample *o;
	struct lender *l;

	if (!s)
		return;
	while ((o = TAILQ_FIRST(&s->samples)))
		release(s, o);
	while ((l = TAILQ_FIRST(&s->lenders))) {
		TAILQ_REMOVE(&s->lenders, l, link);
		free(l);
	}
	free(s);
}

void
sampler_get_stats(const struct sampler *s, struct sampler_stats *ret)
{
	*ret = s->stats;
}

static struct lender *
find_lender(const struct sampler *s, const char *worker)
{
	struct lender *l;

	TAILQ_FOREACH(l, &s->lenders, link)
	if (streq(l->worker, worker))
		return l;
	return NULL;
}

static struct lender *
get_lender(struct sampler *s, const char *worker)
{
	struct lender *l = find_lender(s, worker);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	snprintf(l->worker, sizeof(l->worker), "%s", worker);
	TAILQ_INSERT_TAIL(&s->lenders, l, link);
	return l;
}

/* There is a reason not to believe it, and no proof. */
static bool
is_doubted(const struct open_sample *o)
{
	return o->accused || o->unreached || o->late || o->unmade || panel_is_split(&o->panel);
}

/* ---- ends */

static void
stop_run(struct sampler *s, struct open_sample *o)
{
	if (o->state != RUNNING)
		return;
	s->host.cancel(s->host.arg, &o->m);
	o->lender->runs = false;
	o->state = WAITING;
	*o->m.job = *o->m.runner = '\0';
}

static void
finish(struct sampler *s, struct open_sample *o, enum sample_outcome outcome, const char *who,
	const char *text)
{
	uint64_t *const counts[] = { [SAMPLE_SAME] = &s->stats.same,
		[SAMPLE_ODD] = &s->stats.odd,
		[SAMPLE_VARIES] = &s->stats.varies,
		[SAMPLE_UNPROVEN] = &s->stats.failed,
		[SAMPLE_ALONE] = &s->stats.alone };

	++*counts[outcome];
	stop_run(s, o);
	s->host.forget(s->host.arg, &o->m);
	/* what the host does of it may end others of this worker's */
	take_out(s, o);
	s->host.end(s->host.arg, &o->m, outcome, who, text);
	free(o);
}

/* What it has shared cannot be looked at. */
static void
bar(struct sampler *s, struct lender *l, const struct sample *why, const char *text, uint64_t now)
{
	const struct sample last = *why;
	struct open_sample *o, *next;

	l->failures = 0;
	l->barred_until = now + SAMPLER_BARRED_MS;
	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender == l)
			finish(s, o, SAMPLE_UNPROVEN, NULL, text);
	}
	s->host.end(s->host.arg, &last, SAMPLE_BARRED, l->worker, text);
}

/* Its lender does not hand it over. o is gone then. */
static void
fail(struct sampler *s, struct open_sample *o, const char *text, uint64_t now)
{
	struct lender *l = o->lender;
	bool split = panel_is_split(&o->panel);
	struct sample last = o->m;

	finish(s, o, SAMPLE_UNPROVEN, NULL, text);
	last.panel = NULL;
	l->failures++;
	if (split || l->failures >= SAMPLER_FAILURES)
		bar(s, l, &last, text, now);
}

static void
avoid(struct open_sample *o, const char *worker)
{
	if (o->n_avoid < SAMPLER_AVOID_MAX)
		snprintf(o->avoid[o->n_avoid++], CURVE_KEY_SIZE, "%s", worker);
}

/* Its run is over, and there has to be another one. */
static void
wait_again(struct open_sample *o, uint64_t now)
{
	if (o->state == RUNNING)
		o->lender->runs = false;
	o->state = WAITING;
	*o->m.job = *o->m.runner = '\0';
	o->since_ms = now;
	o->again_ms = 0;
	o->nobody_ms = 0;
}

/* ---- which */

static bool
is_chosen(struct sampler *s, const struct lender *l)
{
	uint64_t every = s->every;

	if (every == 0)
		return false;
	if (l->results <= SAMPLER_NEW)
		every = MIN2(every, (uint64_t)2);
	else if (l->results <= SAMPLER_YOUNG)
		every = MIN2(every, (uint64_t)8);
	return every == 1 || s->host.draw(s->host.arg, every) == 0;
}

static bool
may_go(const struct open_sample *o, const struct lender *l)
{
	return (!l || o->lender == l) && o->state != RUNNING && o->panel.n == 1 && !is_doubted(o);
}

/* One of those that only wait, by chance: so nobody can keep others from being looked at. l: of
 * this lender; NULL: of any. */
static bool
make_room(struct sampler *s, const struct lender *l)
{
	struct open_sample *o;
	uint64_t n = 0, which;

	TAILQ_FOREACH(o, &s->samples, link)
	n += may_go(o, l);
	if (n == 0)
		return false;
	which = s->host.draw(s->host.arg, n);
	TAILQ_FOREACH(o, &s->samples, link)
	if (may_go(o, l) && which-- == 0)
		break;
	finish(s, o, SAMPLE_ALONE, NULL, "others were chosen since");
	return true;
}

static void
choose(struct sampler *s, struct lender *l, const struct sampler_kept *k, uint64_t now)
{
	struct open_sample *o;

	if (l->open >= SAMPLER_OPEN_WORKER && !make_room(s, l))
		return;
	if (s->stats.open >= SAMPLER_OPEN_MAX && !make_room(s, NULL))
		return;
	o = calloc(1, sizeof(*o));
	if (!o)
		return;
	s->host.name(s->host.arg, o->m.id);
	o->m.kept = *k;
	o->m.panel = &o->panel;
	o->lender = l;
	o->state = ASKED;
	o->since_ms = now;
	panel_add(&o->panel, k->worker, &k->same.made);
	l->open++;
	s->stats.open++;
	s->stats.chosen++;
	TAILQ_INSERT_TAIL(&s->samples, o, link);
	if (!s->host.keep(s->host.arg, &o->m))
		fail(s, o, "the worker that shared it is not connected", now);
}

void
sampler_kept(struct sampler *s, const struct sampler_kept *k, uint64_t now)
{
	struct lender *l = get_lender(s, k->worker);

	if (!l)
		return;
	l->results++;
	if (now >= l->barred_until && is_chosen(s, l))
		choose(s, l, k, now);
}

/* ---- what workers say */

static struct open_sample *
find(struct sampler *s, const char *id)
{
	struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (streq(o->m.id, id))
		return o;
	return NULL;
}

static struct open_sample *
find_run(struct sampler *s, const char *job)
{
	struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (o->state == RUNNING && streq(o->m.job, job))
		return o;
	return NULL;
}

void
sampler_lent(struct sampler *s, const char *worker, const char *id, const char *job,
	Dray__LendEnd end, const char *text, uint64_t now)
{
	struct open_sample *o = find(s, id);

	/* of an earlier run, which has ended by its runner's word */
	if (!o || !streq(o->m.kept.worker, worker) || (*job && !streq(o->m.job, job)))
		return;
	switch (end) {
	case DRAY__LEND_END__LENT_KEPT:
		if (o->state == ASKED)
			wait_again(o, now);
		break;
	case DRAY__LEND_END__LENT_GIVEN:
		/* the runner's word counts */
		break;
	case DRAY__LEND_END__LENT_UNREACHED:
		if (o->state != RUNNING)
			break;
		avoid(o, o->m.runner);
		o->unreached++;
		stop_run(s, o);
		wait_again(o, now);
		if (o->n_avoid == SAMPLER_AVOID_MAX)
			fail(s, o, "it reaches no other worker", now);
		break;
	default:
		fail(s, o, text && *text ? text : "its worker has nothing to hand over", now);
	}
}

bool
sampler_refused(struct sampler *s, const char *runner, const char *job, uint64_t now)
{
	struct open_sample *o = find_run(s, job);

	if (!o || !streq(o->m.runner, runner))
		return false;
	wait_again(o, now);
	o->again_ms = now + REFUSED_MS;
	return true;
}

/* A runner says that its lender did not hand over what it has shared. */
static void
accuse(struct sampler *s, struct open_sample *o, const char *runner, uint64_t now)
{
	if (o->accused) {
		fail(s, o, "two workers say that what was handed over is not what was shared", now);
		return;
	}
	o->accused = true;
	avoid(o, runner);
	wait_again(o, now);
}

static void
judge(struct sampler *s, struct open_sample *o, uint64_t now)
{
	const char *odd;

	switch (panel_judge(&o->panel, &odd)) {
	case PANEL_SAME:
		o->lender->failures = 0;
		finish(s, o, SAMPLE_SAME, NULL, "another worker made the same");
		break;
	case PANEL_VARIES:
		finish(s, o, SAMPLE_VARIES, NULL, "it comes out differently each time");
		break;
	case PANEL_ODD:
		finish(s, o, SAMPLE_ODD, odd, "what it made no other worker makes");
		break;
	default:
		wait_again(o, now);
	}
}

bool
sampler_ended(struct sampler *s, const char *runner, const char *job, const struct digest *key,
	const struct same *made, enum sampler_why why, uint64_t now)
{
	struct open_sample *o = find_run(s, job);
	char who[CURVE_KEY_SIZE];

	if (!o || !streq(o->m.runner, runner))
		return false;
	snprintf(who, sizeof(who), "%s", runner);
	o->lender->runs = false;
	o->state = WAITING;
	if (made && digest_eq(key, &o->m.kept.key) &&
		digest_eq(&made->inputs, &o->m.kept.same.inputs)) {
		panel_add(&o->panel, who, &made->made);
		judge(s, o, now);
	} else if (made || why == SAMPLER_BY_LENDER) {
		accuse(s, o, who, now);
	} else if (why == SAMPLER_UNMADE) {
		/* as the crate would have it: nobody's fault, and nothing to share */
		avoid(o, who);
		wait_again(o, now);
		if (++o->unmade >= 2)
			finish(s, o, SAMPLE_UNPROVEN, NULL, "two other workers cannot compile it");
	} else {
		avoid(o, who);
		o->faults++;
		wait_again(o, now);
	}
	return true;
}

void
sampler_gone(struct sampler *s, const char *worker, uint64_t now)
{
	static const char text[] = "its worker's connection was lost";
	struct lender *l = find_lender(s, worker);
	struct open_sample *o, *next;
	struct sample last;
	bool any = false;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender == l) {
			any = true;
			last = o->m;
			last.panel = NULL;
			finish(s, o, SAMPLE_UNPROVEN, NULL, text);
		} else if (o->state == RUNNING && streq(o->m.runner, worker)) {
			wait_again(o, now);
		}
	}
	/* However many were open, it is one failure. What one other worker made of one is no more
	 * than its word: who was cut off, or was restarted, is not barred for that. */
	if (any && ++l->failures >= SAMPLER_FAILURES)
		bar(s, l, &last, text, now);
}

/* ---- time */

static void
nobody(struct sampler *s, struct open_sample *o, uint64_t now)
{
	if (o->nobody_ms == 0)
		o->nobody_ms = now;
	if (now - o->nobody_ms < SAMPLER_NOBODY_MS)
		return;
	/* One runner's doing may be the runner's. */
	if (o->unreached + o->late >= 2)
		fail(s, o, "it reaches no other worker", now);
	else if (is_doubted(o))
		finish(s, o, SAMPLE_UNPROVEN, NULL,
			"another worker did not get it, or made something else of it, and there is "
			"no "
			"third to decide");
	else
		finish(s, o, SAMPLE_ALONE, NULL, "no other worker can compile it");
}

static void
try_run(struct sampler *s, struct open_sample *o, uint64_t now)
{
	int r;

	if (o->lender->runs || now < o->again_ms)
		return;
	o->again_ms = now + AGAIN_MS;
	s->host.name(s->host.arg, o->m.job);
	r = o->faults < RUN_FAULTS_MAX ? s->host.give(s->host.arg, &o->m, o->m.runner) : -ENOENT;
	if (r == 0) {
		o->state = RUNNING;
		o->lender->runs = true;
		o->run_ms = now;
		o->nobody_ms = 0;
		return;
	}
	*o->m.job = *o->m.runner = '\0';
	if (r == -ENOENT)
		nobody(s, o, now);
	else
		o->nobody_ms = 0;
}

/* A run without an end: its runner hangs, or its lender has handed nothing over. */
static void
end_late(struct sampler *s, struct open_sample *o, uint64_t now)
{
	avoid(o, o->m.runner);
	stop_run(s, o);
	wait_again(o, now);
	if (++o->late >= 2)
		fail(s, o, "what two other workers were to get of it has never come", now);
}

static void
look(struct sampler *s, struct open_sample *o, uint64_t now)
{
	if (o->state == ASKED && now - o->since_ms >= SAMPLER_ANSWER_MS) {
		fail(s, o, "its worker does not answer", now);
	} else if (o->state == RUNNING && now - o->run_ms >= SAMPLER_RUN_MS) {
		end_late(s, o, now);
	} else if (o->state == RUNNING && s->host.is_wanted(s->host.arg, &o->m)) {
		stop_run(s, o);
	} else if (o->state == WAITING && now - o->since_ms >= SAMPLER_WAIT_MS) {
		finish(s, o, is_doubted(o) ? SAMPLE_UNPROVEN : SAMPLE_ALONE, NULL,
			"no other worker had a free slot in time");
	} else if (o->state == WAITING) {
		try_run(s, o, now);
	}
}

void
sampler_tick(struct sampler *s, uint64_t now)
{
	struct open_sample *o, *next;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		struct lender *l = o->lender;
		uint64_t barred = l->barred_until;

		next = TAILQ_NEXT(o, link);
		look(s, o, now);
		/* then more than this one is gone: the rest has its turn with the next tick */
		if (l->barred_until != barred)
			return;
	}
}

bool
sampler_may_run(const struct sample *m, const char *worker)
{
	const struct open_sample *o = (const struct open_sample *)m;

	for (size_t i = 0; i < o->n_avoid; i++)
		if (streq(o->avoid[i], worker))
			return false;
	return panel_may_run(&o->panel, worker);
}

bool
sampler_runs_on(const struct sampler *s, const char *worker)
{
	const struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (o->state == RUNNING && streq(o->m.runner, worker))
		return true;
	return false;
}

bool
sampler_may_share(const struct sampler *s, const char *worker, uint64_t now)
{
	const struct lender *l = find_lender(s, worker);

	return !l || now >= l->barred_until;
}

void
sampler_drop(struct sampler *s, const char *worker)
{
	const struct lender *l = find_lender(s, worker);
	struct open_sample *o, *next;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender != l)
			continue;
		stop_run(s, o);
		release(s, o);
	}
}
