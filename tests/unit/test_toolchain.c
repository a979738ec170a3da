/* Toolchains: the files of an id, the id itself, and when it is recalled. */
#include "config.h"

#include <time.h>

#include "tests/unit/aged.h"
#include "tests/unit/toolchain_fixture.h"

static struct digest
id_of(struct memo *m, const char *name, const char *driver, const char *target)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = at(name, ".");

	assert_int_equal(toolchain_identify(m, sysroot, driver, target, &t), 0);
	assert_string_equal(t.driver, driver);
	assert_string_equal(t.host, HOST);
	assert_string_equal(t.release, "1.95.0");
	assert_string_equal(t.target, target != NULL ? target : HOST);
	assert_false(ends_with(t.sysroot, "."));
	return t.id;
}

static bool
ids_differ(struct digest a, struct digest b)
{
	return !digest_eq(&a, &b);
}

static void
debian_files(void **state)
{
	_cleanup_(tc_entries_done) struct tc_entries dirs = { NULL, 0, 0 };
	_cleanup_(strv_done) struct strv v = STRV_INIT, outside = STRV_INIT;
	_cleanup_(freep) char *usr = at("usr", ".");
	static const char *const expected[] = {
		"bin/rustc",
		"lib/llvm-14/lib/libLLVM-14.so.1",
		STD "/libcore-1.rlib",
		STD "/libstd-1.so",
		"lib/x86_64-linux-gnu/librustc_driver-1.so",
		"lib/x86_64-linux-gnu/libstd-1.so",
	};
	size_t i;

	/* libraries are found by what asks for them; the many others of /usr are not looked at */
	put_elf("usr", "bin/rustc", "librustc_driver-1.so", "libstd-1.so");
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-1.so", "libLLVM-14.so.1",
		"libstd-1.so");
	put_elf("usr", "lib/x86_64-linux-gnu/libstd-1.so", NULL, NULL);
	put_elf("usr", "lib/x86_64-linux-gnu/libc.so.6", NULL, NULL);
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-2.so", NULL, NULL);
	put_elf("usr", "lib/llvm-14/lib/libLLVM-14.so.1", NULL, NULL);
	put_text("usr", "lib/i386-linux-gnu/libLLVM-14.so.1", "not for this machine");
	put_elf("usr", "lib/llvm-13/lib/libLLVM-13.so.1", NULL, NULL);
	put_text("usr", STD "/libcore-1.rlib", "core");
	put_elf("usr", STD "/libstd-1.so", NULL, NULL);

	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), 0);
	for (i = 0; i < v.n && i < ARRAY_LEN(expected); i++)
		assert_string_equal(v.v[i], expected[i]);
	assert_int_equal(v.n, ARRAY_LEN(expected));

	assert_int_equal(outside.n, 0);

	/* a library that is elsewhere: what it is cannot be known from this sysroot */
	put_elf("usr", "lib/x86_64-linux-gnu/librustc_driver-1.so", "libLLVM-15.so.1", NULL);
	strv_done(&v);
	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), 0);
	assert_int_equal(outside.n, 1);
	assert_string_equal(outside.v[0], "libLLVM-15.so.1");
	assert_false(strv_has(&v, "libLLVM-15.so.1"));
	put_text("usr", "bin/rustc", "#!/bin/sh\nexec real-rustc --cfg extra \"$@\"\n");
	assert_int_equal(tc_collect(usr, "rustc", HOST, HOST, &v, &dirs, &outside), -ENOENT);
}

static void
id_depends_on_content(void **state)
{
	struct digest first, clippy, d;

	make_sysroot("a");
	make_sysroot("b");
	first = id_of(NULL, "a", "rustc", NULL);
	clippy = id_of(NULL, "a", "clippy-driver", NULL);
	assert_true(ids_differ(first, clippy));
	/* where it is does not matter, nor what is not part of it */
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", HOST)));
	put_text("b", "lib/rustlib/etc/gdb.py", "changed");
	put_text("b", "share/doc/x", "changed");
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));

	put_text("b", STD "/libstd-1.rlib", "sTd");
	d = id_of(NULL, "b", "rustc", NULL);
	assert_true(ids_differ(first, d));
	put_text("b", STD "/libstd-1.rlib", "std");
	assert_false(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));
	put_text("b", STD "/extra/deep", "");
	assert_true(ids_differ(first, id_of(NULL, "b", "rustc", NULL)));

	put_text("a", "lib/rustlib/src/rust/library/std.rs", "x");
	d = id_of(NULL, "a", "rustc", NULL);
	assert_true(ids_differ(first, d));
	put_text("a", "lib/rustlib/src/rust/library/std.rs", "y");
	assert_false(ids_differ(d, id_of(NULL, "a", "rustc", NULL)));
}

