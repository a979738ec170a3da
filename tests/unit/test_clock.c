/* Dates: as gmtime_r says them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"

static void
assert_same(time_t t)
{
	struct tm a, b;

	assert_non_null(gmtime_r(&t, &a));
	clock_utc(t, &b);
	assert_int_equal(a.tm_year, b.tm_year);
	assert_int_equal(a.tm_mon, b.tm_mon);
	assert_int_equal(a.tm_mday, b.tm_mday);
	assert_int_equal(a.tm_hour, b.tm_hour);
	assert_int_equal(a.tm_min, b.tm_min);
	assert_int_equal(a.tm_sec, b.tm_sec);
}

/* Each day's end and the next one's begin, for 500 years: leap years of all kinds. */
static void
test_utc(void **state)
{
	for (int64_t day = 0; day < 500 * 366; day++) {
		assert_same((time_t)(day * 86400));
		assert_same((time_t)(day * 86400 + 86399));
	}
	assert_same(1795914079);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
