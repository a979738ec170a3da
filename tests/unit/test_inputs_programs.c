/* Inputs from records of the tracer, checked again: libraries, variables, programs, attributes. */
#include "config.h"

#include "tests/unit/inputs_fixture.h"

static void
what_the_loader_looks_for(void **state)
{
	char path[PATH_MAX + 32];

	(void)state;
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/deps:/s/lib", dir);
	env[0] = path;
	item('a', in("deps/glibc-hwcaps/x86-64-v3/libz.so.1"));
	item('a', in("deps/tls"));
	item('a', "/s/lib/haswell/libm.so");
	item('a', "/usr/lib/x86_64-linux-gnu/nosuch/libc.so.6");
	take_all();
	assert_int_equal(n_named(), 0);
	forget();
	/* no variant, and no library of every compiler's */
	item('a', in("deps/tlsx"));
	item('a', in("elsewhere/tls"));
	item('a', "/usr/lib/libsecret-of-a-macro.so.0");
	item('a', "/usr/lib/libc.txt");
	take_all();
	assert_int_equal(n_named(), 4);
	forget();
	/* a linker's are inputs */
	from.linked = true;
	item('a', "/usr/lib/x86_64-linux-gnu/nosuch/libc.so.6");
	take_all();
	assert_true(has(INPUT_ABSENT, "/usr/lib/x86_64-linux-gnu/nosuch/libc.so.6"));
	assert_true(has(INPUT_ENV, "LIBRARY_PATH"));
	assert_false(has(INPUT_ENV, "LD_LIBRARY_PATH"));
	assert_false(has(INPUT_ENV, "SOURCE_DATE_EPOCH"));
	forget();
	from.stamps = true;
	take_all();
	assert_true(has(INPUT_ENV, "SOURCE_DATE_EPOCH"));
}

/* Of LD_LIBRARY_PATH only counts where it leads. */
static void
libraries(void **state)
{
	char path[PATH_MAX * 3 + 64], target[PATH_MAX + 8], sysroot[PATH_MAX + 8];
	struct strv own = STRV_INIT;

	(void)state;
	assert_int_equal(mkdir(in("t"), 0755), 0);
	assert_int_equal(mkdir(in("t/x"), 0755), 0);
	assert_int_equal(mkdir(in("s"), 0755), 0);
	assert_int_equal(mkdir(in("mine"), 0755), 0);
	snprintf(target, sizeof(target), "%s/t", dir);
	snprintf(sysroot, sizeof(sysroot), "%s/s", dir);
	place.target_dir = place.real_target_dir = target;
	place.sysroot = sysroot;
	from.libraries = &own;
	assert_int_equal(strv_add(&own, "libdriver.so"), 0);
	put("s/libdriver.so", "the toolchain's");
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/t/a:%s/s", dir, dir);
	env[0] = path;
	item('a', in("t/a/libdriver.so"));
	item('a', in("t/a/libz.so.1"));
	take_all();
	assert_int_equal(n_named(), 2);
	assert_true(has(INPUT_LIBRARY, "libdriver.so"));
	assert_true(has(INPUT_LIBRARY, "libz.so.1"));
	all_is_as_it_was();
	/* other directories, and none */
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/t/x:%s/mine", dir, dir);
	all_is_as_it_was();
	env[0] = NULL;
	all_is_as_it_was();
	env[0] = path;
	put("mine/libz.so.1", "the user's");
	is_stale("libz.so.1 is another one in LD_LIBRARY_PATH");
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/t/x", dir);
	all_is_as_it_was();
	put("t/x/libdriver.so", "of a build");
	is_stale("libdriver.so is another one in LD_LIBRARY_PATH");
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/s:%s/t", dir, dir);
	all_is_as_it_was();
	/* variants by processor come first */
	assert_int_equal(mkdir(in("mine/glibc-hwcaps"), 0755), 0);
	assert_int_equal(unlink(in("mine/libz.so.1")), 0);
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/mine", dir);
	is_stale("libdriver.so is another one in LD_LIBRARY_PATH");
	forget();
	/* what was found there: by its place in the target directory. Whether cargo's directories
	 * are there is no matter. */
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/t/x", dir);
	item('f', in("t/x/libdriver.so"));
	item('f', in("t/x"));
	take_all();
	assert_int_equal(n_named(), 3);
	all_is_as_it_was();
	snprintf(target, sizeof(target), "%s/s", dir);
	assert_int_equal(mkdir(in("s/x"), 0755), 0);
	put("s/x/libdriver.so", "of a build");
	place.sysroot = NULL;
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s/s/x", dir);
	all_is_as_it_was();
	strv_done(&own);
}

