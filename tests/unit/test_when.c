/* Times as text: what is read back, what people write, what is none. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/text/when.h"

static void
log_times(void **state)
{
	static const char *const bad[] = { "", "2", "2026", "2026-11-21", "2026-11-21T10:00:00",
		"2026-13-21T10:00:00Z", "2026-11-32T10:00:00Z", "2026-11-21T24:00:00Z",
		"2026-11-21T10:60:00Z", "2026-11-21T10:00:61Z", "2026-11-21T10Z", "2026-11-21T",
		"2026-11-21T1", "2026-11-21T10:", "2026-11-21T10:00:00:00Z",
		"2026-11-21T10:00:00ZZ", "2026/11/21T10:00:00Z", "1800-01-01T00:00:00Z",
		"x026-11-21T10:00:00Z" };
	char text[WHEN_SIZE];
	uint64_t ms;

	assert_true(when_parse("2026-11-21T03:52:30.123Z", &ms));
	assert_int_equal(ms, UINT64_C(1795233150123));
	when_format(ms, text);
	assert_string_equal(text, "2026-11-21T03:52:30.123Z");
	assert_true(when_parse("2026-11-21T03:52:30.1Z", &ms));
	assert_int_equal(ms % 1000, 100);
	assert_true(when_parse("2026-11-21T03:52:30.123456789Z", &ms));
	assert_int_equal(ms % 1000, 123);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (when_parse(bad[i], &ms))
			fail_msg("%s", bad[i]);
}

static void
users_times(void **state)
{
	const uint64_t now = UINT64_C(1795233150123);
	static const char *const bad[] = { "", "5", "m", "5y", "-5m", "1h30", "1.5h", " 1h", "1h ",
		"99999999999h", "now", "2026-11-21T", "2026-11-21 10:00", "2026-11-21T10:00X" };
	uint64_t ms, utc;

	setenv("TZ", "XYZ-2", 1);
	tzset();
	assert_true(when_parse_since("30m", now, &ms));
	assert_int_equal(now - ms, 1800 * 1000);
	assert_true(when_parse_since("1h30m5s", now, &ms));
	assert_int_equal(now - ms, 5405 * 1000);
	assert_true(when_parse_since("2d", now, &ms));
	assert_int_equal(now - ms, 2 * 86400 * 1000);
	assert_true(when_parse_since("1w", now, &ms));
	assert_int_equal(now - ms, 7 * 86400 * 1000);
	assert_true(when_parse_since("999999w", now, &ms));
	assert_int_equal(ms, 0);
	assert_true(when_parse_since("2026-11-21T10:00Z", now, &utc));
	assert_int_equal(utc, UINT64_C(1795255200000));
	/* two hours east of Greenwich */
	assert_true(when_parse_since("2026-11-21T12:00", now, &ms));
	assert_int_equal(ms, utc);
	assert_true(when_parse_since("2026-11-21T12:00:05", now, &ms));
	assert_int_equal(ms, utc + 5000);
	assert_true(when_parse_since("2026-11-21", now, &ms));
	assert_int_equal(ms, utc - 12 * 3600 * 1000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (when_parse_since(bad[i], now, &ms))
			fail_msg("%s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_times),
		cmocka_unit_test(users_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
