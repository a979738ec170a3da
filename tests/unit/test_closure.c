/* closure: found through what the memo knows; everything when it knows too little; native archives.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/wrap/closure.h"
#include "common/fs.h"

/* exec's kind of array from literals; nothing here writes to them */
static char **
mut(const char **v)
{
	union {
		const char **c;
		char **m;
	} u = { .c = v };

	return u.m;
}

static char *dir;
static struct memo *memo;

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *name)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_mkdir_parent(p, 0700), 0);
	assert_int_equal(fs_write_atomic(p, name, strlen(name), 0600), 0);
}

/* made: the artifact; its externs follow, up to NULL */
static void
know(const char *made, const char *a, const char *b)
{
	_cleanup_(strv_done) struct strv externs = STRV_INIT;
	_cleanup_(freep) char *p = at(made);

	if (a)
		assert_int_equal(strv_take(&externs, at(a)), 0);
	if (b)
		assert_int_equal(strv_take(&externs, at(b)), 0);
	assert_int_equal(memo_set_artifact(memo, p, &externs), 0);
}

static int
set_up(void **state)
{
	static const char *const files[] = { "deps/liba-1.rmeta", "deps/liba-1.rlib",
		"deps/libb-1.rmeta", "deps/libb-1.rlib", "deps/libmac-1.so", "deps/libsyn-1.rmeta",
		"deps/libsyn-1.rlib", "deps/libz-1.rmeta", "deps/x-1.d" };

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-closure-", &dir), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put(files[i]);
	assert_int_equal(memo_open(dir, &memo), 0);
	know("deps/liba-1.rmeta", "deps/libb-1.rmeta", "deps/libmac-1.so");
	know("deps/libb-1.rmeta", NULL, NULL);
	know("deps/libmac-1.so", NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	memo_closep(&memo);
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

struct run {
	struct rustc_call call;
	struct closure cl;
	char *home;
	int r;
};

static void
run_done(struct run *r)
{
	closure_done(&r->cl);
	call_done(&r->call);
	free(r->home);
}

/* args: what follows `rustc --crate-name x x.rs --out-dir deps -L dependency=deps` */
static struct run
collect(const char **args)
{
	const char *argv[32] = { "rustc", "--crate-name", "x", "x.rs", "--out-dir", "deps", "-L",
		"dependency=deps" };
	struct run r = { .cl = CLOSURE_INIT };
	struct closure_in in = { .memo = memo, .cwd = dir, .target_dir = dir, .sysroot = "/rust" };
	size_t n = 8;

	while (*args)
		argv[n++] = *args++;
	argv[n] = NULL;
	assert_int_equal(call_parse(mut(argv), &r.call), 0);
	assert_int_equal(r.call.kind, CALL_UNIT);
	in.call = &r.call;
	r.r = closure_collect(&in, &r.cl, &r.home);
	return r;
}

static void
expect(const struct run *r, const char *const *want)
{
	size_t n = 0;

	assert_int_equal(r->r, 0);
	for (; want[n]; n++) {
		_cleanup_(freep) char *p = at(want[n]);

		if (!strv_has(&r->cl.files, p))
			fail_msg("%s is missing", want[n]);
	}
	assert_int_equal(r->cl.files.n, n);
}

static void
test_known(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=dep-info,metadata,link", "--extern",
		"a=deps/liba-1.rmeta", "--extern", "proc_macro", NULL };
	const char *want[] = { "deps/liba-1.rmeta", "deps/libb-1.rmeta", "deps/libmac-1.so", NULL };
	_cleanup_(run_done) struct run r = collect(args);

	expect(&r, want);
	assert_false(r.cl.guessed);
	assert_true(r.cl.has_dso);
	assert_int_equal(r.cl.direct.n, 1);
}

static void
test_link(void **state)
{
	const char *args[] = { "--crate-type", "bin", "--emit=dep-info,link", "--extern",
		"a=deps/liba-1.rlib", NULL };
	const char *want[] = { "deps/liba-1.rlib", "deps/libb-1.rlib", "deps/libmac-1.so", NULL };
	_cleanup_(run_done) struct run r = collect(args);

	expect(&r, want);
	assert_false(r.cl.guessed);
}

/* -Z embed-metadata=no: what links gets both files of an extern, and needs both of the ones below
 * it; so does a macro that is made so itself. */
static void
test_metadata_apart(void **state)
{
	const char *args[] = { "--crate-type", "bin", "--emit=dep-info,link", "--extern",
		"a=deps/liba-1.rlib", "--extern", "a=deps/liba-1.rmeta", NULL };
	const char *own[] = { "--crate-type", "proc-macro", "--emit=dep-info,link",
		"-Zembed-metadata=no", "--extern", "a=deps/liba-1.rlib", NULL };
	const char *lib[] = { "--crate-type", "lib", "--emit=dep-info,metadata,link",
		"-Zembed-metadata=no", "--extern", "a=deps/liba-1.rmeta", NULL };
	const char *both[] = { "deps/liba-1.rlib", "deps/liba-1.rmeta", "deps/libb-1.rlib",
		"deps/libb-1.rmeta", "deps/libmac-1.so", NULL };
	const char *rmeta[] = { "deps/liba-1.rmeta", "deps/libb-1.rmeta", "deps/libmac-1.so",
		NULL };
	_cleanup_(run_done) struct run r = collect(args);
	_cleanup_(run_done) struct run macro = collect(own);
	_cleanup_(run_done) struct run library = collect(lib);

	expect(&r, both);
	expect(&macro, both);
	expect(&library, rmeta);
}

static void
test_rlib_named(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=metadata",
		"--extern=b=deps/libb-1.rlib", NULL };
	const char *want[] = { "deps/libb-1.rlib", "deps/libb-1.rmeta", NULL };
	_cleanup_(run_done) struct run r = collect(args);

	expect(&r, want);
}

