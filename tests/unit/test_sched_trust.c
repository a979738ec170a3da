/* Which workers the scheduler trusts, and what happens when workers and clients come and go. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

static void
test_full_costs_no_trust(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	place(w, 1, a);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(refused(w, a, 1), 0);
		assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
		take(w);
		assert_int_equal(w->last[0].type, SCHED_QUEUED); /* not sent back at once */
		sched_worker_heard(w->s, a, 0, w->now);
		take(w);
		expect_place(w, 0, 1, a);
	}
	assert_int_equal(view(a).failures, 0);
	for (unsigned i = 0; i < 22; i++) {
		assert_int_equal(refused(w, a, 1), 0);
		assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
		take(w);
		sched_worker_heard(w->s, a, 0, w->now);
		if (i < 21)
			take(w);
	}
	expect_deny(w, 0, 1, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
}

/* A client's word that a worker is full keeps nobody else from it. */
static void
test_full_is_a_workers_word(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	place(w, 1, a);
	assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
	assert_int_equal(take(w), 0);
	assert_int_equal(view(a).used, 0);
	assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), -ESTALE);
	place(w, 2, a);
	/* The worker's word comes a little later. */
	assert_int_equal(refused(w, a, 1), 0);
	assert_int_equal(view(a).used, 2);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	sched_worker_heard(w->s, a, 0, w->now);
	/* Or never: then its job is placed again, after a moment. */
	take(w);
	expect_place(w, 0, 1, a);
	assert_int_equal(finished(w, 2), 0);
	assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
	pass(w, 499);
	assert_int_equal(take(w), 0);
	pass(w, 1);
	take(w);
	expect_place(w, 0, 1, a);
	/* One that runs the job is not full: the job is stopped there. */
	started(w, a, 1);
	assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	expect_deny(w, 1, 1, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
	assert_int_equal(refused(w, a, 1), -ENOENT);
	assert_int_equal(view(a).failures, 0);
}

static void
complain(struct world *w, unsigned id, uint64_t account, struct sched_worker *on)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = account,
		.toolchain = tc(1),
		.may_wait = true };
	struct job_id j = jid(id);

	assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	take(w);
	expect_place(w, 0, id, on);
	started(w, on, id);
	assert_int_equal(retry(w, id, "", FAULT), 0);
	sched_job_cancel(w->s, 100 + id, &j, w->now);
	take(w);
}

/* One key's word shuns nobody, however often it is said, nor does the word of several about jobs
 * that were never started there. */
static void
test_one_clients_word_is_no_evidence(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	for (unsigned i = 1; i <= 20; i++)
		complain(w, i, 7, a);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	assert_int_equal(view(a).failures, 0);
	for (unsigned i = 21; i <= 30; i++) {
		place(w, i, a);
		assert_int_equal(retry(w, i, "a", FAULT), 0);
		take(w);
	}
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	/* A success clears what was said. */
	place(w, 40, a);
	started(w, a, 40);
	assert_int_equal(finished(w, 40), 0);
	assert_int_equal(ended(w, a, 40, true), 0);
	/* Two keys, three times in all. */
	complain(w, 41, 7, a);
	complain(w, 42, 8, a);
	assert_int_equal(view(a).failures, 2);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	complain(w, 43, 7, a);
	assert_int_equal(view(a).trust, SCHED_SHUNNED);
	pass(w, 10000);
	assert_int_equal(view(a).trust, SCHED_PROBED);
	/* two changes, and one that has changed */
	assert_ptr_equal(sched_worker_news(w->s), a);
	assert_null(sched_worker_news(w->s));
}

