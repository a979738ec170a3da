/* Whose turn it is: client keys take turns, by processor seconds used. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

/* The job starts, and ends as it should after so much processor time. */
static void
ran(struct world *w, struct sched_worker *a, unsigned id, uint64_t cpu_us)
{
	struct job_id j = jid(id);

	started(w, a, id);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, cpu_us, w->now), 0);
}

static unsigned running[64], n_running;

/* Runs what is placed until `until` was: each job takes cpu_us. Returns how many ended before. */
static unsigned
run_until(struct world *w, struct sched_worker *a, unsigned until, uint64_t cpu_us)
{
	unsigned done = 0;

	for (;;) {
		unsigned now = n_running;

		take(w);
		for (unsigned i = 0; i < w->n && i < 64; i++)
			if (w->last[i].type == SCHED_PLACE)
				running[n_running++] = jnum(&w->last[i].job);
		for (unsigned k = now; k < n_running; k++)
			if (running[k] == until)
				return done;
		now = n_running;
		assert_true(now > 0);
		for (unsigned k = 0; k < now; k++) {
			ran(w, a, running[k], cpu_us);
			assert_int_equal(finished(w, running[k]), 0);
			done++;
		}
		n_running = 0;
	}
}

/* A burst of one key delays another's first job by a job, not by its length. */
static void
test_burst_delays_nobody(void **state)
{
	struct world *w = *state;
	struct sched_conf c;
	struct sched_worker *a;

	n_running = 0;
	sched_free(w->s);
	sched_conf_default(&c);
	assert_int_equal(sched_new(&c, &w->s), 0);
	a = worker(w, "a", 2);
	for (unsigned i = 1; i <= 2000; i++)
		assert_int_equal(ask_for(w, i, 7), 0);
	/* It has used much already; the other has just come. */
	assert_true(run_until(w, a, 500, 3000000) >= 490);
	assert_int_equal(ask_for(w, 3001, 8), 0);
	assert_true(run_until(w, a, 3001, 3000000) <= 4);
	/* And on: of ten more of the other's, each waits for its turn only. */
	for (unsigned i = 3002; i <= 3011; i++)
		assert_int_equal(ask_for(w, i, 8), 0);
	assert_true(run_until(w, a, 3011, 3000000) <= 26);
}

/* Seconds count, not jobs. */
static void
test_seconds_count(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	take(w);
	expect_place(w, 0, 1, a);
	assert_int_equal(ask_for(w, 2, 7), 0);
	assert_int_equal(ask_for(w, 3, 8), 0);
	assert_int_equal(ask_for(w, 4, 8), 0);
	assert_int_equal(ask_for(w, 5, 8), 0);
	take(w);
	ran(w, a, 1, 60000000);
	/* One minute of 7's: all of 8's small ones come before its next. */
	for (unsigned id = 3; id <= 5; id++) {
		take(w);
		expect_place(w, w->n - 1, id, a);
		ran(w, a, id, 1000000);
	}
	take(w);
	expect_place(w, w->n - 1, 2, a);
}

/* A key that comes and goes saves nothing up, and loses nothing. */
static void
test_idle_saves_nothing(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	for (unsigned id = 1; id <= 50; id++) {
		assert_int_equal(ask_for(w, id, 7), 0);
		take(w);
		expect_place(w, w->n - 1, id, a);
		ran(w, a, id, 10000000);
		assert_int_equal(finished(w, id), 0);
	}
	/* 7 had the farm alone for 500 s. 8 comes, and they take turns. */
	assert_int_equal(ask_for(w, 60, 7), 0);
	for (unsigned id = 61; id <= 64; id++)
		assert_int_equal(ask_for(w, id, 8), 0);
	assert_int_equal(ask_for(w, 71, 7), 0);
	take(w);
	expect_place(w, 0, 60, a);
	n_running = 0;
	running[n_running++] = 60;
	assert_true(run_until(w, a, 71, 10000000) <= 4);
}

/* What a key used while it was alone is not held against it when it comes again, after others. */
static void
test_alone_costs_nothing(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	take(w);
	expect_place(w, 0, 1, a);
	ran(w, a, 1, 500000000);
	assert_int_equal(finished(w, 1), 0);
	for (unsigned id = 61; id <= 64; id++)
		assert_int_equal(ask_for(w, id, 8), 0);
	assert_int_equal(ask_for(w, 71, 7), 0);
	n_running = 0;
	assert_true(run_until(w, a, 71, 10000000) <= 1);
}

