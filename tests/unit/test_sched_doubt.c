/* A worker offers a toolchain that it does not have, or clients say so. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

#define LACKS DRAY__VERDICT__VERDICT_NO_TOOLCHAIN
#define DOUBT_MS 600000u

static void
ask_tc(struct world *w, unsigned id, uint64_t account, unsigned toolchain)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = account,
		.toolchain = tc(toolchain),
		.may_wait = true };

	assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
}

/* A job of that key is placed there, and its client says that the toolchain is not there. */
static void
denounce(
	struct world *w, unsigned id, uint64_t account, unsigned toolchain, struct sched_worker *on)
{
	struct job_id j = jid(id);

	ask_tc(w, id, account, toolchain);
	take(w);
	expect_place(w, w->n - 1, id, on);
	assert_int_equal(retry(w, id, view(on).name, LACKS), 0);
	take(w);
	sched_job_cancel(w->s, 100 + id, &j, w->now);
	take(w);
}

static unsigned
told(struct world *w)
{
	struct sched_doubt d;
	unsigned n = 0;

	while (sched_doubt_news(w->s, &d)) {
		assert_string_equal(d.worker, "a");
		assert_true(digest_eq(&d.toolchain, &(struct digest){ .b = { 1 } }));
		assert_true(d.ms >= DOUBT_MS);
		n++;
	}
	return n;
}

static void
give_back(struct world *w, unsigned id)
{
	struct job_id j = jid(id);

	sched_job_cancel(w->s, 100 + id, &j, w->now);
	take(w);
}

/* One key's word counts for its own jobs: they are denied without a try, and all others go there.
 */
static void
test_one_key(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 4, 36, 1, 2);

	for (unsigned i = 1; i <= 5; i++) {
		if (i == 1) {
			denounce(w, i, 7, 1, a);
			continue;
		}
		/* it says it without having been there */
		ask_tc(w, i, 7, 1);
		take(w);
		expect_deny(w, 0, i, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
	}
	assert_int_equal(told(w), 0);
	assert_int_equal(view(a).n_doubted, 0);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	ask_tc(w, 20, 8, 1);
	assert_int_equal(take_place(w), 20);
	give_back(w, 20);
	/* another toolchain of the same worker, and the same one elsewhere */
	ask_tc(w, 21, 7, 2);
	assert_int_equal(take_place(w), 21);
	give_back(w, 21);
	worker(w, "b", 1);
	ask_tc(w, 22, 7, 1);
	assert_int_equal(take_place(w), 22);
	assert_string_equal(w->last[0].worker ? view(w->last[0].worker).name : "", "b");
	give_back(w, 22);
	/* it is forgotten in time */
	sched_worker_gone(w->s, sched_worker_find(w->s, "b"), w->now);
	take(w);
	pass(w, DOUBT_MS + 1);
	take(w);
	ask_tc(w, 23, 7, 1);
	assert_int_equal(take_place(w), 23);
}

/* The same key twice, of jobs that were placed before its first word, is one key. */
static void
test_same_key(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 4);

	for (unsigned i = 1; i <= 2; i++) {
		ask_tc(w, i, 7, 1);
		assert_int_equal(take_place(w), i);
	}
	assert_int_equal(retry(w, 1, "a", LACKS), 0);
	assert_int_equal(retry(w, 2, "a", LACKS), 0);
	take(w);
	assert_int_equal(view(a).n_doubted, 0);
	assert_int_equal(told(w), 0);
}