static void
the_whole_environment(void **state)
{
	struct strv cargo = STRV_INIT, now = STRV_INIT;

	(void)state;
	assert_int_equal(strv_add(&cargo, "CARGO_PKG_NAME=a"), 0);
	assert_int_equal(strv_add(&cargo, "LD_LIBRARY_PATH=/a"), 0);
	place.cargo_env = &cargo;
	/* a macro's library that has all of it, and one that is no library at all */
	put("plain.so", "no ELF file");
	item('f', in("plain.so"));
	take_all();
	assert_true(has(INPUT_ENVIRON, "environment"));
	all_is_as_it_was();
	assert_int_equal(strv_add(&now, "CARGO_PKG_NAME=a"), 0);
	assert_int_equal(strv_add(&now, "LD_LIBRARY_PATH=/b"), 0);
	place.cargo_env = &now;
	all_is_as_it_was();
	assert_int_equal(strv_add(&now, "NEW=1"), 0);
	is_stale("cargo's environment changed");
	forget();
	item('f', in("out"));
	take_all();
	assert_false(has(INPUT_ENVIRON, "environment"));
	forget();
	/* by the tracer's word */
	item('v', "environ");
	take_all();
	assert_true(has(INPUT_ENVIRON, "environment"));
	strv_done(&cargo);
	strv_done(&now);
}

/* What is loaded into every program: all of it where one was linked or run, and only what may
 * change a compile elsewhere. */
static void
what_is_loaded(void **state)
{
	char mold[] = "LD_PRELOAD=/x/mold-wrapper.so /y/libjemalloc.so.2",
	     other[] = "LD_PRELOAD=/x/mold-wrapper.so:/y/libfaketime.so.1",
	     audit[] = "LD_AUDIT=/x/a.so";

	(void)state;
	take_all();
	all_is_as_it_was();
	env[0] = mold;
	all_is_as_it_was();
	env[0] = other;
	is_stale("what the loader takes");
	env[0] = audit;
	is_stale("what the loader takes");
	forget();
	env[0] = NULL;
	from.linked = true;
	take_all();
	all_is_as_it_was();
	env[0] = mold;
	is_stale("what the loader takes");
	assert_true(variables_preload_is_harmless(mold + strlen("LD_PRELOAD=")));
	assert_false(variables_preload_is_harmless(other + strlen("LD_PRELOAD=")));
	assert_true(variables_preload_is_harmless(NULL));
}

/* A program of which it is not known what it asks for: all, but for what sessions differ by. */
static void
what_programs_ask_for(void **state)
{
	char colour[] = "COLOUR=red", term[] = "TERM=dumb", git[] = "GIT_DIR=/x",
	     cc[] = "LIBRARY_PATH=/x";

	(void)state;
	item('x', "all /bin/sh");
	take_all();
	assert_true(has(INPUT_VARIABLES, "all"));
	assert_true(has(INPUT_VARIABLES, "loader"));
	env[0] = term;
	all_is_as_it_was();
	env[0] = colour;
	is_stale("what a program that it runs takes");
	forget();
	env[0] = NULL;
	item('x', "git /usr/bin/git");
	item('x', "linker /usr/bin/cc");
	take_all();
	env[0] = colour;
	all_is_as_it_was();
	env[0] = git;
	is_stale("what git takes");
	env[0] = cc;
	is_stale("LIBRARY_PATH");
	forget();
	/* a pattern of names; CPATH is asked for where C is read */
	env[0] = colour;
	item('q', "COL*");
	item('x', "linker /usr/bin/cc");
	put("x.c", "int x;");
	item('f', in("x.c"));
	take_all();
	assert_true(has(INPUT_ENV, "CPATH"));
	all_is_as_it_was();
	env[0] = NULL;
	is_stale("COL*");
	forget();
	put("x.c", "char x[] = __DATE__;");
	item('x', "linker /usr/bin/cc");
	item('f', in("x.c"));
	cannot_be_kept("the time");
	item('x', "unheard-of /bin/sh");
	item('e', "7");
	assert_int_equal(take(), -EBADMSG);
}