/* A slot that is kept for nobody costs its key, too, and is taken back soon. */
static void
test_unopened_placements_cost(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	for (unsigned id = 1; id <= 4; id++)
		assert_int_equal(ask_for(w, id, 7), 0);
	assert_int_equal(ask_for(w, 9, 8), 0);
	take(w);
	expect_place(w, 0, 1, a);
	pass(w, LIFE);
	take(w);
	for (unsigned i = 0; i < w->n; i++)
		if (w->last[i].type == SCHED_PLACE)
			assert_int_equal(jnum(&w->last[i].job), 9);
	started(w, a, 9);
}

/* A slot costs the time that it was kept, whatever its client says of it, and however little was
 * computed there. */
static void
test_kept_slots_cost(void **state)
{
	static const struct {
		bool start, end, cancel;
		Dray__Verdict verdict;
	} way[] = {
		{ .verdict = DRAY__VERDICT__VERDICT_FULL },
		{ .verdict = DRAY__VERDICT__VERDICT_INPUT_CHANGED },
		{ .verdict = DRAY__VERDICT__VERDICT_LIMIT },
		{ .cancel = true },
		{ .start = true, .verdict = DRAY__VERDICT__VERDICT_LIMIT },
		{ .start = true, .end = true },
	};
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	unsigned id = 1;

	for (unsigned i = 0; i < ARRAY_LEN(way); i++) {
		struct job_id j = jid(id);

		assert_int_equal(ask_for(w, id, 7 + 2 * i), 0);
		take(w);
		expect_place(w, 0, id, a);
		assert_int_equal(ask_for(w, id + 1, 7 + 2 * i), 0);
		assert_int_equal(ask_for(w, id + 2, 8 + 2 * i), 0);
		assert_int_equal(ask_for(w, id + 3, 8 + 2 * i), 0);
		take(w);
		if (way[i].start)
			started(w, a, id);
		pass(w, 2900);
		if (way[i].end)
			assert_int_equal(sched_job_ended(w->s, a, &j, true, 1000, w->now), 0);
		else if (way[i].cancel)
			assert_int_equal(sched_job_cancel(w->s, 100 + id, &j, w->now), 0);
		else
			assert_int_equal(retry(w, id, "a", way[i].verdict), 0);
		/* Two of the other's, of a second each, come before its next. */
		for (unsigned k = id + 2; k <= id + 3; k++) {
			assert_int_equal(take_place(w), k);
			ran(w, a, k, 1000000);
			assert_int_equal(finished(w, k), 0);
		}
		sched_owner_gone(w->s, 100 + id, w->now);
		sched_owner_gone(w->s, 101 + id, w->now);
		pass(w, 10000);
		take(w);
		assert_int_equal(stats(w).used, 0);
		id += 4;
	}
}

