/* A list of stores: what it means, what is refused, and that no error shows a secret. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/chain/list.h"

static void
test_fine(void **state)
{
	struct chain_list l = { .n = 7 };
	char *why = NULL;

	assert_int_equal(chain_list_parse("", &l, &why), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(chain_list_parse(" \t\n", &l, &why), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(chain_list_parse("file:///a", &l, &why), 0);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.urls[0], "file:///a");
	assert_false(l.read_only[0]);
	chain_list_done(&l);
	assert_int_equal(chain_list_parse("file:///a  ro ,redis://u:p%2C@h/2?prefix=x%20/ rw,\n\t"
					  "file:///b?mode=ro, https://h/?mode=rw ",
				 &l, &why),
		0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.urls[0], "file:///a?mode=ro");
	assert_string_equal(l.urls[1], "redis://u:p%2C@h/2?prefix=x%20/&mode=rw");
	assert_string_equal(l.urls[2], "file:///b?mode=ro");
	assert_true(l.read_only[0] && !l.read_only[1] && l.read_only[2] && !l.read_only[3]);
	assert_null(strstr(l.shown[1], "p%2C"));
	assert_null(why);
	chain_list_done(&l);
	assert_int_equal(l.n, 0);
	assert_int_equal(chain_list_parse("redis://h? ro", &l, &why), 0);
	assert_string_equal(l.urls[0], "redis://h?mode=ro");
	chain_list_done(&l);
	assert_int_equal(chain_list_parse("redis://h?prefix=x? ro", &l, &why), 0);
	assert_string_equal(l.urls[0], "redis://h?prefix=x?&mode=ro");
	chain_list_done(&l);
	assert_int_equal(
		chain_list_parse("file:///a own, file:///a ro, file:///b?mode=own", &l, &why), 0);
	assert_string_equal(l.urls[0], "file:///a?mode=own");
	assert_true(l.own[0] && !l.own[1] && l.own[2]);
	assert_true(!l.read_only[0] && l.read_only[1] && !l.read_only[2]);
	chain_list_done(&l);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ ",", "store 1 of the list is empty" },
		{ "file:///a,", "store 2 of the list is empty" },
		{ "file:///a, , file:///b", "store 2 of the list is empty" },
		{ "file:///a r/o", "store 1 of the list: behind its URL" },
		{ "file:///a ro rw", "store 1 of the list: behind its URL" },
		{ "file:///a, file:///b s3cret", "store 2 of the list: behind its URL" },
		{ "redis://:s3cret word@h", "store 1 of the list" },
		{ "redis://:s3cret,word@h", "store 1 of the list" },
		{ "ftp://u:s3cret@h/", "store 1 of the list" },
		{ "file:///a?mode=ro rw", "store 1 of the list: its URL says mode=ro" },
		{ "file:///a, redis://:s3cret@h, redis://:s3cret@h", "stores 2 and 3" },
		{ "file:///1,file:///2,file:///3,file:///4,file:///5,file:///6,file:///7,file:///8,"
		  "file:///9",
			"there may be 8" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct chain_list l = { .n = 7 };
		_cleanup_(freep) char *why = NULL;

		assert_int_equal(chain_list_parse(rows[i].text, &l, &why), -EINVAL);
		assert_int_equal(l.n, 7);
		assert_non_null(why);
		if (strstr(why, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].text, why);
		assert_null(strstr(why, "s3cret"));
		assert_null(strstr(why, "word"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fine),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
