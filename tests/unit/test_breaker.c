/* When a place is left alone, and for how long. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/chain/breaker.h"

static void
fail_times(struct breaker *b, unsigned n, uint64_t now)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(breaker_may(b, now));
		assert_int_equal(breaker_failed(b, now), i + 1 == BREAKER_FAILURES);
	}
}

static void
test_opens_and_closes(void **state)
{
	struct breaker b = { .failures = 0 };

	fail_times(&b, BREAKER_FAILURES - 1, 1000);
	breaker_ok(&b);
	fail_times(&b, BREAKER_FAILURES, 1000);
	assert_true(breaker_is_open(&b));
	assert_false(breaker_may(&b, 1000));
	assert_false(breaker_may(&b, 1000 + BREAKER_REST_MS - 1));
	/* one tries; nobody beside it */
	assert_true(breaker_may(&b, 1000 + BREAKER_REST_MS));
	assert_false(breaker_may(&b, 1000 + BREAKER_REST_MS));
	breaker_ok(&b);
	assert_false(breaker_is_open(&b));
	fail_times(&b, BREAKER_FAILURES - 1, 2000);
	assert_true(breaker_may(&b, 2000));
}

static void
test_rests_longer(void **state)
{
	struct breaker b = { .failures = 0 };
	uint64_t now = 1, rest = BREAKER_REST_MS;

	fail_times(&b, BREAKER_FAILURES, now);
	for (unsigned i = 0; i < 20; i++) {
		assert_false(breaker_may(&b, now + rest - 1));
		now += rest;
		assert_true(breaker_may(&b, now));
		assert_true(breaker_failed(&b, now));
		rest = MIN2(rest * 2, (uint64_t)BREAKER_REST_MAX_MS);
	}
	assert_int_equal(rest, BREAKER_REST_MAX_MS);
	now += rest;
	assert_true(breaker_may(&b, now));
	breaker_ok(&b);
	fail_times(&b, BREAKER_FAILURES, now);
	assert_true(breaker_may(&b, now + BREAKER_REST_MS));
}

/* What was under way when it opened, and what says nothing. */
static void
test_stragglers(void **state)
{
	struct breaker b = { .failures = 0 };

	for (unsigned i = 0; i < 2 * BREAKER_FAILURES; i++)
		assert_true(breaker_may(&b, 10));
	for (unsigned i = 0; i < 2 * BREAKER_FAILURES; i++)
		assert_int_equal(breaker_failed(&b, 10 + i), i + 1 == BREAKER_FAILURES);
	assert_false(breaker_may(&b, 9 + BREAKER_REST_MS));
	assert_true(breaker_may(&b, 20 + BREAKER_REST_MS));
	breaker_unsure(&b);
	assert_true(breaker_is_open(&b));
	assert_true(breaker_may(&b, 20 + BREAKER_REST_MS));
	breaker_ok(&b);
	assert_true(breaker_may(&b, 20 + BREAKER_REST_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_and_closes),
		cmocka_unit_test(test_rests_longer),
		cmocka_unit_test(test_stragglers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