static void
test_honest_verdicts_cost_no_trust(void **state)
{
	static const Dray__Verdict honest[] = { DRAY__VERDICT__VERDICT_CANCELLED,
		DRAY__VERDICT__VERDICT_INPUT_CHANGED, DRAY__VERDICT__VERDICT_LIMIT,
		DRAY__VERDICT__VERDICT_BAD_UNIT, DRAY__VERDICT__VERDICT_DRAINING,
		DRAY__VERDICT__VERDICT_NO_TOOLCHAIN };
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	for (unsigned i = 0; i < 5; i++) {
		place(w, i, a);
		assert_int_equal(retry(w, i, "a", honest[i]), 0);
		assert_int_equal(view(a).failures, 0);
		take(w);
		if (i < 2) {
			expect_place(w, 0, i, a);
			finished(w, i);
		} else {
			expect_deny(w, 1, i, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
		}
	}
}

static void
test_trust_is_lost_probed_and_regained(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4), *b;
	uint64_t wait = 10000;

	for (unsigned i = 1; i <= 3; i++)
		spoil(w, i, a);
	assert_int_equal(view(a).trust, SCHED_SHUNNED);
	ask(w, 4);
	take(w);
	expect_deny(w, 0, 4, DRAY__VERDICT__VERDICT_NO_WORKER);
	b = worker(w, "b", 1);
	place(w, 5, b);
	started(w, b, 5);
	ask(w, 6); /* b is full, a is left alone: it waits */
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	for (unsigned round = 0; round < 7; round++) {
		pass(w, wait - 1);
		take(w);
		assert_int_equal(view(a).trust, SCHED_SHUNNED);
		pass(w, 1);
		/* The probe fires: one job, though four slots are free. */
		take(w);
		expect_place(w, w->n - 1, 6 + round, a);
		assert_int_equal(view(a).trust, SCHED_PROBED);
		ask(w, 7 + round);
		take(w);
		assert_int_equal(w->last[0].type, SCHED_QUEUED);
		if (round == 6)
			break;
		started(w, a, 6 + round);
		assert_int_equal(ended(w, a, 6 + round, false), 0);
		take(w);
		struct job_id j = jid(6 + round);
		sched_job_cancel(w->s, 106 + round, &j, w->now);
		take(w);
		wait = MIN2(wait * 2, (uint64_t)300000);
	}
	assert_int_equal(wait, 300000);
	started(w, a, 12);
	assert_int_equal(finished(w, 12), 0);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	assert_int_equal(view(a).failures, 0);
	take(w);
	expect_place(w, 0, 13, a);
	place(w, 20, a);
	place(w, 21, a);
}

static void
test_probe_that_says_nothing_is_tried_again(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	for (unsigned i = 1; i <= 3; i++)
		spoil(w, i, a);
	pass(w, 10000);
	place(w, 4, a);
	ask(w, 5);
	take(w);
	sched_owner_gone(w->s, 104, w->now); /* Ctrl-C says nothing of the worker */
	take(w);
	expect_place(w, w->n - 1, 5, a);
	assert_int_equal(view(a).trust, SCHED_PROBED);
	/* A probe that nobody opens expires, and the next one goes. */
	ask(w, 6);
	take(w);
	pass(w, LIFE);
	take(w);
	expect_place(w, 0, 6, a);
}

static void
test_success_between_failures(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	for (unsigned i = 0; i < 10; i++) {
		spoil(w, 10 * i + 1, a);
		spoil(w, 10 * i + 2, a);
		assert_int_equal(view(a).failures, 2);
		place(w, 10 * i + 3, a);
		finished(w, 10 * i + 3);
		assert_int_equal(view(a).failures, 0);
	}
}

/* A worker says "not ok" of a fault of its own only; no client needs to agree. */
static void
test_not_ok_is_the_workers_own_word(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 8);
	unsigned id = 1;

	/* Ctrl-C */
	for (; id <= 5; id++) {
		place(w, id, a);
		started(w, a, id);
		assert_int_equal(ended(w, a, id, true), 0);
		sched_owner_gone(w->s, 100 + id, w->now);
	}
	assert_int_equal(view(a).failures, 0);
	place(w, id, a);
	started(w, a, id);
	assert_int_equal(ended(w, a, id, false), 0);
	assert_int_equal(view(a).failures, 1);
	assert_int_equal(ended(w, a, id, false), -ENOENT);
	assert_int_equal(view(a).failures, 1);
	/* The client's word then counts no second time, nor its silence. */
	assert_int_equal(retry(w, id, "a", FAULT), 0);
	take(w);
	pass(w, 5000);
	assert_int_equal(view(a).failures, 1);
}

