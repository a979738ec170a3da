/* dray verify, up to the compile: which result of an entry is taken, and what is said of one that
 * cannot be compared. (0510 compiles.) */
#include "config.h"

#include "cache/entry.h"
#include "cache/key.h"
#include "client/cmd/verify/verify.h"
#include "client/incremental/prime.h"
#include "tests/unit/depot_fixture.h"

extern char **environ;

static struct digest key;

/* One result as a compile would leave it, made in the test's directory. */
static void
make_result(struct result *r, const char *source)
{
	struct digest d = digest_of("fn main() {}");
	struct output *o;

	*r = (struct result)RESULT_INIT;
	assert_int_equal(strv_add(&r->argv, "/none/bin/rustc"), 0);
	assert_int_equal(strv_add(&r->argv, "--crate-name=one"), 0);
	assert_int_equal(strv_add(&r->argv, "--crate-type=lib"), 0);
	assert_int_equal(strv_add(&r->argv, "--emit=dep-info,link"), 0);
	assert_int_equal(strv_add(&r->argv, source), 0);
	assert_int_equal(strv_addf(&r->argv, "--out-dir=%s", in("out")), 0);
	assert_int_equal(strv_add(&r->env, "CARGO_PKG_NAME=pack"), 0);
	assert_int_equal(strv_add(&r->env, "CARGO_PKG_VERSION=1.2.3"), 0);
	r->cwd = strdup(dir);
	r->from = strdup("local");
	r->rustc = strdup("1.0.0");
	assert_true(r->cwd && r->from && r->rustc);
	put_file(in("a.rs"), "fn main() {}");
	assert_int_equal(inputs_add(&r->inputs, INPUT_FILE, in("a.rs"), d.b, DIGEST_SIZE), 0);
	o = result_add_output(r, "one.d");
	assert_non_null(o);
	assert_int_equal(buf_adds(&o->text, "text"), 0);
	o->size = 4;
}

/* The results of `key`, the latest last. */
static void
keep(struct depot *d, const struct result *v, size_t n)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	key = digest_of("key");
	e.key = key;
	assert_int_equal(strv_add(&e.recipe, "format=1"), 0);
	assert_int_equal(strv_add(&e.recipe, "linker=auto"), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(entry_add_result(&e, &v[i]), 0);
	assert_int_equal(entry_encode(&e, &b), 0);
	assert_int_equal(depot_write_entry(d, &key, b.p, b.n), 0);
}

static void
verify(struct depot *d, struct verify_said *said)
{
	_cleanup_(freep) char *tmp = strdup(in("tmp"));
	struct verify_in v = { .depot = d, .memo = memo, .tmp = tmp };
	char **before = environ;
	const char *name = getenv("CARGO_PKG_NAME");

	assert_int_equal(verify_entry(&v, &key, said), 0);
	/* the result's environment was its own */
	assert_ptr_equal(environ, before);
	assert_ptr_equal(getenv("CARGO_PKG_NAME"), name);
	/* nothing was made that could not be compared */
	assert_int_equal(count_in(tmp), 0);
	assert_int_equal(said->outputs, 0);
}

static void
expect(struct depot *d, enum verify_verdict verdict, const char *why)
{
	struct verify_said said;

	verify(d, &said);
	if (said.verdict != verdict || !strstr(said.why, why))
		fail_msg("verdict %d, %s", (int)said.verdict, said.why);
}

/* The result with one thing changed by `change`. */
static void
expect_of(void (*change)(struct result *r), const char *why)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	struct result r;

	make_result(&r, "a.rs");
	change(&r);
	keep(d, &r, 1);
	expect(d, VERIFY_SKIPPED, why);
	result_done(&r);
}

static void
test_no_entry(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();

	key = digest_of("key");
	expect(d, VERIFY_SKIPPED, "it is gone");
	keep(d, NULL, 0);
	expect(d, VERIFY_SKIPPED, "it has no result");
}

