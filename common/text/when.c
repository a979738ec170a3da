/* Times as text: of logs, and as people write them. Invariant: what is read is within the text, and
 * a date that does not exist is none. */
#include "config.h"

#include "common/text/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base.h"

/* Two digits at s, as a number; -1: they are none. */
static int
two(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + s[1] - '0';
}

static int
days_of(int month, int year)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] +
	       (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* "2026-11-21", and with a 'T' behind it also hours and minutes, and seconds. What follows, or
 * NULL. */
static const char *
parse_date(const char *s, struct tm *ret)
{
	int century, year, part[5] = { 0, 0, 0, 0, 0 }, *p = part;

	memset(ret, 0, sizeof(*ret));
	century = strlen(s) < 10 ? -1 : two(s);
	year = century < 0 ? -1 : two(s + 2);
	if (year < 0 || s[4] != '-' || s[7] != '-' || (*p++ = two(s + 5)) < 1 ||
		(*p++ = two(s + 8)) < 1)
		return NULL;
	s += 10;
	if (*s == 'T') {
		do {
			if ((*p++ = two(s + 1)) < 0)
				return NULL;
			s += 3;
		} while (*s == ':' && p < part + 5);
		if (p < part + 4)
			return NULL;
	}
	if (century < 19 || part[0] > 12 || part[1] > days_of(part[0], century * 100 + year) ||
		part[2] > 23 || part[3] > 59 || part[4] > 60)
		return NULL;
	ret->tm_year = century * 100 + year - 1900;
	ret->tm_mon = part[0] - 1;
	ret->tm_mday = part[1];
	ret->tm_hour = part[2];
	ret->tm_min = part[3];
	ret->tm_sec = part[4];
	return s;
}

bool
when_parse(const char *s, uint64_t *ret_ms)
{
	unsigned fraction = 0, scale = 100;
	struct tm tm;
	time_t t;

	s = parse_date(s, &tm);
	if (s && *s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
			fraction += (unsigned)(*s - '0') * scale;
	if (!s || !streq(s, "Z"))
		return false;
	t = timegm(&tm);
	if (t < 0)
		return false;
	*ret_ms = (uint64_t)t * 1000 + fraction;
	return true;
}

void
when_format(uint64_t ms, char ret[WHEN_SIZE])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	*ret = '\0';
	if (!gmtime_r(&t, &tm))
		return;
	n = strftime(ret, WHEN_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, WHEN_SIZE - n, ".%03uZ", (unsigned)(ms % 1000));
}

static uint64_t
unit_ms(char c)
{
	switch (c) {
	case 's':
		return 1000;
	case 'm':
		return 60 * 1000;
	case 'h':
		return 3600 * 1000;
	case 'd':
		return 86400 * 1000;
	case 'w':
		return UINT64_C(7) * 86400 * 1000;
	default:
		return 0;
	}
}

static bool
parse_ago(const char *s, uint64_t *ret_ms)
{
	uint64_t total = 0, n, unit;
	char *end;

	do {
		if (*s < '0' || *s > '9')
			return false;
		n = strtoull(s, &end, 10);
		unit = unit_ms(*end);
		if (!unit || n > 1000000 || end - s > 9)
			return false;
		total += n * unit;
		s = end + 1;
	} while (*s);
	*ret_ms = total;
	return true;
}

bool
when_parse_since(const char *s, uint64_t now_ms, uint64_t *ret_ms)
{
	const char *rest;
	uint64_t ago;
	struct tm tm;
	time_t t;

	if (parse_ago(s, &ago)) {
		*ret_ms = now_ms > ago ? now_ms - ago : 0;
		return true;
	}
	rest = parse_date(s, &tm);
	if (!rest || (*rest && !streq(rest, "Z")))
		return false;
	tm.tm_isdst = -1;
	t = *rest ? timegm(&tm) : mktime(&tm);
	if (t < 0)
		return false;
	*ret_ms = (uint64_t)t * 1000;
	return true;
}
