/* Twins: jobs of equal hints are placed together, without slots of their own. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

#define V(name) DRAY__VERDICT__VERDICT_##name

/* A job of that kin (0: it has no hint), for the account of its own number. */
static void
ask_kin(struct world *w, unsigned id, unsigned kin)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = id,
		.toolchain = tc(1),
		.kin = tc(kin),
		.may_wait = true };

	assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	take(w);
}

/* It ends well, and the worker has what it made for a while. */
static void
kept(struct world *w, struct sched_worker *on, unsigned id)
{
	struct job_id j = jid(id);

	sched_job_kept(w->s, on, &j);
	assert_int_equal(ended(w, on, id, true), 0);
}

static void
expect_queued(struct world *w, unsigned id)
{
	assert_int_equal(w->n, 1);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(jnum(&w->last[0].job), id);
}

static void
expect_placed(struct world *w, unsigned i, unsigned id, struct sched_worker *on, bool twin)
{
	expect_place(w, i, id, on);
	assert_int_equal(w->last[i].twin, twin);
}

static void
expect_cancel(struct world *w, unsigned id, struct sched_worker *on)
{
	assert_int_equal(w->n, 1);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	assert_int_equal(jnum(&w->last[0].job), id);
	assert_ptr_equal(w->last[0].worker, on);
}

static void
cancel(struct world *w, unsigned id)
{
	struct job_id j = jid(id);

	assert_int_equal(sched_job_cancel(w->s, 100 + id, &j, w->now), 0);
	take(w);
}

/* Which jobs are twins of what runs, by what they ask for. */
static void
test_who_is_a_twin(void **state)
{
	static const struct {
		const char *what;
		unsigned kin, toolchain, glibc;
		bool twin;
	} rows[] = {
		{ "the same", 7, 1, 0, true },
		{ "an older glibc will do", 7, 1, 36, true },
		{ "another hint", 8, 1, 0, false },
		{ "no hint", 0, 1, 0, false },
		{ "another toolchain", 7, 2, 0, false },
		{ "a glibc that the worker does not have", 7, 1, 37, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sched_job_info info = { .id = jid(2),
			.owner = 102,
			.toolchain = tc(rows[i].toolchain),
			.kin = tc(rows[i].kin),
			.glibc = rows[i].glibc,
			.may_wait = true };
		struct world *w = NULL;
		struct sched_worker *a;

		setup((void **)&w);
		/* b would be chosen, since it has nothing to do */
		a = worker_of(w, "a", 2, 36, 1, 2);
		ask_kin(w, 1, 7);
		worker_of(w, "b", 2, 38, 1, 2);
		assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
		take(w);
		assert_int_equal(w->n, 1);
		assert_int_equal(w->last[0].type, SCHED_PLACE);
		if (w->last[0].twin != rows[i].twin || (w->last[0].worker == a) != rows[i].twin)
			fail_msg("%s", rows[i].what);
		assert_int_equal(view(a).used, 1);
		teardown((void **)&w);
	}
}

/* A full worker takes twins, as many as it said; the next one waits for a slot. */
static void
test_no_slot(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask_kin(w, 1, 7);
	expect_placed(w, 0, 1, a, false);
	started(w, a, 1);
	for (unsigned i = 2; i <= 3; i++) {
		ask_kin(w, i, 7);
		assert_int_equal(w->n, 1);
		expect_placed(w, 0, i, a, true);
		started(w, a, i);
	}
	ask_kin(w, 4, 7);
	expect_queued(w, 4);
	assert_int_equal(view(a).used, 1);
	assert_int_equal(view(a).twins, 2);
	/* the worker's heartbeat counts slots */
	sched_worker_heard(w->s, a, 1, w->now);
	assert_int_equal(view(a).used, 1);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(ended(w, a, i, true), 0);
		assert_int_equal(finished(w, i), 0);
	}
	take(w);
	expect_placed(w, 0, 4, a, false);
	assert_int_equal(view(a).twins, 0);
	assert_int_equal(stats(w).twins, 2);
}

