/* Which blobs a client may name without sending them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/peers/owners.h"

static struct digest
blob(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

static void
test_each_for_itself(void **state)
{
	_cleanup_(owners_freep) struct owners *o = NULL;
	struct digest a = blob(1), b = blob(2), made = blob(3);

	(void)state;
	assert_int_equal(owners_new(100, &o), 0);
	assert_false(owners_has(o, "ann", &a));
	owners_add(o, "ann", &a);
	owners_add(o, "ann", &a);
	assert_true(owners_has(o, "ann", &a));
	assert_false(owners_has(o, "bob", &a));
	assert_false(owners_has(o, "", &a));
	assert_false(owners_has(o, "ann", &b));
	owners_add(o, "", &b);
	assert_true(owners_has(o, "", &b));
	assert_false(owners_has(o, "ann", &b));
	/* what is a client's is not everybody's, whatever that client is called */
	owners_add(o, "*", &b);
	assert_false(owners_has(o, "bob", &b));
	owners_add(o, NULL, &made);
	assert_true(owners_has(o, "bob", &made));
	assert_true(owners_has(o, "", &made));
}

static void
test_the_latest_are_kept(void **state)
{
	_cleanup_(owners_freep) struct owners *o = NULL;
	struct digest first = blob(0), d;

	(void)state;
	assert_int_equal(owners_new(100, &o), 0);
	for (unsigned i = 0; i < 1000; i++) {
		d = blob(i);
		owners_add(o, "ann", &d);
		/* used, so it stays */
		assert_true(owners_has(o, "ann", &first));
		for (unsigned k = i > 98 ? i - 98 : 0; k <= i; k++) {
			d = blob(k);
			assert_true(i % 100 || owners_has(o, "ann", &d));
		}
	}
	d = blob(1);
	assert_false(owners_has(o, "ann", &d));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_for_itself),
		cmocka_unit_test(test_the_latest_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
