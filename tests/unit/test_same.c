/* cache/same.c: two compiles of one unit made the same, but for what rustc calls its own directory.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/result.h"
#include "cache/same.h"

#define DIR_A "rustcAbCd12"
#define DIR_B "rustcZyXw98"

/* Of a program: one call of the linker, one temporary. */
static struct same
same_as(const char *link, size_t n, const char *temporary)
{
	struct result r = RESULT_INIT;
	struct buf *to = result_add_link(&r);
	struct output *o = result_add_temporary(&r, temporary);
	struct same ret;

	assert_non_null(to);
	assert_non_null(o);
	assert_int_equal(buf_add(to, link, n), 0);
	assert_int_equal(same_of(&r, &ret), 0);
	result_done(&r);
	return ret;
}

#define SAME(link, temporary) same_as(link, sizeof(link), temporary)

static bool
equal(struct same a, struct same b)
{
	return same_eq(&a, &b);
}

static void
directories_of_its_own(void **state)
{
	const struct same a = SAME(
		"cc\0/t/" DIR_A "/symbols.o\0/t/" DIR_A "\0", DIR_A "/symbols.o");

	(void)state;
	assert_true(
		equal(a, SAME("cc\0/t/" DIR_B "/symbols.o\0/t/" DIR_B "\0", DIR_B "/symbols.o")));
	/* the directory itself, and what is in it */
	assert_false(
		equal(a, SAME("cc\0/t/" DIR_B "/symbols.o\0/t/" DIR_B "x\0", DIR_B "/symbols.o")));
	assert_false(
		equal(a, SAME("cc\0/t/" DIR_B "/symbols.x\0/t/" DIR_B "\0", DIR_B "/symbols.o")));
	assert_false(
		equal(a, SAME("cc\0/t/" DIR_B "/symbols.o\0/t/" DIR_B "\0", DIR_B "/symbols.x")));
	/* not in the middle of a name */
	assert_false(equal(SAME("cc\0/t/x" DIR_A "\0", "o"), SAME("cc\0/t/x" DIR_B "\0", "o")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
