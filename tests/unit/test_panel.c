/* The table of verdicts: what several workers made of a unit, and what follows. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/cache/panel.h"

static struct digest
number(unsigned n)
{
	struct digest d = { { 0 } };

	d.b[0] = (uint8_t)n;
	return d;
}

static void
test_panel(void **state)
{
	/* what each worker, by its letter, made; then what follows, and who is the odd one */
	static const struct {
		const char *workers, *made;
		enum panel_next next;
		char odd;
		const char *may; /* of "abcd" */
	} rows[] = {
		{ "a", "x", PANEL_ANOTHER, 0, "bcd" },
		{ "ab", "xx", PANEL_SAME, 0, "" },
		{ "ab", "xy", PANEL_ANOTHER, 0, "cd" },
		{ "abc", "xyz", PANEL_VARIES, 0, "" },
		{ "abc", "xyy", PANEL_AGAIN, 'a', "bcd" },
		{ "abc", "xyx", PANEL_AGAIN, 'b', "cd" },
		/* the unit itself comes out now so, now so */
		{ "abcb", "xyyx", PANEL_VARIES, 0, "" },
		{ "abcb", "xyyz", PANEL_VARIES, 0, "" },
		{ "abcc", "xyxy", PANEL_VARIES, 0, "" },
		{ "abcbcb", "xyyyyy", PANEL_AGAIN, 'a', "bcd" },
		{ "abcbcbc", "xyyyyyy", PANEL_ODD, 'a', "" },
		{ "abcdcdc", "xyxxxxx", PANEL_ODD, 'b', "" },
		{ "abcbcbc", "xyyyyyx", PANEL_VARIES, 0, "" },
	};

	const struct digest none = number(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct panel p = { .n = 0 };
		const char *odd;
		bool split = strspn(rows[i].made, "x") != strlen(rows[i].made);

		for (size_t k = 0; rows[i].made[k]; k++) {
			const char who[2] = { rows[i].workers[k], '\0' };
			const struct digest made = number((unsigned)rows[i].made[k]);

			panel_add(&p, who, &none, &made);
		}
		assert_int_equal(panel_judge(&p, &odd), rows[i].next);
		assert_int_equal(odd ? *odd : 0, rows[i].odd);
		assert_int_equal(panel_is_split(&p), split);
		for (const char *c = "abcd"; *c; c++) {
			const char who[2] = { *c, '\0' };

			assert_int_equal(panel_may_run(&p, who), strchr(rows[i].may, *c) != NULL);
		}
	}
}

/* Runs are counted by worker; an odd one has its like only among those that made something else. */
static void
test_alike(void **state)
{
	static const struct {
		const char *workers, *made, *kinds; /* '0': not said */
		char odd;
		bool alike;
	} rows[] = {
		{ "abc", "xyy", "kkl", 'a', true },
		{ "abc", "xyy", "lkk", 'a', false },
		{ "abc", "xyy", "000", 'a', false },
		{ "abc", "xyy", "0kk", 'a', false },
		{ "abc", "xyx", "klk", 'b', false },
		{ "abc", "xyx", "klk", 'd', false },
		{ "abc", "xyx", "lkk", 'b', true },
		{ "abcde", "xyyyy", "klllk", 'a', true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct panel p = { .n = 0 };
		const char odd[2] = { rows[i].odd, '\0' };

		for (size_t k = 0; rows[i].made[k]; k++) {
			const char who[2] = { rows[i].workers[k], '\0' };
			const struct digest made = number((unsigned)rows[i].made[k]),
					    kind = number((unsigned)rows[i].kinds[k] - '0');

			panel_add(&p, who, &kind, &made);
			assert_int_equal(panel_runs(&p, who), 1);
		}
		assert_int_equal(panel_runs(&p, "z"), 0);
		assert_int_equal(panel_is_alike(&p, odd), rows[i].alike);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_panel),
		cmocka_unit_test(test_alike) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
