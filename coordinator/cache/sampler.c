/* Invariants: a sample has one run at a time, and a run's end counts once, by its runner's word; a
 * worker never runs what it has shared itself; host.end is the last word of a sample. */
#include "config.h"

#include "coordinator/cache/sampler_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RUN_FAULTS_MAX 4
#define AGAIN_MS 500
#define REFUSED_MS 2000
#define AWAYS_MAX 3 /* connections of its worker that were lost */

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
	sampled_init(&s->clients);
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
	sampled_close(&s->clients, o->client);
	o->client = NULL;
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

	if (!s)
		return;
	while ((o = TAILQ_FIRST(&s->samples)))
		release(s, o);
	lenders_done(&s->lenders);
	sampled_done(&s->clients);
	free(s);
}

void
sampler_get_stats(const struct sampler *s, struct sampler_stats *ret)
{
	*ret = s->stats;
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
		[SAMPLE_OTHER] = &s->stats.odd,
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

/* What it has shared (client: for that one; NULL: for anybody) cannot be looked at. why: of its
 * samples the one that showed it, which has ended. */
static void
bar(struct sampler *s, struct lender *l, const struct sample *why, const char *client,
	const char *text)
{
	struct open_sample *o, *next;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender == l && (!client || streq(o->m.kept.client, client)))
			finish(s, o, SAMPLE_UNPROVEN, NULL, text);
	}
	s->host.end(s->host.arg, why, client ? SAMPLE_WITHHELD : SAMPLE_BARRED, l->worker, text);
}

/* Its lender does not hand it over, by its own doing or its client's. o is gone then. */
static void
fail(struct sampler *s, struct open_sample *o, const char *text, uint64_t now)
{
	struct lender *l = o->lender;
	bool split = panel_is_split(&o->panel);
	struct sample last = o->m;
	enum lender_bar barred;

	finish(s, o, SAMPLE_UNPROVEN, NULL, text);
	last.panel = NULL;
	/* after another one has made something else of it, once will do */
	barred = lender_note_failure(l, last.kept.client, split, now);
	if (barred != LENDER_NOT_BARRED)
		bar(s, l, &last, barred == LENDER_BARRED_ALL ? NULL : last.kept.client, text);
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
	*o->pick = '\0';
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
	if (l->results <= SAMPLER_NEW || l->results <= l->watched)
		every = MIN2(every, (uint64_t)2);
	else if (l->results <= SAMPLER_YOUNG)
		every = MIN2(every, (uint64_t)8);
	return every == 1 || s->host.draw(s->host.arg, every) == 0;
}

static bool
make_room(struct sampler *s, const struct lender *l, const char *client)
{
	struct open_sample *o = fair_victim(s, l, client);

	if (o)
		finish(s, o, SAMPLE_UNPROVEN, NULL, "others were chosen since");
	return o != NULL;
}

static void
add_run(struct sampler *s, struct open_sample *o, const char *worker, const struct digest *made)
{
	struct digest kind = { { 0 } };

	s->host.kind(s->host.arg, worker, &kind);
	panel_add(&o->panel, worker, &kind, made);
}

static void
choose(struct sampler *s, struct lender *l, const struct sampler_kept *k, uint64_t now)
{
	struct open_sample *o;

	if (l->open >= SAMPLER_OPEN_WORKER && !make_room(s, l, k->client))
		return;
	if (s->stats.open >= SAMPLER_OPEN_MAX && !make_room(s, NULL, k->client))
		return;
	o = calloc(1, sizeof(*o));
	if (!o || !(o->client = sampled_open(&s->clients, k->client))) {
		free(o);
		return;
	}
	s->host.name(s->host.arg, o->m.id);
	o->m.kept = *k;
	o->m.panel = &o->panel;
	o->lender = l;
	o->state = ASKED;
	o->since_ms = now;
	add_run(s, o, k->worker, &k->same.made);
	l->open++;
	s->stats.open++;
	s->stats.chosen++;
	TAILQ_INSERT_TAIL(&s->samples, o, link);
	if (!s->host.keep(s->host.arg, &o->m))
		o->state = AWAY;
}

