/* Entries: what goes in comes out; whatever is cut, flipped or odd is no entry. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/entry.h"
#include "cache/text.h"
#include "common/fs.h"

static struct digest
digest_for(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static void
fill_result(struct result *r, const char *source)
{
	struct digest d = digest_for(source);
	struct output *o;

	assert_int_equal(inputs_add(&r->inputs, INPUT_FILE, "/w/src/lib.rs", d.b, DIGEST_SIZE), 0);
	assert_int_equal(inputs_add(&r->inputs, INPUT_ABSENT, "/w/src/a.rs", NULL, 0), 0);
	o = result_add_output(r, "liba.rlib");
	assert_non_null(o);
	*o = (struct output){
		.name = o->name, .mode = 0644, .size = 7, .digest = d, .is_blob = true
	};
	o = result_add_output(r, "a.d");
	assert_non_null(o);
	o->mode = 0600;
	o->size = 3;
	assert_int_equal(buf_adds(&o->text, "\x01/a.d: src/lib.rs\n"), 0);
	assert_int_equal(buf_adds(&r->err, "{\"artifact\":\"\x01/liba.rlib\"}\n"), 0);
	r->compile_us = 12345;
	r->time_s = 99;
	assert_int_equal(strv_add(&r->argv, "rustc"), 0);
	assert_int_equal(strv_add(&r->argv, ""), 0);
	assert_int_equal(strv_add(&r->env, "A=1"), 0);
	r->cwd = strdup("/w");
	r->from = strdup("local");
	r->rustc = strdup("1.95.0");
}

static void
fill(struct entry *e, unsigned n)
{
	e->key = digest_for("key");
	assert_int_equal(strv_add(&e->recipe, "format=1"), 0);
	for (unsigned i = 0; i < n; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		char source[32];

		snprintf(source, sizeof(source), "source %u", i);
		fill_result(&r, source);
		assert_int_equal(entry_add_result(e, &r), 0);
	}
}

static void
encoded(struct buf *b, unsigned n)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;

	fill(&e, n);
	assert_int_equal(entry_encode(&e, b), 0);
}

static void
test_there_and_back(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	struct digest key = digest_for("key"), d = digest_for("source 1");

	(void)state;
	encoded(&b, 2);
	assert_int_equal(entry_decode(b.p, b.n, &key, &e), 0);
	assert_int_equal(e.n_results, 2);
	assert_string_equal(e.recipe.v[0], "format=1");
	assert_int_equal(entry_result(&e, 0, &r), 0); /* the latest first */
	assert_int_equal(r.inputs.n, 2);
	assert_int_equal(r.inputs.v[0].kind, INPUT_FILE);
	assert_memory_equal(r.inputs.v[0].value.p, d.b, DIGEST_SIZE);
	assert_int_equal(r.inputs.v[1].value.n, 0);
	assert_int_equal(r.n_outputs, 2);
	assert_true(r.outputs[0].is_blob);
	assert_true(digest_eq(&r.outputs[0].digest, &d));
	assert_int_equal(r.outputs[0].size, 7);
	assert_false(r.outputs[1].is_blob);
	assert_int_equal(r.outputs[1].mode, 0600);
	assert_string_equal((char *)r.outputs[1].text.p, "\x01/a.d: src/lib.rs\n");
	assert_int_equal(r.compile_us, 12345);
	assert_int_equal(r.time_s, 99);
	assert_string_equal(r.from, "local");
	assert_string_equal(r.rustc, "1.95.0");
	assert_int_equal(r.argv.n, 2);
	assert_string_equal(r.argv.v[0], "rustc");
	assert_string_equal(r.argv.v[1], "");
	assert_int_equal(r.env.n, 1);
	assert_string_equal(r.env.v[0], "A=1");
	assert_string_equal(r.cwd, "/w");
}

static struct output *
add_temporary(struct result *r, const char *name)
{
	struct output *o = result_add_temporary(r, name);

	assert_non_null(o);
	o->mode = 0644;
	o->size = 9;
	o->digest = digest_for(name);
	o->is_blob = true;
	return o;
}

static void
add_link(struct result *r, const char *text)
{
	struct buf *b = result_add_link(r);

	assert_non_null(b);
	assert_int_equal(buf_adds(b, text), 0);
}