static void
test_damaged_entry(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct verify_said said;
	struct result r;

	make_result(&r, "a.rs");
	keep(d, &r, 1);
	result_done(&r);
	assert_int_equal(depot_read_entry(d, &key, &b), 0);
	b.p[b.n / 2] ^= 4;
	assert_int_equal(depot_write_entry(d, &key, b.p, b.n), 0);
	verify(d, &said);
	assert_int_equal(said.verdict, VERIFY_DIFFERS);
	assert_string_equal(said.output, "the entry");
	/* the caller drops it */
	b.n = 0;
	assert_int_equal(depot_read_entry(d, &key, &b), 0);
}

static void
no_arguments(struct result *r)
{
	strv_done(&r->argv);
}
static void
odd_arguments(struct result *r)
{
	assert_int_equal(strv_add(&r->argv, "--frobnicate"), 0);
}
static void
no_directory(struct result *r)
{
	free(r->cwd);
	r->cwd = strdup(in("gone"));
}
static void
edited(struct result *r)
{
	put_file(in("a.rs"), "fn other() {}");
}
static void
variable_set(struct result *r)
{
	struct digest d = digest_of("x");

	assert_int_equal(inputs_add(&r->inputs, INPUT_ENV, "DRAY_TEST_NONE", d.b, DIGEST_SIZE), 0);
}
static void
variable_of_its_own(struct result *r)
{
	struct digest d = digest_of("other");

	assert_int_equal(inputs_add(&r->inputs, INPUT_ENV, "CARGO_PKG_NAME", d.b, DIGEST_SIZE), 0);
}
static void
bind(struct result *r)
{
	struct digest d = digest_of(in("out"));

	assert_int_equal(inputs_add(&r->inputs, INPUT_OUT_DIR, "out-dir", d.b, DIGEST_SIZE), 0);
}
static void
bind_here(struct result *r)
{
	assert_int_equal(mkdir(in("out"), 0700), 0);
	bind(r);
}
static void
lost_output(struct result *r)
{
	struct output *o = result_add_output(r, "libone.rlib");

	assert_non_null(o);
	o->is_blob = true;
	o->digest = digest_of("an rlib");
	o->size = 7;
}
static void
linked_by_the_farm(struct result *r)
{
	assert_int_equal(strv_add(&r->argv, "--crate-type=cdylib"), 0);
	free(r->from);
	r->from = strdup("farm");
}
static void
nothing(struct result *r)
{
}

static void
test_skipped(void **state)
{
	expect_of(no_arguments, "it does not say how it was made");
	expect_of(odd_arguments, "its arguments are not understood");
	expect_of(no_directory, "its directory is gone");
	expect_of(edited, "a.rs changed");
	expect_of(variable_set, "DRAY_TEST_NONE");
	expect_of(variable_of_its_own, "CARGO_PKG_NAME changed");
	expect_of(bind, "its out-dir is in its outputs, and is gone");
	expect_of(bind_here, "bwrap does not work here");
	expect_of(lost_output, "an output is not in the cache any more");
	expect_of(linked_by_the_farm, "linked after a compile on the farm");
	/* the first that only a compiler could answer */
	expect_of(nothing, "the toolchain cannot be identified");
}

/* The latest is taken, or else an earlier one whose inputs hold. */
static void
test_choice(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	struct verify_said said;
	struct result v[2];

	make_result(&v[0], "a.rs");
	make_result(&v[1], "a.rs");
	lost_output(&v[0]);
	keep(d, v, 2);
	expect(d, VERIFY_SKIPPED, "the toolchain cannot be identified");
	variable_set(&v[1]);
	keep(d, v, 2);
	expect(d, VERIFY_SKIPPED, "an output is not in the cache any more");
	verify(d, &said);
	assert_string_equal(said.crate, "one");
	assert_string_equal(said.package, "pack 1.2.3");
	assert_string_equal(said.kind, "lib");
	result_done(&v[0]);
	result_done(&v[1]);
}

/* ---- runs of build scripts */

#define RUN_OUT "t/debug/build/x-0123456789abcdef/out"

