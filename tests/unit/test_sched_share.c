/* Whose turn it is: client keys take turns, by processor seconds used. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

static int
ask_for(struct world *w, unsigned id, uint64_t account)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = account,
		.toolchain = tc(1),
		.may_wait = true };

	return sched_job_add(w->s, &info, w->now);
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
			struct job_id j = jid(running[k]);

			started(w, a, running[k]);
			assert_int_equal(sched_job_ended(w->s, a, &j, true, cpu_us, w->now), 0);
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
	struct job_id j = jid(1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	take(w);
	expect_place(w, 0, 1, a);
	assert_int_equal(ask_for(w, 2, 7), 0);
	assert_int_equal(ask_for(w, 3, 8), 0);
	assert_int_equal(ask_for(w, 4, 8), 0);
	assert_int_equal(ask_for(w, 5, 8), 0);
	take(w);
	started(w, a, 1);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, 60000000, w->now), 0);
	/* One minute of 7's: all of 8's small ones come before its next. */
	for (unsigned id = 3; id <= 5; id++) {
		take(w);
		expect_place(w, w->n - 1, id, a);
		j = jid(id);
		started(w, a, id);
		assert_int_equal(sched_job_ended(w->s, a, &j, true, 1000000, w->now), 0);
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
	struct job_id j;

	for (unsigned id = 1; id <= 50; id++) {
		assert_int_equal(ask_for(w, id, 7), 0);
		take(w);
		expect_place(w, w->n - 1, id, a);
		j = jid(id);
		started(w, a, id);
		assert_int_equal(sched_job_ended(w->s, a, &j, true, 10000000, w->now), 0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_burst_delays_nobody),
		T(test_seconds_count),
		T(test_idle_saves_nothing),
		T(test_unopened_placements_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
