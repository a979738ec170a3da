/* dray verify, up to the compile: which result of an entry is taken, and what is said of one that
 * cannot be compared. (0510 compiles.) */
#include "config.h"

#include "cache/entry.h"
#include "client/cmd/verify.h"
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
