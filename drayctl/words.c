#include "config.h"

#include "drayctl/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base.h"

#define KEY_SHOWN 8

const char *
words_worker_state(const Dray__AdminWorker *w)
{
	if (streq(w->standing, "removed"))
		return "removed";
	if (!w->here)
		return "away";
	if (w->leaving)
		return "leaving";
	if (streq(w->standing, "drained"))
		return w->used + w->twins > 0 ? "draining" : "drained";
	if (streq(w->trust, "shunned"))
		return "shunned";
	if (streq(w->trust, "probed"))
		return "probed";
	return w->used >= w->slots ? "busy" : "ready";
}

const char *
words_key(const char *curve, char ret[WORDS_KEY_SIZE])
{
	snprintf(ret, WORDS_KEY_SIZE, "%.*s", KEY_SHOWN, curve);
	return ret;
}

const char *
words_who(const char *name, const char *curve, char ret[WORDS_KEY_SIZE])
{
	return *name ? name : *curve ? words_key(curve, ret) : "-";
}

static int
parse_day(const char *text, uint64_t *ret)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t t = end && !*end ? mktime(&tm) : (time_t)-1;

	if (t < 0)
		return -EINVAL;
	*ret = (uint64_t)t;
	return 0;
}

int
words_time(const char *text, uint64_t now_s, uint64_t *ret)
{
	static const struct {
		char letter;
		uint64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	unsigned long long n;
	char *end;

	if (strchr(text, '-'))
		return parse_day(text, ret);
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; !errno && i < ARRAY_LEN(units); i++)
		if (end[0] == units[i].letter && !end[1]) {
			if (n > now_s / units[i].s)
				return -EINVAL;
			*ret = now_s - n * units[i].s;
			return 0;
		}
	return -EINVAL;
}
