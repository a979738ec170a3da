/* What happens is told to those that follow it (coordinator/admin/events.h). This file is below all
 * that read messages. */
#include "config.h"

#include "common/clock.h"
#include "coordinator/server_priv.h"

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
