/* mapping: which units are mapped, with which options, and that what the compiler says of them is
 * turned back. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rustc/mapping.h"

static const struct mapping mapping = { .workspace = "/home/u/ws",
	.target_dir = "/home/u/ws/target" };

static void
turns(const char *line, const char *want)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(mapping_turn_back(&mapping, line, strlen(line), &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_string_equal((const char *)b.p, want);
}

static void
stays(const char *line)
{
	turns(line, line);
}

static void
test_names(void **state)
{
	(void)state;
	turns("{\"spans\":[{\"file_name\":\"./a/x.rs\",\"line\":1}],\"rendered\":\"e\\n --> "
	      "./a/x.rs:1:2\\n\"}",
		"{\"spans\":[{\"file_name\":\"/home/u/ws/a/x.rs\",\"line\":1}],\"rendered\":\"e\\n "
		"--> "
		"/home/u/ws/a/x.rs:1:2\\n\"}");
	turns("{\"file_name\":\"/cargo/build-dir/debug/build/b/out/g.rs\"}",
		"{\"file_name\":\"/home/u/ws/target/debug/build/b/out/g.rs\"}");
	turns("{\"rendered\":\"e\\n   ::: ./x.rs:3:4\\n  |\"}",
		"{\"rendered\":\"e\\n   ::: /home/u/ws/x.rs:3:4\\n  |\"}");
	/* a short line, and its children */
	turns("{\"rendered\":\"./x.rs:3:4: error: y\\n./z.rs:1:1: note: w\\n\"}",
		"{\"rendered\":\"/home/u/ws/x.rs:3:4: error: y\\n/home/u/ws/z.rs:1:1: note: "
		"w\\n\"}");
}

static void
test_colours(void **state)
{
	(void)state;
	turns("{\"rendered\":\"\\u001b[1me\\u001b[0m\\n\\u001b[0m  "
	      "\\u001b[0m\\u001b[1m\\u001b[38;5;12m--> "
	      "\\u001b[0m\\u001b[0m./x.rs:1:2\\u001b[0m\\n\"}",
		"{\"rendered\":\"\\u001b[1me\\u001b[0m\\n\\u001b[0m  "
		"\\u001b[0m\\u001b[1m\\u001b[38;5;12m--> "
		"\\u001b[0m\\u001b[0m/home/u/ws/x.rs:1:2\\u001b[0m\\n\"}");
}

/* What only looks like a name. */
static void
test_texts(void **state)
{
	(void)state;
	stays("{\"file_name\":\"src/main.rs\",\"rendered\":\"e\\n --> src/main.rs:1:2\\n\"}");
	stays("{\"message\":\"./x.rs\",\"rendered\":\"e\\n2 | include!(\\\"./x.rs\\\") --> "
	      "./x.rs\\n\"}");
	stays("{\"text\":\"\\\"file_name\\\":\\\"./x.rs\\\"\"}");
	stays("{\"rendered\":\"2 |  a\\\\n --> ./x.rs\\n\"}");
	stays("{\"artifact\":\"./target/libx.rmeta\",\"emit\":\"metadata\"}");
	stays("error: ./x.rs\n --> ./x.rs:1:1");
	stays("{\"file_name\":\".\"}");
	stays("{\"file_name\":\"/cargo/build-dirs/x\"}");
	stays("{\"rendered\":\"");
	stays("{\"rendered\":\"\\");
	stays("{\"");
	stays("{");
	stays("");
}

static void
test_target_dir_unknown(void **state)
{
	const struct mapping m = { .workspace = "/ws" };
	static const char line[] = "{\"file_name\":\"/cargo/build-dir/x.rs\"}";
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(mapping_turn_back(&m, line, strlen(line), &b), 0);
	assert_int_equal(b.n, strlen(line));
	assert_memory_equal(b.p, line, b.n);
}

