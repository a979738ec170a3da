/* So many bytes an hour. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/cache/allowance.h"

#define HOUR 3600000u

static void
test_hour(void **state)
{
	struct allowance a = { .max = 1000 };

	(void)state;
	assert_true(allowance_take(&a, 600, 1000));
	assert_false(allowance_take(&a, 401, 1000));
	assert_true(allowance_take(&a, 400, 1000));
	assert_int_equal(allowance_taken(&a, 1000), 1000);
	assert_false(allowance_take(&a, 1, 1000));
	/* half an hour later half of it is back, and no more than all of it is saved */
	assert_int_equal(allowance_taken(&a, 1000 + HOUR / 2), 500);
	assert_false(allowance_take(&a, 501, 1000 + HOUR / 2));
	assert_true(allowance_take(&a, 500, 1000 + HOUR / 2));
	assert_int_equal(allowance_taken(&a, 1000 + 9 * HOUR), 0);
	assert_true(allowance_take(&a, 1000, 1000 + 9 * HOUR));
	assert_false(allowance_take(&a, 1, 1000 + 9 * HOUR));
	/* the clock is another's for once */
	assert_false(allowance_take(&a, 1, 0));
}

static void
test_back(void **state)
{
	struct allowance a = { .max = 1000 };

	(void)state;
	assert_true(allowance_take(&a, 900, 5));
	allowance_give_back(&a, 800);
	assert_int_equal(allowance_taken(&a, 5), 100);
	allowance_give_back(&a, 800);
	assert_int_equal(allowance_taken(&a, 5), 0);
	assert_false(allowance_take(&a, UINT64_MAX, 5));
}

static void
test_none(void **state)
{
	struct allowance a = { .max = 0 };

	(void)state;
	assert_true(allowance_take(&a, UINT64_MAX, 5));
	assert_int_equal(allowance_taken(&a, 5), 0);
	allowance_set(&a, 10);
	assert_false(allowance_take(&a, 11, 5));
	assert_true(allowance_take(&a, 10, 5));
	/* a smaller one: what was taken counts on */
	allowance_set(&a, 5);
	assert_false(allowance_take(&a, 1, 5));
	assert_true(allowance_take(&a, 5, 5 + 2 * HOUR));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hour),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