static void
test_a_bundle(void **state)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;
	struct digest d = digest_for("rustcAB12/symbols.o");

	(void)state;
	fill_result(&r, "source");
	add_link(&r, "first");
	add_link(&r, "second");
	add_temporary(&r, "a.a1b2-cgu.0.rcgu.o");
	add_temporary(&r, "rustcAB12/symbols.o");
	assert_int_equal(buf_adds(&r.tail, "{\"artifact\":\"\x01/a\"}\n"), 0);
	assert_int_equal(entry_add_result(&e, &r), 0);
	assert_int_equal(entry_result(&e, 0, &got), 0);
	assert_int_equal(got.n_links, 2);
	assert_string_equal((char *)got.links[1].p, "second");
	assert_int_equal(got.n_temporaries, 2);
	assert_string_equal(got.temporaries[1].name, "rustcAB12/symbols.o");
	assert_true(digest_eq(&got.temporaries[1].digest, &d));
	assert_int_equal(got.temporaries[1].size, 9);
	assert_int_equal(got.temporaries[1].mode, 0644);
	assert_string_equal((char *)got.tail.p, "{\"artifact\":\"\x01/a\"}\n");
	assert_int_equal(got.n_outputs, 2);
}

static void
add_with(struct entry *e, const char *const *names, size_t n, const char *value, uint64_t time_s)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	struct digest d = digest_for(value);
	struct output *o;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(inputs_add(&r.inputs, INPUT_FILE, names[i], d.b, DIGEST_SIZE), 0);
	o = result_add_output(&r, "liba.rlib");
	assert_non_null(o);
	o->digest = d;
	o->is_blob = true;
	r.time_s = time_s;
	assert_int_equal(entry_add_result(e, &r), 0);
}

/* Of results with equal inputs the latest stands, in one slot. */
static void
test_equal_results(void **state)
{
	static const char *const names[] = { "/a", "/b", "/c" }, *const turned[] = { "/c", "/a",
		"/b" };
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result got = RESULT_INIT;

	(void)state;
	add_with(&e, names, 3, "one", 1);
	add_with(&e, names, 3, "two", 2);
	add_with(&e, names, 2, "one", 3);
	assert_int_equal(e.n_results, 3);
	for (unsigned i = 0; i < 2 * ENTRY_RESULTS_MAX; i++)
		add_with(&e, turned, 3, "one", 100 + i);
	assert_int_equal(e.n_results, 3);
	assert_int_equal(entry_result(&e, 0, &got), 0);
	assert_int_equal(got.time_s, 100 + 2 * ENTRY_RESULTS_MAX - 1);
	assert_string_equal(got.inputs.v[0].name, "/c");
}

/* With n links and one temporary. */
static void
odd_bundle(unsigned links, const char *temporary, bool is_blob, const char *tail)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

	fill_result(&r, "source");
	for (unsigned i = 0; i < links; i++)
		add_link(&r, "call");
	if (temporary)
		add_temporary(&r, temporary)->is_blob = is_blob;
	assert_int_equal(buf_adds(&r.tail, tail), 0);
	assert_int_equal(entry_add_result(&e, &r), 0);
	assert_int_equal(entry_result(&e, 0, &got), -EBADMSG);
}

static void
test_odd_bundles(void **state)
{
	(void)state;
	odd_bundle(1, "../a.o", true, "");
	odd_bundle(1, "/a.o", true, "");
	odd_bundle(1, "build/a.o", true, "");
	odd_bundle(1, "rustcAB/..", true, "");
	odd_bundle(1, "rustcAB/c/a.o", true, "");
	odd_bundle(1, "rustcAB/", true, "");
	odd_bundle(1, "", true, "");
	odd_bundle(1, "a.o", false, "");
	odd_bundle(RESULT_LINKS_MAX + 1, "a.o", true, "");
	odd_bundle(0, "a.o", true, "");
	odd_bundle(0, NULL, true, "said");
}

static void
test_damage(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest key = digest_for("key"), other = digest_for("other");
	struct entry e = ENTRY_INIT;

	(void)state;
	encoded(&b, 1);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(entry_decode(b.p, n, &key, &e), -EBADMSG);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0x10;
		assert_int_equal(entry_decode(b.p, b.n, &key, &e), -EBADMSG);
		b.p[i] ^= 0x10;
	}
	assert_int_equal(entry_decode(b.p, b.n, &other, &e), -EBADMSG);
	assert_int_equal(entry_decode(b.p, b.n, &key, &e), 0);
	entry_done(&e);
}