/* A worker that joins none, and one that is on its way out, get none. */
static void
test_where_not(void **state)
{
	struct world *w = *state;
	struct sched_offer offer = { tc(1), "x" };
	struct sched_worker_info info = { .name = "old",
		.endpoint = "tcp://x:1",
		.curve = "k",
		.offers = &offer,
		.n_offers = 1,
		.slots = 2,
		.glibc = 36 };
	struct sched_worker *old, *a;

	assert_int_equal(sched_worker_set(w->s, &info, w->now, &old), 0);
	ask_kin(w, 1, 7);
	expect_placed(w, 0, 1, old, false);
	ask_kin(w, 2, 7);
	expect_placed(w, 0, 2, old, false);
	a = worker(w, "a", 2);
	ask_kin(w, 3, 8);
	expect_placed(w, 0, 3, a, false);
	sched_worker_drain(w->s, a, w->now);
	ask_kin(w, 4, 8);
	expect_queued(w, 4);
}

/* Those that wait are placed with the first of them. */
static void
test_placed_together(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask_kin(w, 1, 0);
	ask_kin(w, 2, 7);
	ask_kin(w, 3, 0);
	ask_kin(w, 4, 7);
	expect_queued(w, 4);
	started(w, a, 1);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take(w), 2);
	expect_placed(w, 0, 2, a, false);
	expect_placed(w, 1, 4, a, true);
}

/* What has just ended well is there for a while: a twin that comes late needs no slot. */
static void
test_just_ended(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	kept(w, a, 1);
	assert_int_equal(finished(w, 1), 0);
	ask_kin(w, 2, 0);
	expect_placed(w, 0, 2, a, false);
	pass(w, 2000);
	ask_kin(w, 3, 7);
	expect_placed(w, 0, 3, a, true);
	started(w, a, 3);
	/* It was not there any more: the next one is not sent there. */
	assert_int_equal(retry(w, 3, "a", V(TWIN_LOST)), 0);
	take(w);
	expect_queued(w, 3);
	ask_kin(w, 4, 7);
	expect_queued(w, 4);
	started(w, a, 2);
	assert_int_equal(ended(w, a, 2, true), 0);
	assert_int_equal(take(w), 2);
	expect_placed(w, 0, 3, a, false);
	expect_placed(w, 1, 4, a, true);
	/* and after a while it is forgotten */
	started(w, a, 3);
	started(w, a, 4);
	kept(w, a, 3);
	assert_int_equal(ended(w, a, 4, true), 0);
	assert_int_equal(finished(w, 3), 0);
	assert_int_equal(finished(w, 4), 0);
	pass(w, 10000);
	ask_kin(w, 5, 7);
	expect_placed(w, 0, 5, a, false);
	/* its own key wants it compiled again */
	started(w, a, 5);
	kept(w, a, 5);
	assert_int_equal(finished(w, 5), 0);
	ask_kin(w, 5, 7);
	expect_placed(w, 0, 5, a, false);
	/* one that the worker does not keep */
	pass(w, 2000);
	take(w);
	started(w, a, 5);
	pass(w, 8000);
	assert_int_equal(ended(w, a, 5, true), 0);
	assert_int_equal(finished(w, 5), 0);
	ask_kin(w, 6, 7);
	expect_placed(w, 0, 6, a, false);
}

/* One that was told otherwise goes on alone, where it was, too; that costs nobody trust or tries.
 */
static void
test_differs(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	started(w, a, 2);
	assert_int_equal(retry(w, 2, "a", V(TWIN_DIFFERS)), 0);
	assert_int_equal(take(w), 1);
	expect_placed(w, 0, 2, a, false);
	assert_int_equal(view(a).used, 2);
	assert_int_equal(view(a).twins, 0);
	assert_int_equal(view(a).failures, 0);
	/* nor does anybody join it */
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(finished(w, 1), 0);
	pass(w, 10000);
	ask_kin(w, 3, 7);
	expect_placed(w, 0, 3, a, false);
}

