/* Which results are compiled again, and what follows: who is chosen, whose
 * failure counts and by whose word, and that a word counts once. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/cache/sampler.h"

#define WORKERS 8

/* A host with workers that can all compile everything. */
struct world {
	struct sampler *s;
	uint64_t now;
	uint64_t below[2048], answer; /* of draws */
	unsigned draws, names;
	bool here[WORKERS], busy[WORKERS], wanted;
	unsigned kinds[WORKERS], asked[WORKERS];
	unsigned kept, forgotten, cancelled, doubted;
	bool is_old; /* workers that do not say how far a run is */
	char id[SAMPLE_ID_SIZE], job[SAMPLE_ID_SIZE], runner[CURVE_KEY_SIZE];
	unsigned runs;
	/* the last ends */
	struct {
		enum sample_outcome outcome;
		char who[CURVE_KEY_SIZE];
	} ends[64];
	unsigned n;
};

static const char *
key_of(unsigned worker)
{
	static const char *const keys[WORKERS] = { "worker-0", "worker-1", "worker-2", "worker-3",
		"worker-4", "worker-5", "worker-6", "worker-7" };

	return keys[worker];
}

static struct digest
number(unsigned n)
{
	struct digest d = { { 0 } };

	d.b[0] = (uint8_t)n;
	return d;
}

static uint64_t
draw(void *arg, uint64_t below)
{
	struct world *w = arg;

	assert_true(w->draws < 2048);
	w->below[w->draws++] = below;
	return w->answer % below;
}

static void
name(void *arg, char ret[SAMPLE_ID_SIZE])
{
	snprintf(ret, SAMPLE_ID_SIZE, "%032x", ++((struct world *)arg)->names);
}

static unsigned
index_of(const char *key)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (streq(key_of(i), key))
			return i;
	fail();
	return 0;
}

static bool
keep(void *arg, const struct sample *m)
{
	struct world *w = arg;

	w->kept++;
	memcpy(w->id, m->id, sizeof(w->id));
	return w->here[index_of(m->kept.worker)];
}

static void
forget(void *arg, const struct sample *m)
{
	(void)m;
	((struct world *)arg)->forgotten++;
}

static size_t
able(void *arg, const struct sample *m, const char **ret)
{
	struct world *w = arg;
	size_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		if (w->here[i] && sampler_may_run(m, key_of(i)))
			ret[n++] = key_of(i);
	return n;
}

static void
kind(void *arg, const char *worker, struct digest *ret)
{
	struct world *w = arg;

	*ret = number(w->kinds[index_of(worker)]);
}

static bool
tells(void *arg, const char *worker)
{
	(void)worker;
	return !((struct world *)arg)->is_old;
}

static void
doubt(void *arg, const struct sample *m)
{
	(void)m;
	((struct world *)arg)->doubted++;
}

static bool
give(void *arg, const struct sample *m, const char *runner)
{
	struct world *w = arg;

	assert_true(w->here[index_of(runner)]);
	assert_string_not_equal(runner, m->kept.worker);
	w->asked[index_of(runner)]++;
	if (w->busy[index_of(runner)])
		return false;
	memcpy(w->job, m->job, sizeof(w->job));
	memcpy(w->runner, runner, strlen(runner) + 1);
	w->runs++;
	return true;
}

static bool
is_wanted(void *arg, const struct sample *m)
{
	(void)m;
	return ((struct world *)arg)->wanted;
}

static void
cancel(void *arg, const struct sample *m)
{
	struct world *w = arg;

	assert_string_equal(m->job, w->job);
	w->cancelled++;
}

static void
end(void *arg, const struct sample *m, enum sample_outcome o, const char *who, const char *text)
{
	struct world *w = arg;

	assert_true(w->n < 64);
	assert_true(*text != '\0');
	(void)m;
	w->ends[w->n].outcome = o;
	snprintf(w->ends[w->n++].who, CURVE_KEY_SIZE, "%s", who ? who : "");
}

static void
open_world(struct world *w, uint64_t every)
{
	const struct sampler_host host = { w, draw, name, keep, forget, able, kind, tells, give,
		is_wanted, cancel, doubt, end };

	memset(w, 0, sizeof(*w));
	w->now = 1000;
	/* most tests need no more */
	for (unsigned i = 0; i < 4; i++)
		w->here[i] = true;
	assert_int_equal(sampler_new(&host, every, &w->s), 0);
}

