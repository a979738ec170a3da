/* Which refills run: one of a client's key at a time, whatever it says of it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/cache/refills.h"

enum { ANN = 1, BOB, W1 = 10, W2, PEER = 20 };

static struct refill *
place(struct refills *r, const char *job, uint64_t account, uint64_t worker, uint64_t now)
{
	struct refill f = { .worker = worker, .client = PEER, .account = account };

	snprintf(f.job, sizeof(f.job), "%s", job);
	assert_true(refills_may(r, account));
	refills_add(r, &f, now);
	return refills_find(r, job);
}

static void
nothing_ends(struct refills *r, uint64_t now)
{
	assert_null(refills_next_cancel(r, false, now));
	refills_expire(r, now);
}

/* Its client says that it has all, or wants it no more, at once: it is the worker's word, or time,
 * that makes room for the next one. */
static void
test_one_of_a_key(void **state)
{
	struct refills r = { .n = 0 };
	struct refill *f = place(&r, "a", ANN, W1, 1000);

	(void)state;
	refills_leave(&r, f, 2000);
	assert_false(refills_may(&r, ANN));
	assert_true(refills_may(&r, BOB));
	nothing_ends(&r, 2000 + REFILL_LEFT_MS - 1);
	/* it runs on: its worker ends it */
	f = refills_next_cancel(&r, false, 2000 + REFILL_LEFT_MS);
	assert_non_null(f);
	assert_string_equal(f->job, "a");
	refills_expire(&r, 2000 + REFILL_LEFT_MS);
	assert_false(refills_may(&r, ANN));
	refills_end(&r, refills_find(&r, "a"));
	assert_true(refills_may(&r, ANN));
	f = place(&r, "b", ANN, W1, 50000);
	assert_true(refills_cancel(&r, f, 51000));
	assert_false(refills_cancel(&r, f, 51000));
	assert_false(refills_may(&r, ANN));
	nothing_ends(&r, 51000 + REFILL_LEFT_MS - 1);
	assert_false(refills_may(&r, ANN));
	nothing_ends(&r, 51000 + REFILL_LEFT_MS);
	assert_true(refills_may(&r, ANN));
}

/* One that is left says nothing new later; nor does a client that goes free its key. */
static void
test_gone(void **state)
{
	struct refills r = { .n = 0 };
	struct refill *f = place(&r, "a", ANN, W1, 1000);

	(void)state;
	refills_leave(&r, f, 2000);
	refills_leave(&r, f, 2000 + REFILL_LEFT_MS - 1);
	assert_non_null(refills_next_cancel(&r, false, 2000 + REFILL_LEFT_MS));
	refills_end(&r, f);
	(void)place(&r, "b", ANN, W2, 5000);
	refills_client_gone(&r, PEER);
	assert_false(refills_may(&r, ANN));
	assert_non_null(refills_next_cancel(&r, false, 5000));
	assert_false(refills_may(&r, ANN));
	refills_worker_gone(&r, W2);
	assert_true(refills_may(&r, ANN));
}

/* One that has no end is ended, and not forgotten while it runs. */
static void
test_without_end(void **state)
{
	struct refills r = { .n = 0 };

	(void)state;
	(void)place(&r, "a", ANN, W1, 1000);
	nothing_ends(&r, 1000 + REFILL_RUN_MS - 1);
	assert_non_null(refills_next_cancel(&r, false, 1000 + REFILL_RUN_MS));
	refills_expire(&r, 1000 + REFILL_RUN_MS);
	assert_ptr_equal(refills_of_worker(&r, W1), refills_find(&r, "a"));
	assert_null(refills_of_worker(&r, W2));
	assert_true(refills_runs_on(&r, W1));
	refills_expire(&r, 1000 + REFILL_RUN_MS + REFILL_LEFT_MS);
	assert_false(refills_runs_on(&r, W1));
}

/* Of one that is overdue its worker is told before it is forgotten: also where nobody asks first
 * what is to be cancelled. */
static void
test_none_is_forgotten_untold(void **state)
{
	struct refills r = { .n = 0 };
	const uint64_t end = 1000 + REFILL_RUN_MS;

	(void)state;
	place(&r, "a", ANN, W1, 1000);
	refills_expire(&r, end + REFILL_LEFT_MS);
	assert_non_null(refills_find(&r, "a"));
	assert_non_null(refills_next_cancel(&r, false, end + REFILL_LEFT_MS));
	assert_null(refills_next_cancel(&r, false, end + REFILL_LEFT_MS));
	refills_expire(&r, end + 2 * REFILL_LEFT_MS - 1);
	assert_non_null(refills_find(&r, "a"));
	refills_expire(&r, end + 2 * REFILL_LEFT_MS);
	assert_null(refills_find(&r, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_of_a_key),
		cmocka_unit_test(test_none_is_forgotten_untold), cmocka_unit_test(test_gone),
		cmocka_unit_test(test_without_end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