void
sampler_kept(struct sampler *s, const struct sampler_kept *k, uint64_t now)
{
	struct lender *l = lenders_get(&s->lenders, k->worker);

	if (!l)
		return;
	l->results++;
	if (lender_may_share(l, k->client, now) && is_chosen(s, l))
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
sampler_started(struct sampler *s, const char *runner, const char *job, bool compiles, uint64_t now)
{
	struct open_sample *o = find_run(s, job);
	enum part part = compiles ? COMPILES : OPENED;

	if (!o || !streq(o->m.runner, runner))
		return false;
	if (part > o->part) {
		o->part = part;
		o->part_ms = now;
	}
	return true;
}

bool
sampler_refused(struct sampler *s, const char *runner, const char *job, uint64_t now)
{
	struct open_sample *o = find_run(s, job);

	uint64_t since;

	if (!o || !streq(o->m.runner, runner))
		return false;
	/* nobody puts it off for ever by that */
	since = o->since_ms;
	wait_again(o, now);
	o->since_ms = since;
	o->again_ms = now + REFUSED_MS;
	return true;
}

/* A runner says that what was handed over is not what was shared. A client can bring that about, by
 * a macro that asks for another file each time: so it is as a result that came out otherwise. */
static void
accuse(struct sampler *s, struct open_sample *o, const char *runner, uint64_t now)
{
	if (o->accused) {
		lender_watch(o->lender);
		finish(s, o, SAMPLE_OTHER, o->lender->worker,
			"two workers say that what was handed over is not what was shared");
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

	if (o->panel.n == 2 && panel_is_split(&o->panel))
		s->host.doubt(s->host.arg, &o->m);
	switch (panel_judge(&o->panel, &odd)) {
	case PANEL_SAME:
		lender_note_good(o->lender, o->m.kept.client);
		finish(s, o, SAMPLE_SAME, NULL, "another worker made the same");
		break;
	case PANEL_VARIES:
		finish(s, o, SAMPLE_VARIES, NULL, "it comes out differently each time");
		break;
	case PANEL_ODD:
		lender_watch(lenders_find(&s->lenders, odd));
		finish(s, o, SAMPLE_ODD, odd, "what it made no other worker makes");
		break;
	default:
		wait_again(o, now);
	}
}

/* It does not compile, or not in time: as the crate would have it. Nobody's fault, and nothing to
 * share. */
static void
unmade(struct sampler *s, struct open_sample *o, const char *runner, uint64_t now)
{
	avoid(o, runner);
	wait_again(o, now);
	if (++o->unmade >= 2)
		finish(s, o, SAMPLE_UNPROVEN, NULL, "two other workers cannot compile it");
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
		add_run(s, o, who, &made->made);
		judge(s, o, now);
	} else if (made || why == SAMPLER_BY_LENDER) {
		accuse(s, o, who, now);
	} else if (why == SAMPLER_UNMADE) {
		unmade(s, o, who, now);
	} else {
		avoid(o, who);
		o->faults++;
		wait_again(o, now);
	}
	return true;
}

/* It will not come back, or not as the one that knew what it has shared. */
static void
lose(struct sampler *s, struct lender *l, uint64_t now)
{
	static const char text[] = "its worker's connection was lost";
	struct open_sample *o, *next;
	struct sample last;
	bool any = false;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender != l || o->state != AWAY)
			continue;
		any = true;
		last = o->m;
		last.panel = NULL;
		finish(s, o, SAMPLE_UNPROVEN, NULL, text);
	}
	/* However many were open, it is one failure. What one other worker made of one is no more
	 * than its word: one that was cut off, or restarted, is not barred for that. */
	if (any && lender_note_failure(l, NULL, false, now) == LENDER_BARRED_ALL)
		bar(s, l, &last, NULL, text);
}

void
sampler_gone(struct sampler *s, const char *worker, uint64_t now)
{
	struct lender *l = lenders_find(&s->lenders, worker);
	struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	{
		if (o->lender == l) {
			stop_run(s, o);
			wait_again(o, now);
			o->state = AWAY;
			o->aways++;
		} else if (o->state == RUNNING && streq(o->m.runner, worker)) {
			wait_again(o, now);
		}
	}
}