static void
targets(void **state)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(strv_done) struct strv v = STRV_INIT, files = STRV_INIT;
	_cleanup_(freep) char *sysroot = at("a", "."), *nowhere = at("no", "where");
	struct digest host;

	make_sysroot("a");
	host = id_of(NULL, "a", "rustc", NULL);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", OTHER, &t), -ENOENT);
	put_text("a", "lib/rustlib/" OTHER "/lib/libcore-2.rlib", "core");
	put_text("a", "lib/rustlib/empty-target/lib/readme", "");
	assert_int_equal(toolchain_list_targets(sysroot, &v), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[0], OTHER);
	assert_string_equal(v.v[1], HOST);
	assert_true(ids_differ(host, id_of(NULL, "a", "rustc", OTHER)));
	assert_false(ids_differ(host, id_of(NULL, "a", "rustc", NULL)));
	assert_int_equal(toolchain_list_files(sysroot, "rustc", OTHER, &files), 0);
	assert_true(strv_has(&files, "lib/rustlib/" OTHER "/lib/libcore-2.rlib"));
	assert_true(strv_has(&files, "bin/rustc"));
	assert_false(strv_has(&files, "bin/clippy-driver"));

	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "empty-target", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "../..", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", "", &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "/w/t.json", NULL, &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustdoc", NULL, &t), -ENOENT);
	assert_int_equal(toolchain_identify(NULL, nowhere, "rustc", NULL, &t), -ENOENT);
	assert_null(t.sysroot);
	assert_int_equal(toolchain_list_targets(nowhere, &v), -ENOENT);
}

static void
a_host_that_is_guessed_wrong(void **state)
{
	_cleanup_(freep) char *a = at("a", "."), *b = at("b", "."), *bin = NULL, *guess = NULL;
	static const char *const names[] = { "a", "b" };

	make_sysroot("a");
	make_sysroot("b");
	guess = tc_guess_host(a);
	assert_string_equal(guess, HOST);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bin = at(names[i], "lib/rustlib/" HOST "/bin");
		assert_int_equal(fs_rm_rf(bin), 0);
		free(steal_ptr(bin));
	}
	assert_null(tc_guess_host(b));
	put_text("a", "lib/rustlib/" OTHER "/lib/libcore-2.rlib", "core");
	put_text("a", "lib/rustlib/" OTHER "/bin/lld", "lld");
	free(steal_ptr(guess));
	guess = tc_guess_host(a);
	assert_string_equal(guess, OTHER);
	assert_false(ids_differ(id_of(NULL, "a", "rustc", NULL), id_of(NULL, "b", "rustc", NULL)));
	put_text("b", "lib/rustlib/" OTHER "/lib/libcore-2.rlib", "core");
	put_text("b", "lib/rustlib/" OTHER "/bin/lld", "lld");
	put_text("b", "lib/rustlib/" HOST "/bin/lld", "lld");
	assert_null(tc_guess_host(b));
}

static void
broken_drivers(void **state)
{
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *sysroot = at("a", "."), *driver = at("a", "bin/rustc");

	make_sysroot("a");
	put_text("a", "bin/rustc", "#!/bin/sh\necho 'host: " HOST "'\necho 'release: 1'\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\necho nothing\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\necho 'host: ../x'\necho 'release: 1'\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	put_text("a", "bin/rustc", "#!/bin/sh\nwhile :; do echo 'host: " HOST "'; done\n");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_int_equal(unlink(driver), 0);
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), -ENOENT);
}

/* Until all that is there now is old enough to be remembered. */
static void
wait_until_settled(void)
{
	_cleanup_(freep) char *last = at(".", "last");

	put_text(".", "last", "");
	wait_until_aged(dir, last, 2100);
}

