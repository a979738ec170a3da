/* What dep-info names is among the inputs. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/crosscheck.h"
#include "common/fs.h"

static char *dir;

static char *
put(const char *name)
{
	char *path = path_join(dir, name);

	assert_non_null(path);
	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, "x", 1, 0644), 0);
	return path;
}

static void
add(struct inputs *s, enum input_kind kind, const char *name)
{
	assert_int_equal(inputs_add(s, kind, name, "", 0), 0);
}

/* Whether this one file is lacking. */
static bool
lacks(const struct crosscheck *c, const char *file)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	_cleanup_(freep) char *lack = NULL;
	int r;

	assert_int_equal(strv_add(&files, file), 0);
	r = crosscheck_files(c, &files, &lack);
	assert_true(r == 0 || r == -ESTALE);
	assert_int_equal(r == 0, lack == NULL);
	return lack != NULL;
}

static void
test_names(void **state)
{
	static char src[] = "/t/lib/rustlib/x/lib";
	char *dirs[] = { src, NULL };
	struct strv known = { dirs, 1, 0 };
	struct inputs_place place = { .out_dir = "/o/deps", .target_dir = "/o" };
	struct inputs inputs = INPUTS_INIT;
	struct crosscheck c = { &inputs, &place, "/w", &known };

	add(&inputs, INPUT_FILE, "/w/src/lib.rs");
	add(&inputs, INPUT_ABSENT, "/w/src/absent.rs");
	add(&inputs, INPUT_EXISTS, "/w/src/dir.rs");
	add(&inputs, INPUT_FILE,
		"\x01"
		"made.rs");
	add(&inputs, INPUT_FILE,
		"\x02"
		"build/x/out/gen.rs");
	add(&inputs, INPUT_METADATA,
		"\x01"
		"libdep.rlib");
	assert_false(lacks(&c, "src/lib.rs"));
	assert_false(lacks(&c, "/w/src/lib.rs"));
	assert_false(lacks(&c, "src/../src/./lib.rs"));
	assert_false(lacks(&c, "/o/deps/made.rs"));
	assert_false(lacks(&c, "/o/build/x/out/gen.rs"));
	assert_false(lacks(&c, "/o/deps/libdep.rlib"));
	assert_false(lacks(&c, "/t/lib/rustlib/x/lib/libstd.rlib"));
	assert_true(lacks(&c, "/t/lib/rustlib/src/rust/library/std/src/lib.rs"));
	assert_true(lacks(&c, "src/m.rs"));
	assert_true(lacks(&c, "src/absent.rs"));
	assert_true(lacks(&c, "src/dir.rs"));
	assert_true(lacks(&c, "/dev/shm/lib.rs"));
	inputs_done(&inputs);
}

static void
test_links(void **state)
{
	_cleanup_(freep) char *file = put("real/sub/x.rs"), *up = put("real/y.rs");
	_cleanup_(freep) char *link = path_join(dir, "link");
	_cleanup_(freep) char *by_link = path_join(dir, "link/x.rs");
	_cleanup_(freep) char *same_name = put("x.rs");
	struct strv known = STRV_INIT;
	struct inputs_place place = { .out_dir = "/o/deps" };
	struct inputs inputs = INPUTS_INIT;
	struct crosscheck c = { &inputs, &place, dir, &known };

	assert_int_equal(symlink("real/sub", link), 0);
	add(&inputs, INPUT_FILE, file);
	assert_false(lacks(&c, by_link));
	assert_false(lacks(&c, "link/x.rs"));
	assert_true(lacks(&c, "x.rs"));
	/* the kernel's "..", not the text's */
	assert_true(lacks(&c, "link/../y.rs"));
	add(&inputs, INPUT_FILE, up);
	assert_false(lacks(&c, "link/../y.rs"));
	inputs_done(&inputs);
}

static int
begin(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-crosscheck-", &dir);
}

static int
end(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names),
		cmocka_unit_test(test_links) };

	return cmocka_run_group_tests(tests, begin, end);
}
