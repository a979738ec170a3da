/* Bounds for keys that are in no list. Invariant: who is turned away costs nobody else a place. */
#include "config.h"

#include "coordinator/admin/guests.h"

#include "common/base.h"

#define MS_PER_S 1000

static void
settle(struct guests_bucket *b, unsigned per_s, uint64_t now)
{
	if (b->at_ms && now > b->at_ms)
		b->used = MAX2(0.0, b->used - (double)(now - b->at_ms) * per_s / MS_PER_S);
	b->at_ms = now;
}

static struct guests_bucket *
find(struct guests *g, const struct gate_address *from, uint64_t now)
{
	struct guests_bucket *least = &g->v[0];

	for (unsigned i = 0; i < g->n; i++) {
		settle(&g->v[i], 1, now);
		if (gate_address_eq(&g->v[i].address, from))
			return &g->v[i];
		if (g->v[i].used < least->used)
			least = &g->v[i];
	}
	if (g->n < GUESTS_ADDRESSES)
		least = &g->v[g->n++];
	*least = (struct guests_bucket){ .address = *from, .at_ms = now };
	return least;
}

bool
guests_take(struct guests *g, const struct gate_address *from, uint64_t now)
{
	struct guests_bucket *one = find(g, from, now);

	settle(&g->all, GUESTS_PER_S, now);
	if (one->used + 1 > GUESTS_OF_ONE || g->all.used + 1 > GUESTS_OF_ALL)
		return false;
	one->used++;
	g->all.used++;
	return true;
}