static void
recalled_while_unchanged(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *real = realpath(dir, NULL);
	_cleanup_(freep) char *sysroot = NULL;
	struct digest first, changed;

	make_sysroot("a");
	sysroot = path_join(real, "a");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	/* so young that a change could go unseen: computed, not remembered */
	(void)id_of(m, "a", "rustc", NULL);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	wait_until_settled();
	first = id_of(m, "a", "rustc", NULL);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), 0);
	assert_true(digest_eq(&first, &t.id));
	assert_string_equal(t.sysroot, sysroot);
	assert_string_equal(t.target, HOST);
	assert_false(ids_differ(first, id_of(m, "a", "rustc", NULL)));
	toolchain_done(&t);
	assert_int_equal(tc_recall(m, sysroot, "clippy-driver", NULL, &t), -ENOENT);
	assert_int_equal(tc_recall(m, sysroot, "rustc", OTHER, &t), -ENOENT);

	/* a file added, one changed, rust-src installed: each is seen */
	put_text("a", STD "/libnew-1.rlib", "new");
	changed = id_of(m, "a", "rustc", NULL);
	assert_true(ids_differ(first, changed));
	wait_until_settled();
	assert_false(ids_differ(changed, id_of(m, "a", "rustc", NULL)));
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), 0);
	toolchain_done(&t);
	put_text("a", "lib/rustlib/src/rust/library/std.rs", "x");
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_true(ids_differ(changed, id_of(m, "a", "rustc", NULL)));
}

/* However young it is, and without a memo. */
static void
holds_while_unchanged(void **state)
{
	static const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 }, again = { 0 }, recalled = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *sysroot = at("a", ".");
	_cleanup_(freep) char *driver = at("a", "bin/rustc");

	make_sysroot("a");
	assert_int_equal(toolchain_identify(NULL, sysroot, "rustc", NULL, &t), 0);
	assert_true(toolchain_holds(&t));
	put_text("a", "share/other", "no part of it");
	assert_true(toolchain_holds(&t));
	/* touched: it must be looked at again, and is the same */
	assert_int_equal(utimensat(AT_FDCWD, driver, old, 0), 0);
	assert_false(toolchain_holds(&t));
	wait_until_settled();
	assert_int_equal(memo_open(memo_dir, &m), 0);
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &again), 0);
	assert_false(ids_differ(t.id, again.id));
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &recalled), 0);
	assert_true(toolchain_holds(&again) && toolchain_holds(&recalled));
	put_text("a", STD "/libmore.rlib", "added");
	assert_false(toolchain_holds(&again) || toolchain_holds(&recalled));
}

static void
spoiled_notes(void **state)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(toolchain_done) struct toolchain t = { 0 };
	_cleanup_(freep) char *memo_dir = at("memo", "."), *real = realpath(dir, NULL),
			      *name = NULL;
	_cleanup_(freep) char *sysroot = NULL;
	_cleanup_(buf_done) struct buf note = BUF_INIT;
	size_t n;

	make_sysroot("a");
	sysroot = path_join(real, "a");
	assert_true(asprintf(&name, "toolchain:%s:rustc:", sysroot) > 0);
	assert_int_equal(memo_open(memo_dir, &m), 0);
	wait_until_settled();
	(void)id_of(m, "a", "rustc", NULL);
	assert_int_equal(memo_get_note(m, name, &note), 0);
	for (n = 0; n < note.n; n++) {
		assert_int_equal(memo_set_note(m, name, note.p, n), 0);
		assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	}
	assert_int_equal(buf_add(&note, "x", 1), 0);
	assert_int_equal(memo_set_note(m, name, note.p, note.n), 0);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	note.n--;
	memset(note.p + 24, 0xff, 8); /* the length of the host's name */
	assert_int_equal(memo_set_note(m, name, note.p, note.n), 0);
	assert_int_equal(tc_recall(m, sysroot, "rustc", NULL, &t), -ENOENT);
	assert_null(t.sysroot);
}

/* A note of the sysroot a that stands on this, as it is now. */
static bool
holds_by(const char *name)
{
	_cleanup_(toolchain_done) struct toolchain t = {
		.sysroot = at("a", "."), .host = strdup(HOST), .release = strdup("1.95.0")
	};
	_cleanup_(freep) char *path = *name == '/' ? strdup(name) : path_join(t.sysroot, name);
	_cleanup_(tc_entries_done) struct tc_entries entries = { 0 };
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(tc_entries_add(&entries, name, &st), 0);
	assert_int_equal(tc_note(&t, false, &entries, &t.seal), 0);
	return toolchain_holds(&t);
}

