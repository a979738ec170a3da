/* What of a result is shared, and what a reader takes of one that a trusted producer signed: the
 * table of shared.h, row by row; and forms that no result has that dray shares. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cache/attributes.h"
#include "cache/variables.h"
#include "tests/unit/shared_fixture.h"

#define DIGEST "0123456789abcdef0123456789abcdef"

static struct shared_by
by_any(void)
{
	struct shared_by by = by_publisher();

	by.any_env = true;
	return by;
}

static int
may(const struct shared_by *by, const struct result *r, char **ret_why)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	int k = shared_may(by, r, ret_why);

	/* what is sealed is what may be */
	if (k < 0) {
		_cleanup_(freep) char *why = NULL;

		assert_int_equal(shared_seal(by, &key, r, &sealed, &why), k);
		assert_int_equal(sealed.n, 0);
		assert_string_equal(why, *ret_why);
	}
	return k;
}

/* ---- kinds of inputs */

struct row {
	enum input_kind kind;
	const char *name, *value;
	bool shared, readable;
};

static const struct row rows[] = {
	{ INPUT_FILE, "/w/src/lib.rs", DIGEST, true, true },
	{ INPUT_FILE, "\x02/debug/deps/liba.rmeta", DIGEST, true, true },
	{ INPUT_FILE, "\x03", DIGEST, true, true },
	{ INPUT_FILE, "src/lib.rs", DIGEST, false, false },
	{ INPUT_FILE, "/w/../etc/passwd", DIGEST, false, false },
	{ INPUT_FILE, "\x03/../../etc/passwd", DIGEST, false, false },
	{ INPUT_FILE, "\x03src/lib.rs", DIGEST, true, true },
	{ INPUT_FILE, "\x03src/", DIGEST, false, false },
	{ INPUT_FILE, "\x03//src", DIGEST, false, false },
	{ INPUT_FILE, "\x03..", DIGEST, false, false },
	{ INPUT_FILE, "\x03../etc/passwd", DIGEST, false, false },
	{ INPUT_FILE,
		"\x02"
		"debug/deps/liba.rmeta",
		DIGEST, true, true },
	{ INPUT_FILE, "\x07/x", DIGEST, false, false },
	{ INPUT_FILE, "/proc/kmsg", DIGEST, false, false },
	{ INPUT_FILE, "/sys/kernel/x", DIGEST, false, false },
	{ INPUT_FILE, "/process/x", DIGEST, true, true },
	{ INPUT_FILE, "/w/src/lib.rs", "", false, false },
	{ INPUT_FILE, "/w/src/lib.rs", DIGEST "x", false, false },
	{ INPUT_METADATA, "\x01/liba.rlib", DIGEST, true, true },
	{ INPUT_METADATA, "/proc/self/mem", DIGEST, false, false },
	{ INPUT_GIT_INDEX, "/w/.git/index", DIGEST, true, true },
	{ INPUT_GIT_INDEX, "/proc/self/mem", DIGEST, false, false },
	{ INPUT_ABSENT, "/w/src/a.rs", "", true, true },
	{ INPUT_ABSENT, "/proc/x", "", true, true },
	{ INPUT_ABSENT, "/w/src/a.rs", "x", false, false },
	{ INPUT_EXISTS, "/w/src", "", true, true },
	{ INPUT_EXISTS, "/w/src/", "", false, false },
	{ INPUT_LISTING, "/w/src", DIGEST, true, true },
	{ INPUT_LISTING, "/w/src", "a b", false, false },
	{ INPUT_LINK, "/w/link", "../elsewhere", true, true },
	{ INPUT_REAL, "/w/link", "\x04/registry", true, true },
	{ INPUT_EXTENDED, "/w/a", DIGEST, true, true },
	{ INPUT_RUNS, "/usr/bin/cc", "yes", true, true },
	{ INPUT_RUNS, "/usr/bin/cc", "", true, true },
	{ INPUT_RUNS, "/usr/bin/cc", "maybe", false, false },
	{ INPUT_PROGRAM, "cc", "/usr/local/bin/cc:/usr/bin/cc", true, true },
	{ INPUT_PROGRAM, "cc", "", true, true },
	{ INPUT_PROGRAM, "../cc", "/usr/bin/cc", false, false },
	{ INPUT_LIBRARY, "libclang.so", "\x04/lib/libclang.so", true, true },
	{ INPUT_LIBRARY, "a/libclang.so", "", false, false },
	{ INPUT_WIDTH, "width", "140", true, true },
	{ INPUT_FORM, "form", "diagnostic-short", true, true },
	{ INPUT_UMASK, "umask", "0022", true, true },
	{ INPUT_UMASK, "umask", "00022", false, false },
	{ INPUT_OUT_DIR, INPUT_OUT_DIR_NAME, DIGEST, true, true },
	{ INPUT_OUT_DIR, INPUT_OUT_DIR_NAME, "/home/me", false, false },
	{ INPUT_ENVIRON, "environ", DIGEST, true, true },
	{ INPUT_ENVIRON, "environ", "A=1", false, false },
	{ INPUT_NOT_ABOVE, ".git/HEAD", "", true, true },
	{ INPUT_NOT_ABOVE, "/.git/HEAD", "", false, false },
	{ INPUT_NOT_FROM, "../x", "", true, true },
	{ INPUT_NOT_FROM, "\x03/x", "", false, false },
	/* what is in the environment: a reader cannot tell who set it */
	{ INPUT_ENV, "HOME", "", true, true },
	{ INPUT_ENV, "HOME", DIGEST, false, true },
	{ INPUT_ENV, "PASSED", DIGEST, true, true },
	{ INPUT_ENV, "CARGO_PKG_NAME", DIGEST, true, true },
	{ INPUT_ENV, "CARGO_PKG", DIGEST, false, true },
	{ INPUT_ENV, "TOKEN", "secret", false, false },
	{ INPUT_ENV, "PASSED", "secret", false, false },
	{ INPUT_ENV, "A=1", "", false, false },
	{ INPUT_VARIABLES, "all", DIGEST, false, true },
	{ INPUT_VARIABLES, "GITHUB_RUN_*", DIGEST, false, true },
	{ INPUT_VARIABLES, "cpus", DIGEST, true, true },
	{ INPUT_VARIABLES, "cpu", DIGEST, true, true },
	{ INPUT_VARIABLES, "limits", DIGEST, true, true },
	{ INPUT_VARIABLES, "uname", DIGEST, false, true },
	{ INPUT_VARIABLES, "all", "A=1", false, false },
};

