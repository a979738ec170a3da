/* envscan: what cargo set goes, what the user has stays. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/wrap/envscan.h"

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

static int
scan(char *const *envp, const char *parent, size_t parent_n, const char *pass, struct strv *ret,
	char **home)
{
	struct strv withheld = STRV_INIT;
	struct buf b = BUF_INIT;
	struct envscan_in in = { .envp = envp,
		.pass_env = pass,
		.out_dir = "/w/target/debug/deps",
		.alias = "/.dray-in",
		.target_dir = "/w/target",
		.sysroot = "/rust" };
	int r;

	if (parent) {
		assert_int_equal(buf_add(&b, parent, parent_n), 0);
		in.parent = &b;
	}
	r = envscan_collect(&in, ret, &withheld, home);
	buf_done(&b);
	strv_done(&withheld);
	return r;
}

static void
expect(const struct strv *v, const char *const *want)
{
	for (size_t i = 0; i < v->n; i++) {
		assert_non_null(want[i]);
		assert_string_equal(v->v[i], want[i]);
	}
	assert_null(want[v->n]);
}

static void
test_difference(void **state)
{
	static const char parent[] = "USER=me\0SECRET=s\0CHANGED=old\0CARGO_PKG_NAME=x\0ODD";
	const char *envp[] = { "USER=me", "SECRET=s", "CHANGED=new", "CARGO_PKG_NAME=x",
		"FROM_BUILD=1", "MY_TOKEN=cargo-set-it", "PATH=/bin", "HOME=/home/me", "DRAY_X=1",
		"CARGO_MAKEFLAGS=-j", "LD_PRELOAD=/x.so", "RUSTC_WRAPPER=dray", "noequals", "=odd",
		NULL };
	const char *want[] = { "CARGO_PKG_NAME=x", "CHANGED=new", "FROM_BUILD=1",
		"MY_TOKEN=cargo-set-it", NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	char *home = NULL;

	assert_int_equal(scan(mut(envp), parent, sizeof(parent), NULL, &v, &home), 0);
	assert_null(home);
	expect(&v, want);
}

static void
test_no_parent(void **state)
{
	const char *envp[] = { "SECRET=s", "CARGO_PKG_VERSION=1", "OUT_DIR=/o", "CARGOX=1",
		"CARGO_PKG_VERSION=2", "RUSTFLAGS=-g", NULL };
	const char *want[] = { "CARGO_PKG_VERSION=1", "OUT_DIR=/o", NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	char *home = NULL;

	/* unknown: the fixed list only; of two entries the first, as getenv does */
	assert_int_equal(scan(mut(envp), NULL, 0, NULL, &v, &home), 0);
	expect(&v, want);
}

static void
test_pass_env(void **state)
{
	static const char parent[] = "A=1\0B=2\0AB=3\0PATH=/p\0DRAY_K=k";
	const char *envp[] = { "A=1", "B=2", "AB=3", "PATH=/p", "DRAY_K=k", NULL };
	const char *want[] = { "B=2", "PATH=/p", NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	char *home = NULL;

	assert_int_equal(scan(mut(envp), parent, sizeof(parent), " B\tPATH DRAY_K ", &v, &home), 0);
	expect(&v, want);
}

static void
test_library_path(void **state)
{
	const char *envp[] = {
		"LD_LIBRARY_PATH=/w/target/debug/deps:/home/me/lib:/w/target/debug/build/z/out:"
		":/rust/lib:/w/target/../x:/w/targets:/w/target/debug/deps/sub",
		NULL
	};
	const char *none[] = { "LD_LIBRARY_PATH=/home/me/lib", NULL };
	const char *want[] = { "LD_LIBRARY_PATH=/.dray-in:/w/target/debug/build/z/out:/rust/lib",
		NULL };
	_cleanup_(strv_done) struct strv v = STRV_INIT, w = STRV_INIT;
	char *home = NULL;

	assert_int_equal(scan(mut(envp), "", 1, NULL, &v, &home), 0);
	expect(&v, want);
	assert_int_equal(scan(mut(none), "", 1, NULL, &w, &home), 0);
	assert_int_equal(w.n, 0);
}

static void
test_home(void **state)
{
	const char *envp[] = { "A=1", "RUSTC_LOG=debug", NULL };
	const char *fine[] = { "RUST_LOG=debug", "_RJEM_MALLOC_CONF=narenas:1", "LD_BIND_NOW=1",
		NULL };
	static const char *const talks[] = { "LD_DEBUG=libs", "LD_DEBUG_OUTPUT=/tmp/x",
		"_RJEM_MALLOC_CONF=narenas:1,stats_print:true", "MIMALLOC_SHOW_STATS=1" };
	_cleanup_(strv_done) struct strv v = STRV_INIT, w = STRV_INIT;
	char *home = NULL;

	assert_int_equal(scan(mut(envp), NULL, 0, NULL, &v, &home), -ENOTSUP);
	assert_string_equal(home, "the environment sets RUSTC_LOG");
	free(home);
	for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
		const char *one[] = { talks[i], NULL };

		assert_int_equal(scan(mut(one), NULL, 0, NULL, &v, &home), -ENOTSUP);
		assert_int_equal(strncmp(home, "the environment sets ", 21), 0);
		free(home);
	}
	/* rustc has not read this one since 2020; many have it in their shell */
	assert_int_equal(scan(mut(fine), NULL, 0, NULL, &w, &home), 0);
	assert_null(home);
}

static void
expect_ppid(const char *text, int want, long ppid)
{
	long v = -1;

	assert_int_equal(envscan_parse_stat(text, strlen(text), &v), want);
	assert_int_equal(v, want ? -1 : ppid);
}

static void
test_stat(void **state)
{
	expect_ppid("12 (dray) S 345 12 12 0", 0, 345);
	expect_ppid("12 (a) b) (c) R 7 1", 0, 7);
	expect_ppid("12 (x) S 99 ) S 5 1", 0, 5);
	expect_ppid("", -EBADMSG, 0);
	expect_ppid("12 (dray", -EBADMSG, 0);
	expect_ppid("12 (dray)", -EBADMSG, 0);
	expect_ppid("12 (dray) S ", -EBADMSG, 0);
	expect_ppid("12 (dray) S x 1", -EBADMSG, 0);
	expect_ppid("12 (dray) S 0 1", -EBADMSG, 0);
	expect_ppid("12 (dray) S 34", -EBADMSG, 0);
	expect_ppid("12 (dray) S 99999999999 1", -EBADMSG, 0);
}

/* This process stands for cargo, its child for dray, and that one's child for dray-dispatch. A
 * variable that the child has set is none that it was started with. */
static void
test_grandparent(void **state)
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct buf mine = BUF_INIT;
		pid_t inner;

		if (envscan_read_parent(&mine) < 0 || !memmem(mine.p, mine.n, "PATH=", 5))
			_exit(3);
		inner = fork();

		if (inner == 0) {
			struct buf b = BUF_INIT;

			_exit(envscan_read_parent_of((long)getppid(), &b) == 0 &&
						memmem(b.p, b.n, "PATH=", 5)
					? 0
					: 1);
		}
		waitpid(inner, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_no_parent),
		cmocka_unit_test(test_pass_env),
		cmocka_unit_test(test_library_path),
		cmocka_unit_test(test_home),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_grandparent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
