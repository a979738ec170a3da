/* What counts as a refusal of the source itself. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rustc/refusal.h"

static bool
is_final(const char *text)
{
	return refusal_is_final(text, strlen(text));
}

static void
test_numbers(void **state)
{
	(void)state;
	assert_true(is_final("error[E0554]: `#![feature]` may not be used on the stable release "
			     "channel\n --> a.rs:1:1\n"));
	assert_true(is_final("warning: unused\nerror[E0308]: mismatched types\n\n"
			     "error[E0599]: no method\n\nerror: aborting due to 2 previous errors; "
			     "1 warning emitted\n\nFor more information\n"));
	assert_true(is_final("error[E0432]: unresolved import"));
}

static void
test_other_errors(void **state)
{
	(void)state;
	assert_false(is_final(""));
	assert_false(is_final("warning: unused\n"));
	assert_false(is_final("error: aborting due to 1 previous error\n"));
	assert_false(is_final("error: No space left on device (os error 28)\n"));
	assert_false(is_final("error[E0308]: mismatched types\nerror: couldn't read `a.rs`\n"));
	assert_false(is_final("error: linking with `cc` failed: exit status: 1\n"));
	assert_false(is_final("error: internal compiler error: x\nerror[E0308]: mismatched\n"));
	assert_false(is_final("error[E0308]: x\nthread 'rustc' panicked at x\n"));
}

static void
test_files(void **state)
{
	static const char *const numbers[] = { "E0454", "E0460", "E0463", "E0466", "E0514", "E0519",
		"E0583", "E0786" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		char text[64];

		snprintf(text, sizeof(text), "error[%s]: can't find it\n", numbers[i]);
		assert_false(is_final(text));
	}
}

static void
test_other_forms(void **state)
{
	(void)state;
	assert_false(is_final("\x1b[1merror[E0308]\x1b[0m: mismatched types\n"));
	assert_false(is_final("{\"message\":\"mismatched types\"}\nerror[E0308]: x\n"));
	assert_false(refusal_is_final("error[E0308]: x\n\0y", 18));
	assert_false(is_final("error[E030]: x\n"));
	assert_false(is_final("error[E0308"));
	assert_false(is_final("error[E0308]"));
	assert_false(is_final("error[EABCD]: x\n"));
	assert_false(is_final("error[E03088]: x\n"));
}

/* Any cut of it is looked at within its bounds (the sanitizers tell). */
static void
test_cuts(void **state)
{
	static const char text[] = "error[E0308]: x\nerror: aborting due to 1 previous error\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, text, n);
		if (n < sizeof("error[E0308]:") - 1)
			assert_false(refusal_is_final(copy, n));
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_other_errors),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_other_forms),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