/* A result that is no result, behind a digest that fits. */
static void
odd_result(const char *output, unsigned mode, bool with_inputs)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;
	struct output *o;

	e.key = digest_for("key");
	if (with_inputs)
		assert_int_equal(inputs_add(&r.inputs, INPUT_ABSENT, "/x", NULL, 0), 0);
	if (output) {
		o = result_add_output(&r, output);
		assert_non_null(o);
		o->mode = mode;
	}
	assert_int_equal(entry_add_result(&e, &r), 0);
	assert_int_equal(entry_result(&e, 0, &got), -EBADMSG);
}

static void
test_odd_results(void **state)
{
	(void)state;
	odd_result("../a", 0644, true);
	odd_result("/etc/passwd", 0644, true);
	odd_result("..", 0644, true);
	odd_result("", 0644, true);
	odd_result("a", 04755, true);
	odd_result("a", 0644, false);
	odd_result(NULL, 0, true);
}

/* ---- of a build script's run */

struct run_output {
	const char *name;
	enum output_kind kind;
	const char *text; /* NULL: a blob */
};

static int
run_result(const struct run_output *v, size_t n, struct result *r, struct result *got)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;

	r->run = true;
	e.key = digest_for("key");
	assert_int_equal(inputs_add(&r->inputs, INPUT_ABSENT, "/x", NULL, 0), 0);
	for (size_t i = 0; i < n; i++) {
		struct output *o = result_add_output(r, v[i].name);

		assert_non_null(o);
		o->kind = v[i].kind;
		o->mode = 0755;
		o->is_blob = !v[i].text;
		if (o->is_blob)
			o->digest = digest_for(v[i].name);
		else
			assert_int_equal(buf_adds(&o->text, v[i].text), 0);
	}
	assert_int_equal(entry_add_result(&e, r), 0);
	return entry_result(&e, 0, got);
}

static void
test_a_run(void **state)
{
	static const struct run_output outputs[] = {
		{ "a", OUTPUT_DIR, "" },
		{ "a b\n\xff", OUTPUT_FILE, "" },
		{ "a-b", OUTPUT_LINK, "\x01/a/b" },
		{ "a/b", OUTPUT_DIR, "" },
		{ "a/b/c", OUTPUT_FILE, NULL },
		{ "z.txt", OUTPUT_FILE, "\x02/debug" },
	};
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

	(void)state;
	assert_int_equal(run_result(outputs, ARRAY_LEN(outputs), &r, &got), 0);
	assert_true(got.run);
	assert_int_equal(got.n_outputs, ARRAY_LEN(outputs));
	for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
		assert_string_equal(got.outputs[i].name, outputs[i].name);
		assert_int_equal(got.outputs[i].kind, outputs[i].kind);
		assert_int_equal(got.outputs[i].mode, 0755);
		assert_int_equal(got.outputs[i].is_blob, !outputs[i].text);
		if (outputs[i].text && *outputs[i].text)
			assert_string_equal((char *)got.outputs[i].text.p, outputs[i].text);
	}
}

/* A script may only print. */
static void
test_a_run_without_outputs(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

	(void)state;
	assert_int_equal(buf_adds(&r.out, "cargo:rerun-if-changed=build.rs\n"), 0);
	assert_int_equal(run_result(NULL, 0, &r, &got), 0);
	assert_int_equal(got.n_outputs, 0);
	assert_int_equal(got.out.n, r.out.n);
}

static void
odd_run(const struct run_output *v, size_t n)
{
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

	assert_int_equal(run_result(v, n, &r, &got), -EBADMSG);
	assert_int_equal(got.n_outputs, 0);
}

static void
odd_name(const char *name)
{
	const struct run_output v[] = { { "a", OUTPUT_DIR, "" }, { name, OUTPUT_FILE, "" } };

	/* beside a directory that it may lie in, and alone */
	odd_run(v, 2);
	odd_run(v + 1, 1);
}

#define ODD_RUN(...)                                             \
	do {                                                     \
		const struct run_output odd[] = { __VA_ARGS__ }; \
		odd_run(odd, ARRAY_LEN(odd));                    \
	} while (0)

