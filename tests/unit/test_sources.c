/* sources: what belongs to a package is found, what does not is left out, and the walk ends. */
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

#include "client/dispatch/sources.h"
#include "common/fs.h"

static char *dir;

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put(const char *name, const char *text)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_mkdir_parent(p, 0700), 0);
	assert_int_equal(fs_write_atomic(p, text, strlen(text), 0600), 0);
}

static void
make_dir(const char *name)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_mkdir_p(p, 0700), 0);
}

static void
put_link(const char *to, const char *name)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(symlink(to, p), 0);
}

static int
set_up(void **state)
{
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-sources-", &dir), 0);
	put("pkg/Cargo.toml", "x");
	put("pkg/src/lib.rs", "fn a() {}");
	put("pkg/data/table.bin", "12345");
	put("pkg/.git/config", "x");
	put("pkg/target/junk", "x");
	put("pkg/other/CACHEDIR.TAG", "x");
	put("pkg/other/junk", "x");
	put("pkg/mounted/debug/.cargo-lock", "");
	put("pkg/mounted/debug/deps/junk", "x");
	put("pkg/nested/Cargo.toml", "x");
	put("pkg/nested/src/lib.rs", "x");
	put("pkg/sub/target/kept", "x");
	make_dir("pkg/empty");
	return 0;
}

static int
tear_down(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	dir = NULL;
	return 0;
}

struct run {
	struct sources s;
	char *source, *manifest, *gen, *out, *home, *last;
	int r;
};

static void
run_done(struct run *r)
{
	sources_done(&r->s);
	free(r->source);
	free(r->manifest);
	free(r->gen);
	free(r->out);
	free(r->home);
	free(r->last);
}

static struct run
collect(const char *source, const char *manifest, const char *gen, size_t max_files,
	uint64_t max_bytes)
{
	struct run r = { .source = at(source),
		.manifest = manifest ? at(manifest) : NULL,
		.gen = gen ? at(gen) : NULL,
		.out = at("t/debug/deps"),
		.last = at("t/debug/deps/x.d") };
	struct sources_in in = { .source = r.source,
		.manifest_dir = r.manifest,
		.gen_dir = r.gen,
		.out_dir = r.out,
		.cwd = dir,
		.last_depinfo = r.last,
		.max_files = max_files,
		.max_bytes = max_bytes };

	r.r = sources_collect(&in, &r.s, &r.home);
	return r;
}

static bool
has(const struct strv *v, const char *name)
{
	_cleanup_(freep) char *p = at(name);

	return strv_has(v, p);
}

static void
test_package(void **state)
{
	_cleanup_(run_done) struct run r = collect("pkg/src/lib.rs", "pkg", NULL, 0, 0);

	assert_int_equal(r.r, 0);
	assert_true(has(&r.s.files, "pkg/Cargo.toml"));
	assert_true(has(&r.s.files, "pkg/src/lib.rs"));
	assert_true(has(&r.s.files, "pkg/data/table.bin"));
	assert_true(has(&r.s.files, "pkg/sub/target/kept"));
	assert_int_equal(r.s.files.n, 4);
	assert_true(has(&r.s.dirs, "pkg/empty"));
	/* all that was in it is left out */
	assert_true(has(&r.s.dirs, "pkg/mounted"));
	assert_int_equal(r.s.dirs.n, 2);
	assert_int_equal(r.s.rust_bytes, 2 * strlen("fn a() {}"));
}

static void
test_nested_source(void **state)
{
	/* a source below a nested package, and OUT_DIR in the package's own target */
	_cleanup_(run_done) struct run r = collect("pkg/nested/src/lib.rs", "pkg", NULL, 0, 0);
	_cleanup_(run_done) struct run g = { .r = 0 };

	assert_true(has(&r.s.files, "pkg/nested/src/lib.rs"));
	put("pkg/target/debug/build/p/out/gen.rs", "x");
	put("pkg/target/debug/deps/other.rlib", "x");
	g = collect("pkg/src/lib.rs", "pkg", "pkg/target/debug/build/p/out", 0, 0);
	assert_true(has(&g.s.files, "pkg/target/debug/build/p/out/gen.rs"));
	/* on the way to it is what other units make */
	assert_false(has(&g.s.files, "pkg/target/debug/deps/other.rlib"));
	assert_false(has(&g.s.files, "pkg/target/junk"));
}

