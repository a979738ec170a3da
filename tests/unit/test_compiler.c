/* worker/sandbox/compiler.c: how the compiler is called in a job. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "worker/sandbox/compiler.h"

struct job {
	Dray__Unit u;
	char *dir;
	char driver[16], sysroot[8], linker[16], empty[1];
};

static void
job_make(struct job *j, char **argv, size_t n)
{
	_cleanup_(freep) char *ours = NULL;

	memset(j, 0, sizeof(*j));
	dray__unit__init(&j->u);
	snprintf(j->driver, sizeof(j->driver), "rustc");
	snprintf(j->sysroot, sizeof(j->sysroot), "/sys");
	j->u.driver = j->driver;
	j->u.sysroot = j->sysroot;
	j->u.linker = j->empty;
	j->u.argv = argv;
	j->u.n_argv = n;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-compiler-", &j->dir), 0);
	ours = path_join(j->dir, ".dray");
	assert_non_null(ours);
	assert_int_equal(mkdir(ours, 0755), 0);
}

static void
job_drop(struct job *j)
{
	fs_rm_rf(j->dir);
	free(j->dir);
}

static void
test_few_arguments(void **state)
{
	char a[] = "--cfg", b[] = "two\nlines", *argv[] = { a, b };
	_cleanup_(strv_done) struct strv got = STRV_INIT;
	struct job j;

	job_make(&j, argv, 2);
	assert_false(compiler_needs_arg_file(&j.u));
	assert_int_equal(compiler_argv(&j.u, j.dir, &got), 0);
	assert_int_equal(got.n, 3);
	assert_string_equal(got.v[0], "/sys/bin/rustc");
	assert_string_equal(got.v[2], "two\nlines");
	job_drop(&j);
}

/* The file holds what is not in the command line. */
static void
expect_file(const struct job *j, size_t first)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = path_join(j->dir, ".dray/args");
	const char *p;

	assert_int_equal(fs_read_file(path, 64u << 20, &b), 0);
	p = (const char *)b.p;
	for (size_t i = first; i < j->u.n_argv; i++) {
		size_t n = strlen(j->u.argv[i]);

		assert_memory_equal(p, j->u.argv[i], n);
		assert_int_equal(p[n], '\n');
		p += n + 1;
	}
	assert_ptr_equal(p, b.p + b.n);
}

static void
test_many_arguments(void **state)
{
	enum { COUNT = 300, EACH = 4000 };
	char *one = malloc(EACH + 1), rustc[] = "/sys/bin/rustc", *argv[COUNT];
	struct job j;

	assert_non_null(one);
	memset(one, 'x', EACH);
	one[EACH] = '\0';
	for (size_t i = 0; i < COUNT; i++)
		argv[i] = one;
	argv[0] = rustc;
	job_make(&j, argv, COUNT);
	assert_true(compiler_needs_arg_file(&j.u));
	for (int clippy = 0; clippy < 2; clippy++) {
		_cleanup_(strv_done) struct strv got = STRV_INIT;

		if (clippy)
			snprintf(j.driver, sizeof(j.driver), "clippy-driver");
		assert_int_equal(compiler_argv(&j.u, j.dir, &got), 0);
		assert_int_equal(got.n, clippy ? 3 : 2);
		assert_string_equal(got.v[got.n - 1], "@/.dray/args");
		if (clippy)
			assert_string_equal(got.v[1], rustc);
		expect_file(&j, clippy ? 1 : 0);
	}
	job_drop(&j);
	free(one);
}

static void
test_one_long_argument(void **state)
{
	char *one = malloc(COMPILER_STRING_MAX + 2), *argv[] = { one };
	struct job j;

	assert_non_null(one);
	memset(one, 'x', COMPILER_STRING_MAX + 1);
	one[COMPILER_STRING_MAX + 1] = '\0';
	job_make(&j, argv, 1);
	assert_true(compiler_needs_arg_file(&j.u));
	one[COMPILER_STRING_MAX] = '\0';
	assert_false(compiler_needs_arg_file(&j.u));
	job_drop(&j);
	free(one);
}

static void
make_file(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, "x", 1, 0755), 0);
}

/* Other targets' libraries are covered, and a linker of the toolchain's that has the name of ours.
 */
static void
test_mounts(void **state)
{
	struct job j;
	struct strv keep = STRV_INIT;
	struct sandbox_mount *v = NULL;
	size_t n = 0;
	char host[] = "h-host", target[] = "t-target";
	struct toolchain tc = { .host = host, .target = target };
	struct sysroot sys = { 0 };
	struct compiler c = { &j.u, &tc, &sys, "/job/root", "/job/bin" };

	job_make(&j, NULL, 0);
	sys.view = j.dir;
	make_file(j.dir, "lib/rustlib/h-host/lib/libcore-1.rlib");
	make_file(j.dir, "lib/rustlib/t-target/lib/libcore-1.rlib");
	make_file(j.dir, "lib/rustlib/other/lib/libcore-1.rlib");
	make_file(j.dir, "lib/rustlib/empty/lib/nothing");
	make_file(j.dir, "lib/rustlib/h-host/bin/rust-lld");
	assert_int_equal(compiler_mounts(&c, &keep, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].to, "/sys/lib/rustlib/other");
	assert_false(v[0].writable);
	free(v);
	strv_done(&keep);

	v = NULL;
	n = 0;
	snprintf(j.linker, sizeof(j.linker), "rust-lld");
	j.u.linker = j.linker;
	assert_int_equal(compiler_mounts(&c, &keep, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[1].from, "/job/bin/rust-lld");
	assert_string_equal(v[1].to, "/sys/lib/rustlib/h-host/bin/rust-lld");
	free(v);
	strv_done(&keep);

	v = NULL;
	n = 0;
	snprintf(j.linker, sizeof(j.linker), "cc");
	assert_int_equal(compiler_mounts(&c, &keep, &v, &n), 0);
	assert_int_equal(n, 1);
	free(v);
	strv_done(&keep);
	job_drop(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_arguments),
		cmocka_unit_test(test_many_arguments),
		cmocka_unit_test(test_one_long_argument),
		cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