/* One that is told for the second time that there is nothing is alone: of the same hint another job
 * may run there as long as it likes. */
static void
test_lost_again(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	expect_placed(w, 0, 2, a, true);
	started(w, a, 2);
	assert_int_equal(retry(w, 2, "a", V(TWIN_LOST)), 0);
	take(w);
	expect_placed(w, 0, 2, a, true);
	assert_int_equal(retry(w, 2, "a", V(TWIN_LOST)), 0);
	take(w);
	expect_placed(w, 0, 2, a, false);
	assert_int_equal(view(a).used, 2);
}

/* A job that has a slot is no twin, whatever its client says: its worker ends it, and it does not
 * get there again. */
static void
test_says_it_was_a_twin(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id j = jid(1);

	ask_kin(w, 1, 7);
	assert_false(sched_job_is_twin(w->s, &j));
	started(w, a, 1);
	retry(w, 1, "a", V(TWIN_LOST));
	take(w);
	assert_true(w->n > 0);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	for (unsigned i = 1; i < w->n; i++)
		assert_int_not_equal(w->last[i].type, SCHED_PLACE);
}

/* The owner leaves: its slot is the twin's, until that leaves, too. */
static void
test_owner_leaves(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	started(w, a, 2);
	sched_owner_gone(w->s, 101, w->now);
	take(w);
	expect_cancel(w, 1, a);
	pass(w, 60000);
	take(w);
	assert_int_equal(view(a).used, 1);
	/* one more joins what goes on */
	ask_kin(w, 3, 7);
	expect_placed(w, 0, 3, a, true);
	started(w, a, 3);
	cancel(w, 2);
	expect_cancel(w, 2, a);
	assert_int_equal(ended(w, a, 2, true), 0);
	take(w);
	assert_int_equal(view(a).used, 1);
	cancel(w, 3);
	expect_cancel(w, 3, a);
	pass(w, 500);
	take(w);
	expect_cancel(w, 1, a);
	/* the worker says that its slot is free, or is given up */
	pass(w, 5000);
	take(w);
	assert_int_equal(view(a).used, 0);
	assert_int_equal(view(a).twins, 0);
	assert_int_equal(stats(w).jobs, 0);
}

/* What goes on for a twin ends as any other. */
static void
test_ends_for_the_twin(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	started(w, a, 2);
	cancel(w, 1);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(view(a).used, 0);
	assert_int_equal(ended(w, a, 2, true), 0);
	assert_int_equal(finished(w, 2), 0);
	assert_int_equal(stats(w).jobs, 0);
}

/* The shares: a twin costs its key nothing, until the slot is its own. */
static void
test_shares(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id j = jid(1);

	/* keys 1 and 2 begin alike; 1 pays for both */
	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	started(w, a, 2);
	pass(w, 10000);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, 10000000, w->now), 0);
	assert_int_equal(ended(w, a, 2, true), 0);
	take(w);
	ask_kin(w, 3, 0);
	expect_placed(w, 0, 3, a, false);
	for (unsigned i = 1; i <= 2; i++) {
		struct sched_job_info info = { .id = jid(10 + i),
			.owner = 110 + i,
			.account = i,
			.toolchain = tc(1),
			.may_wait = true };

		assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	}
	take(w);
	started(w, a, 3);
	assert_int_equal(ended(w, a, 3, true), 0);
	assert_int_equal(take(w), 1);
	expect_placed(w, 0, 12, a, false);
}

static void
test_shares_after_the_owner(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id j = jid(1);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	started(w, a, 2);
	for (unsigned i = 1; i <= 2; i++) {
		struct sched_job_info info = { .id = jid(10 + i),
			.owner = 110 + i,
			.account = i,
			.toolchain = tc(1),
			.may_wait = true };

		assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	}
	cancel(w, 1);
	/* from now on it is 2's */
	pass(w, 10000);
	take(w);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, 0, w->now), 0);
	take(w);
	expect_placed(w, 0, 11, a, false);
}

