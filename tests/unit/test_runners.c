/* Workers that compile a sample again: how one is drawn, and what counts when one says nothing,
 * goes, or ends it. Each word counts once. */
#include "config.h"

#include "tests/unit/sampler_fixture.h"

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
	assert_true(may_share(&w, 0, ""));
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
	last_end(&w, 1, SAMPLE_OTHER, key_of(0));
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
	last_end(&w, 2, SAMPLE_WITHHELD, key_of(0));
	assert_int_equal(w.ends[0].outcome, SAMPLE_UNPROVEN);
	assert_int_equal(w.cancelled, 1);
	/* nor by going away */
	w.now += LENDER_BARRED_MS;
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	makes(&w, 1, 1, 8);
	assert_int_equal(w.doubted, 2);
	gone_for_good(&w, 0);
	last_end(&w, 3, SAMPLE_UNPROVEN, "");
	/* but of that one other worker's word is all that there is */
	assert_true(may_share(&w, 0, ""));
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
	for (unsigned i = 0; i < 2 * LENDER_FAILURES; i++) {
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
	assert_true(may_share(&w, 0, ""));
	close_world(&w);
}

/* A run without an end, of a worker that does not say how far it is: the result does not stay. */
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
	assert_true(may_share(&w, 0, ""));
	/* of one run alone it is the same, but not held against it */
	w.here[2] = w.here[3] = false;
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		begin(&w, 0, 2 + i, 7);
		runs_on(&w, 1);
		tick(&w, SAMPLER_RUN_MS);
		tick(&w, 1000);
		tick(&w, SAMPLER_NOBODY_MS);
		last_end(&w, 2 + i, SAMPLE_UNPROVEN, "");
	}
	assert_true(may_share(&w, 0, ""));
	close_world(&w);
}

static bool
started(struct world *w, unsigned worker, bool compiles)
{
	return sampler_started(w->s, key_of(worker), w->job, compiles, w->now);
}

/* Each of two workers waits for that part of it in vain. */
static void
comes_not(struct world *w, unsigned part, uint64_t most, unsigned ends)
{
	unsigned before = w->cancelled;

	begin(w, 0, 1, 7);
	for (unsigned i = 1; i <= 2; i++) {
		runs_on(w, i);
		assert_false(started(w, 3, true));
		if (part > 0)
			assert_true(started(w, i, false));
		if (part > 1)
			assert_true(started(w, i, true));
		/* of what was before it says nothing new */
		if (part > 1)
			assert_true(started(w, i, false));
		tick(w, most - 1);
		assert_int_equal(w->cancelled, before + i - 1);
		tick(w, 1);
		assert_int_equal(w->cancelled, before + i);
	}
	assert_int_equal(w->ends[ends].outcome, SAMPLE_UNPROVEN);
}

/* Whatever of it does not come is noticed soon; the compile has its time. One that is too long is
 * as the crate has it, and nobody's fault. */
static void
test_parts(void **state)
{
	static const uint64_t most[] = { SAMPLER_OPEN_MS, SAMPLER_FEED_MS, SAMPLER_RUN_MS };
	struct world w;

	(void)state;
	for (unsigned part = 0; part < ARRAY_LEN(most); part++) {
		open_world(&w, 1);
		for (unsigned i = 0; i < LENDER_FAILURES; i++)
			comes_not(&w, part, most[part], i);
		assert_int_equal(may_share(&w, 0, ""), part > 1);
		assert_true(may_share(&w, 0, "another"));
		close_world(&w);
	}
	assert_true(SAMPLER_OPEN_MS < 60000);
}

/* A macro that asks for another file each time: it is noted of that client, however often, and the
 * worker goes on sharing. */
static void
test_random(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < 4 * LENDER_FAILURES; i++) {
		begin(&w, 0, 1, 7);
		runs_on(&w, 1);
		/* it is refused what nobody asked for before, or makes it of something else */
		assert_true(i % 2 ? fails(&w, 1, true) : ended(&w, 1, 1, 200 + i, 7));
		runs_on(&w, 2);
		assert_true(fails(&w, 2, true));
		last_end(&w, i + 1, SAMPLE_OTHER, key_of(0));
	}
	assert_true(may_share(&w, 0, "") && may_share(&w, 0, NULL));
	close_world(&w);
}

/* Nobody can keep it from running for ever: by jobs that wait, by slots that are taken, or by runs
 * that take long. */
static void
test_overdue(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	w.busy[1] = w.wanted = true;
	begin(&w, 0, 1, 7);
	for (unsigned i = 1; i < SAMPLER_PATIENCE_MS / 1000; i++)
		tick(&w, 1000);
	assert_int_equal(w.runs, 0);
	runs_on(&w, 1);
	/* now it stays, whatever waits */
	tick(&w, 1000);
	assert_int_equal(w.cancelled, 0);
	makes(&w, 1, 1, 7);
	last_end(&w, 1, SAMPLE_SAME, "");
	close_world(&w);
}

