/* Lists of subordinate ids, as useradd(8) writes them and as people break them. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/subids.h"

static int
read_text(const char *text, const char *name, uid_t uid, struct subids_range *ret)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	assert_non_null(f);
	r = subids_read(f, name, uid, ret);
	fclose(f);
	return r;
}

static void
test_by_name_and_number(void **state)
{
	static const char list[] = "ann:100000:65536\nbob:165536:65536\n1234:300000:10\n"
				   "ann:400000:70000\nann:500000:60000\n";
	struct subids_range r = { 0, 0 };

	(void)state;
	assert_int_equal(read_text(list, "bob", 7, &r), 0);
	assert_int_equal(r.first, 165536);
	assert_int_equal(r.count, 65536);
	/* the largest */
	assert_int_equal(read_text(list, "ann", 7, &r), 0);
	assert_int_equal(r.first, 400000);
	assert_int_equal(read_text(list, NULL, 1234, &r), 0);
	assert_int_equal(r.first, 300000);
	assert_int_equal(read_text(list, "an", 7, &r), -ENOENT);
	assert_int_equal(read_text(list, NULL, 7, &r), -ENOENT);
}

static void
test_rubbish(void **state)
{
	static const char *const lists[] = { "\n", "ann\n", "ann:\n", "ann:1\n", "ann::5\n",
		"ann:x:5\n", "ann:5:x\n", "ann:-5:5\n", "ann:5:-5\n", "ann:5:5:5\n", "ann:0:5\n",
		"ann:5:0\n", "ann:4294967295:5\n", "ann:4294967290:10\n",
		"ann:99999999999999999999:5\n", ":5:5\n", "# ann:5:5\n" };
	struct subids_range r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (read_text(lists[i], "ann", 7, &r) != -ENOENT)
			fail_msg("%s", lists[i]);
	assert_int_equal(read_text("ann:5:5", "ann", 7, &r), 0);
}

static void
test_roots_without_a_list(void **state)
{
	_cleanup_(freep) char *why = NULL;
	struct subids_range u, g;

	(void)state;
	assert_int_equal(subids_find("no-such-user-here", 4000000, 5, true, &u, &g, &why), 0);
	assert_int_equal(u.first, SUBIDS_ROOTS);
	assert_int_equal(u.count, 5);
	assert_int_equal(g.first, SUBIDS_ROOTS);
	assert_int_equal(
		subids_find("no-such-user-here", 4000000, 5, false, &u, &g, &why), -ENOTSUP);
	assert_non_null(strstr(why, "usermod --add-subuids"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name_and_number),
		cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_roots_without_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