static void
close_world(struct world *w)
{
	sampler_free(w->s);
}

static struct sampler_kept
result_of(unsigned worker, unsigned key, unsigned made)
{
	struct sampler_kept k;

	memset(&k, 0, sizeof(k));
	snprintf(k.worker, sizeof(k.worker), "%s", key_of(worker));
	k.key = number(key);
	k.same.inputs = number(100 + key);
	k.same.made = number(made);
	return k;
}

static void
kept(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	const struct sampler_kept k = result_of(worker, key, made);

	sampler_kept(w->s, &k, w->now);
}

static void
lent(struct world *w, unsigned worker, Dray__LendEnd how)
{
	bool of_run = how == DRAY__LEND_END__LENT_UNREACHED || how == DRAY__LEND_END__LENT_FAILED;

	sampler_lent(w->s, key_of(worker), w->id, of_run ? w->job : "", how, "its word", w->now);
}

/* One result that is chosen, and kept by its worker. */
static void
begin(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	unsigned before = w->kept;

	kept(w, worker, key, made);
	assert_int_equal(w->kept, before + 1);
	lent(w, worker, DRAY__LEND_END__LENT_KEPT);
}

static void
tick(struct world *w, uint64_t ms)
{
	w->now += ms;
	sampler_tick(w->s, w->now);
}

/* The next run is by this worker. */
static void
runs_on(struct world *w, unsigned worker)
{
	unsigned before = w->runs;

	tick(w, 1000);
	assert_int_equal(w->runs, before + 1);
	assert_string_equal(w->runner, key_of(worker));
}

static bool
ended(struct world *w, unsigned worker, unsigned key, unsigned inputs, unsigned made)
{
	const struct digest k = number(key);
	const struct same same = { number(inputs), number(made) };

	return sampler_ended(w->s, key_of(worker), w->job, &k, &same, SAMPLER_BY_RUNNER, w->now);
}

/* The run comes to that, of the right job. */
static void
makes(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	assert_true(ended(w, worker, key, 100 + key, made));
}

static bool
fails(struct world *w, unsigned worker, bool by_lender)
{
	return sampler_ended(w->s, key_of(worker), w->job, NULL, NULL,
		by_lender ? SAMPLER_BY_LENDER : SAMPLER_BY_RUNNER, w->now);
}

static void
here(struct world *w, unsigned worker, uint8_t process)
{
	const uint8_t instance[SAMPLER_INSTANCE_SIZE] = { process };

	sampler_here(w->s, key_of(worker), instance, w->now);
}

/* Its connection is lost, and it does not come back. */
static void
gone_for_good(struct world *w, unsigned worker)
{
	unsigned ends = w->n;

	sampler_gone(w->s, key_of(worker), w->now);
	tick(w, SAMPLER_AWAY_MS - 1);
	assert_int_equal(w->n, ends);
	tick(w, 1);
}

/* There is nobody else: those that were not reached get it once more. */
static void
asked_again(struct world *w)
{
	unsigned ends = w->n, runs = w->runs;

	tick(w, 1000);
	tick(w, SAMPLER_SECOND_MS);
	assert_int_equal(w->n, ends);
	assert_int_equal(w->runs, runs);
}

static void
last_end(const struct world *w, unsigned n, enum sample_outcome o, const char *who)
{
	struct sampler_stats stats;

	assert_int_equal(w->n, n);
	assert_int_equal(w->ends[n - 1].outcome, o);
	assert_string_equal(w->ends[n - 1].who, who);
	sampler_get_stats(w->s, &stats);
	assert_int_equal(stats.open, 0);
	assert_int_equal(w->forgotten, stats.chosen);
}

/* ---- who is chosen */

