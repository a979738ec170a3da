/* From a compiler's name, its sysroot: beside it, by a script, or by rustup's proxy. */
#include "config.h"

#include "tests/unit/toolchain_fixture.h"

/* How often the proxy was asked. */
static size_t
asked(void)
{
	_cleanup_(freep) char *log = at(".", PROXY_LOG);
	struct stat st;

	return stat(log, &st) == 0 ? (size_t)st.st_size : 0;
}

static int
find(struct memo *m, const char *compiler, char **ret_sysroot)
{
	_cleanup_(freep) char *exe = NULL;
	int r;

	free(*ret_sysroot);
	*ret_sysroot = NULL;
	r = toolchain_find_sysroot(m, compiler, ret_sysroot, &exe);
	if (r == 0)
		assert_true(starts_with(exe, *ret_sysroot) && access(exe, X_OK) == 0);
	else
		assert_null(exe);
	return r;
}

static void
find_beside(void **state)
{
	_cleanup_(freep) char *found = NULL, *rustc = at("a", "bin/rustc"), *path = at("a", "bin");
	_cleanup_(freep) char *link = at("links", "rustc"), *other = at("a", "bin/rustdoc");
	_cleanup_(freep) char *real = realpath(dir, NULL), *sysroot = path_join(real, "a");
	_cleanup_(freep) char *old = strdup(getenv("PATH")), *script = at("s", "rustc");

	make_sysroot("a");
	assert_int_equal(find(NULL, rustc, &found), 0);
	assert_string_equal(found, sysroot);
	put_text("links", "x", "");
	assert_int_equal(symlink(rustc, link), 0);
	assert_int_equal(find(NULL, link, &found), 0);
	assert_string_equal(found, sysroot);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(find(NULL, "clippy-driver", &found), 0);
	assert_string_equal(found, sysroot);
	assert_int_equal(find(NULL, "rustdoc", &found), -ENOENT);
	assert_int_equal(setenv("PATH", old, 1), 0);

	put_self("a", "bin/rustdoc");
	assert_int_equal(find(NULL, other, &found), -ENOENT);
	assert_int_equal(find(NULL, "/nonexistent/rustc", &found), -ENOENT);
	assert_int_equal(find(NULL, "", &found), -ENOENT);
	put_text("s", "rustc", "#!/bin/sh\necho /nowhere\n");
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(find(NULL, script, &found), -ENOENT);
	assert_null(found);
}

/* A script that starts the compiler is asked, and then known again; it counts by itself. */
static void
find_by_script(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *found = NULL, *script = at("s", "rustc"),
			      *memo_dir = at("memo", ".");
	_cleanup_(freep) char *rustc = at("a", "bin/rustc"), *real = realpath(dir, NULL);
	_cleanup_(freep) char *sysroot = path_join(real, "a"), *text = NULL, *launcher = NULL;
	struct stat st;

	make_sysroot("a");
	assert_true(asprintf(&text, "#!/bin/sh\necho x >>%s/asked\necho %s\n", dir, sysroot) > 0);
	put_text("s", "rustc", text);
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(memo_open(memo_dir, &m), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(find(m, script, &found), 0);
		assert_string_equal(found, sysroot);
	}
	free(text);
	text = at(".", "asked");
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_size, 2);
	launcher = toolchain_launcher(script);
	assert_string_equal(launcher, script);
	assert_null(toolchain_launcher(rustc));
}

static void
find_by_proxy(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *found = NULL, *memo_dir = at("memo", "."),
			      *rustc = at("usr/bin", "rustc");
	_cleanup_(freep) char *log = at(".", PROXY_LOG), *own = NULL, *linked = NULL,
			      *real = realpath(dir, NULL);

	/* another compiler's rustlib beside the proxy must not be taken for it */
	make_sysroot("toolchains/one");
	make_sysroot("elsewhere/mine");
	put_self("usr", "bin/rustup");
	put_text("usr", STD "/libcore-1.rlib", "another");
	assert_int_equal(symlink("rustup", rustc), 0);
	own = path_join(real, "toolchains/one");
	linked = path_join(real, "elsewhere/mine");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	setenv("FAKE_LOG", log, 1);

	/* without RUSTUP_TOOLCHAIN it is asked each time */
	setenv("FAKE_SYSROOT", own, 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, own);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 2);
	/* with it, once */
	setenv("RUSTUP_TOOLCHAIN", "one", 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 3);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, own);
	assert_int_equal(asked(), 3);
	/* settings or the proxy itself changed */
	put_text(".", "settings.toml", "version = \"12\"\n");
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 4);
	put_self("usr", "bin/rustup");
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 5);
	/* a linked toolchain can be linked elsewhere any time */
	setenv("RUSTUP_TOOLCHAIN", "mine", 1);
	setenv("FAKE_SYSROOT", linked, 1);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_string_equal(found, linked);
	assert_int_equal(find(m, rustc, &found), 0);
	assert_int_equal(asked(), 7);

	/* answers that are none */
	setenv("RUSTUP_TOOLCHAIN", "bad", 1);
	setenv("FAKE_SYSROOT", "relative/path", 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	setenv("FAKE_SYSROOT", "/nonexistent/sysroot", 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	setenv("FAKE_SYSROOT", dir, 1);
	assert_int_equal(find(m, rustc, &found), -ENOENT);
	unsetenv("FAKE_SYSROOT");
	assert_int_equal(find(m, rustc, &found), -ENOENT);
}

static bool
has_sources(struct memo *m, const char *rustc)
{
	_cleanup_(freep) char *found = NULL, *name = NULL, *real = realpath(dir, NULL);
	_cleanup_(freep) char *want = path_join(real, "a/lib/rustlib/src/rust/library");
	int r = toolchain_find_sources(m, rustc, &found, &name);

	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		assert_null(found);
		assert_null(name);
		return false;
	}
	assert_string_equal(found, want);
	assert_string_equal(name, "/rustc/59807616e1/library");
	return true;
}

static void
find_sources(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *rustc = at("a", "bin/rustc"), *memo_dir = at("memo", ".");
	_cleanup_(freep) char *commit = at("a", "bin/commit");
	_cleanup_(freep) char *top = at("a", "lib/rustlib/src/rust"), *aside = at("a", "aside");

	make_sysroot("a");
	put_text("a", "bin/commit", "59807616e1");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	assert_false(has_sources(m, rustc));
	put_text("a", "lib/rustlib/src/rust/library/std/src/lib.rs", "");
	assert_true(has_sources(NULL, rustc));
	assert_true(has_sources(m, rustc));
	/* the commit is known by the driver's file */
	assert_int_equal(unlink(commit), 0);
	assert_true(has_sources(m, rustc));
	assert_false(has_sources(NULL, rustc));
	put_self("a", "bin/rustc");
	assert_false(has_sources(m, rustc));
	/* what is no commit */
	put_text("a", "bin/commit", "unknown");
	assert_false(has_sources(NULL, rustc));
	put_text("a", "bin/commit", "../59807616e1");
	assert_false(has_sources(NULL, rustc));
	/* the compiler names what the link says */
	put_text("a", "bin/commit", "59807616e1");
	assert_int_equal(rename(top, aside), 0);
	assert_int_equal(symlink(aside, top), 0);
	assert_false(has_sources(NULL, rustc));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(find_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(find_by_script, setup, teardown),
		cmocka_unit_test_setup_teardown(find_by_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(find_sources, setup, teardown),
	};

	if (argc > 1)
		return stand_in(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
