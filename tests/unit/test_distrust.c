/* distrust: a worker that was noted is found by its key, or by its name where it has none, for as
 * long as it was said. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/wrap/distrust.h"
#include "common/buf.h"
#include "common/fs.h"

#define NOW UINT64_C(2000000000)
#define KEY "0123456789012345678901234567890123456789"

static char *dir;

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	return fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-distrust-", &dir);
}

static int
tear_down(void **state)
{
	(void)state;
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static bool
found(const char *key, const char *name, uint64_t now)
{
	char reason[DISTRUST_REASON_MAX];

	return distrust_find(dir, key, name, now, reason);
}

static void
test_found_again(void **state)
{
	char reason[DISTRUST_REASON_MAX];

	(void)state;
	assert_false(found(KEY, "w1", NOW));
	assert_int_equal(distrust_add(dir, KEY, "w\t1\n", NOW + 10, "held\tit"), 0);
	assert_true(distrust_find(dir, KEY, "another name", NOW, reason));
	assert_string_equal(reason, "held it");
	assert_true(found(KEY, "", NOW + 9));
	assert_false(found(KEY, "", NOW + 10));
	assert_int_equal(distrust_add(dir, KEY, "w1", DISTRUST_EVER, "lied"), 0);
	assert_true(found(KEY, "", NOW + 10000000));
	/* a key is not a name */
	assert_false(found("", "w1", NOW));
	assert_int_equal(distrust_add(dir, "", "w2", DISTRUST_EVER, "lied"), 0);
	assert_true(found("", "w2", NOW));
	assert_false(found(KEY "x", "w2", NOW));
}

static void
test_any_file(void **state)
{
	static const char text[] = "\n\t\t\t\nx\t" KEY "\tw\tr\n0 \t" KEY "\tw\tr\n0\t" KEY "\tw\n"
				   "0\tother\tw\tr\n0\t" KEY "\tw\tno end";
	_cleanup_(freep) char *path = path_join(dir, DISTRUST_FILE);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fs_write_atomic(path, text, sizeof(text) - 1, 0600), 0);
	assert_false(found(KEY, "w", NOW));
	assert_true(found("other", "w", NOW));
	/* and a file that grows no more */
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(buf_addf(&b, "1\t%s\tw\tan old line\n", KEY), 0);
	assert_int_equal(fs_write_atomic(path, b.p, b.n, 0600), 0);
	assert_int_equal(distrust_add(dir, KEY, "w", DISTRUST_EVER, "lied"), -EFBIG);
	assert_int_equal(distrust_add(NULL, KEY, "w", DISTRUST_EVER, "lied"), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
