/* local_only: what was given back is found again, by package, version and crate, for a while. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client/wrap/local_only.h"
#include "common/fs.h"

#define NOW UINT64_C(2000000000)
#define DAY UINT64_C(86400)

static char *dir;

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	setenv("CARGO_PKG_NAME", "pkg", 1);
	setenv("CARGO_PKG_VERSION", "1.0.0", 1);
	return fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-local-only-", &dir);
}

static int
tear_down(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static void
test_found_again(void **state)
{
	char reason[LOCAL_ONLY_REASON_MAX];

	assert_false(local_only_find(dir, "a", NOW, reason));
	assert_int_equal(local_only_add(dir, "a", NOW, "needs the\tnetwork\n"), 0);
	assert_true(local_only_find(dir, "a", NOW + 1, reason));
	assert_string_equal(reason, "needs the network ");
	assert_false(local_only_find(dir, "b", NOW, reason));
	setenv("CARGO_PKG_VERSION", "1.0.1", 1);
	assert_false(local_only_find(dir, "a", NOW, reason));
	unsetenv("CARGO_PKG_NAME");
	assert_false(local_only_find(dir, "a", NOW, reason));
	assert_int_equal(local_only_add(dir, "a", NOW, "x"), 0);
}

static void
test_forgotten(void **state)
{
	char reason[LOCAL_ONLY_REASON_MAX];

	assert_int_equal(local_only_forget(dir), 0);
	assert_int_equal(local_only_add(dir, "a", NOW, "x"), 0);
	assert_true(local_only_find(dir, "a", NOW + 29 * DAY, reason));
	assert_false(local_only_find(dir, "a", NOW + 31 * DAY, reason));
	/* the clock went back */
	assert_false(local_only_find(dir, "a", NOW - 1, reason));
	assert_int_equal(local_only_forget(dir), 0);
	assert_false(local_only_find(dir, "a", NOW, reason));
}

static void
test_rubbish(void **state)
{
	static const char text[] =
		"\n\t\t\t\t\nx\ty\n12\tpkg\t1.0.0\ta\n2000000000x\tpkg\t1.0.0\ta\tz\n"
		"1999999999\tpkg\t1.0.0\ta\tgood\n2000000000\tpkg\t1.0.0\ta\tno end";
	_cleanup_(freep) char *path = path_join(dir, LOCAL_ONLY_FILE);
	char reason[LOCAL_ONLY_REASON_MAX];

	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600), 0);
	assert_true(local_only_find(dir, "a", NOW, reason));
	assert_string_equal(reason, "good");
}

static void
test_bounded(void **state)
{
	_cleanup_(freep) char *path = path_join(dir, LOCAL_ONLY_FILE);
	char crate[32], reason[LOCAL_ONLY_REASON_MAX];
	char long_reason[200];
	struct stat st;

	memset(long_reason, 'r', sizeof(long_reason) - 1);
	long_reason[sizeof(long_reason) - 1] = '\0';
	for (int i = 0; i < 3000; i++) {
		snprintf(crate, sizeof(crate), "crate%d", i);
		assert_int_equal(local_only_add(dir, crate, NOW, long_reason), 0);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 300 * 1024);
	assert_true(local_only_find(dir, "crate2999", NOW, reason));
	assert_false(local_only_find(dir, "crate0", NOW, reason));
}

/* A file that grew past all bounds by other hands does not end it. */
static void
test_overgrown(void **state)
{
	_cleanup_(freep) char *path = path_join(dir, LOCAL_ONLY_FILE);
	_cleanup_(freep) char *rubbish = malloc(700 * 1024);
	char reason[LOCAL_ONLY_REASON_MAX];

	assert_non_null(rubbish);
	memset(rubbish, '\n', 700 * 1024);
	assert_int_equal(fs_write_atomic(path, rubbish, 700 * 1024, 0600), 0);
	assert_false(local_only_find(dir, "a", NOW, reason));
	assert_int_equal(local_only_add(dir, "a", NOW, "x"), 0);
	assert_int_equal(local_only_add(dir, "a", NOW, "x"), 0);
	assert_true(local_only_find(dir, "a", NOW, reason));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rubbish, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overgrown, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