/* Nor is its word lost if the client's comes first, and the job has gone on. Both are of one
 * failure. */
static void
test_its_word_comes_after_the_clients(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 8);

	for (unsigned i = 1; i <= 3; i++) {
		complain(w, i, 7, a);
		assert_int_equal(view(a).trust, SCHED_TRUSTED);
		assert_int_equal(ended(w, a, i, false), -ENOENT);
		assert_int_equal(view(a).failures, i);
	}
	assert_int_equal(view(a).trust, SCHED_SHUNNED);
	sched_worker_gone(w->s, a, w->now);
	a = worker(w, "b", 8);
	for (unsigned i = 11; i <= 12; i++) {
		complain(w, i, i, a);
		assert_int_equal(ended(w, a, i, false), -ENOENT);
	}
	assert_int_equal(view(a).failures, 2);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
}

/* A job from before the penalty is no probe, however late its end comes; of the probe itself the
 * worker's word counts late, too. */
static void
test_an_old_job_is_no_probe(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 8);

	complain(w, 1, 7, a);
	for (unsigned id = 2; id <= 4; id++)
		spoil(w, id, a);
	assert_int_equal(view(a).trust, SCHED_SHUNNED);
	pass(w, 10000);
	assert_int_equal(view(a).trust, SCHED_PROBED);
	assert_int_equal(ended(w, a, 1, false), -ENOENT);
	assert_int_equal(view(a).trust, SCHED_PROBED);
	complain(w, 5, 7, a);
	assert_int_equal(view(a).trust, SCHED_PROBED);
	assert_int_equal(ended(w, a, 5, false), -ENOENT);
	assert_int_equal(view(a).trust, SCHED_SHUNNED);
}

static void
test_worker_gone(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2), *b;

	place(w, 1, a);
	place(w, 2, a);
	started(w, a, 1);
	ask(w, 3);
	take(w);
	sched_worker_gone(w->s, a, w->now);
	/* Nothing is placed by itself. Jobs that only waited are denied, since no worker is left.
	 */
	assert_int_equal(take(w), 1);
	expect_deny(w, 0, 3, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_null(sched_worker_find(w->s, "a"));
	b = worker(w, "b", 4);
	assert_int_equal(take(w), 0);
	assert_int_equal(retry(w, 1, "a", FAULT), 0);
	take(w);
	expect_place(w, 0, 1, b);
	assert_int_equal(retry(w, 2, "a", FAULT), 0);
	take(w);
	expect_place(w, 0, 2, b);
	/* Its loss was one failure, not one for each job; and that outlives the connection. */
	a = worker(w, "a", 2);
	assert_int_equal(view(a).failures, 1);
	assert_int_equal(view(a).used, 0);
}

static void
test_worker_comes_back_with_its_jobs(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);
	struct job_id running[3] = { jid(1), jid(50), jid(3) };
	struct sched_offer offer = { tc(1), "t" };
	struct sched_worker_info info = { .name = "a",
		.endpoint = "e",
		.curve = "",
		.offers = &offer,
		.n_offers = 1,
		.slots = 4,
		.glibc = 36,
		.running = running,
		.n_running = 3 };

	place(w, 1, a);
	place(w, 2, a);
	started(w, a, 1);
	started(w, a, 2);
	sched_worker_gone(w->s, a, w->now);
	take(w);
	/* 1 still runs there; 50 is from before a restart of ours; 3 was never heard of either. */
	assert_int_equal(sched_worker_set(w->s, &info, w->now, &a), 0);
	assert_int_equal(take(w), 0);
	assert_int_equal(view(a).used, 3);
	place(w, 4, a);
	ask(w, 5);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(ended(w, a, 50, true), 0);
	take(w);
	expect_place(w, 0, 5, a);
	assert_int_equal(finished(w, 1), 0);
	assert_int_equal(view(a).used, 4);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(view(a).used, 3);
	/* The client of 3 asks this coordinator afresh: the old run is stopped. */
	assert_int_equal(ask_of(w, 3, 103, 1, 0, true), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	expect_place(w, 1, 3, a);
}