static void
test_unknown(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=metadata", "--extern",
		"z=deps/libz-1.rmeta", NULL };
	const char *want[] = { "deps/liba-1.rmeta", "deps/libb-1.rmeta", "deps/libmac-1.so",
		"deps/libsyn-1.rmeta", "deps/libz-1.rmeta", NULL };
	_cleanup_(run_done) struct run r = collect(args);

	expect(&r, want);
	assert_true(r.cl.guessed);
}

static void
test_changed_since(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=metadata", "--extern",
		"a=deps/liba-1.rmeta", NULL };
	_cleanup_(run_done) struct run r = { .r = 0 };
	_cleanup_(freep) char *p = at("deps/liba-1.rmeta");

	/* made anew by another process: what is known of the old one says nothing */
	assert_int_equal(fs_write_atomic(p, "other content", 13, 0600), 0);
	r = collect(args);
	assert_int_equal(r.r, 0);
	assert_true(r.cl.guessed);
}

static void
test_missing(void **state)
{
	const char *gone[] = { "--emit=metadata", "--crate-type", "lib", "--extern",
		"q=deps/libq.rmeta", NULL };
	const char *odd[] = { "--emit=metadata", "--crate-type", "lib", "--extern", "q=deps/x-1.d",
		NULL };
	_cleanup_(run_done) struct run r = collect(gone);
	_cleanup_(run_done) struct run o = collect(odd);

	assert_int_equal(r.r, -ENOTSUP);
	assert_string_equal(r.home, "an extern that is not there: libq.rmeta");
	assert_int_equal(o.r, -ENOTSUP);
	assert_string_equal(o.home, "an extern of an unknown kind: x-1.d");
}

static void
test_loop(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=metadata", "--extern",
		"b=deps/libb-1.rmeta", NULL };
	_cleanup_(run_done) struct run r = { .r = 0 };

	know("deps/libb-1.rmeta", "deps/libz-1.rmeta", NULL);
	know("deps/libz-1.rmeta", "deps/libb-1.rmeta", "deps/libz-1.rmeta");
	r = collect(args);
	assert_int_equal(r.r, 0);
	assert_false(r.cl.guessed);
	assert_int_equal(r.cl.files.n, 2);
}

static void
test_native(void **state)
{
	const char *args[] = { "--crate-type", "lib", "--emit=metadata", "-L", "native=build/out",
		"-L", "native=/usr/lib", "-l", "static:+whole-archive=foo:renamed", "-lbar", NULL };
	const char *want[] = { "build/out/libfoo.a", "build/out/libbar.so.1",
		"build/out/libother.a", NULL };
	_cleanup_(run_done) struct run r = { .r = 0 };

	put("build/out/libfoo.a");
	put("build/out/libbar.so.1");
	put("build/out/libother.a");
	put("build/out/libbarn.so");
	put("build/out/notes.txt");
	r = collect(args);
	expect(&r, want);
	assert_false(r.cl.has_dso);
}

static void
test_remember(void **state)
{
	const char *argv[] = { "rustc", "--crate-name", "mac", "--crate-type", "proc-macro", "m.rs",
		"--out-dir", "deps", "-C", "extra-filename=-1", "--emit=dep-info,link", "--extern",
		"syn=deps/libsyn-1.rlib", NULL };
	const char *lib[] = { "rustc", "--crate-name", "syn", "--crate-type", "lib", "s.rs",
		"--out-dir", "deps", "-Cextra-filename=-1", "--emit=metadata", "--extern",
		"b=deps/libb-1.rmeta", NULL };
	_cleanup_(call_done) struct rustc_call mac = { .kind = CALL_UNIT },
					       syn = { .kind = CALL_UNIT };
	_cleanup_(strv_done) struct strv v = STRV_INIT, w = STRV_INIT;
	_cleanup_(freep) char *so = at("deps/libmac-1.so"), *rmeta = at("deps/libsyn-1.rmeta");
	_cleanup_(freep) char *rlib = at("deps/libsyn-1.rlib"), *b = at("deps/libb-1.rmeta");

	assert_int_equal(chdir(dir), 0);
	assert_int_equal(call_parse(mut(argv), &mac), 0);
	assert_int_equal(call_parse(mut(lib), &syn), 0);
	assert_int_equal(closure_remember(memo, &mac), 0);
	assert_int_equal(closure_remember(memo, &syn), 0);
	assert_int_equal(memo_get_artifact(memo, so, &v), 0);
	assert_int_equal(v.n, 0);
	assert_int_equal(memo_get_artifact(memo, rmeta, &w), 0);
	assert_int_equal(w.n, 1);
	assert_string_equal(w.v[0], b);
	/* not this call's: it only made metadata */
	assert_int_equal(memo_get_artifact(memo, rlib, &w), -ENOENT);
	assert_int_equal(closure_remember(NULL, &syn), 0);
	assert_int_equal(chdir("/"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_metadata_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rlib_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changed_since, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_native, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remember, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