/* Its times are no matter, what it says is. */
static void
index_of_git(void **state)
{
	char one[] = "DIRC\0\0\0\2\0\0\0\1" /* times … */ "0123456789012345678901234567890123456789"
		     "aaaaaaaaaaaaaaaaaaaa\0\1x\0"
		     "01234567890123456789";
	char hex[DIGEST_HEX_SIZE], text[PATH_MAX + DIGEST_HEX_SIZE];
	size_t n = sizeof(one) - 1;
	struct digest d;

	(void)state;
	assert_int_equal(fs_write_atomic(in("index"), one, n, 0644), 0);
	assert_int_equal(git_index_digest(in("index"), &d), 0);
	digest_hex(&d, hex);
	snprintf(text, sizeof(text), "%s %s", hex, in("index"));
	item('x', "git /usr/bin/git");
	item('f', in("index"));
	item('g', text);
	/* git wrote it just now */
	from.started.tv_sec = 1;
	take_all();
	assert_true(has(INPUT_GIT_INDEX, in("index")));
	all_is_as_it_was();
	one[13] = 'z'; /* a time */
	assert_int_equal(fs_write_atomic(in("index"), one, n, 0644), 0);
	all_is_as_it_was();
	one[12 + 40] = 'b'; /* the object */
	assert_int_equal(fs_write_atomic(in("index"), one, n, 0644), 0);
	is_stale("index changed");
	forget();
	item('x', "git /usr/bin/git");
	item('f', in("index"));
	item('g', text);
	cannot_be_kept("it wrote ");
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(fs_write_atomic(in("cut"), one, cut, 0644), 0);
		assert_int_equal(git_index_digest(in("cut"), &d), -EBADMSG);
	}
}

static void
programs_in_path(void **state)
{
	char path[PATH_MAX * 2 + 32], ran[PATH_MAX * 2 + 32];

	(void)state;
	assert_int_equal(mkdir(in("b1"), 0755), 0);
	assert_int_equal(mkdir(in("b2"), 0755), 0);
	put("b2/ld", "linker");
	assert_int_equal(chmod(in("b2/ld"), 0755), 0);
	assert_int_equal(chmod(in("b2/ld"), 0755), 0);
	snprintf(path, sizeof(path), "PATH=%s/b1:%s/b2::relative", dir, dir);
	env[0] = path;
	from.linked = true;
	item('a', in("b1/ld"));
	item('f', in("b2/ld"));
	item('a', in("b1/none"));
	take_all();
	assert_true(has(INPUT_PROGRAM, "ld"));
	assert_true(has(INPUT_PROGRAM, "none"));
	assert_false(has(INPUT_ABSENT, in("b1/ld")));
	all_is_as_it_was();
	/* a directory before it, which has none, is no matter */
	snprintf(path, sizeof(path), "PATH=%s/nowhere:%s/b2", dir, dir);
	all_is_as_it_was();
	put("b1/ld", "another");
	snprintf(path, sizeof(path), "PATH=%s/b1:%s/b2", dir, dir);
	is_stale("ld is another one in PATH");
	assert_int_equal(unlink(in("b1/ld")), 0);
	assert_int_equal(mkdir(in("b1/ld"), 0755), 0);
	all_is_as_it_was();
	put("b1/none", "");
	is_stale("none is another one in PATH");
	assert_int_equal(unlink(in("b1/none")), 0);
	forget();
	/* passed over, since it cannot be run; a slash at a directory's end */
	assert_int_equal(rmdir(in("b1/ld")), 0);
	put("b1/ld", "text");
	snprintf(path, sizeof(path), "PATH=%s/b1/:%s/b2/", dir, dir);
	snprintf(ran, sizeof(ran), "refused %s", in("b1/ld"));
	item('x', ran);
	snprintf(ran, sizeof(ran), "linker %s", in("b2/ld"));
	item('x', ran);
	take_all();
	assert_true(has(INPUT_PROGRAM, "ld"));
	all_is_as_it_was();
	assert_int_equal(chmod(in("b1/ld"), 0755), 0);
	is_stale("b1/ld can be run now");
	assert_int_equal(chmod(in("b1/ld"), 0644), 0);
	assert_int_equal(chmod(in("b2/ld"), 0644), 0);
	is_stale("b2/ld can be run no more");
	assert_int_equal(chmod(in("b2/ld"), 0755), 0);
	all_is_as_it_was();
	snprintf(path, sizeof(path), "PATH=%s/b2/", dir);
	is_stale("ld is another one in PATH");
}

static void
width_and_out_dir(void **state)
{
	struct digest d;

	(void)state;
	assert_int_equal(digest_bytes(out, strlen(out), &d), 0);
	assert_int_equal(inputs_add(&got, INPUT_WIDTH, "width", "80", 2), 0);
	is_stale("width");
	place.width = "80";
	all_is_as_it_was();
	place.width = "100";
	is_stale("width");
	place.width = "80";
	assert_int_equal(inputs_add(&got, INPUT_FORM, "form", "diagnostic-short", 16), 0);
	is_stale("the form of diagnostics");
	place.form = "diagnostic-short";
	all_is_as_it_was();
	assert_int_equal(inputs_add(&got, INPUT_OUT_DIR, "out-dir", d.b, DIGEST_SIZE), 0);
	all_is_as_it_was();
	place.out_dir = "/elsewhere";
	is_stale("the out-dir");
	place.out_dir = out;
	assert_int_equal(inputs_add(&got, INPUT_KINDS, "x", NULL, 0), 0);
	is_stale("not known");
}