static void
test_outside(void **state)
{
	_cleanup_(run_done) struct run r = { .r = 0 };

	put("shared/lib.rs", "x");
	put("shared/more.rs", "x");
	put("gen/g.rs", "x");
	put("assets/logo", "x");
	put("t/debug/deps/x.d", "o: assets/logo\n\nassets/logo:\nno/such:\n");
	r = collect("shared/lib.rs", "pkg", "gen", 0, 0);
	assert_int_equal(r.r, 0);
	assert_true(has(&r.s.files, "shared/lib.rs"));
	assert_true(has(&r.s.files, "shared/more.rs"));
	assert_true(has(&r.s.files, "gen/g.rs"));
	assert_true(has(&r.s.files, "pkg/src/lib.rs"));
	/* named by the last dep-info */
	assert_true(has(&r.s.files, "assets/logo"));
	assert_false(has(&r.s.files, "no/such"));
}

static void
test_links(void **state)
{
	_cleanup_(run_done) struct run r = { .r = 0 };
	_cleanup_(freep) char *fifo = at("pkg/fifo");

	put("elsewhere/f", "x");
	put_link("../elsewhere", "pkg/linked");
	put_link("src/lib.rs", "pkg/alias.rs");
	put_link("..", "pkg/src/up");
	put_link(".", "pkg/self");
	put_link("nowhere", "pkg/dangling");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	r = collect("pkg/src/lib.rs", "pkg", NULL, 0, 0);
	assert_int_equal(r.r, 0);
	assert_true(has(&r.s.files, "pkg/linked/f"));
	assert_true(has(&r.s.files, "pkg/alias.rs"));
	assert_false(has(&r.s.files, "pkg/dangling"));
	assert_false(has(&r.s.files, "pkg/fifo"));
	assert_int_equal(r.s.files.n, 6);
	assert_true(has(&r.s.links, "pkg/linked"));
	assert_true(has(&r.s.links, "pkg/alias.rs"));
	assert_true(has(&r.s.links, "pkg/src/up"));
	assert_true(has(&r.s.links, "pkg/dangling"));
	assert_false(has(&r.s.links, "pkg/linked/f"));
	assert_int_equal(r.s.links.n, 5);
}

/* The package, and the out-dir, by a path with a link on it. */
static void
test_links_above(void **state)
{
	_cleanup_(run_done) struct run r = { .r = 0 };

	put_link("pkg", "p");
	put_link("real", "t");
	r = collect("p/src/lib.rs", "p", NULL, 0, 0);
	assert_int_equal(r.r, 0);
	assert_true(has(&r.s.files, "p/src/lib.rs"));
	assert_true(has(&r.s.links, "p"));
	assert_true(has(&r.s.links, "t"));
	assert_int_equal(r.s.links.n, 2);
}

static void
test_limits(void **state)
{
	_cleanup_(run_done) struct run files = collect("pkg/src/lib.rs", "pkg", NULL, 3, 0);
	_cleanup_(run_done) struct run bytes = collect("pkg/src/lib.rs", "pkg", NULL, 0, 8);

	assert_int_equal(files.r, -E2BIG);
	assert_string_equal(files.home, "the unit's files are too many");
	assert_int_equal(bytes.r, -E2BIG);
	assert_string_equal(bytes.home, "the unit's files are too large (max_unit)");
}

static void
test_clippy(void **state)
{
	struct sources s = SOURCES_INIT;
	_cleanup_(freep) char *source = at("pkg/src/lib.rs"), *manifest = at("pkg"), *home = NULL;
	_cleanup_(freep) char *out = at("t/debug/deps");
	struct sources_in in = { .source = source,
		.manifest_dir = manifest,
		.out_dir = out,
		.cwd = dir,
		.clippy = true };

	put("clippy.toml", "x");
	assert_int_equal(sources_collect(&in, &s, &home), 0);
	assert_true(has(&s.files, "clippy.toml"));
	sources_done(&s);
}

static void
test_cache_dir(void **state)
{
	struct sources s = SOURCES_INIT;
	_cleanup_(freep) char *source = at("pkg/src/lib.rs"), *manifest = at("pkg"), *home = NULL;
	_cleanup_(freep) char *out = at("t/debug/deps"), *cache = at("pkg/.cache/dray");
	struct sources_in in = { .source = source,
		.manifest_dir = manifest,
		.out_dir = out,
		.cache_dir = cache,
		.cwd = dir };

	put("pkg/.cache/dray/index.lmdb", "x");
	put("pkg/.cache/other", "x");
	put_link(".cache", "pkg/linked");
	assert_int_equal(sources_collect(&in, &s, &home), 0);
	assert_true(has(&s.files, "pkg/.cache/other"));
	assert_false(has(&s.files, "pkg/.cache/dray/index.lmdb"));
	assert_false(has(&s.files, "pkg/linked/dray/index.lmdb"));
	assert_true(has(&s.withheld, "pkg/.cache/dray"));
	sources_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_package, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nested_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_outside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links_above, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clippy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cache_dir, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