static const char script[] = "#!/bin/sh\n"
			     "mkdir \"$OUT_DIR/d\"\n"
			     "printf text >\"$OUT_DIR/d/a\"\n"
			     "printf 'prefix=%s\\n' \"$OUT_DIR\" >\"$OUT_DIR/z.pc\"\n"
			     "ln -s d/a \"$OUT_DIR/l\"\n"
			     "echo cargo:root=\"$OUT_DIR\"\n"
			     "echo \"$CARGO_PKG_NAME $DRAY_DISABLE\" >&2\n";

static struct output *
add_run_output(
	struct result *r, const char *name, enum output_kind kind, unsigned mode, const char *text)
{
	struct output *o = result_add_output(r, name);

	assert_non_null(o);
	o->kind = kind;
	o->mode = mode;
	assert_int_equal(buf_adds(&o->text, text), 0);
	if (!*text)
		o->text.n = 0;
	return o;
}

static void
put_script(const char *text)
{
	put_file(in("t/debug/script"), text);
	assert_int_equal(chmod(in("t/debug/script"), 0755), 0);
}

/* What the script makes, by its text. */
static void
make_run(struct result *r)
{
	struct digest d = digest_of("input");

	fs_rm_rf(in("t"));
	assert_int_equal(fs_mkdir_p(in(RUN_OUT), 0755), 0);
	put_file(in("t/CACHEDIR.TAG"), "");
	put_script(script);
	put_file(in("a.rs"), "input");
	*r = (struct result)RESULT_INIT;
	r->run = true;
	assert_int_equal(strv_add(&r->argv, in("t/debug/script")), 0);
	assert_int_equal(strv_add(&r->env, "CARGO_PKG_NAME=pack"), 0);
	assert_int_equal(strv_add(&r->env, "CARGO_PKG_VERSION=1.2.3"), 0);
	assert_int_equal(strv_addf(&r->env, "OUT_DIR=%s", in(RUN_OUT)), 0);
	r->cwd = strdup(dir);
	r->from = strdup("local");
	r->rustc = strdup("");
	assert_true(r->cwd && r->from && r->rustc);
	assert_int_equal(inputs_add(&r->inputs, INPUT_FILE, in("a.rs"), d.b, DIGEST_SIZE), 0);
	add_run_output(r, "d", OUTPUT_DIR, 0755, "");
	add_run_output(r, "d/a", OUTPUT_FILE, 0644, "text");
	add_run_output(r, "l", OUTPUT_LINK, 0, "d/a");
	add_run_output(r, "z.pc", OUTPUT_FILE, 0644, "prefix=\x01\n");
	assert_int_equal(buf_adds(&r->out, "cargo:root=\x01\n"), 0);
	assert_int_equal(buf_adds(&r->err, "pack yes\n"), 0);
}

/* Under the key that such a run has. */
static void
keep_run(struct depot *d, const struct result *r)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(unit_key_done) struct unit_key k = { .recipe = STRV_INIT };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *env[] = { r->env.v[0], r->env.v[1], NULL };
	struct run_key_in i = { .args = r->argv.v + 1, .cwd = r->cwd, .env = env };

	assert_int_equal(digest_file(r->argv.v[0], &i.program, NULL), 0);
	assert_int_equal(run_key_make(&i, &k), 0);
	key = e.key = k.id;
	assert_int_equal(strv_add_all(&e.recipe, k.recipe.v), 0);
	assert_int_equal(entry_add_result(&e, r), 0);
	assert_int_equal(entry_encode(&e, &b), 0);
	assert_int_equal(depot_write_entry(d, &key, b.p, b.n), 0);
}

/* With another directory mounted, where that works, and with another OUT_DIR. */
static void
verify_runs(struct depot *d, enum verify_verdict verdict, const char *output, const char *why)
{
	_cleanup_(freep) char *tmp = strdup(in("tmp"));
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	const char *const ways[] = { bwrap && prime_binds_with(bwrap) ? bwrap : NULL, NULL };
	char **before = environ;

	umask(022);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct verify_in v = { .depot = d, .memo = memo, .bwrap = ways[i], .tmp = tmp };
		struct verify_said said;

		assert_int_equal(verify_entry(&v, &key, &said), 0);
		if (said.verdict != verdict || !streq(said.output, output) ||
			!strstr(said.why, why))
			fail_msg("verdict %d, %s: %s", (int)said.verdict, said.output, said.why);
		assert_ptr_equal(environ, before);
		assert_int_equal(count_in(tmp), 0);
		assert_int_equal(count_in(in(RUN_OUT)), 0);
		assert_string_equal(said.package, "pack 1.2.3");
		assert_string_equal(said.kind, "script-run");
		if (verdict == VERIFY_SAME)
			assert_int_equal(said.outputs, 4);
	}
}