static void
test_chooser(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 50);
	w.answer = 1; /* none of them */
	for (unsigned i = 0; i < 100; i++)
		kept(&w, 0, 1, 1);
	assert_int_equal(w.draws, 100);
	assert_int_equal(w.kept, 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(w.below[i], i < SAMPLER_NEW ? 2 : i < SAMPLER_YOUNG ? 8 : 50);
	/* another one's first are its own */
	kept(&w, 1, 1, 1);
	assert_int_equal(w.below[100], 2);
	w.answer = 0;
	kept(&w, 1, 2, 1);
	assert_int_equal(w.kept, 1);
	close_world(&w);
	/* more often than that is as often as it says */
	open_world(&w, 3);
	w.answer = 1;
	for (unsigned i = 0; i < SAMPLER_YOUNG + 1; i++)
		kept(&w, 0, 1, 1);
	assert_int_equal(w.below[SAMPLER_NEW], 3);
	assert_int_equal(w.below[SAMPLER_YOUNG], 3);
	close_world(&w);
	open_world(&w, 0);
	kept(&w, 0, 1, 1);
	assert_int_equal(w.kept + w.draws, 0);
	close_world(&w);
}

/* A worker cannot keep its results from being looked at by many that wait. */
static void
test_full(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < WORKERS; i++)
		w.busy[i] = true;
	for (unsigned i = 0; i < SAMPLER_OPEN_WORKER; i++)
		begin(&w, 0, i, 1);
	assert_int_equal(w.n, 0);
	w.answer = 5;
	begin(&w, 0, 99, 1);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.ends[0].outcome, SAMPLE_ALONE);
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER);
	/* a run that is under way, or two that differ, are not put aside */
	memset(w.busy, 0, sizeof(w.busy));
	tick(&w, SAMPLER_PICK_MS);
	assert_int_equal(w.runs, 1);
	begin(&w, 0, 98, 1);
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER - 1);
	close_world(&w);
}

/* ---- two, three, and what follows */

static void
test_same(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 7);
	last_end(&w, 1, SAMPLE_SAME, "");
	/* said again, it is no sample's */
	assert_false(ended(&w, 1, 1, 101, 8));
	assert_int_equal(w.n, 1);
	close_world(&w);
}

static void
shunned(unsigned lender, unsigned odd)
{
	struct world w;
	unsigned runs = 1;

	open_world(&w, 1);
	begin(&w, lender, 1, odd == lender ? 8 : 7);
	runs_on(&w, lender == 0 ? 1 : 0);
	makes(&w, lender == 0 ? 1 : 0, 1, odd == lender ? 7 : 8);
	assert_int_equal(w.n, 0);
	while (w.n == 0) {
		tick(&w, 1000);
		assert_string_not_equal(w.runner, key_of(lender));
		assert_true(sampler_runs_on(w.s, w.runner));
		makes(&w, index_of(w.runner), 1, 7);
		assert_true(++runs <= PANEL_RUNS_MAX);
	}
	last_end(&w, 1, SAMPLE_ODD, key_of(odd));
	close_world(&w);
}

static void
test_odd(void **state)
{
	(void)state;
	shunned(0, 0); /* it shared what no other makes */
	shunned(0, 1); /* the second one says so, alone */
}

static void
test_varies(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	runs_on(&w, 2);
	makes(&w, 2, 1, 9);
	last_end(&w, 1, SAMPLE_VARIES, "");
	close_world(&w);
	/* two that are the same by chance: another compile shows it */
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	runs_on(&w, 2);
	makes(&w, 2, 1, 8);
	tick(&w, 1000);
	makes(&w, index_of(w.runner), 1, 7);
	last_end(&w, 1, SAMPLE_VARIES, "");
	close_world(&w);
}

static void
test_no_third(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	tick(&w, 1000);
	tick(&w, SAMPLER_NOBODY_MS - 1);
	assert_int_equal(w.n, 0);
	tick(&w, 1000);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	close_world(&w);
	/* nor a second: nothing is known, and nothing follows */
	open_world(&w, 1);
	w.here[1] = w.here[2] = w.here[3] = false;
	begin(&w, 0, 1, 7);
	tick(&w, 1000);
	tick(&w, SAMPLER_NOBODY_MS);
	last_end(&w, 1, SAMPLE_ALONE, "");
	close_world(&w);
}

/* ---- what is not handed over */

