/* A ring of events. Invariant: the one of serial number n, if it is kept, is at n % EVENTS_KEPT. */
#include "config.h"

#include "coordinator/admin/events.h"

#include <errno.h>
#include <stdlib.h>

struct events {
	uint64_t last;
	struct event ring[EVENTS_KEPT];
};

const char *
event_kind_name(enum event_kind kind)
{
	static const char *const names[EVENT_KINDS] = {
		[EVENT_NONE] = "-",
		[EVENT_PLACED] = "placed",
		[EVENT_ENDED] = "ended",
		[EVENT_DENIED] = "denied",
		[EVENT_FAULT] = "fault",
		[EVENT_WORKER] = "worker",
		[EVENT_ADMIN] = "admin",
		[EVENT_GIVEN] = "toolchain",
	};

	return kind < EVENT_KINDS ? names[kind] : names[EVENT_NONE];
}

int
events_new(struct events **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void
events_free(struct events *e)
{
	free(e);
}

void
events_add(struct events *e, const struct event *what)
{
	struct event *at = &e->ring[++e->last % EVENTS_KEPT];

	*at = *what;
	at->serial = e->last;
}

uint64_t
events_last(const struct events *e)
{
	return e->last;
}

const struct event *
events_after(const struct events *e, uint64_t serial, uint64_t *ret_lost)
{
	uint64_t first = e->last > EVENTS_KEPT ? e->last - EVENTS_KEPT + 1 : 1;

	if (serial > e->last)
		serial = 0;
	*ret_lost = serial + 1 < first ? first - serial - 1 : 0;
	serial = MAX2(serial + 1, first);
	return serial <= e->last ? &e->ring[serial % EVENTS_KEPT] : NULL;
}