static void
test_kinds(void **state)
{
	bool seen[INPUT_KINDS] = { [INPUT_STAT] = true, [INPUT_LSTAT] = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;
		_cleanup_(freep) char *why = NULL;
		struct shared_by by = by_publisher();
		const struct row *row = &rows[i];

		add_output(&r, "liba.rlib");
		assert_int_equal(
			inputs_add(&r.inputs, row->kind, row->name, row->value, strlen(row->value)),
			0);
		seen[row->kind] = true;
		if ((may(&by, &r, &why) == 0) != row->shared)
			fail_msg("row %zu, %s: %s", i, row->name, why ? why : "shared");
		seal_as_is(&by, &r, &sealed);
		if ((open_one(&sealed) == 0) != row->readable)
			fail_msg("row %zu, %s: opened otherwise", i, row->name);
	}
	/* a new kind has to be thought through */
	for (int k = 1; k < INPUT_KINDS; k++)
		if (!seen[k])
			fail_msg("no row for kind %d", k);
}

static void
check_why(const struct shared_by *by, const struct result *r, const char *expected)
{
	_cleanup_(freep) char *why = NULL;
	int k = may(by, r, &why);

	if (expected) {
		assert_int_equal(k, -EPERM);
		assert_string_equal(why, expected);
	} else {
		assert_int_equal(k, 0);
		assert_null(why);
	}
}

static void
test_variables(void **state)
{
	_cleanup_(result_done) struct result value = RESULT_INIT, mark = RESULT_INIT,
					     behind = RESULT_INIT;
	struct shared_by by = by_publisher(), any = by_any(), worker_by = by_worker();

	(void)state;
	add_output(&value, "liba.rlib");
	add_digest(&value, INPUT_ENV, "TOKEN", "secret");
	check_why(&by, &value,
		"it depends on the variable TOKEN, which neither cargo nor pass_env set");
	check_why(&worker_by, &value,
		"it depends on the variable TOKEN, which neither cargo nor pass_env set");
	check_why(&any, &value, NULL);
	add_output(&mark, "liba.rlib");
	add_digest(&mark, INPUT_ENV, "HOME", "\x05");
	add_digest(&mark, INPUT_ENV, "CARGO_HOME", "\x04");
	check_why(&by, &mark, NULL);
	add_output(&behind, "liba.rlib");
	add_digest(&behind, INPUT_ENV, "X", "\x05/x");
	check_why(
		&by, &behind, "it depends on the variable X, which neither cargo nor pass_env set");
}

