/* What samples have shown, in its file: what is written is read again, by a coordinator that is
 * started later; lines that make no sense are left alone. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "coordinator/cache/judged.h"

#define CURVE "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"

static void
test_again(void **state)
{
	struct judged j = { NULL, 0, NULL, 0 }, again = { NULL, 0, NULL, 0 };
	struct judged_worker w = {
		.curve = CURVE, .since_s = 17, .name = "w 1", .why = "it made\nwhat no other makes"
	};
	struct judged_package p = { .namespace = "team",
		.since_s = 18,
		.crate = "ring",
		.source = "\x04/registry/src/x/ring 1/src/lib.rs" };
	const struct same_unit u = { .crate = "ring",
		.source = "\x04/registry/src/x/ring 1/src/lib.rs" },
			       other = { .crate = "ring", .source = "\x04/ring-2/src/lib.rs" };
	_cleanup_(freep) char *dir = NULL, *path = NULL;

	(void)state;
	memset(w.sign, 5, sizeof(w.sign));
	assert_int_equal(fs_make_temp_dir("/tmp", "test-judged-", &dir), 0);
	path = path_join(dir, "judged");
	assert_int_equal(judged_load(path, &again), 0);
	assert_int_equal(again.n_workers + again.n_packages, 0);
	assert_int_equal(judged_add_worker(&j, path, &w), 0);
	assert_int_equal(judged_add_worker(&j, path, &w), -EEXIST);
	assert_int_equal(judged_add_package(&j, path, &p), 0);
	assert_int_equal(judged_add_package(&j, path, &p), -EEXIST);
	memset(p.namespace, 0, sizeof(p.namespace));
	assert_int_equal(judged_add_package(&j, path, &p), 0);
	assert_int_equal(judged_load(path, &again), 0);
	assert_int_equal(again.n_workers, 1);
	assert_int_equal(again.n_packages, 2);
	assert_string_equal(again.workers[0].curve, CURVE);
	assert_memory_equal(again.workers[0].sign, w.sign, sizeof(w.sign));
	assert_int_equal(again.workers[0].since_s, 17);
	assert_string_equal(again.workers[0].name, "w_1");
	assert_string_equal(again.workers[0].why, "it made_what no other makes");
	assert_true(judged_varies(&again, "team", &u));
	assert_true(judged_varies(&again, "", &u));
	assert_false(judged_varies(&again, "others", &u));
	assert_false(judged_varies(&again, "team", &other));
	judged_done(&j);
	judged_done(&again);
	(void)fs_rm_rf(dir);
}

static void
test_lines(void **state)
{
	static const char *const bad[] = { "", "shunned", "shunned x y 1 n why",
		"shunned " CURVE " 00 1 n why", "varies", "varies team 1", "varies team x ring src",
		"varies team 1 ring", "varies team 1 ring ", "others team 1 ring src" };
	struct judged j = { NULL, 0, NULL, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(judged_parse(bad[i], strlen(bad[i]), &j), 0);
		assert_int_equal(j.n_workers + j.n_packages, 0);
	}
	{
		static const char text[] = "# a note\nnonsense\nvaries - 1 ring src/lib.rs\n"
					   "varies - 1 ring src/lib.rs\nvaries team 2 ring a b";

		assert_int_equal(judged_parse(text, sizeof(text) - 1, &j), 0);
		assert_int_equal(j.n_packages, 2);
		assert_string_equal(j.packages[1].source, "a b");
		assert_string_equal(j.packages[0].namespace, "");
	}
	judged_done(&j);
}

static void
test_apply(void **state)
{
	static const char keys[] = "worker " CURVE " w1\n"
				   "worker ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN w2\n";
	struct judged_worker w = { .curve = CURVE };
	struct judged j = { &w, 1, NULL, 0 };
	struct allowed_keys a = { NULL, 0 };

	(void)state;
	assert_int_equal(allowed_keys_parse(keys, sizeof(keys) - 1, &a, NULL), 0);
	judged_apply(&j, &a);
	assert_null(allowed_keys_find(&a, CURVE));
	assert_non_null(allowed_keys_find(&a, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN"));
	allowed_keys_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_again),
		cmocka_unit_test(test_lines), cmocka_unit_test(test_apply) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
