/* toolchain/cpu.c: which machines compile the same for "native". */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>

#include "toolchain/cpu.h"

static void
test_arm_parts(void **state)
{
	static const char a[] = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n"
				"CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nprocessor\t: 1\n"
				"BogoMIPS\t: 50.01\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
				"CPU part\t: 0xd05\n";
	_cleanup_(freep) char *parts = cpu_arm_parts(a);
	_cleanup_(freep) char *none = cpu_arm_parts("processor : 0\nmodel name : x\n");

	/* no number of a core, no clock; each part once */
	assert_string_equal(parts, "CPU implementer\t: 0x41\nCPU part\t: 0xd05\n"
				   "CPU part\t: 0xd0c\nFeatures\t: fp asimd\n");
	assert_string_equal(none, "");
}

/* The same whichever core it runs on; else no two jobs would find each other. */
static void
test_stays_the_same(void **state)
{
	struct digest a, b;
	int r = cpu_digest(&a);

	if (r == -ENOTSUP)
		skip();
	assert_int_equal(r, 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(cpu_digest(&b), 0);
		assert_true(digest_eq(&a, &b));
	}
}

static void
test_another_toolchain(void **state)
{
	struct digest one = { { 1 } }, two = { { 2 } }, a, b, c;

	if (cpu_native_toolchain(&one, &a) == -ENOTSUP)
		skip();
	assert_int_equal(cpu_native_toolchain(&one, &b), 0);
	assert_int_equal(cpu_native_toolchain(&two, &c), 0);
	assert_true(digest_eq(&a, &b));
	assert_false(digest_eq(&a, &c));
	assert_false(digest_eq(&a, &one));
	/* as another machine makes it of what this one says of its CPU */
	assert_int_equal(cpu_digest(&b), 0);
	assert_int_equal(cpu_native_of(&one, &b, &c), 0);
	assert_true(digest_eq(&a, &c));
	b.b[0] ^= 1;
	assert_int_equal(cpu_native_of(&one, &b, &c), 0);
	assert_false(digest_eq(&a, &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arm_parts),
		cmocka_unit_test(test_stays_the_same),
		cmocka_unit_test(test_another_toolchain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
