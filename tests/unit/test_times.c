/* When a file's times stop to count, and when they do not. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/attributes.h"
#include "cache/times.h"

#define SECOND 1000000000LL

static void
add_stat(struct result *r, const char *name, int64_t mtime)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct attributes a = { .v = { 1, 2, 3, 4, 5, mtime, 7, 8 } };

	assert_int_equal(attributes_encode(&a, &b), 0);
	assert_int_equal(inputs_add(&r->inputs, INPUT_STAT, name, b.p, b.n), 0);
}

/* A result of a source's digest, a manifest's and an asset's time; what it made is `text`. */
static struct result
result_of(const char *source, int64_t manifest, int64_t asset, const char *text)
{
	struct result r = RESULT_INIT;
	struct output *o;

	add_stat(&r, "/p/Cargo.toml", manifest);
	assert_int_equal(inputs_add(&r.inputs, INPUT_FILE, "/p/src", source, strlen(source)), 0);
	add_stat(&r, "/p/asset", asset);
	assert_int_equal(inputs_add(&r.inputs, INPUT_ABSENT, "\x01rustcAbCd12/libx.a", NULL, 0), 0);
	o = result_add_output(&r, "app");
	assert_non_null(o);
	assert_int_equal(buf_adds(&o->text, text), 0);
	return r;
}

/* The times of that input that are ignored. */
static unsigned
ignored(const struct result *r, const char *name)
{
	struct attributes a = { .ignored = 0 };

	for (size_t i = 0; i < r->inputs.n; i++)
		if (streq(r->inputs.v[i].name, name))
			assert_int_equal(attributes_decode(&r->inputs.v[i].value, &a), 0);
	return (unsigned)a.ignored;
}

static enum times_verdict
compare(const struct result *kept, struct result *now, struct times *t)
{
	enum times_verdict v;

	assert_int_equal(times_compare(kept, now, t, &v), 0);
	assert_int_equal(times_apply(t, now), 0);
	return v;
}

static void
test_evidence(void **state)
{
	_cleanup_(result_done) struct result a = result_of("s", 0, 0, "out");
	_cleanup_(result_done) struct result b = result_of("s", 9 * SECOND, SECOND / 2, "out");
	_cleanup_(times_done) struct times t = TIMES_INIT;

	(void)state;
	assert_true(times_matter_to(&a));
	/* threads of the compiler ask in any order, and its own directory has a random name */
	free(b.inputs.v[3].name);
	b.inputs.v[3].name = strdup("\x01rustc9xYz00/libx.a");
	assert_int_equal(compare(&a, &b, &t), TIMES_IDLE);
	assert_int_equal(ignored(&b, "/p/Cargo.toml"), 1u << ATTRIBUTE_MODIFIED);
	/* less than a second is no evidence */
	assert_int_equal(ignored(&b, "/p/asset"), 0);
}

static void
test_no_evidence(void **state)
{
	_cleanup_(result_done) struct result a = result_of("s", 0, 0, "out");
	_cleanup_(result_done) struct result same = result_of("s", 0, 0, "out");
	_cleanup_(result_done) struct result edited = result_of("t", 9 * SECOND, 0, "out");
	_cleanup_(result_done) struct result more = result_of("s", 9 * SECOND, 0, "out");
	_cleanup_(times_done) struct times t = TIMES_INIT;

	(void)state;
	add_stat(&more, "/p/other", 0);
	assert_int_equal(compare(&a, &same, &t), TIMES_OTHER);
	assert_int_equal(compare(&a, &edited, &t), TIMES_OTHER);
	assert_int_equal(compare(&a, &more, &t), TIMES_OTHER);
	assert_int_equal(t.n, 0);
}

static void
test_what_matters(void **state)
{
	_cleanup_(result_done) struct result a = result_of("s", 0, 0, "0");
	_cleanup_(result_done) struct result b = result_of("s", 0, 9 * SECOND, "9");
	_cleanup_(result_done) struct result c = result_of("s", 0, 10 * SECOND, "0");
	_cleanup_(times_done) struct times t = TIMES_INIT;

	(void)state;
	assert_int_equal(compare(&a, &b, &t), TIMES_MATTER);
	assert_int_equal(ignored(&b, "/p/asset"), 0);
	/* equal by chance: it was seen to matter */
	assert_int_equal(compare(&a, &c, &t), TIMES_IDLE);
	assert_int_equal(ignored(&c, "/p/asset"), 0);
}

static void
test_lessons(void **state)
{
	_cleanup_(result_done) struct result a = result_of("s", 0, 0, "out");
	_cleanup_(result_done) struct result b = result_of("s", 9 * SECOND, 9 * SECOND, "out");
	_cleanup_(result_done) struct result edited = result_of("t", 0, 0, "new");
	_cleanup_(result_done) struct result again = result_of("t", 0, 9 * SECOND, "new");
	_cleanup_(result_done) struct result third = result_of("u", 0, 0, "newer");
	_cleanup_(times_done) struct times t = TIMES_INIT, read = TIMES_INIT;
	_cleanup_(buf_done) struct buf b1 = BUF_INIT;
	const unsigned mtime = 1u << ATTRIBUTE_MODIFIED;

	(void)state;
	assert_int_equal(compare(&a, &b, &t), TIMES_IDLE);
	/* there and back */
	assert_int_equal(times_encode(&t, &b1), 0);
	assert_int_equal(times_decode(&b1, &read), 0);
	assert_int_equal(read.n, 2);
	/* a manifest's is known at once, another file's after a second state */
	assert_int_equal(times_apply(&read, &edited), 0);
	assert_int_equal(ignored(&edited, "/p/Cargo.toml"), mtime);
	assert_int_equal(ignored(&edited, "/p/asset"), 0);
	assert_int_equal(compare(&edited, &again, &read), TIMES_IDLE);
	assert_int_equal(times_apply(&read, &third), 0);
	assert_int_equal(ignored(&third, "/p/asset"), mtime);
}

static void
test_damage(void **state)
{
	static const char *const notes[] = { "", "x", "1 2 3", "1 2 3 4", "zz 1 1 1 /p" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		_cleanup_(times_done) struct times t = TIMES_INIT;
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(buf_add(&b, notes[i], strlen(notes[i]) + (i % 2)), 0);
		assert_int_equal(times_decode(&b, &t), 0);
		assert_int_equal(t.n, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_no_evidence),
		cmocka_unit_test(test_what_matters),
		cmocka_unit_test(test_lessons),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
