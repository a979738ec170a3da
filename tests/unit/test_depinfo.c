/* depinfo: what rustc writes is read back; what it never writes is refused; a variable that a
 * compile saw otherwise than this process has it is named. Also artifact lines. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rustc/artifact.h"
#include "rustc/depinfo.h"

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

/* as rustc 1.95 writes it */
static const char sample[] = "/t/deps/x-1.d: src/lib.rs /w/a\\ b.rs build/c:d.rs\n\n"
			     "/t/deps/libx-1.rmeta: src/lib.rs /w/a\\ b.rs build/c:d.rs\n\n"
			     "src/lib.rs:\n/w/a\\ b.rs:\nbuild/c:d.rs:\n\n"
			     "# env-dep:CARGO_PKG_NAME=x\n# env-dep:GONE\n"
			     "# env-dep:TEXT=a\\nb\\\\c=d\\r\n# env-dep:EMPTY=\n";

static void
test_reads(void **state)
{
	struct depinfo d;

	assert_int_equal(depinfo_parse(sample, sizeof(sample) - 1, &d), 0);
	assert_int_equal(d.files.n, 3);
	assert_string_equal(d.files.v[0], "src/lib.rs");
	assert_string_equal(d.files.v[1], "/w/a b.rs");
	assert_string_equal(d.files.v[2], "build/c:d.rs");
	assert_int_equal(d.n_env, 4);
	assert_string_equal(d.env[0].value, "x");
	assert_string_equal(d.env[1].name, "GONE");
	assert_null(d.env[1].value);
	assert_string_equal(d.env[2].value, "a\nb\\c=d\r");
	assert_string_equal(d.env[3].value, "");
	depinfo_done(&d);
}

static void
expect(const char *text, size_t n, int want)
{
	struct depinfo d = DEPINFO_INIT;

	assert_int_equal(depinfo_parse(text, n, &d), want);
	depinfo_done(&d);
}

static void
test_refuses(void **state)
{
	expect("", 0, 0);
	expect("a:", 2, -EBADMSG); /* cut off */
	expect(sample, sizeof(sample) - 2, -EBADMSG);
	expect("a\0b:\n", 5, -EBADMSG);
	expect("# env-dep:\n", 11, -EBADMSG);
	expect("# env-dep:=x\n", 13, -EBADMSG);
	expect(":\n", 2, 0);
	expect("# a comment:\n", 13, 0);
}

static void
test_compares(void **state)
{
	const char *same[] = { "CARGO_PKG_NAME=x", "TEXT=a\nb\\c=d\r", "EMPTY=", "GONE_BY=1",
		NULL };
	const char *other[] = { "CARGO_PKG_NAME=xy", "TEXT=a\nb\\c=d\r", "EMPTY=", NULL };
	const char *set[] = { "GONE=", "CARGO_PKG_NAME=x", "TEXT=a\nb\\c=d\r", "EMPTY=", NULL };
	const char *unset[] = { "CARGO_PKG_NAME=x", "TEXT=a\nb\\c=d\r", NULL };
	struct depinfo d;

	assert_int_equal(depinfo_parse(sample, sizeof(sample) - 1, &d), 0);
	assert_null(depinfo_env_differs(&d, mut(same)));
	assert_string_equal(depinfo_env_differs(&d, mut(other)), "CARGO_PKG_NAME");
	assert_string_equal(depinfo_env_differs(&d, mut(set)), "GONE");
	assert_string_equal(depinfo_env_differs(&d, mut(unset)), "EMPTY");
	depinfo_done(&d);
}

static void
expect_artifact(const char *line, int want, enum artifact_emit emit, const char *path)
{
	struct artifact a = ARTIFACT_INIT;

	assert_int_equal(artifact_parse(line, strlen(line), &a), want);
	if (want == 0) {
		assert_int_equal(a.emit, emit);
		assert_string_equal(a.path, path);
	}
	artifact_done(&a);
}