/* Two keys': nobody's go there, also those that wait; its other toolchain is not touched. */
static void
test_two_keys(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 4, 36, 1, 2);

	denounce(w, 1, 7, 1, a);
	denounce(w, 2, 8, 1, a);
	assert_int_equal(told(w), 1);
	assert_int_equal(told(w), 0);
	assert_int_equal(view(a).n_doubted, 1);
	assert_int_equal(stats(w).doubted, 1);
	assert_int_equal(view(a).trust, SCHED_TRUSTED);
	ask_tc(w, 3, 9, 1);
	take(w);
	expect_deny(w, 0, 3, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_non_null(strstr(w->text, "since clients say that they lack it"));
	ask_tc(w, 4, 9, 2);
	assert_int_equal(take_place(w), 4);
	give_back(w, 4);
	/* it registers again, and goes on lying */
	a = worker_of(w, "a", 4, 36, 1, 2);
	assert_int_equal(view(a).n_doubted, 1);
	sched_worker_gone(w->s, a, w->now);
	take(w);
	a = worker_of(w, "a", 4, 36, 1, 2);
	take(w);
	ask_tc(w, 5, 9, 1);
	take(w);
	expect_deny(w, 0, 5, DRAY__VERDICT__VERDICT_NO_WORKER);
	/* time */
	pass(w, DOUBT_MS + 1);
	take(w);
	assert_int_equal(view(a).n_doubted, 0);
	ask_tc(w, 6, 9, 1);
	assert_int_equal(take_place(w), 6);
	give_back(w, 6);
	/* twice as long the second time */
	denounce(w, 10, 7, 1, a);
	denounce(w, 11, 8, 1, a);
	assert_int_equal(told(w), 1);
	pass(w, DOUBT_MS + 1);
	take(w);
	assert_int_equal(view(a).n_doubted, 1);
	pass(w, DOUBT_MS);
	take(w);
	assert_int_equal(view(a).n_doubted, 0);
}

/* Jobs that wait for it are denied when it is shut, and one that has it elsewhere goes on. */
static void
test_waiting(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id two = jid(2);

	denounce(w, 1, 7, 1, a);
	ask_tc(w, 2, 8, 1);
	assert_int_equal(take_place(w), 2);
	ask_tc(w, 3, 9, 1);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(sched_job_retry(w->s, 102, &two, "a", LACKS, "not here", w->now), 0);
	take(w);
	assert_int_equal(w->n, 3);
	for (unsigned i = 0; i < w->n; i++)
		assert_true(w->last[i].type == SCHED_DENY || w->last[i].type == SCHED_CANCEL);
	assert_int_equal(stats(w).queued, 0);
}

static void
test_admin(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	assert_false(sched_worker_believe(w->s, "a", w->now));
	denounce(w, 1, 7, 1, a);
	assert_false(sched_worker_believe(w->s, "a", w->now));
	ask_tc(w, 2, 7, 1);
	take(w);
	expect_deny(w, 0, 2, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
	denounce(w, 3, 8, 1, a);
	assert_int_equal(view(a).n_doubted, 1);
	assert_true(sched_worker_believe(w->s, "a", w->now));
	take(w);
	assert_int_equal(view(a).n_doubted, 0);
	ask_tc(w, 4, 7, 1);
	assert_int_equal(take_place(w), 4);
}

/* What clients invent is bounded; a worker that is forgotten leaves nothing that would be used. */
static void
test_bounds(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 300; i++) {
		char name[16];
		struct sched_worker *x;

		snprintf(name, sizeof(name), "w%u", i);
		x = worker_of(w, name, 1, 36, 10 + i, 1);
		denounce(w, 2 * i + 1, 7, 10 + i, x);
		denounce(w, 2 * i + 2, 8, 10 + i, x);
		assert_int_equal(view(x).n_doubted, 1);
		sched_worker_gone(w->s, x, w->now);
		take(w);
	}
	pass(w, 4 * DOUBT_MS);
	take(w);
	assert_int_equal(stats(w).doubted, 0);
}

/* One that keeps an offer shut stays, whatever else is said, and an admin can end it. */
static void
test_shut_stays(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 1, 36, 1, 1);

	denounce(w, 1, 7, 1, a);
	denounce(w, 2, 8, 1, a);
	assert_int_equal(view(a).n_doubted, 1);
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "w%u", i);
		denounce(w, 10 + i, 20 + i, 10 + i, worker_of(w, name, 1, 36, 10 + i, 1));
	}
	assert_int_equal(view(a).n_doubted, 1);
	assert_true(sched_worker_believe(w->s, "a", w->now));
	assert_int_equal(view(a).n_doubted, 0);
}

/* One key's words end its own eldest, and not what another key has said. */
static void
test_one_keys_words(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 1, 36, 1, 1);

	denounce(w, 1, 7, 1, a);
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "w%u", i);
		denounce(w, 10 + i, 9, 10 + i, worker_of(w, name, 1, 36, 10 + i, 1));
	}
	denounce(w, 2, 8, 1, a);
	assert_int_equal(view(a).n_doubted, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_key),
		T(test_same_key),
		T(test_two_keys),
		T(test_waiting),
		T(test_admin),
		T(test_bounds),
		T(test_shut_stays),
		T(test_one_keys_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
