/* Numbers and foreign text for people. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/text/show.h"

static void
assert_shown(int (*show)(struct buf *, const char *), const char *s, const char *expected)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(show(&b, s), 0);
	assert_string_equal(b.p ? (const char *)b.p : "", expected);
}

static void
foreign_text(void **state)
{
	assert_shown(show_text, "", "");
	assert_shown(show_text, "a<b & \"c\" d\xc3\xa9j\xc3\xa0 \xe2\x82\xac \xf0\x9f\xa6\x80",
		"a<b & \"c\" d\xc3\xa9j\xc3\xa0 \xe2\x82\xac \xf0\x9f\xa6\x80");
	assert_shown(show_text, "red\x1b[31m\r\n\tdel\x7f", "red?[31m???del?");
	/* a C1 character is a control sequence, too; two bytes, one mark */
	assert_shown(show_text,
		"x\xc2\x9b"
		"2J y\xc2\xa0z",
		"x?2J y\xc2\xa0z");
	/* right-to-left override, isolate, mark, line separator */
	assert_shown(show_text,
		"(\xe2\x80\xae)\xe2\x81\xa6"
		"c\xe2\x80\x8f"
		"d\xe2\x80\xa8"
		"e\xd8\x9c",
		"(?)?c?d?e?");
	/* cut in the middle of a character */
	assert_shown(show_text, "a\xe2", "a\xe2");
	assert_shown(show_text, "a\xe2\x80", "a\xe2\x80");
}

static void
html(void **state)
{
	assert_shown(show_html, "<script>alert('1')</script>",
		"&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;");
	assert_shown(show_html, "\" onload=x & &lt;", "&quot; onload=x &amp; &amp;lt;");
	assert_shown(show_html, "a\nb", "a?b");
}

static void
assert_time(uint64_t us, const char *expected)
{
	char s[SHOW_SIZE];

	show_time(us, s);
	assert_string_equal(s, expected);
}

static void
times(void **state)
{
	assert_time(0, "0 ms");
	assert_time(499, "0 ms");
	assert_time(340400, "340 ms");
	assert_time(999499, "999 ms");
	assert_time(999500, "1.0 s");
	assert_time(59949999, "59.9 s");
	assert_time(59950000, "1 m 0 s");
	assert_time(252000000, "4 m 12 s");
	assert_time(UINT64_C(3599400000), "59 m 59 s");
	assert_time(UINT64_C(3599500000), "1 h 0 m");
	assert_time(UINT64_C(7500) * 1000000, "2 h 5 m");
	assert_time(UINT64_MAX - 500000, "5124095576 h 1 m");
}

static void
assert_bytes(uint64_t n, const char *expected)
{
	char s[SHOW_SIZE];

	show_bytes(n, s);
	assert_string_equal(s, expected);
}

static void
bytes(void **state)
{
	assert_bytes(0, "0 B");
	assert_bytes(1023, "1023 B");
	assert_bytes(1024, "1.0 KiB");
	assert_bytes((1 << 20) - 1, "1.0 MiB");
	assert_bytes(12897485, "12.3 MiB");
	assert_bytes(UINT64_MAX, "16.0 EiB");
}

static void
assert_share(uint64_t part, uint64_t whole, const char *expected)
{
	char s[SHOW_SIZE];

	show_share(part, whole, s);
	assert_string_equal(s, expected);
}

static void
shares(void **state)
{
	assert_share(0, 0, "-");
	assert_share(0, 5, "0.0 %");
	assert_share(5, 5, "100.0 %");
	assert_share(1, 3, "33.3 %");
	/* one miss in a million is not "all" */
	assert_share(999999, 1000000, "99.9 %");
	assert_share(1, 1000000, "0.1 %");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_text),
		cmocka_unit_test(html),
		cmocka_unit_test(times),
		cmocka_unit_test(bytes),
		cmocka_unit_test(shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
