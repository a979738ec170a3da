/* cargo's places, by name, in both layouts. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/outdir/layout.h"

static void
expect(const char *dir, enum layout_place place, const char *profile)
{
	size_t n = 99;

	assert_int_equal(layout_find(dir, &n), place);
	assert_int_equal(n, strlen(profile));
	assert_memory_equal(dir, profile, n);
}

static void
test_v1(void **state)
{
	expect("/w/target/debug/deps", LAYOUT_UNITS, "/w/target/debug");
	expect("/w/target/debug/examples", LAYOUT_UNITS, "/w/target/debug");
	expect("/w/t/x86_64-unknown-linux-gnu/release/deps", LAYOUT_UNITS,
		"/w/t/x86_64-unknown-linux-gnu/release");
	expect("/w/target/debug/build/a-b-0123456789abcdef", LAYOUT_SCRIPT, "/w/target/debug");
	expect("/w/target/debug/build/a-0123456789abcdef/out", LAYOUT_OUT, "/w/target/debug");
	expect("/w/target/debug/build/a-0123456789abcdef/out/probe", LAYOUT_OUT, "/w/target/debug");
}

static void
test_v2(void **state)
{
	expect("/w/target/debug/build/a/0123456789abcdef/out", LAYOUT_UNIT, "/w/target/debug");
	expect("/w/target/debug/build/a/0123456789abcdef/out/probe", LAYOUT_OUT, "/w/target/debug");
	/* the sources themselves may lie below a "build" */
	expect("/build/p/t/debug/build/a/0123456789abcdef/out", LAYOUT_UNIT, "/build/p/t/debug");
	expect("/build/p/0123456789abcdef/t/debug/deps", LAYOUT_UNITS,
		"/build/p/0123456789abcdef/t/debug");
}

static void
test_none(void **state)
{
	static const char *const dirs[] = { "/", "/deps", "/w/out", "/build", "/w/build/",
		"/w/build/a", "/w/build/a/0123456789abcdef", "/w/build/a/0123456789abcdef/run",
		"/w/build/a/0123456789abcde/out", "/w/build/a/0123456789abcdeF/out",
		"/w/build/a-0123456789abcde", "/w/build/-0123456789abcdef", "/w/build/a/outer",
		"" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		expect(dirs[i], LAYOUT_NONE, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
