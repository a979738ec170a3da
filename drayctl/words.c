#include "config.h"

#include "drayctl/words.h"

#include <stdio.h>

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