/* Or it could get out of each run by a new connection. */
static bool
is_away_too_often(const struct sampler *s, const struct lender *l)
{
	const struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (o->lender == l && o->state == AWAY && o->aways > AWAYS_MAX)
		return true;
	return false;
}

/* It is asked again for what it kept. */
static void
take_up(struct sampler *s, struct lender *l, uint64_t now)
{
	struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (o->lender == l && o->state == AWAY && s->host.keep(s->host.arg, &o->m)) {
		o->state = ASKED;
		o->since_ms = now;
	}
}

void
sampler_here(struct sampler *s, const char *worker, const uint8_t instance[SAMPLER_INSTANCE_SIZE],
	uint64_t now)
{
	static const uint8_t unsaid[SAMPLER_INSTANCE_SIZE];
	struct lender *l = lenders_get(&s->lenders, worker);
	bool same;

	if (!l)
		return;
	same = memcmp(l->instance, instance, SAMPLER_INSTANCE_SIZE) == 0 &&
	       memcmp(unsaid, instance, SAMPLER_INSTANCE_SIZE) != 0;
	memcpy(l->instance, instance, SAMPLER_INSTANCE_SIZE);
	if (same && !is_away_too_often(s, l))
		take_up(s, l, now);
	else
		lose(s, l, now);
}

/* ---- time */

static void
nobody(struct sampler *s, struct open_sample *o, uint64_t now)
{
	if (o->nobody_ms == 0)
		o->nobody_ms = now;
	/* a machine that is busy may be slow once; in a small farm there is nobody else */
	if (now - o->nobody_ms >= SAMPLER_SECOND_MS && !o->forgiven && o->unreached + o->late > 0 &&
		!o->accused && o->unmade + o->faults == 0) {
		o->forgiven = true;
		o->n_avoid = 0;
		o->unreached = o->late = 0;
		o->nobody_ms = 0;
		return;
	}
	if (now - o->nobody_ms < SAMPLER_NOBODY_MS)
		return;
	/* One runner's doing may be the runner's. */
	if (o->unreached + o->late >= 2)
		fail(s, o, "it reaches no other worker", now);
	else if (sample_is_doubted(o))
		finish(s, o, SAMPLE_UNPROVEN, NULL,
			"another worker did not get it, or made something else of it, and there is "
			"no "
			"third to decide");
	else
		finish(s, o, SAMPLE_ALONE, NULL, "no other worker can compile it");
}

/* Draws the one that is to run it next: of those that have run it the fewest times each is as
 * likely. False: there is none. */
static bool
draw_runner(struct sampler *s, struct open_sample *o, const char *const *v, size_t n, uint64_t now)
{
	size_t fewest = SIZE_MAX, among = 0, which;

	for (size_t i = 0; i < n; i++)
		fewest = MIN2(fewest, panel_runs(&o->panel, v[i]));
	for (size_t i = 0; i < n; i++)
		among += panel_runs(&o->panel, v[i]) == fewest;
	if (among == 0)
		return false;
	which = (size_t)s->host.draw(s->host.arg, among);
	for (size_t i = 0; i < n; i++)
		if (panel_runs(&o->panel, v[i]) == fewest && which-- == 0)
			snprintf(o->pick, sizeof(o->pick), "%s", v[i]);
	o->pick_ms = now;
	return true;
}

static bool
is_among(const char *const *v, size_t n, const char *worker)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i], worker))
			return true;
	return false;
}

/* Sees to o->pick. False: nobody could run it. */
static bool
find_runner(struct sampler *s, struct open_sample *o, uint64_t now)
{
	const char *v[SAMPLER_POOL_MAX];
	size_t n = o->faults < RUN_FAULTS_MAX ? s->host.able(s->host.arg, &o->m, v) : 0;

	if (*o->pick && is_among(v, n, o->pick) && now - o->pick_ms < SAMPLER_PICK_MS)
		return true;
	return draw_runner(s, o, v, n, now);
}