/* A worker that says each time that it takes nothing does not put it off. */
static void
test_refuses_on(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	begin(&w, 0, 1, 7);
	for (unsigned i = 0; w.n == 0; i++) {
		unsigned runs = w.runs;

		assert_true(i <= SAMPLER_WAIT_MS / 1000);
		tick(&w, 1000);
		if (w.runs > runs)
			assert_true(sampler_refused(w.s, key_of(1), w.job, w.now));
	}
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	close_world(&w);
}

/* What takes long delays its own client's: of those that wait the one comes first whose client has
 * had the least time. */
static void
test_turns(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	w.client = "ann";
	begin(&w, 0, 1, 7);
	runs_on(&w, 1);
	assert_true(started(&w, 1, true));
	for (unsigned i = 2; i < 6; i++)
		begin(&w, 0, i, 7);
	w.client = "bob";
	begin(&w, 0, 6, 7);
	for (unsigned i = 0; i < 60; i++)
		tick(&w, 1000);
	makes(&w, 1, 1, 7);
	runs_on(&w, 1);
	/* that of bob, though those of ann have waited longer */
	assert_false(ended(&w, 2, 6, 106, 7));
	makes(&w, 1, 6, 7);
	assert_int_equal(w.n, 2);
	assert_int_equal(w.ends[1].outcome, SAMPLE_SAME);
	close_world(&w);
}

/* One that loses its connection each time that it is to hand something over. */
static void
test_away_again(void **state)
{
	struct world w;
	unsigned i;

	(void)state;
	open_world(&w, 1);
	here(&w, 0, 1);
	begin(&w, 0, 1, 7);
	for (i = 0; w.n == 0; i++) {
		assert_true(i < 10);
		sampler_gone(w.s, key_of(0), w.now);
		here(&w, 0, 1);
		if (w.n == 0)
			lent(&w, 0, DRAY__LEND_END__LENT_KEPT);
	}
	assert_true(i > 2);
	last_end(&w, 1, SAMPLE_UNPROVEN, "");
	close_world(&w);
}

/* A connection that was lost is no failure: the same process is asked again for what it has. */
static void
test_back(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	here(&w, 0, 1);
	for (unsigned i = 0; i < 2 * LENDER_FAILURES; i++) {
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
	assert_true(may_share(&w, 0, ""));
	/* while it is away, too, a result may be chosen */
	w.here[0] = false;
	kept(&w, 0, 9, 7);
	w.here[0] = true;
	here(&w, 0, 1);
	lent(&w, 0, DRAY__LEND_END__LENT_KEPT);
	runs_on(&w, 1);
	makes(&w, 1, 9, 7);
	last_end(&w, 2 * LENDER_FAILURES + 1, SAMPLE_SAME, "");
	/* another process knows nothing of them: so it cannot get out of it by starting anew */
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		assert_true(may_share(&w, 0, ""));
		begin(&w, 0, i, 7);
		sampler_gone(w.s, key_of(0), w.now);
		here(&w, 0, (uint8_t)(2 + i));
	}
	assert_false(may_share(&w, 0, ""));
	/* nor one that does not say which it is */
	w.now += LENDER_BARRED_MS;
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
	for (unsigned i = 0; i < 2 * LENDER_FAILURES; i++) {
		begin(&w, 0, i, 7);
		for (unsigned k = 1; k <= 2; k++) {
			runs_on(&w, k);
			assert_true(sampler_ended(
				w.s, key_of(k), w.job, NULL, NULL, SAMPLER_UNMADE, w.now));
		}
		last_end(&w, i + 1, SAMPLE_UNPROVEN, "");
	}
	assert_true(may_share(&w, 0, ""));
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
	assert_true(may_share(&w, 0, ""));
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
	last_end(&w, 2, SAMPLE_UNPROVEN, "");
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_each_once), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_silent), cmocka_unit_test(test_other_job),
		cmocka_unit_test(test_backs_out), cmocka_unit_test(test_unreached),
		cmocka_unit_test(test_unreached_by_one), cmocka_unit_test(test_without_end),
		cmocka_unit_test(test_parts), cmocka_unit_test(test_random),
		cmocka_unit_test(test_overdue), cmocka_unit_test(test_refuses_on),
		cmocka_unit_test(test_turns), cmocka_unit_test(test_away_again),
		cmocka_unit_test(test_back), cmocka_unit_test(test_unmade),
		cmocka_unit_test(test_gone), cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_drop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