static void
test_artifact(void **state)
{
	expect_artifact(
		"{\"$message_type\":\"artifact\",\"artifact\":\"/t/x.d\",\"emit\":\"dep-info\"}", 0,
		EMIT_DEP_INFO, "/t/x.d");
	expect_artifact("{\"artifact\":\"/t/\\\"q\\u00e9.rmeta\",\"emit\":\"metadata\"}", 0,
		EMIT_METADATA, "/t/\"q\xc3\xa9.rmeta");
	expect_artifact("{\"artifact\":\"/t/x\",\"emit\":\"link\"}", 0, EMIT_LINK, "/t/x");
	expect_artifact("{\"artifact\":\"/t/x.s\",\"emit\":\"asm\"}", 0, EMIT_OTHER, "/t/x.s");
	expect_artifact("", -ENOENT, EMIT_OTHER, NULL);
	expect_artifact("warning: \"artifact\"", -ENOENT, EMIT_OTHER, NULL);
	expect_artifact("{\"$message_type\":\"diagnostic\",\"message\":\"\\\"artifact\\\"\"}",
		-ENOENT, EMIT_OTHER, NULL);
	expect_artifact("{\"$message_type\":\"diagnostic\",\"artifact\":\"x\",\"emit\":\"link\"}",
		-ENOENT, EMIT_OTHER, NULL);
	expect_artifact("{\"artifact\":\"/t/x\"}", -EBADMSG, EMIT_OTHER, NULL);
	expect_artifact("{\"artifact\":7,\"emit\":\"link\"}", -EBADMSG, EMIT_OTHER, NULL);
	expect_artifact("{\"artifact\":\"\",\"emit\":\"link\"}", -EBADMSG, EMIT_OTHER, NULL);
	expect_artifact(
		"{\"artifact\":\"a\\u0000b\",\"emit\":\"link\"}", -EBADMSG, EMIT_OTHER, NULL);
	expect_artifact("{\"artifact\":\"/t/x\",\"emit\":\"link\"", -EBADMSG, EMIT_OTHER, NULL);
}

/* What cargo takes for an artifact's line is one, or nobody is to read it. */
static void
test_artifact_of_anybody(void **state)
{
	static const struct {
		int want;
		const char *line;
	} v[] = {
		{ 0, "{\"$message_type\":\"artifact\",\"artifact\":\"/t/"
		     "x.rmeta\",\"emit\":\"metadata\"}" },
		{ 0, "{\"pad\":"
		     "\"0123456789012345678901234567890123456789012345678901234567890123\","
		     "\"artifact\":\"/t/x.rmeta\",\"emit\":\"metadata\"}" },
		{ 0, "{\"\\u0061rtifact\":\"/t/x.rmet\\u0061\",\"emit\":\"metadata\"}" },
		{ -EBADMSG, "{\"$message_type\":\"diagnostic\",\"artifact\":\"/t/x.rmeta\","
			    "\"emit\":\"metadata\"}" },
		{ -EBADMSG, "{\"artifact\":\"/t/x.rmeta\"}" },
		{ -EILSEQ, "{\"artifact\":\"/t/x.rmeta\",\"emit\":\"metadata\",\"n\":1e999}" },
		{ -EILSEQ, "{\"artifact\":\"a\",\"artifact\":\"b\",\"emit\":\"metadata\"}" },
		{ -EILSEQ, "{\"a\":\"\\ud800\",\"artifact\":\"b\"}" },
		{ -EILSEQ, "{ of no JSON" },
		{ -ENOENT, "{\"$message_type\":\"diagnostic\",\"message\":"
			   "\"\\u0000\\\"artifact\\\"\"}" },
		{ -ENOENT, "{\"a\":{\"artifact\":\"x.rmeta\"}}" },
		{ -ENOENT, "warning: {\"artifact\":\"x\"}" },
		{ -ENOENT, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct artifact a = ARTIFACT_INIT;

		if (artifact_parse_any(v[i].line, strlen(v[i].line), &a) != v[i].want)
			fail_msg("%s", v[i].line);
		if (v[i].want == 0) {
			assert_int_equal(a.emit, EMIT_METADATA);
			assert_string_equal(a.path, "/t/x.rmeta");
		}
		artifact_done(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_compares),
		cmocka_unit_test(test_artifact),
		cmocka_unit_test(test_artifact_of_anybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