static void
add_group(struct result *r, const char *group, char *const *env)
{
	struct digest d;

	assert_int_equal(variables_digest(group, env, &d), 0);
	assert_int_equal(inputs_add(&r->inputs, INPUT_VARIABLES, group, d.b, DIGEST_SIZE), 0);
}

/* A group is shared where nothing but cargo's variables is in it. */
static void
test_groups(void **state)
{
	static char *const more[] = { (char *)"CARGO_PKG_NAME=a", (char *)"PASSED=x",
		(char *)"GIT_DIR=/x", (char *)"LD_PRELOAD=/x.so", NULL };
	static const struct {
		const char *group;
		bool more, shared;
	} cases[] = {
		{ "all", false, true },
		{ "all", true, false },
		{ "git", false, true },
		{ "git", true, false },
		{ "loader", false, true },
		{ "loader", true, false },
		{ "compile", false, true },
		{ "ccache", false, true },
		/* of these it makes no difference */
		{ "ccache", true, true },
		{ "GITHUB_*", true, true },
		{ "GIT*", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(freep) char *why = NULL;
		struct shared_by by = by_publisher(), any = by_any();

		add_output(&r, "liba.rlib");
		add_group(&r, cases[i].group, cases[i].more ? more : hermetic);
		if ((may(&by, &r, &why) == 0) != cases[i].shared)
			fail_msg("%s %d", cases[i].group, cases[i].more);
		if (!cases[i].shared)
			assert_non_null(strstr(why, "it may depend on any variable"));
		check_why(&any, &r, NULL);
	}
}

/* A file's own times are no other's. */
static void
test_times(void **state)
{
	static const struct {
		uint64_t ignored;
		bool shared;
	} cases[] = {
		{ 0, false },
		{ ATTRIBUTE_TIMES, true },
		{ ATTRIBUTE_TIMES | ATTRIBUTE_OWNER, true },
		{ 1u << ATTRIBUTE_CHANGED, false },
		{ 1u << ATTRIBUTE_CREATED, false },
		{ 1u << ATTRIBUTE_MODIFIED, false },
		{ 1u << ATTRIBUTE_CHANGED | 1u << ATTRIBUTE_CREATED, true },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct attributes a = { .v = { [ATTRIBUTE_MODIFIED] = 7 },
			.ignored = cases[i / 2].ignored };
		struct shared_by by = by_publisher();

		add_output(&r, "liba.rlib");
		assert_int_equal(attributes_encode(&a, &b), 0);
		assert_int_equal(inputs_add(&r.inputs, i % 2 ? INPUT_LSTAT : INPUT_STAT,
					 "\x03/Cargo.toml", b.p, b.n),
			0);
		check_why(&by, &r,
			cases[i / 2].shared ? NULL
					    : "it depends on when a file was made: /Cargo.toml");
	}
}

/* ---- forms */

static void
with_mode(struct result *r)
{
	r->outputs[0].mode = 0755;
}

static void
with_no_mode(struct result *r)
{
	r->outputs[0].mode = 0;
}

static void
with_twins(struct result *r)
{
	add_output(r, "a.d");
}

static void
with_many_bytes(struct result *r)
{
	r->outputs[0].size = SHARED_BYTES_MAX + 1;
}

static void
with_many_bytes_in_all(struct result *r)
{
	r->outputs[0].size = SHARED_BYTES_MAX / 2 + 1;
	add_output(r, "b")->size = SHARED_BYTES_MAX / 2;
}

static void
with_bytes_that_wrap(struct result *r)
{
	r->outputs[0].size = 1;
	add_output(r, "b")->size = UINT64_MAX;
}

static void
with_many_outputs(struct result *r)
{
	for (unsigned i = 0; i < SHARED_OUTPUTS_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "x%u", i);
		add_output(r, name)->size = 0;
	}
}

static void
with_long_compile(struct result *r)
{
	r->compile_us = SHARED_COMPILE_US_MAX + 1;
}