static void
try_run(struct sampler *s, struct open_sample *o, uint64_t now)
{
	o->m.overdue = now - o->since_ms >= SAMPLER_PATIENCE_MS;
	if (o->lender->runs || now < o->again_ms)
		return;
	o->again_ms = now + AGAIN_MS;
	if (!find_runner(s, o, now)) {
		nobody(s, o, now);
		return;
	}
	o->nobody_ms = 0;
	if (fair_is_behind(s, o))
		return;
	s->host.name(s->host.arg, o->m.job);
	if (!s->host.give(s->host.arg, &o->m, o->pick)) {
		*o->m.job = '\0';
		return;
	}
	memcpy(o->m.runner, o->pick, sizeof(o->m.runner));
	o->state = RUNNING;
	o->part = s->host.tells(s->host.arg, o->pick) ? GIVEN : COMPILES;
	o->lender->runs = true;
	o->run_ms = o->part_ms = now;
}

static bool
is_late(const struct open_sample *o, uint64_t now)
{
	static const uint64_t most[] = {
		[GIVEN] = SAMPLER_OPEN_MS, [OPENED] = SAMPLER_FEED_MS, [COMPILES] = SAMPLER_RUN_MS
	};

	return now - o->part_ms >= most[o->part] || now - o->run_ms >= SAMPLER_RUN_MS;
}

/* A run without an end: its runner hangs, its lender has handed nothing over, or what was handed
 * over takes too long. */
static void
end_late(struct sampler *s, struct open_sample *o, uint64_t now)
{
	enum part part = o->part;
	char who[CURVE_KEY_SIZE];

	memcpy(who, o->m.runner, sizeof(who));
	stop_run(s, o);
	if (part == COMPILES) {
		unmade(s, o, who, now);
		return;
	}
	avoid(o, who);
	wait_again(o, now);
	if (++o->late >= 2)
		fail(s, o, "what two other workers were to get of it has never come", now);
}

static void
look(struct sampler *s, struct open_sample *o, uint64_t now)
{
	if (o->state == ASKED && now - o->since_ms >= SAMPLER_ANSWER_MS) {
		fail(s, o, "its worker does not answer", now);
	} else if (o->state == AWAY && now - o->since_ms >= SAMPLER_AWAY_MS) {
		lose(s, o->lender, now);
	} else if (o->state == RUNNING && is_late(o, now)) {
		end_late(s, o, now);
	} else if (o->state == RUNNING && s->host.is_wanted(s->host.arg, &o->m)) {
		stop_run(s, o);
	} else if (o->state == WAITING && now - o->since_ms >= SAMPLER_WAIT_MS) {
		/* or one that keeps all others busy would have it stay */
		finish(s, o, SAMPLE_UNPROVEN, NULL, "no other worker had time for it");
	} else if (o->state == WAITING) {
		try_run(s, o, now);
	}
}

void
sampler_tick(struct sampler *s, uint64_t now)
{
	struct open_sample *o, *next;

	fair_tick(s, now);
	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		size_t open = s->stats.open;

		next = TAILQ_NEXT(o, link);
		look(s, o, now);
		/* where more than this one is gone the rest has its turn with the next tick */
		if (s->stats.open + 1 < open)
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
sampler_wants(const struct sampler *s, const char *worker)
{
	const struct open_sample *o;

	TAILQ_FOREACH(o, &s->samples, link)
	if (o->state == WAITING && streq(o->pick, worker))
		return true;
	return false;
}

bool
sampler_may_share(const struct sampler *s, const char *worker, const char *client, uint64_t now)
{
	return lender_may_share(lenders_find(&s->lenders, worker), client, now);
}

void
sampler_drop(struct sampler *s, const char *worker)
{
	const struct lender *l = lenders_find(&s->lenders, worker);
	struct open_sample *o, *next;

	for (o = TAILQ_FIRST(&s->samples); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->lender != l)
			continue;
		stop_run(s, o);
		release(s, o);
	}
}
