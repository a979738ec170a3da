/* The report's page: whatever a line says, it is text in it; and it needs nothing else. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/show/page.h"

#define EVIL "<script>alert(1)</script>\\\" onload='x' &amp; \\u202e"

static size_t
count(const char *s, const char *what)
{
	size_t n = 0;

	for (; (s = strstr(s, what)) != NULL; s += strlen(what))
		n++;
	return n;
}

/* A build of these lines, one after another. */
static void
add(struct builds *all, const char *line)
{
	struct job_line j;

	assert_int_equal(job_decode(line, strlen(line), &j), 0);
	assert_int_equal(builds_add(all, &j, true), 0);
	job_done(&j);
}

static void
make(const struct builds *all, struct html *h)
{
	const struct build *last = builds_last(all);

	assert_non_null(last);
	assert_int_equal(
		page_write(&(struct page_in){ .builds = &last, .n = 1, .now_ms = 1 }, h), 0);
}

static void
foreign_text(void **state)
{
	static const char *const texts[] = { "crate", "package", "kind", "where", "why", "worker",
		"linker", "cache_why", "not_stored", "key", "unit", "externs", "links", "deps",
		"bound" };
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	struct builds all = { 0 };
	const char *page;

	/* each text in turn where it may do harm, and all at once */
	for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		buf_adds(&b,
			"{\"time\":\"2026-11-21T10:00:00Z\",\"cache\":\"miss\",\"end_us\":900000,"
			"\"parent\":7,\"exit_status\":1,\"attempts\":[\"" EVIL "\"],"
			"\"out_dir\":\"/t/" EVIL "/debug\"");
		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			buf_addf(&b, ",\"%s\":\"%s\"", texts[k],
				i == k || i == ARRAY_LEN(texts) ? EVIL
				: streq(texts[k], "where")	? "local"
								: "ok");
		buf_adds(&b, "}");
		add(&all, (const char *)b.p);
	}
	make(&all, &h);
	page = (const char *)h.b.p;
	assert_int_equal(count(page, "<script"), 1);
	assert_int_equal(count(page, "</script"), 1);
	assert_int_equal(count(page, "' onload"), 0);
	assert_int_equal(count(page, "\" onload"), 0);
	assert_int_equal(count(page, "\xe2\x80\xae"), 0);
	assert_true(count(page, "&lt;script&gt;alert(1)&lt;/script&gt;") > 10);
	/* tags are in pairs */
	assert_int_equal(count(page, "<tr>"), count(page, "</tr>"));
	assert_int_equal(count(page, "<td"), count(page, "</td>"));
	assert_int_equal(count(page, "<table"), count(page, "</table>"));
	assert_int_equal(count(page, "<div"), count(page, "</div>"));
	assert_int_equal(count(page, "<svg"), count(page, "</svg>"));
	assert_int_equal(count(page, "<g"), count(page, "</g>"));
	/* nothing is loaded */
	assert_int_equal(count(page, "://"), 0);
	assert_int_equal(count(page, "src="), 0);
	assert_int_equal(count(page, "href="), 0);
	assert_int_equal(count(page, "url("), 0);
	assert_int_equal(count(page, "@import"), 0);
	builds_done(&all);
}

static void
two_thousand(void **state)
{
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	struct builds all = { 0 };
	char line[512];

	for (int i = 0; i < 2000; i++) {
		snprintf(line, sizeof(line),
			"{\"time\":\"2026-11-21T10:%02d:%02d.000Z\",\"where\":\"%s\",\"crate\":\"c%"
			"d\","
			"\"parent\":7,\"start_us\":%d,\"end_us\":%d,\"compile_ms\":1500}",
			i / 600, i / 10 % 60, i % 3 ? "farm" : "local", i, i * 100000,
			i * 100000 + 1500000);
		add(&all, line);
	}
	make(&all, &h);
	assert_int_equal(count((const char *)h.b.p, "<g class=\"u "), 2000);
	/* all units, the slowest, and those that ran alone */
	assert_in_range(count((const char *)h.b.p, "<tr>"), 2000, 2050);
	assert_true(h.b.n < 4 << 20);
	builds_done(&all);
}

/* Units without a time, a name or a compile. */
static void
nothing_known(void **state)
{
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	struct builds all = { 0 };

	add(&all, "{\"time\":\"2026-11-21T10:00:00Z\",\"where\":\"moon\",\"crate\":\"a\"}");
	make(&all, &h);
	assert_non_null(strstr((const char *)h.b.p, "Nothing was compiled, and no"));
	assert_null(strstr((const char *)h.b.p, "nan"));
	assert_null(strstr((const char *)h.b.p, "inf"));
	builds_done(&all);
}

/* Runs of build scripts are bars, rows and sums of their own, and the critical path leads through
 * them. */
static void
runs(void **state)
{
	static const char at[] =
		"{\"time\":\"2026-11-21T10:00:00Z\",\"where\":\"local\",\"parent\":7,"
		"\"cache\":\"miss\",";
	static const char *const rest[] = {
		"\"crate\":\"build_script_build\",\"kind\":\"build-script\",\"package\":\"z-sys "
		"1\","
		"\"unit\":\"build_script_build-aaaaaaaa\",\"end_us\":100000}",
		"\"crate\":\"z-sys\",\"kind\":\"script-run\",\"package\":\"z-sys 1\","
		"\"unit\":\"z-sys-bbbbbbbb\",\"externs\":\"aaaaaaaa\",\"start_us\":110000,"
		"\"end_us\":900000,\"compile_ms\":700,\"not_stored\":\"it used the network\"}",
		"\"crate\":\"z_sys\",\"kind\":\"lib\",\"package\":\"z-sys 1\","
		"\"unit\":\"z_sys-cccccccc\",\"externs\":\"bbbbbbbb\",\"start_us\":910000,"
		"\"end_us\":990000}",
	};
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	struct builds all = { 0 };
	const char *page;

	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		_cleanup_(freep) char *line = NULL;

		assert_true(asprintf(&line, "%s%s", at, rest[i]) > 0);
		add(&all, line);
	}
	make(&all, &h);
	page = (const char *)h.b.p;
	assert_int_equal(count(page, "<g class=\"u local run crit\">"), 1);
	/* and in the legend */
	assert_int_equal(count(page, "<rect class=\"s\""), 2);
	assert_non_null(strstr(page, "<b>0 of 1</b>"));
	assert_non_null(strstr(page, "<b>2</b><span>units"));
	assert_non_null(strstr(page, "the run of the build script of z-sys"));
	assert_non_null(strstr(page, "it used the network"));
	builds_done(&all);
}

static void
cut(void **state)
{
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };

	html_text_cut(&h, "abcdef", 6);
	html_raw(&h, "|");
	html_text_cut(&h, "abcdefg", 6);
	html_raw(&h, "|");
	html_text_cut(&h, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 3);
	html_raw(&h, "|");
	html_text_cut(&h, "<b>", 2);
	html_raw(&h, "|");
	html_text_cut(&h, "", 2);
	assert_int_equal(h.failed, 0);
	assert_string_equal((const char *)h.b.p,
		"abcdef|abcde\xe2\x80\xa6|\xc3\xa9\xc3\xa9\xe2\x80\xa6|&lt;\xe2\x80\xa6|");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_text),
		cmocka_unit_test(two_thousand),
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(runs),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
