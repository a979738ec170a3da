/* What counts against a worker that does not hand over what it shared: what a client's jobs come to
 * is that client's matter alone. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/cache/lender.h"

struct room {
	struct lenders all;
	struct lender *l;
	uint64_t now;
};

static void
room_open(struct room *r)
{
	TAILQ_INIT(&r->all);
	r->l = lenders_get(&r->all, "worker");
	r->now = 1000;
	assert_non_null(r->l);
}

static enum lender_bar
fails(struct room *r, const char *client, unsigned n)
{
	enum lender_bar last = LENDER_NOT_BARRED;

	for (unsigned i = 0; i < n; i++)
		last = lender_note_failure(r->l, client, false, r->now);
	return last;
}

static bool
may(const struct room *r, const char *client)
{
	return lender_may_share(r->l, client, r->now);
}

static void
test_one_client(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	assert_int_equal(fails(&r, "ann", LENDER_FAILURES - 1), LENDER_NOT_BARRED);
	assert_true(may(&r, "ann"));
	assert_int_equal(fails(&r, "ann", 1), LENDER_BARRED_CLIENT);
	assert_false(may(&r, "ann"));
	assert_true(may(&r, "bob") && may(&r, "") && may(&r, NULL));
	assert_true(lender_may_share(lenders_find(&r.all, "another"), "ann", r.now));
	/* however often, and each time for longer */
	for (unsigned i = 1; i < 10; i++) {
		r.now += LENDER_BARRED_MAX_MS;
		assert_true(may(&r, "ann"));
		assert_int_equal(fails(&r, "ann", LENDER_FAILURES), LENDER_BARRED_CLIENT);
		r.now += MIN2((uint64_t)LENDER_BARRED_MS << i, (uint64_t)LENDER_BARRED_MAX_MS) - 1;
		assert_false(may(&r, "ann"));
		assert_true(may(&r, NULL));
	}
	lenders_done(&r.all);
}

/* Two keys; one that is not known is none; and what was long ago does not count. */
static void
test_two_clients(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	assert_int_equal(fails(&r, "ann", LENDER_FAILURES), LENDER_BARRED_CLIENT);
	assert_int_equal(fails(&r, "", LENDER_FAILURES), LENDER_BARRED_CLIENT);
	assert_true(may(&r, NULL));
	r.now += LENDER_BARRED_MS;
	assert_int_equal(fails(&r, "bob", LENDER_FAILURES), LENDER_BARRED_CLIENT);
	assert_true(may(&r, NULL) && may(&r, "ann"));
	assert_int_equal(fails(&r, "ann", LENDER_FAILURES), LENDER_BARRED_ALL);
	assert_false(may(&r, NULL) || may(&r, "eve"));
	r.now += LENDER_BARRED_MS;
	assert_true(may(&r, NULL) && may(&r, "eve"));
	assert_false(may(&r, "ann"));
	lenders_done(&r.all);
}

/* Its own doing is everybody's; one that is proof enough needs no second. */
static void
test_own(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	assert_int_equal(fails(&r, NULL, LENDER_FAILURES - 1), LENDER_NOT_BARRED);
	assert_int_equal(fails(&r, "ann", LENDER_FAILURES - 1), LENDER_NOT_BARRED);
	assert_int_equal(fails(&r, NULL, 1), LENDER_BARRED_ALL);
	assert_false(may(&r, "bob"));
	lenders_done(&r.all);
	room_open(&r);
	assert_int_equal(lender_note_failure(r.l, "ann", true, r.now), LENDER_BARRED_CLIENT);
	assert_false(may(&r, "ann"));
	lenders_done(&r.all);
}

/* Those that came out the same are of one client: they make good for what was of that client. */
static void
test_forgiven(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	(void)fails(&r, "ann", LENDER_FAILURES - 1);
	(void)fails(&r, NULL, LENDER_FAILURES - 1);
	for (unsigned i = 0; i < LENDER_GOOD; i++)
		lender_note_good(r.l, "bob");
	assert_int_equal(fails(&r, NULL, 1), LENDER_NOT_BARRED);
	assert_int_equal(fails(&r, "ann", 1), LENDER_BARRED_CLIENT);
	r.now += LENDER_BARRED_MS;
	(void)fails(&r, "ann", LENDER_FAILURES - 1);
	for (unsigned i = 0; i < LENDER_GOOD; i++)
		lender_note_good(r.l, "ann");
	assert_int_equal(fails(&r, "ann", 1), LENDER_NOT_BARRED);
	assert_int_equal(fails(&r, "ann", 1), LENDER_BARRED_CLIENT);
	lenders_done(&r.all);
}

/* Many clients cost a bounded memory. */
static void
test_many(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	for (unsigned i = 0; i < 3 * LENDER_TALLIES_MAX; i++) {
		char client[16];

		snprintf(client, sizeof(client), "c%u", i);
		(void)fails(&r, client, 1);
		assert_true(r.l->n_tallies <= LENDER_TALLIES_MAX);
	}
	lenders_done(&r.all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_client),
		cmocka_unit_test(test_two_clients), cmocka_unit_test(test_own),
		cmocka_unit_test(test_forgiven), cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