static bool
suits_by(bool (*by)(const struct rustc_call *call, const char *cwd, const char *manifest_dir),
	const char *source, const char *more, const char *cwd, const char *manifest_dir)
{
	const char *words[] = { "rustc", "--crate-name", "a", source, "--error-format=json",
		"--json=diagnostic-rendered-ansi,artifacts,future-incompat", "--crate-type", "lib",
		"--emit=dep-info,metadata,link", "--out-dir", "/home/u/ws/target/debug/deps", more,
		NULL };
	_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv argv = STRV_INIT;

	for (size_t i = 0; words[i]; i++)
		assert_int_equal(strv_add(&argv, words[i]), 0);
	assert_int_equal(call_parse(argv.v, &call), 0);
	return by(&call, cwd, manifest_dir);
}

static bool
suits(const char *source, const char *more, const char *cwd, const char *manifest_dir)
{
	return suits_by(mapping_suits, source, more, cwd, manifest_dir);
}

static bool
suits_package(const char *source, const char *more, const char *cwd, const char *manifest_dir)
{
	return suits_by(mapping_suits_package, source, more, cwd, manifest_dir);
}

static void
test_suits(void **state)
{
	static const char ws[] = "/home/u/ws", member[] = "/home/u/ws/a";

	(void)state;
	assert_true(suits("a/src/lib.rs", NULL, ws, member));
	assert_true(suits("src/lib.rs", NULL, ws, ws));
	/* of the registry, and of a package beside the workspace */
	assert_false(suits("/home/u/.cargo/registry/src/i/a-1.0.0/src/lib.rs", NULL,
		"/home/u/.cargo/registry/src/i/a-1.0.0", "/home/u/.cargo/registry/src/i/a-1.0.0"));
	assert_false(suits("../b/src/lib.rs", NULL, ws, "/home/u/b"));
	assert_false(suits("a/src/lib.rs", NULL, ws, "/home/u/b"));
	assert_false(suits("a/src/lib.rs", NULL, ws, NULL));
	assert_false(suits("src/lib.rs", NULL, "/", "/"));
	/* a mapping of its own */
	assert_false(suits("src/lib.rs", "--remap-path-prefix=/home/u/ws=/x", ws, ws));
	assert_false(suits("src/lib.rs", "-Cremap-cwd-prefix=.", ws, ws) &&
		     suits("src/lib.rs", "-Zremap-cwd-prefix=.", ws, ws));
}

/* Of the registry, or vendored: cargo starts the compiler in its directory, and names its source by
 * the whole path. */
static void
test_suits_package(void **state)
{
	static const char dir[] = "/home/u/.cargo/registry/src/i/a-1.0.0";
	static const char source[] = "/home/u/.cargo/registry/src/i/a-1.0.0/src/lib.rs";

	(void)state;
	assert_true(suits_package(source, NULL, dir, dir));
	assert_false(suits_package("src/lib.rs", NULL, dir, dir));
	assert_false(suits_package(source, NULL, dir, "/home/u/.cargo/registry/src/i/b-1.0.0"));
	assert_false(suits_package(source, NULL, dir, NULL));
	assert_false(suits_package("/home/u/ws/src/lib.rs", NULL, dir, dir));
	assert_false(suits_package(source, "--remap-path-prefix=/home/u/ws=/x", dir, dir));
}