/* Whatever stands there. */
static void
nothing_outside(void **state)
{
	_cleanup_(freep) char *absolute = at("a", "bin/rustc");
	const char *const outside[] = { "/", "..", ".", "../x", "./bin", "bin/../../x",
		"bin/../bin/rustc", "bin/./rustc", "bin/..", absolute };

	make_sysroot("a");
	put_text(".", "x", "x");
	assert_true(holds_by("bin"));
	assert_true(holds_by("bin/rustc"));
	for (size_t i = 0; i < ARRAY_LEN(outside); i++)
		if (holds_by(outside[i]))
			fail_msg("%s is looked at", outside[i]);
}

/* The compiler of this machine, when there is one. */
static void
real_compiler(void **state)
{
	_cleanup_(toolchain_done) struct toolchain a = { 0 }, b = { 0 };
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL, *memo_dir = at("memo", ".");
	_cleanup_(strv_done) struct strv v = STRV_INIT, files = STRV_INIT, own = STRV_INIT;

	unsetenv("RUSTUP_HOME");
	assert_int_equal(memo_open(memo_dir, &m), 0);
	if (toolchain_find_sysroot(m, "rustc", &sysroot, &exe) < 0)
		skip();
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", NULL, &a), 0);
	assert_int_equal(toolchain_identify(m, sysroot, "rustc", a.host, &b), 0);
	assert_true(digest_eq(&a.id, &b.id));
	assert_int_equal(toolchain_list_targets(sysroot, &v), 0);
	assert_true(strv_has(&v, a.host));
	assert_int_equal(toolchain_list_files(sysroot, "rustc", NULL, &files), 0);
	assert_true(files.n > 10 && files.n < 1000);
	assert_int_equal(toolchain_list_own_files(&b, NULL, &own), 0);
	assert_int_equal(own.n, files.n);
	for (size_t i = 0; i < own.n; i++)
		assert_string_equal(own.v[i], files.v[i]);
	/* from its seal, and without one */
	strv_done(&own);
	assert_int_equal(tc_sealed_files(&b, &own), 0);
	assert_int_equal(own.n, files.n);
	assert_true(toolchain_bytes(&b) > own.n);
	for (size_t n = 0; n < b.seal.n; n += 1 + n / 16) {
		struct toolchain cut = b;
		struct strv none = STRV_INIT;

		cut.seal.n = n;
		assert_int_equal(tc_sealed_files(&cut, &none), -ENOENT);
		assert_true(toolchain_bytes(&cut) == 0);
		assert_int_equal(none.n, 0);
	}
	strv_done(&own);
	buf_done(&b.seal);
	assert_int_equal(toolchain_list_own_files(&b, NULL, &own), 0);
	assert_int_equal(own.n, files.n);
	/* the same without running it, by what it says of itself; of other words another one */
	{
		_cleanup_(toolchain_done) struct toolchain same = { .sysroot = NULL },
							   other = { .sysroot = NULL };
		_cleanup_(buf_done) struct buf said = BUF_INIT, none = BUF_INIT;

		assert_int_equal(toolchain_version(&b, &said), 0);
		assert_int_equal(toolchain_identify_as(sysroot, "rustc", NULL, &said, &same), 0);
		assert_true(digest_eq(&same.id, &b.id));
		assert_string_equal(same.release, b.release);
		assert_int_equal(buf_adds(&said, "more: words\n"), 0);
		assert_int_equal(toolchain_identify_as(sysroot, "rustc", NULL, &said, &other), 0);
		assert_false(digest_eq(&other.id, &b.id));
		assert_int_equal(
			toolchain_identify_as(sysroot, "rustc", NULL, &none, &other), -ENOENT);
	}
	toolchain_done(&b);
	assert_int_equal(tc_recall(m, a.sysroot, "rustc", NULL, &b), 0);
	assert_true(digest_eq(&a.id, &b.id));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(debian_files, setup, teardown),
		cmocka_unit_test_setup_teardown(id_depends_on_content, setup, teardown),
		cmocka_unit_test_setup_teardown(targets, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_that_is_guessed_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(recalled_while_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(holds_while_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(spoiled_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(real_compiler, setup, teardown),
	};

	if (argc > 1)
		return stand_in(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
