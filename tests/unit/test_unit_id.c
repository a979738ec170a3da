/* Ids of units: what a line calls its unit and what others call it are the same. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/log/unit_id.h"

static void
assert_ids(const char *stem, const char *path, const char *want)
{
	char id[UNIT_ID_SIZE];

	unit_id(stem, strlen(stem), id);
	assert_string_equal(id, want);
	unit_id_of_path(path, id);
	assert_string_equal(id, want);
}

static void
stems_and_paths(void **state)
{
	assert_ids("serde-1a2b3c4d5e6f7a8b", "/t/debug/deps/libserde-1a2b3c4d5e6f7a8b.rmeta",
		"1a2b3c4d");
	assert_ids("serde-1a2b3c4d5e6f7a8b", "libserde-1a2b3c4d5e6f7a8b.rlib", "1a2b3c4d");
	assert_ids("libc-1a2b3c4d", "deps/liblibc-1a2b3c4d.so", "1a2b3c4d");
	/* of a hash there are eight digits; else it is none */
	assert_ids("plain", "/t/libplain.so", "plain");
	assert_ids("plain-1a2b3c4", "/t/libplain-1a2b3c4.rlib", "plain-1a2b3c4");
	assert_ids("plain-1A2B3C4D", "/t/libplain-1A2B3C4D.rlib", "plain-1A2B3C4D");
	assert_ids("a-12345678-b", "/t/liba-12345678-b.rlib", "a-12345678-b");
	assert_ids("a b", "/t/liba b.rlib", "a_b");
	assert_ids("", "/t/lib", "");
}

static void
assert_place(const char *path, const char *want)
{
	char id[UNIT_ID_SIZE];

	unit_id_of_place(path, id);
	assert_string_equal(id, want);
}

static void
places(void **state)
{
	assert_place("/t/debug/build/zstd-sys-1a2b3c4d5e6f7a8b/out", "1a2b3c4d");
	assert_place("/t/debug/build/zstd-sys-1a2b3c4d5e6f7a8b/build-script-build", "1a2b3c4d");
	/* layout v2 */
	assert_place("/t/debug/build/zstd-sys/1a2b3c4d5e6f7a8b/out", "1a2b3c4d");
	assert_place("/t/debug/build/zstd-sys/1a2b3c4d5e6f7a8b/out/build_script_build", "1a2b3c4d");
	/* no hash, one with more digits, too far above */
	assert_place("/t/debug/build/zstd-sys-1a2b3c4d5e6f7a8/out", "");
	assert_place("/t/debug/build/zstd-sys-01a2b3c4d5e6f7a8b/out", "");
	assert_place("/t/a-1a2b3c4d5e6f7a8b/b/c/d", "");
	assert_place("1a2b3c4d5e6f7a8b", "1a2b3c4d");
	assert_place("", "");
	assert_place("/", "");
}

static void
long_ones_are_cut(void **state)
{
	char stem[300], id[UNIT_ID_SIZE];

	memset(stem, 'a', sizeof(stem));
	unit_id(stem, sizeof(stem), id);
	assert_int_equal(strlen(id), UNIT_ID_SIZE - 1);
}

static void
a_list_is_bounded(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char id[UNIT_ID_SIZE];
	unsigned n = 0;

	assert_int_equal(unit_id_list_add(&b, "11111111"), 0);
	assert_int_equal(unit_id_list_add(&b, "11111111"), 0);
	assert_int_equal(unit_id_list_add(&b, "1"), 0);
	assert_int_equal(unit_id_list_add(&b, "11"), 0);
	assert_string_equal((const char *)b.p, "11111111 1 11");
	buf_done(&b);
	b = (struct buf)BUF_INIT;
	for (int r = 0; r == 0; n += r == 0) {
		snprintf(id, sizeof(id), "%08x", n);
		r = unit_id_list_add(&b, id);
		assert_true(r == 0 || r == -E2BIG);
	}
	assert_int_equal(n, 113);
	assert_true(b.n <= UNIT_ID_LIST_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stems_and_paths),
		cmocka_unit_test(places),
		cmocka_unit_test(long_ones_are_cut),
		cmocka_unit_test(a_list_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