static void
with_odd_release(struct result *r)
{
	free(r->rustc);
	r->rustc = strdup("1.95.0\033[2J");
}

static void
with_temporary_mode(struct result *r)
{
	struct output *o = result_add_temporary(r, "rustcAB12cd/symbols.o");
	struct buf *link = result_add_link(r);

	assert_true(o && link);
	assert_int_equal(buf_adds(link, "x"), 0);
	*o = (struct output){ .name = o->name, .mode = 04, .is_blob = true, .size = 1 };
}

static void
test_forms(void **state)
{
	static const struct {
		void (*change)(struct result *r);
		const char *why;
	} cases[] = {
		{ with_mode, "a mode of its own: liba.rlib" },
		{ with_no_mode, "a mode of its own: liba.rlib" },
		{ with_twins, "two outputs of one name: a.d" },
		{ with_many_bytes, "more bytes than anybody takes: liba.rlib" },
		{ with_many_bytes_in_all, "more bytes than anybody takes: b" },
		{ with_bytes_that_wrap, "more bytes than anybody takes: b" },
		{ with_many_outputs, "it has 65538 outputs" },
		{ with_long_compile, "what it says of its compile is odd" },
		{ with_odd_release, "what it says of its compile is odd" },
		{ with_temporary_mode, "a mode of its own: rustcAB12cd/symbols.o" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;
		struct shared_by by = by_publisher();

		fill_result(&r, "source");
		cases[i].change(&r);
		check_why(&by, &r, cases[i].why);
		/* of how it was called nothing is sealed, so that this is not what is refused */
		strv_done(&r.argv);
		strv_done(&r.env);
		free(steal_ptr(r.cwd));
		free(steal_ptr(r.from));
		free(steal_ptr(r.producer));
		seal_as_is(&by, &r, &sealed);
		assert_int_equal(open_one(&sealed), -EBADMSG);
	}
}

/* What is never shared is not taken either. */
static void
test_says_too_much(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;
		struct shared_by by = by_publisher();

		fill_result(&r, "source");
		if (i != 0)
			strv_done(&r.argv);
		if (i != 1)
			strv_done(&r.env);
		if (i != 2)
			free(steal_ptr(r.cwd));
		if (i != 3)
			free(steal_ptr(r.from));
		if (i != 4)
			free(steal_ptr(r.producer));
		seal_as_is(&by, &r, &sealed);
		assert_int_equal(open_one(&sealed), i < 5 ? -EBADMSG : 0);
	}
}

/* ---- runs */

static void
fill_run(struct result *r, const char *link)
{
	struct output *o;

	r->run = true;
	add_digest(r, INPUT_FILE, "/w/build.rs", "build");
	o = result_add_output(r, "dir");
	assert_non_null(o);
	o->kind = OUTPUT_DIR;
	o->mode = 0700;
	o = add_output(r, "dir/a.h");
	o->mode = 0640;
	o = result_add_output(r, "dir/link");
	assert_non_null(o);
	o->kind = OUTPUT_LINK;
	assert_int_equal(buf_adds(&o->text, link), 0);
	assert_int_equal(buf_adds(&r->out, "cargo::rustc-cfg=x\n"), 0);
}

static void
test_runs(void **state)
{
	static const struct {
		const char *link;
		bool fine;
	} cases[] = {
		{ "a.h", true },
		{ "../dir/a.h", true },
		{ "..", true },
		{ "../..", false },
		{ "../../../../etc/passwd", false },
		{ "../other/../../x", false },
		{ "/etc/passwd", false },
		{ "/o/dir/a.h", false },
		{ "\x03/include/a.h", true },
		{ "\x03", true },
		{ "\x03/../../etc/passwd", false },
		{ "\x03x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;
		struct shared_by by = by_publisher(), as_worker = by_worker();

		fill_run(&r, cases[i].link);
		check_why(&by, &r, cases[i].fine ? NULL : "a link that leads elsewhere: dir/link");
		check_why(&as_worker, &r, "a build script's run is no worker's to share");
		seal_as_is(&by, &r, &sealed);
		assert_int_equal(open_one(&sealed), cases[i].fine ? 0 : -EBADMSG);
		buf_done(&sealed);
		seal_as_is(&as_worker, &r, &sealed);
		assert_int_equal(open_one(&sealed), -EBADMSG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_says_too_much),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