static void
test_start_after_our_restart_uses_a_slot(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	started(w, a, 9);
	assert_int_equal(view(a).used, 1);
	ask(w, 1);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(ended(w, a, 9, true), 0);
	take(w);
	expect_place(w, 0, 1, a);
}

static void
test_foreign_jobs_use_slots(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	sched_worker_heard(w->s, a, 2, w->now);
	ask(w, 1);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	sched_worker_heard(w->s, a, 1, w->now);
	take(w);
	expect_place(w, 0, 1, a);
	sched_worker_heard(w->s, a, 1000000, w->now); /* a lie only harms the liar */
	assert_int_equal(stats(w).used, 2);
	sched_worker_heard(w->s, a, 0, w->now);
	place(w, 2, a);
}

static void
test_owner_gone(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(ask_of(w, i, 7, 1, 0, true), 0);
	compiles(w, a, 1);
	take(w);
	sched_owner_gone(w->s, 7, w->now);
	assert_int_equal(take(w), 2);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	assert_int_equal(w->last[1].type, SCHED_CANCEL);
	assert_int_equal(stats(w).queued, 0);
	/* What ran has its slot until the worker has killed it, or for five seconds. */
	assert_int_equal(view(a).used, 1);
	pass(w, 5000);
	assert_int_equal(view(a).used, 0);
	assert_int_equal(stats(w).jobs, 0);
	assert_int_equal(view(a).failures, 0);
}

static void
test_drains(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	place(w, 1, a);
	ask(w, 2);
	take(w);
	sched_worker_drain(w->s, a, w->now);
	take(w);
	expect_deny(w, 0, 2, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_int_equal(view(a).used, 1);
	worker(w, "b", 1);
	ask(w, 3);
	ask(w, 4);
	take(w);
	sched_drain(w->s, w->now);
	assert_int_equal(take(w), 1);
	expect_deny(w, 0, 4, DRAY__VERDICT__VERDICT_DRAINING);
	ask(w, 5);
	take(w);
	expect_deny(w, 0, 5, DRAY__VERDICT__VERDICT_DRAINING);
	assert_int_equal(retry(w, 3, "b", FAULT), 0);
	take(w);
	expect_deny(w, w->n - 1, 3, DRAY__VERDICT__VERDICT_DRAINING);
}

static void
test_offers_may_change(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 1, 36, 1, 2);

	place(w, 1, a);
	ask(w, 2);
	assert_int_equal(ask_of(w, 3, 103, 2, 0, true), 0);
	take(w);
	/* Toolchain 1 is no longer there, and jobs that wait for it are denied. Job 1 still holds
	 * its slot. */
	a = worker_of(w, "a", 1, 36, 2, 2);
	take(w);
	assert_int_equal(w->n, 1);
	expect_deny(w, 0, 2, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_int_equal(finished(w, 1), 0);
	take(w);
	expect_place(w, 0, 3, a);
	assert_int_equal(ask_of(w, 4, 104, 3, 0, true), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
}

static void
test_forgets_after_a_while(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	spoil(w, 1, a);
	sched_worker_gone(w->s, a, w->now);
	pass(w, 599999);
	a = worker(w, "a", 1);
	assert_int_equal(view(a).failures, 1);
	sched_worker_gone(w->s, a, w->now);
	pass(w, 600000);
	a = worker(w, "a", 1);
	assert_int_equal(view(a).failures, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_full_costs_no_trust),
		T(test_honest_verdicts_cost_no_trust),
		T(test_trust_is_lost_probed_and_regained),
		T(test_probe_that_says_nothing_is_tried_again),
		T(test_success_between_failures),
		T(test_full_is_a_workers_word),
		T(test_one_clients_word_is_no_evidence),
		T(test_not_ok_is_the_workers_own_word),
		T(test_its_word_comes_after_the_clients),
		T(test_an_old_job_is_no_probe),
		T(test_worker_gone),
		T(test_worker_comes_back_with_its_jobs),
		T(test_start_after_our_restart_uses_a_slot),
		T(test_foreign_jobs_use_slots),
		T(test_owner_gone),
		T(test_drains),
		T(test_offers_may_change),
		T(test_forgets_after_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