static void
test_odd_runs(void **state)
{
	char name[600];

	(void)state;
	odd_name("..");
	odd_name("../b");
	odd_name("a/../b");
	odd_name("a/..");
	odd_name("a/./b");
	odd_name("/b");
	odd_name("/");
	odd_name("");
	odd_name("a/");
	odd_name("a//b");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	odd_name(name);
	/* it must lie in a directory that was made */
	ODD_RUN({ "a/b", OUTPUT_FILE, "" });
	ODD_RUN({ "a", OUTPUT_LINK, "/etc" }, { "a/b", OUTPUT_FILE, "" });
	ODD_RUN({ "a", OUTPUT_FILE, "" }, { "a/b", OUTPUT_FILE, "" });
	ODD_RUN({ "a", OUTPUT_DIR, "" }, { "a/b", OUTPUT_LINK, "/" }, { "a/b/c", OUTPUT_FILE, "" });
	ODD_RUN({ "a", OUTPUT_DIR, "" }, { "a/b/c", OUTPUT_FILE, "" });
	/* twice, and in another order */
	ODD_RUN({ "a", OUTPUT_FILE, "" }, { "a", OUTPUT_FILE, "" });
	ODD_RUN({ "a", OUTPUT_DIR, "" }, { "a", OUTPUT_LINK, "/etc" }, { "a/b", OUTPUT_FILE, "" });
	ODD_RUN({ "b", OUTPUT_FILE, "" }, { "a", OUTPUT_FILE, "" });
	ODD_RUN({ "a/b", OUTPUT_FILE, "" }, { "a", OUTPUT_DIR, "" });
	/* kinds that hold what they cannot */
	ODD_RUN({ "a", OUTPUT_KINDS, "" });
	ODD_RUN({ "a", OUTPUT_DIR, NULL });
	ODD_RUN({ "a", OUTPUT_DIR, "text" });
	ODD_RUN({ "a", OUTPUT_LINK, NULL });
	ODD_RUN({ "a", OUTPUT_LINK, "" });
}

/* What a run alone may have, and what it may not. */
static void
test_units_are_no_runs(void **state)
{
	static const enum output_kind kinds[] = { OUTPUT_DIR, OUTPUT_LINK };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_cleanup_(entry_done) struct entry e = ENTRY_INIT;
		_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

		fill_result(&r, "source");
		r.outputs[1].kind = kinds[i];
		assert_int_equal(entry_add_result(&e, &r), 0);
		assert_int_equal(entry_result(&e, 0, &got), -EBADMSG);
	}
	odd_result("a/b", 0644, true);
	for (int i = 0; i < 2; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;

		if (i == 0)
			r.status = 1;
		else
			add_link(&r, "call");
		assert_int_equal(run_result(NULL, 0, &r, &got), -EBADMSG);
	}
}

static unsigned
mode_under(unsigned umask_then, unsigned full, const char *name, unsigned umask_now)
{
	return output_mode_here(output_mode_kept(full & ~umask_then, umask_then, name), umask_now);
}

static void
test_modes(void **state)
{
	static const unsigned masks[] = { 0, 002, 022, 027, 077, 0177, 0777 };

	(void)state;
	/* whatever it was, it is now what this umask makes of it */
	for (size_t i = 0; i < ARRAY_LEN(masks); i++)
		for (size_t k = 0; k < ARRAY_LEN(masks); k++) {
			unsigned then = masks[i], now = masks[k];

			assert_int_equal(mode_under(then, 0666, "libx.rlib", now), 0666 & ~now);
			assert_int_equal(mode_under(then, 0666, "x.d", now), 0666 & ~now);
			assert_int_equal(mode_under(then, 0777, "app", now), 0777 & ~now);
			assert_int_equal(mode_under(then, 0777, "libx.so", now), 0777 & ~now);
		}
	/* one that no umask explains stays, and never becomes more */
	assert_int_equal(output_mode_kept(0600, 022, "libx.rlib"), 0600);
	assert_int_equal(output_mode_here(0640, 022), 0640);
	assert_int_equal(output_mode_here(0640, 077), 0600);
}

static void
test_bounded(void **state)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	struct digest last = digest_for("source 39");

	(void)state;
	fill(&e, 40);
	assert_int_equal(e.n_results, ENTRY_RESULTS_MAX);
	assert_int_equal(entry_result(&e, 0, &r), 0);
	assert_memory_equal(r.inputs.v[0].value.p, last.b, DIGEST_SIZE);
}

