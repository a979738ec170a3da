/* The latest pairs, and their numbers. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/recent.h"

static struct digest
blob(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

static void
test_numbers_stay(void **state)
{
	_cleanup_(recent_freep) struct recent *r = NULL;
	struct digest first = blob(0), d;
	uint64_t *v;

	(void)state;
	assert_int_equal(recent_new(5000, 2, &r), 0);
	assert_null(recent_find(r, "a", &first));
	v = recent_add(r, "a", &first);
	assert_int_equal(v[0], 0);
	assert_int_equal(v[1], 0);
	v[0] = UINT64_MAX;
	v[1] = 7;
	assert_null(recent_find(r, "b", &first));
	/* it grows, and its two halves change places several times */
	for (unsigned i = 1; i < 40000; i++) {
		d = blob(i);
		v = recent_add(r, "a", &d);
		assert_int_equal(v[0], 0);
		v[0] = i;
		v = recent_add(r, "a", &first);
		assert_int_equal(v[0], UINT64_MAX);
		assert_int_equal(v[1], 7);
	}
	for (unsigned i = 40000 - 4999; i < 40000; i++) {
		d = blob(i);
		v = recent_find(r, "a", &d);
		assert_non_null(v);
		assert_int_equal(v[0], i);
	}
	d = blob(1);
	assert_null(recent_find(r, "a", &d));
}

static void
test_small(void **state)
{
	_cleanup_(recent_freep) struct recent *r = NULL;
	struct digest a = blob(1), b = blob(2);

	(void)state;
	assert_int_equal(recent_new(1, RECENT_VALUES_MAX + 1, &r), -EINVAL);
	assert_int_equal(recent_new(0, 0, &r), 0);
	for (int i = 0; i < 10; i++) {
		assert_non_null(recent_add(r, "", &a));
		assert_non_null(recent_find(r, "", &a));
		assert_non_null(recent_add(r, "", &b));
		assert_non_null(recent_find(r, "", &b));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_stay),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
