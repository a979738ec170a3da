/* What samples have shown, in its file: what is written is read again, by a coordinator that is
 * started later; lines that make no sense are left alone. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "coordinator/cache/judged.h"

#define CURVE "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"

static void
test_again(void **state)
{
	struct judged j = JUDGED_INIT, again = JUDGED_INIT;
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
	struct judged j = JUDGED_INIT;

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

#define NOTE(client, when, alike, crate) \
	"odd " CURVE " " client " " when " " alike " - " crate " " crate "/src/lib.rs\n"

static void
test_notes(void **state)
{
	static const char *const bad[] = { "odd", "odd " CURVE, "odd " CURVE " - 1 alike - ring",
		"odd " CURVE " - 1 likely - ring src", "odd " CURVE " - x alike - ring src" };
	static const char text[] = NOTE("-", "1", "alike", "a") NOTE("-", "2", "other", "a")
		NOTE(CURVE, "1", "other", "a") NOTE(CURVE, "99999999999999", "alike",
			"b") "unlike " CURVE " "
			     "0000000000000000000000000000000000000000000000000000000000000000 7 w "
			     "its machine\n";
	struct judged j = JUDGED_INIT, again = JUDGED_INIT;
	struct judged_note n = { .worker = CURVE, .of = { .crate = "c", .source = "c d" } };
	_cleanup_(freep) char *dir = NULL, *path = NULL;
	uint64_t now = (uint64_t)time(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(judged_parse(bad[i], strlen(bad[i]), &j), 0);
		assert_int_equal(j.n_notes, 0);
	}
	assert_int_equal(judged_parse(text, sizeof(text) - 1, &j), 0);
	assert_int_equal(j.n_notes, 3);
	assert_true(j.notes[0].alike);
	assert_string_equal(j.notes[0].client, "");
	assert_false(j.notes[1].alike);
	assert_string_equal(j.notes[1].client, CURVE);
	/* of no time to come */
	assert_true(j.notes[2].of.since_s <= (uint64_t)time(NULL));
	assert_true(j.workers[0].unlike);
	judged_expire(&j, now);
	assert_int_equal(j.n_notes, 1);
	assert_string_equal(j.notes[0].of.crate, "b");
	judged_expire(&j, now + JUDGED_NOTE_S + 100);
	assert_int_equal(j.n_notes, 0);
	/* what is written is read again, and one pair has its bound */
	assert_int_equal(fs_make_temp_dir("/tmp", "test-judged-", &dir), 0);
	path = path_join(dir, "judged");
	n.of.since_s = now;
	n.alike = true;
	assert_int_equal(judged_add_note(&j, path, &n), 0);
	assert_int_equal(judged_add_note(&j, path, &n), -EEXIST);
	for (unsigned i = 1; i < JUDGED_NOTES_PAIR; i++) {
		snprintf(n.of.crate, sizeof(n.of.crate), "c%u", i);
		assert_int_equal(judged_add_note(&j, path, &n), 0);
	}
	snprintf(n.of.crate, sizeof(n.of.crate), "one too many");
	assert_int_equal(judged_add_note(&j, path, &n), -EINVAL);
	snprintf(n.of.crate, sizeof(n.of.crate), "more");
	assert_int_equal(judged_add_note(&j, path, &n), -E2BIG);
	snprintf(n.client, sizeof(n.client), "%s", CURVE);
	assert_int_equal(judged_add_note(&j, path, &n), 0);
	assert_int_equal(judged_load(path, &again), 0);
	assert_int_equal(again.n_notes, JUDGED_NOTES_PAIR + 1);
	assert_string_equal(again.notes[0].of.source, "c d");
	assert_true(again.notes[0].alike);
	judged_done(&j);
	judged_done(&again);
	(void)fs_rm_rf(dir);
}

static void
test_apply(void **state)
{
	static const char keys[] = "worker " CURVE " w1\n"
				   "worker ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN w2\n";
	struct judged_worker w = { .curve = CURVE };
	struct judged j = { .workers = &w, .n_workers = 1 };
	struct allowed_keys a = { NULL, 0 };

	(void)state;
	assert_int_equal(allowed_keys_parse(keys, sizeof(keys) - 1, &a, NULL), 0);
	/* one that is unlike is let in */
	w.unlike = true;
	judged_apply(&j, &a);
	assert_non_null(allowed_keys_find(&a, CURVE));
	assert_true(allowed_keys_find(&a, CURVE)->sign_revoked);
	w.unlike = false;
	judged_apply(&j, &a);
	assert_null(allowed_keys_find(&a, CURVE));
	assert_non_null(allowed_keys_find(&a, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN"));
	allowed_keys_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_again),
		cmocka_unit_test(test_lines), cmocka_unit_test(test_notes),
		cmocka_unit_test(test_apply) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
