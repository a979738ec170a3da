/* Which results are compiled again, and what follows: who is chosen, whose failure counts and by
 * whose word. */
#include "config.h"

#include "tests/unit/sampler_fixture.h"

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
	assert_int_equal(w.ends[0].outcome, SAMPLE_UNPROVEN);
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER);
	/* a run that is under way, or two that differ, are not put aside */
	memset(w.busy, 0, sizeof(w.busy));
	tick(&w, SAMPLER_PICK_MS);
	assert_int_equal(w.runs, 1);
	begin(&w, 0, 98, 1);
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER - 1);
	close_world(&w);
}

/* Where too many wait one of the client goes that has most of them: another's stay. */
static void
test_full_of_one(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	for (unsigned i = 0; i < WORKERS; i++)
		w.busy[i] = true;
	w.client = "bob";
	begin(&w, 0, 200, 1);
	begin(&w, 0, 201, 1);
	w.client = "ann";
	for (unsigned i = 0; i < 2 * SAMPLER_OPEN_WORKER; i++)
		begin(&w, 0, i, 1);
	/* of hers alone one is drawn */
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER - 2);
	w.client = "bob";
	begin(&w, 0, 202, 1);
	assert_int_equal(w.below[w.draws - 1], SAMPLER_OPEN_WORKER - 2);
	/* and what was chosen, and is not looked at, is not believed */
	for (unsigned i = 0; i < w.n; i++)
		assert_int_equal(w.ends[i].outcome, SAMPLE_UNPROVEN);
	close_world(&w);
}

/* What shows something already goes last, but it does go: or those of one client would keep all
 * others out. */
static void
test_full_of_doubts(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.here[2] = w.here[3] = false;
	for (unsigned i = 0; i < SAMPLER_OPEN_WORKER; i++) {
		begin(&w, 0, i, 1);
		runs_on(&w, 1);
		makes(&w, 1, i, 2);
	}
	assert_int_equal(w.n, 0);
	w.client = "bob";
	begin(&w, 0, 99, 1);
	assert_int_equal(w.n, 1);
	begin(&w, 0, 98, 1);
	assert_int_equal(w.n, 2);
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
	for (unsigned i = 0; i < LENDER_FAILURES - 1; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
		last_end(&w, i + 1, SAMPLE_UNPROVEN, "");
	}
	assert_true(may_share(&w, 0, ""));
	kept(&w, 0, 3, 7);
	lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	last_end(&w, LENDER_FAILURES + 1, SAMPLE_WITHHELD, key_of(0));
	assert_false(may_share(&w, 0, ""));
	assert_true(may_share(&w, 1, ""));
	w.now += LENDER_BARRED_MS;
	assert_true(may_share(&w, 0, ""));
	/* the next time it is for twice as long */
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	w.now += LENDER_BARRED_MS;
	assert_false(may_share(&w, 0, ""));
	w.now += LENDER_BARRED_MS;
	assert_true(may_share(&w, 0, ""));
	close_world(&w);
}

/* What one client's jobs come to is that client's matter; what two clients' do, everybody's. */
static void
test_by_client(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.busy[1] = w.busy[2] = w.busy[3] = true;
	w.client = "bob";
	begin(&w, 0, 50, 7);
	w.client = "ann";
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_int_equal(w.n, LENDER_FAILURES + 1);
	assert_int_equal(w.ends[LENDER_FAILURES].outcome, SAMPLE_WITHHELD);
	assert_false(may_share(&w, 0, "ann"));
	assert_true(may_share(&w, 0, "bob") && may_share(&w, 0, "") && may_share(&w, 0, NULL));
	/* nothing of ann's is chosen meanwhile, and bob's is looked at as before */
	kept(&w, 0, 9, 7);
	assert_int_equal(w.kept, 1 + LENDER_FAILURES);
	w.busy[1] = false;
	runs_on(&w, 1);
	makes(&w, 1, 50, 7);
	last_end(&w, LENDER_FAILURES + 2, SAMPLE_SAME, "");
	w.client = "bob";
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		kept(&w, 0, i, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	last_end(&w, 2 * LENDER_FAILURES + 3, SAMPLE_BARRED, key_of(0));
	assert_false(may_share(&w, 0, NULL) || may_share(&w, 0, "eve"));
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
	for (unsigned i = 0; i < LENDER_FAILURES; i++) {
		good_ones(&w, LENDER_GOOD - 1);
		kept(&w, 0, 200, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_false(may_share(&w, 0, ""));
	close_world(&w);
	/* one that fails now and then is forgiven */
	open_world(&w, 1);
	for (unsigned i = 0; i < 3 * LENDER_FAILURES; i++) {
		good_ones(&w, LENDER_GOOD);
		kept(&w, 0, 200, 7);
		lent(&w, 0, DRAY__LEND_END__LENT_LACKS);
	}
	assert_true(may_share(&w, 0, ""));
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
	for (unsigned i = 0; i <= LENDER_WATCHED; i++) {
		kept(&w, 0, 1, 1);
		assert_int_equal(w.below[w.draws - 1], i < LENDER_WATCHED ? 2 : 50);
	}
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_chooser),
		cmocka_unit_test(test_full), cmocka_unit_test(test_full_of_one),
		cmocka_unit_test(test_full_of_doubts), cmocka_unit_test(test_by_client),
		cmocka_unit_test(test_same), cmocka_unit_test(test_odd),
		cmocka_unit_test(test_varies), cmocka_unit_test(test_no_third),
		cmocka_unit_test(test_lacks), cmocka_unit_test(test_lacks_lies),
		cmocka_unit_test(test_watched) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