static void
test_order(void **state)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	struct digest d = digest_for("source 0");

	(void)state;
	fill(&e, 3); /* 2 1 0 */
	entry_make_first(&e, 2);
	entry_drop_result(&e, 1); /* 0 1 */
	assert_int_equal(e.n_results, 2);
	assert_int_equal(entry_result(&e, 0, &r), 0);
	assert_memory_equal(r.inputs.v[0].value.p, d.b, DIGEST_SIZE);
}

/* ---- texts */

static void
hides(const char *text, const char *expected)
{
	_cleanup_(buf_done) struct buf hidden = BUF_INIT;
	_cleanup_(buf_done) struct buf shown = BUF_INIT;

	assert_int_equal(text_hide(text, strlen(text), "/t/deps", &hidden), 0);
	assert_string_equal((char *)hidden.p, expected);
	assert_int_equal(text_show(hidden.p, hidden.n, "/t/deps", &shown), 0);
	assert_string_equal((char *)shown.p, text);
}

static void
test_the_out_dir_in_texts(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	hides("/t/deps/a.d: x\n", "\x01/a.d: x\n");
	hides("{\"artifact\":\"/t/deps/liba.rlib\"}\n/t/deps",
		"{\"artifact\":\"\x01/liba.rlib\"}\n\x01");
	hides("nothing", "nothing");
	hides("/t/dep", "/t/dep");
	/* another directory's name begins alike: there is no telling what it would become */
	assert_int_equal(text_hide("/t/deps2/a", 10, "/t/deps", &b), -EBADMSG);
	assert_int_equal(text_hide("a\x01", 2, "/t/deps", &b), -EBADMSG);
	/* or ends alike */
	assert_int_equal(text_hide("/a/t/deps/x", 11, "/t/deps", &b), -EBADMSG);
	assert_int_equal(text_hide("C/t/deps", 8, "/t/deps", &b), -EBADMSG);
	assert_int_equal(text_hide("x-L/t/deps", 10, "/t/deps", &b), -EBADMSG);
	hides("-L/t/deps -B/t/deps", "-L\x01 -B\x01");
	hides("-Wl,--version-script=/t/deps/list", "-Wl,--version-script=\x01/list");
	hides("{\"message\":\"of\\n/t/deps/a\"}", "{\"message\":\"of\\n\x01/a\"}");
	assert_true(text_can_hide("/t/deps"));
	assert_false(text_can_hide("/t/with space"));
	assert_false(text_can_hide("/t/quote\""));
	assert_false(text_can_hide("t/deps"));
	assert_false(text_can_hide("/"));
}

static void
test_a_path_in_a_file(void **state)
{
	char path[] = "/tmp/dray-text-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	_cleanup_(freep) char *big = calloc(1, (2u << 20) + 3);
	size_t size = (2u << 20) + 3;

	(void)state;
	assert_true(fd >= 0);
	assert_non_null(big);
	assert_int_equal(text_file_has(path, "/t/deps"), 0);
	assert_int_equal(fs_write_atomic(path, big, size, 0600), 0);
	assert_int_equal(text_file_has(path, "/t/deps"), 0);
	/* over the border of what is read at a time */
	for (size_t at = (1u << 20) - 8; at < (1u << 20) + 2; at++) {
		memset(big, 0, size);
		memcpy(big + at, "/t/deps", 7);
		assert_int_equal(fs_write_atomic(path, big, size, 0600), 0);
		assert_int_equal(text_file_has(path, "/t/deps"), 1);
	}
	unlink(path);
	assert_int_equal(text_file_has(path, "/t/deps"), -ENOENT);
}

