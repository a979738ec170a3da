/* The directory that an out-dir belongs to, by what cargo leaves in it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/wrap/target_dir.h"
#include "common/fs.h"

static char *dir;

static char *
at(const char *name)
{
	char *p = *name ? path_join(dir, name) : strdup(dir);

	assert_non_null(p);
	return p;
}

static void
put(const char *name)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_mkdir_parent(p, 0700), 0);
	assert_int_equal(fs_write_atomic(p, "", 0, 0600), 0);
}

static int
set_up(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-target-", &dir);
}

static int
tear_down(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static void
expect(const char *out_dir, const char *cwd, const char *target)
{
	_cleanup_(freep) char *o = at(out_dir), *c = at(cwd), *t = at(target);
	_cleanup_(freep) char *found = target_dir_of(o, c);

	assert_string_equal(found, t);
}

static void
test_tagged(void **state)
{
	expect("t/debug/deps", "pkg", "t/debug/deps");
	put("t/CACHEDIR.TAG");
	expect("t/debug/deps", "pkg", "t");
	expect("t/debug/build/x-1/out/probe", "pkg", "t");
	expect("t", "pkg", "t");
	/* cargo package builds in there */
	expect("t/debug/deps", "t/package/x-1", "t");
}

static void
test_locked(void **state)
{
	put("t/debug/.cargo-lock");
	expect("t/debug/deps", "pkg", "t");
	expect("t/debug/build/x-1", "pkg", "t");
	expect("t/other/deps", "pkg", "t/other/deps");
	put("new/release/.cargo-build-lock");
	expect("new/release/build/x/1234/out", "pkg", "new");
}

static void
test_of_a_triple(void **state)
{
	put("t/some-triple/debug/.cargo-lock");
	put("t/some-triple/CACHEDIR.TAG");
	expect("t/some-triple/debug/deps", "pkg", "t/some-triple");
	put("t/debug/.cargo-lock");
	expect("t/some-triple/debug/deps", "pkg", "t");
	expect("t/debug/deps", "pkg", "t");
}

/* A directory with other things in it: what it is called says nothing about them. */
static void
test_sources_in_it(void **state)
{
	put("w/debug/.cargo-lock");
	expect("w/debug/deps", "w", "w/debug/deps");
	expect("w/debug/deps", "w/pkg", "w/debug/deps");
	expect("w/debug/deps", "wide", "w");
	put("w/debug/CACHEDIR.TAG");
	expect("w/debug/deps", "w/pkg", "w/debug");
	put("w/CACHEDIR.TAG");
	expect("w/debug/deps", "w/pkg", "w");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tagged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_locked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_a_triple, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sources_in_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
