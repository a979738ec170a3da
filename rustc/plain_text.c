/* Invariant: an escape begins a colour (SGR) that rustc makes, whole and within its line, or the
 * text is not plain. */
#include "config.h"

#include "rustc/plain_text.h"

#define ESCAPE 0x1b
#define NUMBERS_MAX 8
#define NUMBER_MAX 255

enum part { PART_TEXT, PART_ESCAPE, PART_NUMBERS };

struct look {
	enum part part;
	unsigned v[NUMBERS_MAX]; /* of a colour */
	size_t n;
	uint32_t bad;
};

/* Red, green, yellow, blue, magenta and cyan. Black and white are what terminals have behind the
 * letters. */
static bool
is_hue(unsigned v)
{
	return v >= 1 && v <= 6;
}

/* Bold, a colour of the letters, and none: rustc has no others, and never hides what it says.
 * Before 1.87 it took colours by number (38;5;N; the bright ones from 8 on). */
static bool
is_rustcs(const struct look *l)
{
	for (size_t i = 0; i < l->n; i++) {
		unsigned v = l->v[i];

		if (v == 38 && i + 2 < l->n && l->v[i + 1] == 5) {
			i += 2;
			if (l->v[i] > 15 || !is_hue(l->v[i] % 8))
				return false;
		} else if (v > 1 && !(v < 90 && is_hue(v - 30)) && !is_hue(v - 90)) {
			return false;
		}
	}
	return true;
}

/* False: the escape is none of these. */
static bool
take_number(struct look *l, uint32_t c)
{
	unsigned *last = &l->v[l->n - 1];

	if (c >= '0' && c <= '9') {
		*last = *last * 10 + (c - '0');
		return *last <= NUMBER_MAX;
	}
	if (c == ';' && l->n < NUMBERS_MAX) {
		l->v[l->n++] = 0;
		return true;
	}
	l->part = PART_TEXT;
	return c == 'm' && is_rustcs(l);
}

/* Controls; what turns the direction of text; what has no width (Unicode's
 * Default_Ignorable_Code_Point, and the ends of lines and paragraphs): a name with one looks like
 * another. The two that choose between text and picture stay: many a sign has one. */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{ 0x7f, 0x9f },
	{ 0xad, 0xad },
	{ 0x34f, 0x34f },
	{ 0x61c, 0x61c },
	{ 0x115f, 0x1160 },
	{ 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },
	{ 0x200b, 0x200f },
	{ 0x2028, 0x202e },
	{ 0x2060, 0x206f },
	{ 0x3164, 0x3164 },
	{ 0xd800, 0xdfff },
	{ 0xfe00, 0xfe0d },
	{ 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 },
	{ 0xfff0, 0xfffb },
	{ 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },
};

static bool
may_be_shown(uint32_t c)
{
	if (c < 0x20)
		return c == '\n' || c == '\t';
	for (size_t i = 0; c >= hidden[0].first && i < ARRAY_LEN(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return false;
	return true;
}

static bool
take(struct look *l, uint32_t c)
{
	bool fine = true;

	if (l->part == PART_ESCAPE) {
		fine = c == '[';
		l->part = PART_NUMBERS;
		l->v[0] = 0;
		l->n = 1;
	} else if (l->part == PART_NUMBERS) {
		fine = take_number(l, c);
	} else if (c == ESCAPE) {
		l->part = PART_ESCAPE;
	} else if (!may_be_shown(c)) {
		l->bad = c;
		return false;
	}
	if (!fine)
		l->bad = ESCAPE;
	return fine;
}

/* The character at *p, which it passes; UINT32_MAX: no UTF-8. */
static uint32_t
next(const uint8_t **p, const uint8_t *end)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	uint32_t c = *(*p)++;
	unsigned more = c < 0x80   ? 0
			: c < 0xc0 ? 4
			: c < 0xe0 ? 1
			: c < 0xf0 ? 2
			: c < 0xf8 ? 3
				   : 4;

	if (more == 0)
		return c;
	if (more > 3 || end - *p < (ptrdiff_t)more)
		return UINT32_MAX;
	c &= 0x3fu >> more;
	for (unsigned i = 0; i < more; i++, ++*p) {
		if ((**p & 0xc0) != 0x80)
			return UINT32_MAX;
		c = c << 6 | (**p & 0x3f);
	}
	return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? UINT32_MAX : c;
}

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX at p, or UINT32_MAX. */
static uint32_t
hex4(const uint8_t *p, const uint8_t *end)
{
	uint32_t c = 0;

	if (end - p < 4)
		return UINT32_MAX;
	for (int i = 0; i < 4; i++) {
		int h = hex(p[i]);

		if (h < 0)
			return UINT32_MAX;
		c = c << 4 | (uint32_t)h;
	}
	return c;
}

/* What follows a backslash in JSON. One that is no escape stands for nothing: it is no JSON then.
 */
static uint32_t
unescape(const uint8_t **p, const uint8_t *end)
{
	static const char names[] = "bfnrt", are[] = "\b\f\n\r\t";
	const char *at;
	uint32_t c, low;

	if (*p == end)
		return '\\';
	if (**p != 'u' || end - *p < 5) {
		at = **p ? strchr(names, **p) : NULL;
		c = at ? (uint32_t)are[at - names] : **p;
		++*p;
		/* a part of a longer character is looked at as such elsewhere */
		return c < 0x80 ? c : '?';
	}
	c = hex4(*p + 1, end);
	if (c == UINT32_MAX)
		return '\\';
	*p += 5;
	/* one of two halves alone is none (may_be_shown) */
	if (c < 0xd800 || c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return c;
	low = hex4(*p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return c;
	*p += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static bool
look(const uint8_t *p, const uint8_t *end, bool json, uint32_t *ret_char)
{
	struct look l = { .part = PART_TEXT };

	while (p < end) {
		uint32_t c;

		if (json && *p == '\\') {
			p++;
			c = unescape(&p, end);
		} else {
			c = json && *p >= 0x80 ? (p++, '?') : next(&p, end);
		}
		if (c == UINT32_MAX) {
			*ret_char = c;
			return false;
		}
		if (!take(&l, c)) {
			*ret_char = l.bad;
			return false;
		}
	}
	*ret_char = ESCAPE;
	return l.part == PART_TEXT;
}

bool
plain_text(const void *p, size_t n, uint32_t *ret_char)
{
	const uint8_t *s = p, *end = s + n;

	if (!look(s, end, false, ret_char))
		return false;
	while (s < end && strchr(" \t\n\r", *s))
		s++;
	return s == end || *s != '{' || look(s, end, true, ret_char);
}
