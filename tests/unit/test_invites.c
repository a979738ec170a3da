/* Which client is asked to give a toolchain that no worker has: one at a time, and none again soon
 * that could not. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinator/give/invites.h"

enum { ANN = 1, BOB, CID, DAN };

static const struct digest one = { { 1 } }, two = { { 2 } };

static void
test_one_at_a_time(void **state)
{
	struct invites v = { .n_open = 0 };

	(void)state;
	assert_true(invites_ask(&v, &one, ANN, 1000));
	assert_false(invites_ask(&v, &one, ANN, 1001));
	assert_false(invites_ask(&v, &one, BOB, 1001));
	assert_true(invites_ask(&v, &two, BOB, 1001));
	/* one that says nothing of it is waited for no longer than this */
	assert_false(invites_ask(&v, &one, BOB, 1000 + INVITE_MS - 1));
	assert_true(invites_ask(&v, &one, BOB, 1000 + INVITE_MS));
}

static void
test_held_while_it_goes_on(void **state)
{
	struct invites v = { .n_open = 0 };
	uint64_t now = 1000;

	(void)state;
	assert_true(invites_ask(&v, &one, ANN, now));
	for (unsigned i = 0; i < 10; i++) {
		now += INVITE_MS - 1;
		invites_hold(&v, &one, ANN, now);
		assert_false(invites_ask(&v, &one, BOB, now));
	}
	/* one that nobody asked for it holds others off, too */
	invites_hold(&v, &two, CID, now);
	assert_false(invites_ask(&v, &two, BOB, now));
	assert_true(invites_ask(&v, &two, BOB, now + INVITE_MS));
	/* another's is not taken over */
	invites_hold(&v, &two, CID, now + INVITE_MS + 1);
	assert_false(invites_ask(&v, &two, CID, now + 2 * INVITE_MS - 1));
	assert_true(invites_ask(&v, &two, CID, now + 2 * INVITE_MS));
}

static void
test_held_without_an_end(void **state)
{
	struct invites v = { .n_open = 0 };
	uint64_t now = 1000;

	(void)state;
	for (; now < 1000 + INVITE_MOST_MS; now += INVITE_MS / 2) {
		invites_hold(&v, &one, ANN, now);
		assert_false(invites_ask(&v, &one, BOB, now));
	}
	/* it had its time: others are asked, and it holds nothing for a while */
	invites_hold(&v, &one, ANN, now);
	assert_non_null(invites_failed(&v, 0, now));
	invites_hold(&v, &one, ANN, now + 1);
	assert_true(invites_ask(&v, &one, BOB, now + 1));
}

static void
test_not_again_soon(void **state)
{
	struct invites v = { .n_open = 0 };

	(void)state;
	assert_true(invites_ask(&v, &one, ANN, 1000));
	invites_fail(&v, &one, ANN, 2000);
	invites_fail(&v, &one, ANN, 2000);
	assert_int_equal(v.n_failed, 1);
	assert_false(invites_ask(&v, &one, ANN, 2000 + INVITE_FAILED_MS - 1));
	assert_non_null(invites_failed(&v, 0, 2000));
	assert_null(invites_failed(&v, 1, 2000));
	/* another one may, at once, or it itself after a success */
	assert_true(invites_ask(&v, &one, BOB, 2001));
	invites_fail(&v, &one, BOB, 2002);
	invites_given(&v, &one, BOB);
	assert_true(invites_ask(&v, &one, BOB, 2003));
	assert_null(invites_failed(&v, 0, 2000 + INVITE_FAILED_MS));
	assert_false(invites_ask(&v, &one, ANN, 2003));
}

static void
test_when_several_could_not(void **state)
{
	struct invites v = { .n_open = 0 };

	(void)state;
	for (unsigned who = ANN; who <= CID; who++) {
		assert_true(invites_ask(&v, &one, who, 1000));
		invites_fail(&v, &one, who, 1000 + who);
	}
	assert_false(invites_ask(&v, &one, DAN, 2000));
	assert_true(invites_ask(&v, &two, DAN, 2000));
	assert_true(invites_ask(&v, &one, DAN, 1000 + ANN + INVITE_FAILED_MS));
}

static void
test_bounds(void **state)
{
	struct invites *v = calloc(1, sizeof(*v));
	struct digest d = { { 0 } };

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < INVITES_FAILED_MAX + 1; i++) {
		d.b[0] = (uint8_t)i;
		d.b[1] = (uint8_t)(i >> 8);
		invites_fail(v, &d, ANN, 1000 + i);
	}
	assert_int_equal(v->n_failed, INVITES_FAILED_MAX);
	/* of more the oldest is forgotten */
	d.b[0] = d.b[1] = 0;
	assert_true(invites_ask(v, &d, ANN, 2000));
	d.b[0] = 1;
	assert_false(invites_ask(v, &d, ANN, 2000));
	for (unsigned i = 1; i < INVITES_MAX; i++) {
		d.b[2] = (uint8_t)i;
		assert_true(invites_ask(v, &d, ANN, 2000));
	}
	d.b[2] = INVITES_MAX;
	assert_false(invites_ask(v, &d, ANN, 2000));
	/* what is held is let go, and never more than there is room for */
	invites_hold(v, &d, ANN, 2000);
	assert_int_equal(v->n_open, INVITES_MAX);
	free(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_held_while_it_goes_on),
		cmocka_unit_test(test_held_without_an_end),
		cmocka_unit_test(test_not_again_soon),
		cmocka_unit_test(test_when_several_could_not),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
