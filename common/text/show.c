/* Numbers and foreign text for people. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/text/show.h"

/* How many bytes the harmful character at s has; 0: it is harmless. */
static size_t
harmful(const unsigned char *s)
{
	if (*s < 0x20 || *s == 0x7f)
		return 1;
	if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f) /* C1 */
		return 2;
	if (s[0] == 0xd8 && s[1] == 0x9c) /* Arabic letter mark */
		return 2;
	if (s[0] != 0xe2)
		return 0;
	/* U+200E, U+200F, U+2028 to U+202E; U+2066 to U+2069 */
	if (s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae)))
		return 3;
	return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9 ? 3 : 0;
}

static const char *
entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static int
add(struct buf *b, const char *s, bool html)
{
	const char *safe;
	size_t n;
	int r = 0;

	while (r == 0 && *s) {
		n = harmful((const unsigned char *)s);
		safe = n ? "?" : html ? entity(*s) : NULL;
		r = safe ? buf_adds(b, safe) : buf_add(b, s, 1);
		s += MAX2(n, (size_t)1);
	}
	return r;
}

int
show_text(struct buf *b, const char *s)
{
	return add(b, s, false);
}

int
show_html(struct buf *b, const char *s)
{
	return add(b, s, true);
}

void
show_time(uint64_t us, char ret[SHOW_SIZE])
{
	uint64_t s = (us + 500000) / 1000000;

	if (us < 999500)
		snprintf(ret, SHOW_SIZE, "%" PRIu64 " ms", (us + 500) / 1000);
	else if (us < 59950000)
		snprintf(ret, SHOW_SIZE, "%.1f s", (double)us / 1e6);
	else if (s < 3600)
		snprintf(ret, SHOW_SIZE, "%" PRIu64 " m %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(ret, SHOW_SIZE, "%" PRIu64 " h %" PRIu64 " m", s / 3600, s % 3600 / 60);
}

void
show_when(uint64_t ms, char ret[SHOW_SIZE])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(ret, SHOW_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(ret, SHOW_SIZE, "?");
}

void
show_bytes(uint64_t n, char ret[SHOW_SIZE])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)n / 1024;
	size_t u = 0;

	if (n < 1024) {
		snprintf(ret, SHOW_SIZE, "%" PRIu64 " B", n);
		return;
	}
	for (; v >= 1023.95 && u + 1 < ARRAY_LEN(units); u++)
		v /= 1024;
	snprintf(ret, SHOW_SIZE, "%.1f %s", v, units[u]);
}

void
show_share(uint64_t part, uint64_t whole, char ret[SHOW_SIZE])
{
	double v = whole ? 100.0 * (double)part / (double)whole : 0;

	/* neither all nor nothing is said of what is only nearly so */
	if (part < whole && v > 99.9)
		v = 99.9;
	if (part > 0 && v < 0.1)
		v = 0.1;
	if (whole)
		snprintf(ret, SHOW_SIZE, "%.1f %%", v);
	else
		snprintf(ret, SHOW_SIZE, "-");
}
