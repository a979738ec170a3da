/* Which objects a directory has, and taking one away: links, other files and what has come in its
 * place stay. And sets of names. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/fs.h"
#include "store/admin/walk.h"
#include "tests/unit/store_fixture.h"

#define AB "abababababababababababababababababababababababababababababababab"
#define CD "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"

static char dir[] = "/tmp/dray-walk-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
drop_dir(void **state)
{
	(void)state;
	return fs_rm_rf(dir);
}

static void
put(const char *path, const char *text, int64_t used_s)
{
	struct timespec times[2] = { { .tv_sec = used_s }, { .tv_sec = used_s } };
	_cleanup_(freep) char *p = path_join(dir, path);

	assert_int_equal(fs_mkdir_parent(p, 0700), 0);
	assert_int_equal(fs_write_atomic(p, text, strlen(text), 0600), 0);
	assert_int_equal(utimensat(AT_FDCWD, p, times, 0), 0);
}

static bool
is_there(const char *path)
{
	_cleanup_(freep) char *p = path_join(dir, path);

	return access(p, F_OK) == 0;
}

static void
test_walk(void **state)
{
	_cleanup_(walk_done) struct walk w = WALK_INIT;
	_cleanup_(freep) char *link = path_join(dir, "v1/blobs/cd");
	_cleanup_(freep) char *aside = path_join(dir, "aside");

	(void)state;
	assert_int_equal(walk_add("/nonexistent", NULL, STORE_BLOB, &w), -ENODEV);
	assert_int_equal(walk_add(dir, NULL, STORE_BLOB, &w), 0);
	assert_int_equal(w.n, 0);
	put("v1/blobs/ab/" AB, "12345", 2000);
	put("v1/entries/cd/" CD, "123", 1000);
	put("pr/7/v1/blobs/ab/" AB, "1", 3000);
	/* none of these is an object */
	put("v1/blobs/ab/" CD, "x", 1);
	put("v1/blobs/ab/note", "x", 1);
	put("v1/blobs/ab/" AB ".x", "x", 1);
	put("v1/tmp/" AB, "x", 1);
	put("aside/" CD, "x", 1);
	assert_int_equal(symlink(aside, link), 0);
	assert_int_equal(walk_add(dir, NULL, STORE_BLOB, &w), 0);
	assert_int_equal(walk_add(dir, NULL, STORE_ENTRY, &w), 0);
	assert_int_equal(w.n, 2);
	walk_sort_by_use(&w);
	assert_int_equal(w.v[0].kind, STORE_ENTRY);
	assert_int_equal(w.v[0].size, 3);
	assert_int_equal(w.v[1].kind, STORE_BLOB);
	assert_int_equal(w.v[1].size, 5);
	assert_int_equal(w.v[1].used_s, 2000);
	/* one that was used, or replaced, meanwhile stays */
	put("v1/blobs/ab/" AB, "12345", 2001);
	assert_int_equal(walk_remove(dir, NULL, &w.v[1]), -EAGAIN);
	assert_true(is_there("v1/blobs/ab/" AB));
	assert_int_equal(walk_remove(dir, NULL, &w.v[0]), 0);
	assert_false(is_there("v1/entries/cd/" CD));
	assert_int_equal(walk_remove(dir, NULL, &w.v[0]), 0);
	/* below */
	w.n = 0;
	assert_int_equal(walk_add(dir, "pr/7", STORE_BLOB, &w), 0);
	assert_int_equal(w.n, 1);
	assert_int_equal(walk_remove(dir, "pr/7", &w.v[0]), 0);
	assert_false(is_there("pr/7/v1/blobs/ab/" AB));
	assert_true(is_there("v1/blobs/ab/" AB));
	assert_int_equal(walk_add(dir, "pr/8", STORE_BLOB, &w), 0);
}

static void
test_names(void **state)
{
	_cleanup_(names_done) struct names s = NAMES_INIT;
	struct digest d = { { 0 } };

	(void)state;
	assert_false(names_has(&s, &d));
	for (unsigned i = 3000; i > 0; i--) {
		d.b[0] = (uint8_t)(i >> 8);
		d.b[31] = (uint8_t)i;
		assert_int_equal(names_add(&s, &d), 0);
	}
	names_sort(&s);
	for (unsigned i = 0; i < 3002; i++) {
		d.b[0] = (uint8_t)(i >> 8);
		d.b[31] = (uint8_t)i;
		assert_int_equal(names_has(&s, &d), i >= 1 && i <= 3000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
