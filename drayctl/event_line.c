#include "config.h"

#include "drayctl/event_line.h"

#include "common/text/show.h"

#define MS_US 1000

static int
add(struct buf *b, const char *before, const char *text)
{
	int r = *text ? buf_adds(b, before) : 0;

	return r == 0 ? show_text(b, text) : r;
}

int
event_line(const Dray__AdminEvent *e, struct buf *b)
{
	char when[SHOW_SIZE], took[SHOW_SIZE];
	int r;

	show_when(e->at_ms, when);
	show_time(e->took_ms * MS_US, took);
	r = buf_addf(b, "%s ", when);
	if (r == 0)
		r = show_text(b, e->kind);
	for (size_t i = strlen(e->kind); r == 0 && i < strlen("placed "); i++)
		r = buf_adds(b, " ");
	if (r == 0)
		r = add(b, " ", *e->crate ? e->crate : e->job);
	if (r == 0)
		r = add(b, " ", e->unit);
	if (r == 0 && streq(e->kind, "ended"))
		r = buf_addf(b, " %s after %s", e->good ? "well" : "badly", took);
	if (r == 0)
		r = add(b, streq(e->kind, "worker") ? " " : " on ", e->worker);
	if (r == 0)
		r = add(b, streq(e->kind, "admin") ? " " : " for ", e->who);
	return r == 0 ? add(b, ": ", e->text) : r;
}
