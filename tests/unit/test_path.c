/* path: text only. What path_is_normal() accepts is what a peer may name. */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"

static void
check_owned(char *got, const char *want)
{
	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

static void
test_join(void **state)
{
	check_owned(path_join("a", "b"), "a/b");
	check_owned(path_join("/a/", "b"), "/a/b");
	check_owned(path_join("/a//", "//b/c"), "/a/b/c");
	check_owned(path_join("/", "b"), "/b");
	check_owned(path_join("", "b"), "b");
}

static void
test_normal(void **state)
{
	static const char *const good[] = { "/", "/a", "/a/b", "/...", "/.a", "/a.", "/..a/b..",
		"/a b\n" };
	static const char *const bad[] = { "", "a", "./a", "//", "/a/", "/a//b", "/.", "/..",
		"/a/.", "/a/..", "/./a", "/../a", "/a/./b", "/a/../b", "//a" };
	char text[PATH_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(path_is_normal(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (path_is_normal(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	text[PATH_MAX - 1] = '\0';
	assert_true(path_is_normal(text));
	text[PATH_MAX - 1] = 'x';
	text[PATH_MAX] = '\0';
	assert_false(path_is_normal(text));
}

static void
test_normalize(void **state)
{
	static const char *const rows[][3] = {
		{ "/w", "a", "/w/a" },
		{ "/w", "./a/../b", "/w/b" },
		{ "/w/x", "../..", "/" },
		{ "/w", "../../../..", "/" },
		{ "/w", "../../etc", "/etc" },
		{ "/w", "/abs//x/./y/", "/abs/x/y" },
		{ "/w", "", "/w" },
		{ "/", "a", "/a" },
		{ "/", ".", "/" },
		{ "/w/", "a//b", "/w/a/b" },
		{ "/w", "...", "/w/..." },
		{ "", "a", "/a" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *got = path_normalize(rows[i][0], rows[i][1]);

		assert_true(path_is_normal(got));
		check_owned(got, rows[i][2]);
	}
}

static void
test_below(void **state)
{
	assert_true(path_is_below("/a", "/a"));
	assert_true(path_is_below("/a/b", "/a"));
	assert_true(path_is_below("/a", "/"));
	assert_true(path_is_below("/", "/"));
	assert_false(path_is_below("/ab", "/a"));
	assert_false(path_is_below("/", "/a"));
	assert_false(path_is_below("/b/a", "/a"));
}

static void
test_names(void **state)
{
	assert_true(path_is_name("a"));
	assert_true(path_is_name("..."));
	assert_false(path_is_name(""));
	assert_false(path_is_name("."));
	assert_false(path_is_name(".."));
	assert_false(path_is_name("a/b"));
	assert_false(path_is_name("/"));
	assert_string_equal(path_basename("/a/b.c"), "b.c");
	assert_string_equal(path_basename("b"), "b");
	assert_string_equal(path_basename("/"), "");
	check_owned(path_dirname("/a/b"), "/a");
	check_owned(path_dirname("/a//b"), "/a");
	check_owned(path_dirname("/a"), "/");
	check_owned(path_dirname("//a"), "/");
	check_owned(path_dirname("a"), ".");
	check_owned(path_dirname("a/b/c"), "a/b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_normal),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
