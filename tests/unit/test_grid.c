/* Tables for people: their width, what is cut, and that nothing of what is in them moves a cursor.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drayctl/grid.h"

static const struct grid_column columns[] = { { "NAME", false, 4 }, { "N", true, 0 },
	{ "TEXT", false, 5 } };

static char *
print(const struct grid *g, unsigned width)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(grid_print(g, width, f), 0);
	fclose(f);
	return text;
}

static void
test_plain(void **state)
{
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	_cleanup_(freep) char *text = NULL;

	(void)state;
	grid_add(g, "a");
	grid_add(g, "%d", 100);
	grid_add(g, "first");
	grid_add(g, "longer");
	grid_add(g, "%d", 2);
	grid_add(g, "%s", "");
	assert_int_equal(grid_rows(g), 2);
	text = print(g, 80);
	assert_string_equal(text, "NAME      N  TEXT\n"
				  "a       100  first\n"
				  "longer    2\n");
}

static void
test_cut(void **state)
{
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	_cleanup_(freep) char *text = NULL, *narrow = NULL;

	(void)state;
	grid_add(g, "a-name-that-is-long");
	grid_add(g, "1");
	grid_add(g, "a text that is longer still");
	text = print(g, 30);
	assert_string_equal(text, "NAME          N  TEXT\n"
				  "a-name-that~  1  a text that ~\n");
	/* no further than each may be */
	narrow = print(g, 5);
	assert_string_equal(narrow, "NAME  N  TEXT\n"
				    "a-n~  1  a te~\n");
}

static void
test_hostile(void **state)
{
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	_cleanup_(freep) char *text = NULL;

	(void)state;
	grid_add(g, "%s", "\033[2Jx\r\n");
	grid_add(g, "%s",
		"\xc2\x9b"
		"1");
	grid_add(g, "%s", "\xe2\x80\xae\xc3\xa9");
	text = print(g, 80);
	assert_string_equal(text, "NAME      N  TEXT\n"
				  "?[2Jx??  ?1  ?\xc3\xa9\n");
	for (const char *s = text; *s; s++)
		assert_true(*s == '\n' || (unsigned char)*s >= ' ');
}

static void
test_width(void **state)
{
	(void)state;
	setenv("COLUMNS", "132", 1);
	assert_int_equal(grid_width(stdout), 132);
	setenv("COLUMNS", "x", 1);
	assert_true(grid_width(stdout) > 0);
	unsetenv("COLUMNS");
	assert_int_equal(grid_text_width("\xc3\xa9x"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
