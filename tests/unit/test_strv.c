/* strv: always a list that exec could take; all or nothing on failure. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/strv.h"

static void
check_list(const struct strv *s, const char *const *want)
{
	size_t n = 0;

	for (; want[n]; n++) {
		assert_true(n < s->n);
		assert_string_equal(s->v[n], want[n]);
	}
	assert_int_equal(s->n, n);
	if (s->v)
		assert_null(s->v[n]);
}

static void
test_add(void **state)
{
	_cleanup_(strv_done) struct strv s = STRV_INIT;

	assert_null(s.v);
	assert_int_equal(strv_add(&s, "a"), 0);
	assert_int_equal(strv_addn(&s, "bcd", 2), 0);
	assert_int_equal(strv_addn(&s, NULL, 0), 0);
	assert_int_equal(strv_addf(&s, "%d-%s", 7, "x"), 0);
	assert_int_equal(strv_take(&s, strdup("own")), 0);
	check_list(&s, (const char *[]){ "a", "bc", "", "7-x", "own", NULL });
	assert_true(strv_has(&s, "bc"));
	assert_false(strv_has(&s, "b"));
}

static void
test_grows(void **state)
{
	_cleanup_(strv_done) struct strv s = STRV_INIT;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(strv_addf(&s, "%d", i), 0);
		assert_null(s.v[s.n]);
	}
	assert_string_equal(s.v[0], "0");
	assert_string_equal(s.v[999], "999");
}

static void
test_take_null_is_out_of_memory(void **state)
{
	_cleanup_(strv_done) struct strv s = STRV_INIT;

	assert_int_equal(strv_add(&s, "a"), 0);
	/* For strv_take(&s, path_join(…)) without a check between. */
	assert_int_equal(strv_take(&s, NULL), -ENOMEM);
	assert_int_equal(strv_addn(&s, "x", SIZE_MAX), -ENOMEM);
	check_list(&s, (const char *[]){ "a", NULL });
}

static void
test_add_all(void **state)
{
	_cleanup_(strv_done) struct strv s = STRV_INIT;
	char x[] = "x", y[] = "y";

	assert_int_equal(strv_add_all(&s, NULL), 0);
	assert_int_equal(strv_add_all(&s, (char *[]){ x, y, NULL }), 0);
	assert_int_equal(strv_add_all(&s, (char *[]){ NULL }), 0);
	check_list(&s, (const char *[]){ "x", "y", NULL });
	assert_ptr_not_equal(s.v[0], x);
}

static void
test_sort_unique(void **state)
{
	_cleanup_(strv_done) struct strv s = STRV_INIT;
	char *list[] = { (char[]){ "b" }, (char[]){ "a" }, (char[]){ "b" }, (char[]){ "" },
		(char[]){ "a" }, NULL };

	strv_sort_unique(&s);
	assert_int_equal(s.n, 0);
	assert_int_equal(strv_add_all(&s, list), 0);
	strv_sort_unique(&s);
	check_list(&s, (const char *[]){ "", "a", "b", NULL });
	strv_done(&s);
	assert_null(s.v);
	assert_int_equal(strv_add(&s, "again"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_take_null_is_out_of_memory),
		cmocka_unit_test(test_add_all),
		cmocka_unit_test(test_sort_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