/* The worker goes: all are placed again, together, and that is one failure. */
static void
test_worker_goes(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1), *b;

	ask_kin(w, 1, 7);
	started(w, a, 1);
	for (unsigned i = 2; i <= 3; i++) {
		ask_kin(w, i, 7);
		started(w, a, i);
	}
	b = worker(w, "b", 1);
	/* a client may be quicker than the coordinator */
	assert_int_equal(retry(w, 2, "a", V(WORKER_FAULT)), 0);
	take(w);
	expect_placed(w, w->n - 1, 2, b, false);
	assert_int_equal(view(a).failures, 0);
	sched_worker_gone(w->s, a, w->now);
	assert_int_equal(retry(w, 3, "a", V(WORKER_FAULT)), 0);
	take(w);
	expect_placed(w, 0, 3, b, true);
	assert_int_equal(retry(w, 1, "a", V(WORKER_FAULT)), 0);
	take(w);
	expect_placed(w, 0, 1, b, true);
	a = worker(w, "a", 1);
	assert_int_equal(view(a).failures, 1);
	assert_int_equal(view(a).twins, 0);
	assert_int_equal(view(b).used, 1);
}

/* A worker that registers again lists its twins. What it does not list is lost; what this
 * coordinator does not know has no slot. */
static void
test_registers_again(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);
	struct sched_offer offer = { tc(1), "x" };
	struct job_id running[] = { jid(1) }, joined[] = { jid(2), jid(77) };
	struct sched_worker_info info = { .name = "a",
		.endpoint = "tcp://x:1",
		.curve = "k",
		.offers = &offer,
		.n_offers = 1,
		.slots = 2,
		.glibc = 36,
		.running = running,
		.n_running = 1,
		.twins = 2,
		.joined = joined,
		.n_joined = 2 };

	ask_kin(w, 1, 7);
	started(w, a, 1);
	ask_kin(w, 2, 7);
	ask_kin(w, 3, 7);
	started(w, a, 3);
	assert_int_equal(sched_worker_set(w->s, &info, w->now, &a), 0);
	take(w);
	assert_int_equal(view(a).used, 1);
	assert_int_equal(view(a).twins, 1);
	assert_int_equal(stats(w).jobs, 3);
	assert_int_equal(retry(w, 3, "a", V(TWIN_LOST)), 0);
	take(w);
	expect_placed(w, 0, 3, a, true);
}

/* A twin that its client does not open is no waste of a slot. */
static void
test_not_opened(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 3);

	ask_kin(w, 1, 7);
	started(w, a, 1);
	for (unsigned i = 0; i < 4; i++) {
		struct sched_job_info info = { .id = jid(20 + i),
			.owner = 120 + i,
			.account = 9,
			.toolchain = tc(1),
			.kin = tc(7),
			.may_wait = true };

		assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
		take(w);
		expect_placed(w, 0, 20 + i, a, true);
		pass(w, LIFE);
		take(w);
		assert_int_equal(view(a).twins, 0);
		sched_owner_gone(w->s, 120 + i, w->now);
	}
	/* so that key may have a slot */
	assert_int_equal(sched_job_add(w->s,
				 &(struct sched_job_info){ .id = jid(30),
					 .owner = 130,
					 .account = 9,
					 .toolchain = tc(1),
					 .may_wait = true },
				 w->now),
		0);
	take(w);
	expect_placed(w, 0, 30, a, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_a_twin),
		T(test_no_slot),
		T(test_where_not),
		T(test_placed_together),
		T(test_just_ended),
		T(test_differs),
		T(test_lost_again),
		T(test_says_it_was_a_twin),
		T(test_owner_leaves),
		T(test_ends_for_the_twin),
		T(test_shares),
		T(test_shares_after_the_owner),
		T(test_worker_goes),
		T(test_registers_again),
		T(test_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