/* Without a workspace the target directory alone has another name. */
static void
test_target_alone(void **state)
{
	static const struct mapping m = { .target_dir = "/home/u/ws/target" };
	static const char line[] = "{\"file_name\":\"./a.rs\",\"rendered\":\"error\\n --> "
				   "/cargo/build-dir/debug/build/a/out/b.rs:1:2\\n\"}";
	static const char want[] = "{\"file_name\":\"./a.rs\",\"rendered\":\"error\\n --> "
				   "/home/u/ws/target/debug/build/a/out/b.rs:1:2\\n\"}";
	_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv given = STRV_INIT, argv = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(strv_add(&given, "rustc"), 0);
	assert_int_equal(strv_add(&given, "/p/a.rs"), 0);
	assert_int_equal(call_parse(given.v, &call), 0);
	assert_int_equal(mapping_argv(&m, &call, &argv), 0);
	assert_int_equal(argv.n, 3);
	assert_string_equal(argv.v[1], "--remap-path-prefix=/home/u/ws/target=/cargo/build-dir");
	assert_int_equal(mapping_turn_back(&m, line, strlen(line), &b), 0);
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

/* The library's sources: the last option, since a toolchain may lie in the workspace. */
static void
test_library(void **state)
{
	static const struct mapping m = { .workspace = "/ws",
		.sources = "/ws/t/lib/rustlib/src/rust/library",
		.sources_name = "/rustc/5980/library" };
	static const char
		line[] = "{\"file_name\":\"/rustc/5980/library/core/src/a.rs\","
			 "\"rendered\":\"e\\n   --> /rustc/5980/library/std/b.rs:1:2\\n"
			 "  ::: /rustc/5980/library2/c.rs:1:2\\n\"}",
		want[] = "{\"file_name\":\"/ws/t/lib/rustlib/src/rust/library/core/src/a.rs"
			 "\",\"rendered\":\"e\\n   --> "
			 "/ws/t/lib/rustlib/src/rust/library/std/b.rs:1:2\\n"
			 "  ::: /rustc/5980/library2/c.rs:1:2\\n\"}";
	_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(call_done) struct rustc_call mapped = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv given = STRV_INIT, argv = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(strv_add(&given, "rustc"), 0);
	assert_int_equal(strv_add(&given, "a.rs"), 0);
	assert_int_equal(call_parse(given.v, &call), 0);
	assert_int_equal(mapping_argv(&m, &call, &argv), 0);
	assert_int_equal(argv.n, 4);
	assert_string_equal(argv.v[2],
		"--remap-path-prefix=/ws/t/lib/rustlib/src/rust/library=/rustc/5980/library");
	assert_int_equal(call_parse(argv.v, &mapped), 0);
	assert_true(mapping_has(&mapped, m.sources));
	assert_true(mapping_has(&mapped, "/ws"));
	assert_false(mapping_has(&mapped, "/ws/t"));
	assert_false(mapping_has(&call, "/ws"));
	assert_int_equal(mapping_turn_back(&m, line, strlen(line), &b), 0);
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

static void
test_argv(void **state)
{
	static const char *const plain[] = { "rustc", "a.rs", NULL }, *const clippy[] = {
		"clippy-driver", "rustc", "a.rs", NULL
	};
	const char *const *const all[] = { plain, clippy };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
		_cleanup_(strv_done) struct strv given = STRV_INIT, argv = STRV_INIT;
		size_t at = i + 1;

		for (const char *const *v = all[i]; *v; v++)
			assert_int_equal(strv_add(&given, *v), 0);
		assert_int_equal(call_parse(given.v, &call), 0);
		assert_int_equal(mapping_argv(&mapping, &call, &argv), 0);
		assert_int_equal(argv.n, given.n + 2);
		assert_string_equal(argv.v[at], "--remap-path-prefix=/home/u/ws=.");
		assert_string_equal(
			argv.v[at + 1], "--remap-path-prefix=/home/u/ws/target=/cargo/build-dir");
		assert_string_equal(argv.v[at + 2], "a.rs");
	}
}

/* What is vendored has one option more, which changes no name. */
static void
test_vendored(void **state)
{
	static const struct {
		const char *source, *option;
	} cases[] = {
		{ "/home/u/ws/vendor/low/src/lib.rs",
			"--remap-path-prefix=/home/u/ws/vendor=./vendor" },
		{ "/home/u/ws/a/b/low/lib.rs", "--remap-path-prefix=/home/u/ws/a=./a" },
		{ "/home/u/ws/lib.rs", NULL },
		{ "/home/u/ws2/vendor/low/lib.rs", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
		_cleanup_(strv_done) struct strv given = STRV_INIT, argv = STRV_INIT;

		assert_int_equal(strv_add(&given, "rustc"), 0);
		assert_int_equal(strv_add(&given, cases[i].source), 0);
		assert_int_equal(call_parse(given.v, &call), 0);
		assert_int_equal(mapping_argv(&mapping, &call, &argv), 0);
		assert_int_equal(argv.n, cases[i].option ? 5 : 4);
		if (cases[i].option)
			assert_string_equal(argv.v[2], cases[i].option);
	}
}

static void
test_read(void **state)
{
	static const struct mapping mappings[] = { { "/home/u/ws", "/home/u/ws/target", NULL, NULL,
							   NULL },
		{ NULL, "/a=b/target", NULL, NULL, NULL },
		{ "/home/u/a=b", NULL, NULL, NULL, NULL }, { NULL, NULL, NULL, NULL, NULL },
		{ NULL, "/t", "/h/=x", NULL, NULL }, { "/w", "/w/t", "/h", NULL, NULL },
		{ "/w", NULL, NULL, "/=/lib/rustlib/src/rust/library", "/rustc/5/library" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mappings); i++) {
		_cleanup_(call_done) struct rustc_call plain = { .kind = CALL_UNKNOWN };
		_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
		_cleanup_(strv_done) struct strv given = STRV_INIT, argv = STRV_INIT;
		_cleanup_(strv_done) struct strv words = STRV_INIT, again = STRV_INIT;
		struct mapping m = { "x", "x", "x", "x", "x" };

		assert_int_equal(strv_add(&given, "rustc"), 0);
		assert_int_equal(strv_add(&given, "--cfg=x=."), 0);
		assert_int_equal(strv_add(&given, "a.rs"), 0);
		assert_int_equal(call_parse(given.v, &plain), 0);
		assert_int_equal(mapping_argv(&mappings[i], &plain, &argv), 0);
		assert_int_equal(call_parse(argv.v, &call), 0);
		assert_int_equal(mapping_read(&call, &words, &m), 0);
		assert_int_equal(mapping_argv(&m, &plain, &again), 0);
		assert_int_equal(again.n, argv.n);
		for (size_t k = 0; k < argv.n; k++)
			assert_string_equal(again.v[k], argv.v[k]);
	}
}

/* Cargo's home: the workspace's options come after its, since the last one that fits is taken. */
static void
test_home(void **state)
{
	static char rustc[] = "rustc", source[] = "/h/.cargo/registry/src/i/p/a.rs",
		    remap[] = "--remap-path-prefix=/a=/cargo/registry/src";
	char *given[] = { rustc, source, NULL }, *others[] = { rustc, remap, NULL };
	static const struct mapping m = {
		.workspace = "/h/ws", .target_dir = "/h/ws/target", .cargo_home = "/h/.cargo"
	};
	static const char *const want[] = {
		"--remap-path-prefix=/h/.cargo/registry/src=/cargo/registry/src",
		"--remap-path-prefix=/h/.cargo/git/checkouts=/cargo/git/checkouts",
		"--remap-path-prefix=/h/ws=.", "--remap-path-prefix=/h/ws/target=/cargo/build-dir"
	};
	static const char line[] = "{\"file_name\":\"/cargo/registry/src/i/p/a.rs\",\"rendered\":"
				   "\"e\\n --> /cargo/git/checkouts/p/1/b.rs:1:2\\n\"}",
			  back[] =
				  "{\"file_name\":\"/h/.cargo/registry/src/i/p/a.rs\",\"rendered\":"
				  "\"e\\n --> /h/.cargo/git/checkouts/p/1/b.rs:1:2\\n\"}",
			  other[] = "{\"file_name\":\"/cargo/registry/index/a.rs\"}";
	_cleanup_(call_done) struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(freep) char *home = NULL;

	(void)state;
	assert_int_equal(call_parse(given, &call), 0);
	assert_int_equal(mapping_argv(&m, &call, &argv), 0);
	assert_int_equal(argv.n, 2 + ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(argv.v[1 + i], want[i]);
	home = mapping_find_home(argv.v);
	assert_string_equal(home, "/h/.cargo");
	assert_null(mapping_find_home(given));
	assert_null(mapping_find_home(others));
	assert_int_equal(mapping_turn_back(&m, line, strlen(line), &b), 0);
	assert_int_equal(b.n, strlen(back));
	assert_memory_equal(b.p, back, b.n);
	buf_done(&b);
	assert_int_equal(mapping_turn_back(&m, other, strlen(other), &b), 0);
	assert_int_equal(b.n, strlen(other));
	assert_memory_equal(b.p, other, b.n);
}

/* A message of several lines: they begin below its first word. */
static void
test_messages(void **state)
{
	(void)state;
	stays("{\"rendered\":\"error: see\\n       ./a/src/lib.rs:1:2: no\\n --> a.rs:1:1\\n\"}");
	stays("{\"rendered\":\"error: see\\n       --> ./a/src/lib.rs:1:2\\n --> a.rs:1:1\\n\"}");
	stays("{\"rendered\":\"note: see\\n      ::: /cargo/build-dir/a.rs:1:2\\n\"}");
	stays("{\"rendered\":\"error: ./a/src/lib.rs:1:2\\n\"}");
	stays("{\"rendered\":\"1 | \\\"\\n --> a.rs\"}");
	stays("{\"message\":\"./a/src/lib.rs:1:2\"}");
	stays("{\"rendered\":\"--> ");
	/* what begins like a colour is none, and hides no closure before the arrow */
	turns("{\"rendered\":\"\\u001b[{closure@./a.rs:1:2: 3:4} m--> ./b.rs:1:2\\n\"}",
		"{\"rendered\":\"\\u001b[{closure@/home/u/ws/a.rs:1:2: 3:4} m--> "
		"./b.rs:1:2\\n\"}");
	stays("{\"message\":\"\\");
}

static void
test_closures(void **state)
{
	(void)state;
	turns("{\"message\":\"found `{closure@./a.rs:1:2: 3:45}`\"}",
		"{\"message\":\"found `{closure@/home/u/ws/a.rs:1:2: 3:45}`\"}");
	turns("{\"label\":\"{async block@/cargo/build-dir/a.rs:1:2: 3:4}\"}",
		"{\"label\":\"{async block@/home/u/ws/target/a.rs:1:2: 3:4}\"}");
	turns("{\"rendered\":\" = note: F<{closure@./a.rs:1:2: 3:4}, {closure@./b.rs:1:2: "
	      "3:4}>\\n\"}",
		"{\"rendered\":\" = note: F<{closure@/home/u/ws/a.rs:1:2: 3:4}, "
		"{closure@/home/u/ws/b.rs:1:2: 3:4}>\\n\"}");
	stays("{\"message\":\"user@./a.rs:1:2: 3:4}\"}");
	stays("{\"message\":\"{closure@./a.rs}\"}");
	stays("{\"message\":\"{closure@./a.rs:1:2: 3:4\"}");
	stays("{\"message\":\"{closure@./a.rs:1:2: 3:}\"}");
	stays("{\"text\":\"{closure@./a.rs:1:2: 3:4}\"}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names),
		cmocka_unit_test(test_colours), cmocka_unit_test(test_texts),
		cmocka_unit_test(test_messages), cmocka_unit_test(test_closures),
		cmocka_unit_test(test_target_dir_unknown), cmocka_unit_test(test_suits),
		cmocka_unit_test(test_suits_package), cmocka_unit_test(test_target_alone),
		cmocka_unit_test(test_argv), cmocka_unit_test(test_library),
		cmocka_unit_test(test_vendored), cmocka_unit_test(test_read),
		cmocka_unit_test(test_home) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