/* What a worker made is known by its key, and can be told from the rest. */
static void
test_producer(void **state)
{
	static const char key[] = "1]yYn&.3zxIFg3vKE%3I(b?r-pjQOcT%0<s8&u6-";
	static const char other[] = "<yd0bfLq^uFmMGY+)*Vn{kX6/mmAz-<aUg&iZD7U";
	static const char signer[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	const char *const producers[] = { key, NULL, other, key };
	_cleanup_(entry_done) struct entry e = ENTRY_INIT, got = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_true(result_is_producer(key));
	assert_false(result_is_producer(""));
	assert_false(result_is_producer("1]yYn&.3zxIFg3vKE%3I(b?r-pjQOcT%0<s8&u6"));
	assert_false(result_is_producer("1]yYn&.3zxIFg3vKE%3I(b?r-pjQOcT%0<s8&u6\033"));
	for (size_t i = 0; i < ARRAY_LEN(producers); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		char name[8];

		snprintf(name, sizeof(name), "/f%zu", i);
		assert_non_null(result_add_output(&r, "x.d"));
		assert_int_equal(inputs_add(&r.inputs, INPUT_ABSENT, name, "", 0), 0);
		r.producer = producers[i] ? strdup(producers[i]) : NULL;
		r.time_s = 100;
		assert_int_equal(entry_add_result(&e, &r), 0);
	}
	assert_int_equal(entry_encode(&e, &b), 0);
	assert_int_equal(entry_decode(b.p, b.n, &e.key, &got), 0);
	assert_int_equal(got.n_results, 4);
	for (size_t i = 0; i < got.n_results; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		const char *want = producers[ARRAY_LEN(producers) - 1 - i];

		assert_int_equal(entry_result(&got, i, &r), 0);
		assert_true(want ? r.producer && streq(r.producer, want) : !r.producer);
	}
	assert_int_equal(entry_drop_made(&got, key, 100), 0);
	assert_int_equal(entry_drop_made(&got, key, 101), 2);
	assert_int_equal(entry_drop_made(&got, key, 0), 0);
	assert_int_equal(got.n_results, 2);
	/* nor is one that signs taken for a worker's, or a worker's for it */
	{
		_cleanup_(result_done) struct result r = RESULT_INIT, back = RESULT_INIT;

		assert_true(result_is_producer(signer));
		assert_string_equal(result_producer_words(signer), "the producer");
		assert_string_equal(result_producer_words(key), "the worker");
		assert_non_null(result_add_output(&r, "x.d"));
		assert_int_equal(inputs_add(&r.inputs, INPUT_ABSENT, "/s", "", 0), 0);
		r.producer = strdup(signer);
		assert_int_equal(entry_add_result(&got, &r), 0);
		assert_int_equal(entry_result(&got, 0, &back), 0);
		assert_string_equal(back.producer, signer);
		assert_int_equal(entry_drop_made(&got, other, 0), 1);
		assert_int_equal(entry_drop_made(&got, signer, 0), 1);
		assert_int_equal(got.n_results, 1);
	}
	/* which is no key: it may not be shown */
	{
		_cleanup_(result_done) struct result r = RESULT_INIT, back = RESULT_INIT;

		assert_non_null(result_add_output(&r, "x.d"));
		assert_int_equal(inputs_add(&r.inputs, INPUT_ABSENT, "/f", "", 0), 0);
		r.producer = strdup("\033[2J");
		assert_int_equal(entry_add_result(&got, &r), 0);
		assert_int_equal(entry_result(&got, 0, &back), -EBADMSG);
	}
}

static void
test_metadata_comes_first(void **state)
{
	static const char *const order[] = { "liba.rmeta", "liba.rlib", "liba.so", "a.o" };
	struct result r = RESULT_INIT;
	const struct output *o;
	struct output *made;
	size_t at = 0;

	(void)state;
	fill_result(&r, "one");
	for (size_t i = 0; i < 2; i++) {
		made = result_add_output(&r, i ? "liba.so" : "liba.rmeta");
		assert_non_null(made);
		made->is_blob = true;
	}
	/* a text, not a blob, though its name says so */
	made = result_add_output(&r, "libb.rmeta");
	assert_non_null(made);
	assert_int_equal(buf_adds(&made->text, "x"), 0);
	made = result_add_temporary(&r, "a.o");
	assert_non_null(made);
	made->is_blob = true;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		o = result_next_blob(&r, &at);
		assert_non_null(o);
		assert_string_equal(o->name, order[i]);
	}
	assert_null(result_next_blob(&r, &at));
	assert_null(result_next_blob(&r, &at));
	result_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_a_bundle),
		cmocka_unit_test(test_equal_results),
		cmocka_unit_test(test_odd_bundles),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_odd_results),
		cmocka_unit_test(test_a_run),
		cmocka_unit_test(test_a_run_without_outputs),
		cmocka_unit_test(test_odd_runs),
		cmocka_unit_test(test_units_are_no_runs),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_the_out_dir_in_texts),
		cmocka_unit_test(test_a_path_in_a_file),
		cmocka_unit_test(test_producer),
		cmocka_unit_test(test_metadata_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