/* Archives of two members, without a library of tables. */
static void
put_rlib(const char *name, const char *metadata, const char *object)
{
	char text[256];

	snprintf(text, sizeof(text), "!<arch>\n%-16s%-32s%-10zu`\n%s%-16s%-32s%-10zu`\n%s",
		"lib.rmeta/", "0", strlen(metadata), metadata, "a.o/", "0", strlen(object), object);
	put(name, text);
}

static void
metadata_alone(void **state)
{
	(void)state;
	from.metadata = true;
	put_rlib("out/liba.rlib", "metadata", "object");
	put("out/libb.rlib", "no archive");
	put("out/libc.rmeta", "metadata");
	item('f', in("out/liba.rlib"));
	item('f', in("out/libb.rlib"));
	item('f', in("out/libc.rmeta"));
	take_all();
	assert_int_equal(n_named(), 3);
	assert_int_equal(got.v[0].kind, INPUT_METADATA);
	assert_int_equal(got.v[1].kind, INPUT_FILE);
	assert_int_equal(got.v[2].kind, INPUT_FILE);
	all_is_as_it_was();
	put_rlib("out/liba.rlib", "metadata", "objects");
	all_is_as_it_was();
	put_rlib("out/liba.rlib", "metaDATA", "object");
	is_stale("liba.rlib changed");
	put("out/liba.rlib", "no archive");
	is_stale("liba.rlib changed");
	unlink(in("out/liba.rlib"));
	is_stale("liba.rlib is gone");
	put_rlib("out/liba.rlib", "metadata", "object");
	put("out/libb.rlib", "another");
	is_stale("libb.rlib changed");
}

static void
set_times(const char *path, time_t mtime)
{
	struct timespec t[2] = { { mtime, 0 }, { mtime, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void
attributes(void **state)
{
	_cleanup_(freep) char *file = path_join(dir, "asset"), *link = path_join(dir, "link");
	_cleanup_(freep) char *sub = path_join(dir, "sub"), *gone = path_join(dir, "gone");

	(void)state;
	assert_int_equal(fs_write_atomic(file, "text", 4, 0644), 0);
	assert_int_equal(symlink("asset", link), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	set_times(file, 1000);
	item('s', file);
	item('s', link);
	item('l', link);
	item('s', sub);
	item('s', dir);
	item('s', gone);
	take_all();
	assert_true(has(INPUT_STAT, file));
	assert_true(has(INPUT_LSTAT, link));
	assert_true(has(INPUT_STAT, sub));
	assert_false(has(INPUT_STAT, gone));
	all_is_as_it_was();
	set_times(file, 2000);
	is_stale("mtime of ");
	set_times(file, 1000);
	is_stale("ctime of ");
	assert_int_equal(chmod(file, 0600), 0);
	is_stale("mode of ");
	assert_int_equal(unlink(file), 0);
	is_stale("is gone");
}

/* The directory above the out-dir changes with every build: its times are nobody's, its mode is. */
static void
attributes_of_what_is_above(void **state)
{
	_cleanup_(freep) char *other = path_join(dir, "other");

	(void)state;
	from.started.tv_sec -= 7200;
	item('s', dir);
	take_all();
	assert_int_equal(mkdir(other, 0755), 0);
	set_times(dir, 1000);
	all_is_as_it_was();
	assert_int_equal(chmod(dir, 0711), 0);
	is_stale("mode of ");
}

static void
attributes_that_change_meanwhile(void **state)
{
	_cleanup_(freep) char *file = path_join(dir, "asset");

	(void)state;
	assert_int_equal(fs_write_atomic(file, "text", 4, 0644), 0);
	set_times(file, 1000);
	from.started.tv_sec -= 7200;
	item('s', file);
	cannot_be_kept("changed while it was looked at");
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(what_the_loader_looks_for),
		T(libraries),
		T(the_whole_environment),
		T(what_is_loaded),
		T(what_programs_ask_for),
		T(index_of_git),
		T(programs_in_path),
		T(metadata_alone),
		T(width_and_out_dir),
		T(attributes),
		T(attributes_of_what_is_above),
		T(attributes_that_change_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