/* A failed job of which its worker has told the end is counted once. */
static void
test_a_failure_costs_once(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id j = jid(1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	take(w);
	expect_place(w, 0, 1, a);
	for (unsigned id = 2; id <= 4; id++)
		assert_int_equal(ask_for(w, id, 8), 0);
	assert_int_equal(ask_for(w, 5, 7), 0);
	take(w);
	started(w, a, 1);
	assert_int_equal(sched_job_ended(w->s, a, &j, false, 2500000, w->now), 0);
	assert_int_equal(take_place(w), 2);
	started(w, a, 2);
	/* Its client takes its time. 7 has used 2.5 s. */
	pass(w, 2000);
	assert_int_equal(retry(w, 1, "a", FAULT), 0);
	take(w);
	for (unsigned id = 2; id <= 3; id++) {
		assert_int_equal(ended(w, a, id, true), 0);
		assert_int_equal(take_place(w), id == 2 ? 3 : 5);
		started(w, a, id == 2 ? 3 : 5);
		pass(w, 1000);
	}
}

/* Jobs of one key that must not go to a worker do not hide another's that may. */
static void
test_retries_hide_nobodys(void **state)
{
	static const struct sched_failed on_a[] = { { "a", DRAY__VERDICT__VERDICT_LIMIT } },
					 on_b[] = { { "b", DRAY__VERDICT__VERDICT_LIMIT } };
	struct world *w = *state;
	struct sched_conf c;
	struct sched_worker *a, *b;

	sched_free(w->s);
	sched_conf_default(&c);
	assert_int_equal(sched_new(&c, &w->s), 0);
	a = worker(w, "a", 1);
	b = worker(w, "b", 1);
	place(w, 1, a);
	place(w, 2, b);
	started(w, a, 1);
	started(w, b, 2);
	for (unsigned id = 10; id < 210; id++) {
		struct sched_job_info info = { .id = jid(id),
			.owner = 100 + id,
			.account = id < 209 ? 7 : 8,
			.toolchain = tc(1),
			.may_wait = true,
			.failed = id < 209 ? on_a : on_b,
			.n_failed = 1 };

		assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	}
	take(w);
	assert_int_equal(ended(w, a, 1, true), 0);
	take(w);
	assert_int_equal(w->n, 1);
	expect_place(w, 0, 209, a);
}

/* A slot that its job's client does not use goes to another key that waits, soon; to a key's own
 * jobs when its time is over. */
static void
test_unused_slots_go_to_others_first(void **state)
{
	struct world *w = *state;

	worker(w, "a", 1);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(ask_for(w, i, 7), 0);
	assert_int_equal(placed_now(w), 1);
	w->now += LIFE - 1;
	sched_tick(w->s, w->now);
	assert_int_equal(placed_now(w), 0);
	assert_int_equal(ask_for(w, 20, 8), 0);
	assert_int_equal(placed_now(w), 0);
	sched_tick(w->s, w->now);
	assert_int_equal(placed_now(w), 1);
	assert_int_equal(jnum(&w->last[0].job), 20);
}

/* Of two that nobody opens, and for which one other waits, both are taken back: one that was
 * counted as wasted, and went on, would count again. */
static void
test_wasted_slots_are_taken_back_together(void **state)
{
	struct world *w = *state;

	worker(w, "a", 2);
	assert_int_equal(ask_for(w, 1, 7), 0);
	assert_int_equal(ask_for(w, 2, 8), 0);
	assert_int_equal(placed_now(w), 2);
	assert_int_equal(ask_for(w, 3, 9), 0);
	w->now += 1500;
	sched_tick(w->s, w->now);
	assert_int_equal(placed_now(w), 1);
	assert_int_equal(ask_for(w, 4, 10), 0);
	assert_int_equal(placed_now(w), 1);
}

/* One that has nothing else to do is not waited for by others: only then is there hurry. */
static void
test_wanted(void **state)
{
	struct world *w = *state;

	worker(w, "a", 1);
	assert_int_equal(ask_for(w, 1, 7), 0);
	assert_int_equal(ask_for(w, 2, 7), 0);
	assert_false(sched_wanted(w->s));
	assert_int_equal(ask_for(w, 3, 8), 0);
	assert_true(sched_wanted(w->s));
}

/* A key whose jobs wait for nothing but its own opening of others wants nobody's slot. */
static void
test_waits_for_itself(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	assert_int_equal(ask_of(w, 1, 100, 1, 0, true), 0);
	assert_int_equal(ask_of(w, 2, 100, 1, 0, true), 0);
	(void)take(w);
	expect_place(w, 0, 1, a);
	assert_false(sched_somebody_waits(w->s));
	/* another key's job does, where no slot is free */
	assert_int_equal(ask_of(w, 3, 200, 1, 0, true), 0);
	(void)take(w);
	expect_place(w, 0, 3, a);
	compiles(w, a, 3);
	assert_false(sched_somebody_waits(w->s));
	assert_int_equal(ask_of(w, 4, 200, 1, 0, true), 0);
	(void)take(w);
	assert_true(sched_somebody_waits(w->s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_waits_for_itself),
		T(test_burst_delays_nobody),
		T(test_seconds_count),
		T(test_idle_saves_nothing),
		T(test_alone_costs_nothing),
		T(test_unopened_placements_cost),
		T(test_kept_slots_cost),
		T(test_a_failure_costs_once),
		T(test_retries_hide_nobodys),
		T(test_unused_slots_go_to_others_first),
		T(test_wasted_slots_are_taken_back_together),
		T(test_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
