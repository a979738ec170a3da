/* plain_text: what a terminal would obey is found, in any of its forms; what rustc says passes. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "rustc/plain_text.h"

static void
plain(const char *s)
{
	uint32_t c = 0;

	if (!plain_text(s, strlen(s), &c))
		fail_msg("U+%04X: %s", c, s);
}

static void
has(uint32_t want, const char *s, size_t n)
{
	uint32_t c = 0;

	if (plain_text(s, n, &c))
		fail_msg("plain: %s", s);
	assert_int_equal(c, want);
}
#define HAS(want, s) has(want, s, sizeof(s) - 1)

static void
test_what_is_said(void **state)
{
	plain("");
	plain("warning: a\tb\n  --> src/lib.rs:1:1 \xe2\x80\xa6 \xf0\x9f\xa6\x80\n");
	/* rustc 1.95 and 1.70 */
	plain("{\"rendered\":\"\\u001b[1m\\u001b[91merror[E0308]\\u001b[0m\\u001b[1m: "
	      "x\\u001b[0m\\n"
	      " \\u001b[1m\\u001b[94m--> \\u001b[0ma.rs:1:26\\n\"}\n");
	plain("{\"rendered\":\"\\u001b[0m\\u001b[1m\\u001b[38;5;9merror\\u001b[0m \\\"\\t\\\\ "
	      "\\/\"}\n");
	plain("\033[1m\033[33mwarning\033[0m: by a macro\n");
	plain("{\"a\":\"\\\\u001b[2J\"}\n"); /* a backslash, and letters */
	plain("\\u001b[2J\n");
	plain("{\"a\":\"\\ud83e\\udd80 \\u00e4\xc3\xa4\"}");
	plain("\xe2\x9a\xa0\xef\xb8\x8f \xf0\x9d\x95\x8f \xe4\xb8\xad\xcc\x81\n");
}

static void
test_controls(void **state)
{
	for (unsigned c = 0; c < 0x20; c++) {
		char raw[] = { 'a', (char)c, 'b' };
		char escaped[32];

		snprintf(escaped, sizeof(escaped), " {\"a\":\"\\u%04x\"}", c);
		if (c == '\n' || c == '\t') {
			plain(escaped);
			continue;
		}
		has(c, raw, 3);
		has(c, escaped, strlen(escaped));
	}
	for (unsigned c = 0x7f; c < 0xa0; c++) {
		char raw[] = { '\xc2', (char)c }, escaped[32];

		has(c, c == 0x7f ? raw + 1 : raw, c == 0x7f ? 1 : 2);
		snprintf(escaped, sizeof(escaped), "{\"a\":\"\\u%04X\"}", c);
		has(c, escaped, strlen(escaped));
	}
	HAS(0x202e, "a\xe2\x80\xae"
		    "b");
	HAS(0x2066, "\xe2\x81\xa6");
	HAS(0x2069, "{\"a\":\"\\u2069\"}");
	HAS(0x202a, "{\"a\":\"\xe2\x80\xaa\"}");
	HAS('\r', "{\"a\":\"\\r\"}");
	HAS('\b', "{\"a\":\"\\b\"}");
	HAS('\f', "{\"a\":\"\\\\\\f\"}");
}

/* Nothing that is not seen, raw or escaped. */
static void
test_hidden(void **state)
{
	static const struct {
		uint32_t c;
		const char *raw, *escaped;
	} v[] = {
		{ 0xad, "\xc2\xad", "\\u00ad" },
		{ 0x34f, "\xcd\x8f", "\\u034f" },
		{ 0x200b, "\xe2\x80\x8b", "\\u200B" },
		{ 0x200d, "\xe2\x80\x8d", "\\u200d" },
		{ 0x200e, "\xe2\x80\x8e", "\\u200e" },
		{ 0x2028, "\xe2\x80\xa8", "\\u2028" },
		{ 0x2060, "\xe2\x81\xa0", "\\u2060" },
		{ 0xfeff, "\xef\xbb\xbf", "\\ufeff" },
		{ 0xe0041, "\xf3\xa0\x81\x81", "\\udb40\\udc41" },
		{ 0xd83e, NULL, "\\ud83e" },
		{ 0xd83e, NULL, "\\ud83e\\u0041" },
		{ 0xdd80, NULL, "\\udd80" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char text[64];

		snprintf(text, sizeof(text), "{\"a\":\"x%sy\"}", v[i].escaped);
		has(v[i].c, text, strlen(text));
		if (!v[i].raw)
			continue;
		has(v[i].c, v[i].raw, strlen(v[i].raw));
		snprintf(text, sizeof(text), "{\"a\":\"x%sy\"}", v[i].raw);
		has(v[i].c, text, strlen(text));
	}
}

/* Every colour: those that are on all terminals' grounds, and none of these. */
static void
test_colours(void **state)
{
	static const unsigned is[] = { 0, 1, 31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96 };
	static const unsigned numbers[] = { 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14 };

	for (unsigned v = 0, i = 0; v < 256; v++) {
		char text[32];

		snprintf(text, sizeof(text), "\033[%um", v);
		if (i < ARRAY_LEN(is) && is[i] == v) {
			plain(text);
			i++;
		} else {
			has(0x1b, text, strlen(text));
		}
	}
	for (unsigned v = 0, i = 0; v < 256; v++) {
		char text[32];

		snprintf(text, sizeof(text), "\033[1;38;5;%um", v);
		if (i < ARRAY_LEN(numbers) && numbers[i] == v) {
			plain(text);
			i++;
		} else {
			has(0x1b, text, strlen(text));
		}
	}
}

static void
test_escapes(void **state)
{
	static const char *const bad[] = { "\033", "\033[", "\033[1", "\033]0;x\007", "\033c",
		"\033[2J", "\033[1;1H", "\033[?25l", "\033[8m", "\033[7m", "\033[5m", "\033[41m",
		"\033[100m", "\033[30m", "\033[37m", "\033[97m", "\033[2m", "\033[48;5;1m",
		"\033[38;2;1;1;1m", "\033[38;5m", "\033[38m", "\033[256m",
		"\033[00000000000000000000000000000008m", "\033[1;1;1;1;1;1;1;1;1m", "\033[1 m",
		"\033[1\nm", "\033P1\033\\", "\033(0", "\033[1~", "\033[>c", "\033[\033[1m" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char escaped[128];

		has(0x1b, bad[i], strlen(bad[i]));
		if (strchr(bad[i] + 1, '\033') || strpbrk(bad[i], "\n\007"))
			continue;
		snprintf(escaped, sizeof(escaped), "{\"a\":\"\\u001b%s\"}", bad[i] + 1);
		has(0x1b, escaped, strlen(escaped));
	}
	/* a mixture, which no JSON is, and one of its parts would be shown */
	HAS(0x1b, "{\"a\":\"\033\\u005b2J\"}");
	HAS(0x1b, "{\"a\":\"\\u001b\\u005b2J\"}");
	plain("\033[m\033[0m\033[1;91m\033[38;5;14m");
}

static void
test_utf8(void **state)
{
	static const char *const bad[] = { "\x80", "\x9b", "\xc0\x9b", "\xc2", "\xe0\x82\x9b",
		"\xed\xa0\x80", "\xf0\x80\x82\x9b", "\xf4\x90\x80\x80", "\xff", "\xe2\x80",
		"\xc2"
		"a" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		has(UINT32_MAX, bad[i], strlen(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_said),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
