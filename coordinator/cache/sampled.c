/* Invariant: a client is known while a sample of it is open, or it has used time of late. */
#include "config.h"

#include "coordinator/cache/sampled.h"

#include <stdio.h>
#include <stdlib.h>

void
sampled_init(struct sampled *s)
{
	TAILQ_INIT(&s->clients);
	s->halved_ms = 0;
}

static void
forget(struct sampled *s, struct sampled_client *c)
{
	TAILQ_REMOVE(&s->clients, c, link);
	free(c);
}

void
sampled_done(struct sampled *s)
{
	while (!TAILQ_EMPTY(&s->clients))
		forget(s, TAILQ_FIRST(&s->clients));
}

struct sampled_client *
sampled_open(struct sampled *s, const char *client)
{
	struct sampled_client *c;

	TAILQ_FOREACH(c, &s->clients, link)
	if (streq(c->key, client))
		break;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return NULL;
		snprintf(c->key, sizeof(c->key), "%s", client);
		TAILQ_INSERT_TAIL(&s->clients, c, link);
	}
	c->open++;
	return c;
}

void
sampled_close(struct sampled *s, struct sampled_client *c)
{
	if (--c->open == 0 && c->spent_ms == 0)
		forget(s, c);
}

void
sampled_tick(struct sampled *s, uint64_t now)
{
	struct sampled_client *c, *next;

	if (now - s->halved_ms < SAMPLED_HALVED_MS)
		return;
	s->halved_ms = now;
	for (c = TAILQ_FIRST(&s->clients); c; c = next) {
		next = TAILQ_NEXT(c, link);
		c->spent_ms /= 2;
		if (c->open == 0 && c->spent_ms == 0)
			forget(s, c);
	}
}
