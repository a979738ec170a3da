/* What happens in the farm, for those that follow it: the last EVENTS_KEPT things, each with a
 * serial number that counts up from 1. A plain ring: who reads behind it is told how much it has
 * missed. */
#ifndef DRAY_COORDINATOR_ADMIN_EVENTS_H
#define DRAY_COORDINATOR_ADMIN_EVENTS_H

#include "common/base.h"

#define EVENTS_KEPT 4096
#define EVENT_WORD 65
#define EVENT_TEXT 200

enum event_kind {
	EVENT_NONE,
	EVENT_PLACED, /* a job got a worker */
	EVENT_ENDED,  /* it ended there; `good`: the compiler ran to its end */
	EVENT_DENIED, /* it has to be compiled at home: text says why */
	EVENT_FAULT,  /* a job's try failed, or a peer was refused */
	EVENT_WORKER, /* one came, went, or takes nothing more */
	EVENT_ADMIN,  /* an admin's act; `good`: it was done */
	EVENT_GIVEN,  /* a client gives a worker a toolchain; text: what has come of it; `good`: not
			 bad */
	EVENT_KINDS
};
/* "placed"; "-" for what is none. */
const char *event_kind_name(enum event_kind kind);

/* "" and 0 where there is nothing to say. */
struct event {
	uint64_t serial; /* given by events_add */
	uint64_t at_ms;	 /* wall clock, since 1970 */
	enum event_kind kind;
	bool good;
	uint64_t took_ms;
	char job[33];
	char crate[EVENT_WORD], unit[EVENT_WORD]; /* its name, and its kind */
	char worker[EVENT_WORD], who[EVENT_WORD]; /* whose job or act it is */
	char text[EVENT_TEXT];
};

struct events;
int events_new(struct events **ret); /* 0 or -ENOMEM */
void events_free(struct events *e);

void events_add(struct events *e, const struct event *what);
/* The serial number of the last one; 0: there was none. */
uint64_t events_last(const struct events *e);
/* The first one after that serial number; NULL: there is none. *ret_lost: how many that came after
 * it are not here any more. A number that is still to come counts as 0: it is of an earlier
 * process. */
const struct event *events_after(const struct events *e, uint64_t serial, uint64_t *ret_lost);

#endif