static void
test_lacks(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < SAMPLER_FAILURES - 1; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
		last_end(&w, i + 1, SAMPLE_UNPROVEN, "");
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	kept(&w, 0, 3, 7);
	lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	last_end(&w, SAMPLER_FAILURES + 1, SAMPLE_BARRED, key_of(0));
	assert_false(sampler_may_share(w.s, key_of(0), w.now));
	assert_true(sampler_may_share(w.s, key_of(1), w.now));
	w.now += SAMPLER_BARRED_MS;
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	/* the next time it is for twice as long */
	for (unsigned i = 0; i < SAMPLER_FAILURES; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_false(sampler_may_share(w.s, key_of(0), w.now + SAMPLER_BARRED_MS));
	assert_true(sampler_may_share(w.s, key_of(0), w.now + 2 * SAMPLER_BARRED_MS));
	close_world(&w);
}

static void
good_ones(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		begin(w, 0, i, 7);
		runs_on(w, 1);
		makes(w, 1, i, 7);
		w->n = 0;
	}
}

/* One that lacks its lies alone, and hands over all else. */
static void
test_lacks_lies(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < SAMPLER_FAILURES; i++) {
		good_ones(&w, SAMPLER_GOOD - 1);
		kept(&w, 0, 200, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_false(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
	/* one that fails now and then is forgiven */
	open_world(&w, 1);
	for (unsigned i = 0; i < 3 * SAMPLER_FAILURES; i++) {
		good_ones(&w, SAMPLER_GOOD);
		kept(&w, 0, 200, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

/* After a fault its next results are looked at more often. */
static void
test_watched(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 50);
	w.answer = 1;
	for (unsigned i = 0; i < SAMPLER_YOUNG; i++)
		kept(&w, 0, 1, 1);
	w.answer = 0;
	kept(&w, 0, 1, 1);
	assert_int_equal(w.below[w.draws - 1], 50);
	lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	w.answer = 1;
	for (unsigned i = 0; i <= SAMPLER_WATCHED; i++) {
		kept(&w, 0, 1, 1);
		assert_int_equal(w.below[w.draws - 1], i < SAMPLER_WATCHED ? 2 : 50);
	}
	close_world(&w);
}

/* ---- who compiles it again */

/* Each that could is as likely, also one that is busy, which is waited for; another is drawn later.
 */
static void
test_drawn(void **state)
{
	struct world w;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		open_world(&w, 1);
		w.answer = i;
		begin(&w, 0, 1, 7);
		w.draws = 0;
		runs_on(&w, 1 + i);
		assert_int_equal(w.draws, 1);
		assert_int_equal(w.below[0], 3);
		close_world(&w);
	}
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	w.busy[1] = true;
	w.draws = 0;
	for (unsigned i = 0; i < SAMPLER_PICK_MS / 1000; i++)
		tick(&w, 1000);
	assert_int_equal(w.runs, 0);
	assert_int_equal(w.draws, 1);
	assert_int_equal(w.asked[2] + w.asked[3], 0);
	w.answer = 1;
	runs_on(&w, 2);
	/* one that goes away is not waited for */
	makes(&w, 2, 1, 8);
	w.answer = 0;
	tick(&w, 1000);
	assert_int_equal(w.runs, 1);
	w.here[1] = false;
	runs_on(&w, 3);
	close_world(&w);
}

/* All that say so are different ones, as far as there are any. */
static void
test_each_once(void **state)
{
	struct world w;
	unsigned ran[WORKERS] = { 0 };

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < WORKERS; i++)
		w.here[i] = true;
	w.answer = 3;
	begin(&w, 0, 1, 8);
	while (w.n == 0) {
		tick(&w, 1000);
		assert_int_equal(++ran[index_of(w.runner)], 1);
		makes(&w, index_of(w.runner), 1, 7);
	}
	last_end(&w, 1, SAMPLE_ODD, key_of(0));
	close_world(&w);
	/* three workers: the two that agree do it in turns */
	memset(ran, 0, sizeof(ran));
	open_world(&w, 1);
	w.here[3] = false;
	begin(&w, 0, 1, 8);
	while (w.n == 0) {
		tick(&w, 1000);
		ran[index_of(w.runner)]++;
		makes(&w, index_of(w.runner), 1, 7);
	}
	assert_int_equal(ran[1], PANEL_AGREE / 2);
	assert_int_equal(ran[2], PANEL_AGREE / 2);
	close_world(&w);
}

/* What no runner can compile is not believed for it: it may have been made so. */
static void
test_faults(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	for (unsigned i = 1; i < 4; i++) {
		runs_on(&w, i);
		assert_true(fails(&w, i, false));
	}
	tick(&w, 1000);
	tick(&w, SAMPLER_NOBODY_MS);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

static void
test_silent(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	kept(&w, 0, 1, 7);
	tick(&w, SAMPLER_ANSWER_MS - 1);
	assert_int_equal(w.n, 0);
	/* another's word is nothing */
	sampler_lent(w.s, key_of(1), w.id, "", DRAY__LEND_END__LENT_KEPT, "", w.now);
	tick(&w, 1);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	w.here[0] = false;
	kept(&w, 0, 2, 7);
	tick(&w, SAMPLER_AWAY_MS);
	last_end(&w, 2, SAMPLE_UNPROVEN, "");
	close_world(&w);
}

/* Another job than the one that was shared: another key, or other inputs. One's word does not do.
 */
static void
test_other_job(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	assert_true(ended(&w, 1, 2, 101, 7));
	assert_int_equal(w.n, 0);
	runs_on(&w, 2);
	assert_true(ended(&w, 2, 1, 55, 7));
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	/* the first one lied: the next one finds what was shared */
	begin(&w, 0, 3, 7);
	runs_on(&w, 1);
	assert_true(fails(&w, 1, true));
	runs_on(&w, 2);
	makes(&w, 2, 3, 7);
	last_end(&w, 2, SAMPLE_SAME, "");
	/* there is no other: it is not believed, and nobody is to blame */
	w.here[2] = w.here[3] = false;
	begin(&w, 0, 4, 7);
	runs_on(&w, 1);
	assert_true(fails(&w, 1, true));
	tick(&w, 1000);
	tick(&w, SAMPLER_NOBODY_MS);
	last_end(&w, 3, SAMPLE_UNPROVEN, "");
	close_world(&w);
}

/* After another one made something else, it may not get out of it by handing over nothing more. */
static void
test_backs_out(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	runs_on(&w, 2);
	lent(&w, 0, DRAY__LEND_END__LENT_FAILED);
	last_end(&w, 2, SAMPLE_BARRED, key_of(0));
	assert_int_equal(w.ends[0].outcome, SAMPLE_UNPROVEN);
	assert_int_equal(w.cancelled, 1);
	/* nor by going away */
	w.now += SAMPLER_BARRED_MS;
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	assert_int_equal(w.doubted, 2);
	gone_for_good(&w, 0);
	last_end(&w, 3, SAMPLE_UNPROVEN, "");
	/* but of that one other worker's word is all that there is */
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

static void
test_unreached(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	/* each is asked twice */
	for (unsigned i = 0; i < 6; i++) {
		if (i == 3)
			asked_again(&w);
		runs_on(&w, 1 + i % 3);
		lent(&w, 0, DRAY__LEND_END__LENT_UNREACHED);
	}
	tick(&w, 1000);
	tick(&w, SAMPLER_NOBODY_MS);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	close_world(&w);
}

/* One runner that is not reached may have its own reasons: the result goes, and nothing is held
 * against its worker, however often. */
static void
test_unreached_by_one(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	for (unsigned i = 0; i < 2 * SAMPLER_FAILURES; i++) {
		begin(&w, 0, i, 7);
		runs_on(&w, 1);
		lent(&w, 0, DRAY__LEND_END__LENT_UNREACHED);
		asked_again(&w);
		runs_on(&w, 1);
		lent(&w, 0, DRAY__LEND_END__LENT_UNREACHED);
		tick(&w, 1000);
		tick(&w, SAMPLER_NOBODY_MS);
		last_end(&w, i + 1, SAMPLE_UNPROVEN, "");
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

/* A lender that hands over nothing, and says nothing: its result does not stay. */
static void
test_without_end(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.is_old = true;
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	tick(&w, SAMPLER_RUN_MS);
	runs_on(&w, 2);
	tick(&w, SAMPLER_RUN_MS);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	/* of one run alone it is the same, but not held against it */
	w.here[2] = w.here[3] = false;
	for (unsigned i = 0; i < SAMPLER_FAILURES; i++) {
		begin(&w, 0, 2 + i, 7);
		runs_on(&w, 1);
		tick(&w, SAMPLER_RUN_MS);
		asked_again(&w);
		runs_on(&w, 1);
		tick(&w, SAMPLER_RUN_MS);
		tick(&w, 1000);
		tick(&w, SAMPLER_NOBODY_MS);
		last_end(&w, 2 + i, SAMPLE_UNPROVEN, "");
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

static bool
started(struct world *w, unsigned worker, bool compiles)
{
	return sampler_started(w->s, key_of(worker), w->job, compiles, w->now);
}

/* Whatever of it does not come is noticed soon; the compile has its time. */
static void
test_parts(void **state)
{
	static const uint64_t most[] = { SAMPLER_OPEN_MS, SAMPLER_FEED_MS, SAMPLER_RUN_MS };
	struct world w;

	(void)state;
	for (unsigned part = 0; part < ARRAY_LEN(most); part++) {
		open_world(&w, 1);
		begin(&w, 0, 1, 7);
		for (unsigned i = 1; i <= 2; i++) {
			runs_on(&w, i);
			assert_false(started(&w, 3, true));
			if (part > 0)
				assert_true(started(&w, i, false));
			if (part > 1)
				assert_true(started(&w, i, true));
			/* of what was before it says nothing new */
			if (part > 1)
				assert_true(started(&w, i, false));
			tick(&w, most[part] - 1);
			assert_int_equal(w.cancelled, i - 1);
			tick(&w, 1);
			assert_int_equal(w.cancelled, i);
		}
		last_end(&w, 1, SAMPLE_UNPROVEN, "");
		close_world(&w);
	}
	assert_true(SAMPLER_OPEN_MS < 60000);
}

/* A connection that was lost is no failure: the same process is asked again for what it has. */
static void
test_back(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	here(&w, 0, 1);
	for (unsigned i = 0; i < 2 * SAMPLER_FAILURES; i++) {
		begin(&w, 0, i, 7);
		runs_on(&w, 1);
		sampler_gone(w.s, key_of(0), w.now);
		assert_int_equal(w.cancelled, i + 1);
		tick(&w, SAMPLER_AWAY_MS - 1);
		here(&w, 0, 1);
		assert_int_equal(w.kept, 2 * i + 2);
		lent(&w, 0, DRAY__LEND_END__LENT_KEPT);
		runs_on(&w, 1);
		makes(&w, 1, i, 7);
		last_end(&w, i + 1, SAMPLE_SAME, "");
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	/* while it is away, too, a result may be chosen */
	w.here[0] = false;
	kept(&w, 0, 9, 7);
	w.here[0] = true;
	here(&w, 0, 1);
	lent(&w, 0, DRAY__LEND_END__LENT_KEPT);
	runs_on(&w, 1);
	makes(&w, 1, 9, 7);
	last_end(&w, 2 * SAMPLER_FAILURES + 1, SAMPLE_SAME, "");
	/* another process knows nothing of them: so it cannot get out of it by starting anew */
	for (unsigned i = 0; i < SAMPLER_FAILURES; i++) {
		assert_true(sampler_may_share(w.s, key_of(0), w.now));
		begin(&w, 0, i, 7);
		sampler_gone(w.s, key_of(0), w.now);
		here(&w, 0, (uint8_t)(2 + i));
	}
	assert_false(sampler_may_share(w.s, key_of(0), w.now));
	/* nor one that does not say which it is */
	w.now += SAMPLER_BARRED_MS;
	w.n = 0;
	here(&w, 0, 0);
	begin(&w, 0, 1, 7);
	sampler_gone(w.s, key_of(0), w.now);
	here(&w, 0, 0);
	assert_int_equal(w.ends[0].outcome, SAMPLE_UNPROVEN);
	close_world(&w);
}

/* A crate that fails to compile now and then is nobody's fault. */
static void
test_unmade(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < 2 * SAMPLER_FAILURES; i++) {
		begin(&w, 0, i, 7);
		for (unsigned k = 1; k <= 2; k++) {
			runs_on(&w, k);
			assert_true(sampler_ended(
				w.s, key_of(k), w.job, NULL, NULL, SAMPLER_UNMADE, w.now));
		}
		last_end(&w, i + 1, SAMPLE_UNPROVEN, "");
	}
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

/* ---- runners and lenders that go */

static void
test_gone(void **state)
{
	struct world w;
	char job[SAMPLE_ID_SIZE];

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	memcpy(job, w.job, sizeof(job));
	sampler_gone(w.s, key_of(1), w.now);
	w.here[1] = false;
	runs_on(&w, 2);
	assert_string_not_equal(job, w.job);
	/* what the one before says now is nothing */
	{
		const struct digest k = number(1);
		const struct same same = { number(101), number(8) };

		assert_false(
			sampler_ended(w.s, key_of(1), job, &k, &same, SAMPLER_BY_RUNNER, w.now));
		assert_false(
			sampler_ended(w.s, key_of(1), w.job, &k, &same, SAMPLER_BY_RUNNER, w.now));
	}
	/* its own fault: another one runs it */
	assert_true(fails(&w, 2, false));
	runs_on(&w, 3);
	makes(&w, 3, 1, 7);
	last_end(&w, 1, SAMPLE_SAME, "");
	/* however many it has open, its loss is one failure */
	w.here[2] = w.here[3] = false;
	for (unsigned i = 0; i < 5; i++)
		begin(&w, 0, i, 7);
	gone_for_good(&w, 0);
	last_end(&w, 6, SAMPLE_UNPROVEN, "");
	assert_true(sampler_may_share(w.s, key_of(0), w.now));
	close_world(&w);
}

static void
test_wanted(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	w.wanted = true;
	w.busy[1] = w.busy[2] = w.busy[3] = true;
	tick(&w, 1000);
	assert_int_equal(w.cancelled, 1);
	assert_false(fails(&w, 1, true));
	tick(&w, 1000);
	assert_int_equal(w.runs, 1);
	w.wanted = w.busy[1] = false;
	/* it is nobody's fault: the same one may */
	runs_on(&w, 1);
	tick(&w, SAMPLER_RUN_MS);
	assert_int_equal(w.cancelled, 2);
	w.busy[2] = false;
	runs_on(&w, 2);
	makes(&w, 2, 1, 7);
	last_end(&w, 1, SAMPLE_SAME, "");
	begin(&w, 0, 1, 7);
	w.busy[1] = w.busy[2] = true;
	tick(&w, SAMPLER_WAIT_MS);
	last_end(&w, 2, SAMPLE_ALONE, "");
	close_world(&w);
}

/* A runner whose slots were taken just now; and its lender's word of that, which comes later. */
static void
test_refused(void **state)
{
	struct world w;
	char job[SAMPLE_ID_SIZE];

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	memcpy(job, w.job, sizeof(job));
	assert_false(sampler_refused(w.s, key_of(2), job, w.now));
	assert_true(sampler_refused(w.s, key_of(1), job, w.now));
	tick(&w, 1000);
	assert_int_equal(w.runs, 1);
	runs_on(&w, 1);
	sampler_lent(w.s, key_of(0), w.id, job, DRAY__LEND_END__LENT_UNREACHED, "full", w.now);
	sampler_lent(w.s, key_of(0), w.id, job, DRAY__LEND_END__LENT_FAILED, "full", w.now);
	makes(&w, 1, 1, 7);
	last_end(&w, 1, SAMPLE_SAME, "");
	close_world(&w);
}

static void
test_drop(void **state)
{
	struct world w;
	struct sampler_stats stats;

	(void)state;
	open_world(&w, 1);
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	begin(&w, 0, 2, 7);
	begin(&w, 1, 3, 7);
	sampler_drop(w.s, key_of(0));
	assert_int_equal(w.cancelled, 1);
	assert_int_equal(w.n, 0);
	sampler_get_stats(w.s, &stats);
	assert_int_equal(stats.open, 1);
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_chooser),
		cmocka_unit_test(test_full), cmocka_unit_test(test_same),
		cmocka_unit_test(test_odd), cmocka_unit_test(test_varies),
		cmocka_unit_test(test_no_third), cmocka_unit_test(test_lacks),
		cmocka_unit_test(test_silent), cmocka_unit_test(test_other_job),
		cmocka_unit_test(test_backs_out), cmocka_unit_test(test_unreached),
		cmocka_unit_test(test_gone), cmocka_unit_test(test_unreached_by_one),
		cmocka_unit_test(test_without_end), cmocka_unit_test(test_unmade),
		cmocka_unit_test(test_wanted), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_drop), cmocka_unit_test(test_lacks_lies),
		cmocka_unit_test(test_parts), cmocka_unit_test(test_back),
		cmocka_unit_test(test_watched), cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_each_once), cmocka_unit_test(test_faults) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
