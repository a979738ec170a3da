/* What happens is told to those that follow it (coordinator/admin/events.h), and words of peers are
 * made fit to be shown. This file is below all that read messages. */
#include "config.h"

#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

const char *
clean_text(const char *text, char *out, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++)
		out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	out[i] = '\0';
	return out;
}

void
tell_event(struct server *s, struct event *what)
{
	if (!s->events)
		return;
	what->at_ms = clock_wall_ms();
	events_add(s->events, what);
}

void
tell_worker(struct server *s, const char *name, const char *text)
{
	struct event e = { .kind = EVENT_WORKER };

	clean_text(name, e.worker, sizeof(e.worker));
	clean_text(text, e.text, sizeof(e.text));
	tell_event(s, &e);
}

void
tell_fault(struct server *s, const char *who, const char *text)
{
	struct event e = { .kind = EVENT_FAULT };

	clean_text(who, e.who, sizeof(e.who));
	clean_text(text, e.text, sizeof(e.text));
	tell_event(s, &e);
}