static void
test_runs(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(result_done) struct result r = RESULT_INIT;

	make_run(&r);
	keep_run(d, &r);
	verify_runs(d, VERIFY_SAME, "", "");
	put_file(in("a.rs"), "edited");
	verify_runs(d, VERIFY_SKIPPED, "", "a.rs changed");
	put_file(in("a.rs"), "input");
	put_script("#!/bin/sh\n");
	verify_runs(d, VERIFY_SKIPPED, "", "build script changed");
	assert_int_equal(unlink(in("t/debug/script")), 0);
	verify_runs(d, VERIFY_SKIPPED, "", "its script's program is gone");
}

/* A kept run of this script: the plain one's outputs, and `more` at its end makes another thing. */
static void
expect_run(const char *more, const char *output, const char *why)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	make_run(&r);
	assert_int_equal(buf_addf(&text, "%scd \"$OUT_DIR\"\n%s\n", script, more), 0);
	put_script((char *)text.p);
	keep_run(d, &r);
	verify_runs(d, VERIFY_DIFFERS, output, why);
}

static void
test_runs_that_differ(void **state)
{
	expect_run("printf other >d/a", "d/a", "other bytes");
	expect_run("chmod 600 d/a", "d/a", "another mode");
	expect_run("chmod 700 d", "d", "another mode");
	expect_run("rm l", "l", "it was not made");
	expect_run("ln -sf d l2; rm l; cp d/a l", "l", "another kind");
	expect_run("ln -sfn / l", "l", "other bytes");
	expect_run(": >zz", "zz", "it was not made before");
	expect_run(": >d/0", "d/0", "it was not made before");
	expect_run("mkfifo f", "OUT_DIR", "which is no file");
	expect_run("echo said", "stdout", "other bytes");
	expect_run("echo said >&2", "stderr", "other bytes");
}

static void
test_bound_runs(void **state)
{
	_cleanup_(depot_closep) struct depot *d = open_depot();
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	_cleanup_(freep) char *out = NULL, *tmp = NULL;
	struct verify_said said;
	struct verify_in v = { .depot = d, .memo = memo };
	struct digest digest;

	make_run(&r);
	out = strdup(in(RUN_OUT));
	tmp = strdup(in("tmp"));
	v.tmp = tmp;
	assert_int_equal(digest_bytes(out, strlen(out), &digest), 0);
	assert_int_equal(
		inputs_add(&r.inputs, INPUT_OUT_DIR, INPUT_OUT_DIR_NAME, digest.b, DIGEST_SIZE), 0);
	keep_run(d, &r);
	assert_int_equal(verify_entry(&v, &key, &said), 0);
	assert_int_equal(said.verdict, VERIFY_SKIPPED);
	assert_non_null(strstr(said.why, "bwrap does not work here"));
	if (!bwrap || !prime_binds_with(bwrap))
		return;
	v.bwrap = bwrap;
	assert_int_equal(verify_entry(&v, &key, &said), 0);
	assert_int_equal(said.verdict, VERIFY_SAME);
	assert_true(said.run);
}

/* This process's directory is where a result was made: back, so that it can be removed. */
static int
leave(void **state)
{
	return chdir("/") < 0 ? -1 : teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_entry, setup, leave),
		cmocka_unit_test_setup_teardown(test_damaged_entry, setup, leave),
		cmocka_unit_test_setup_teardown(test_skipped, setup, leave),
		cmocka_unit_test_setup_teardown(test_choice, setup, leave),
		cmocka_unit_test_setup_teardown(test_runs, setup, leave),
		cmocka_unit_test_setup_teardown(test_runs_that_differ, setup, leave),
		cmocka_unit_test_setup_teardown(test_bound_runs, setup, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
