/* Invariant: what one client has to be looked at delays its own alone, but for a run that is under
 * way. */
#include "config.h"

#include "coordinator/cache/sampler_priv.h"

/* There is a reason not to believe it, and no proof. Runners that cannot compile it are one: what
 * is handed over may be made so that they cannot. */
bool
sample_is_doubted(const struct open_sample *o)
{
	return o->accused || o->forgiven || o->unreached || o->late || o->unmade || o->faults ||
	       panel_is_split(&o->panel);
}

/* How much would be lost with it. */
enum worth { UNDOUBTED, DOUBTED, SPLIT, WORTHS };

static bool
may_go(const struct open_sample *o, const struct lender *l)
{
	return (!l || o->lender == l) && (o->state == ASKED || o->state == WAITING);
}

static enum worth
worth_of(const struct open_sample *o)
{
	return panel_is_split(&o->panel) ? SPLIT : sample_is_doubted(o) ? DOUBTED : UNDOUBTED;
}

/* Of those that only wait, by client; `own` counts for one more. The largest number. */
static size_t
weigh(struct sampler *s, const struct lender *l, const char *own)
{
	struct open_sample *o;
	size_t most = 0;

	TAILQ_FOREACH(o, &s->samples, link)
	o->client->weight = streq(o->client->key, own);
	TAILQ_FOREACH(o, &s->samples, link)
	if (may_go(o, l))
		most = MAX2(most, ++o->client->weight);
	return most;
}

static bool
is_candidate(const struct open_sample *o, const struct lender *l, size_t weight, enum worth worth)
{
	return may_go(o, l) && o->client->weight == weight && worth_of(o) == worth;
}

/* One of those that only wait has to go: of the client that has most of them, by chance, and of
 * these first what shows nothing yet. So nobody can keep others' from being looked at; and nobody
 * can see to it that what was chosen is not: it goes unbelieved. */
struct open_sample *
fair_victim(struct sampler *s, const struct lender *l, const char *client)
{
	size_t most = weigh(s, l, client);

	for (enum worth worth = UNDOUBTED; worth < WORTHS; worth++) {
		struct open_sample *o;
		uint64_t n = 0, which;

		TAILQ_FOREACH(o, &s->samples, link)
		n += is_candidate(o, l, most, worth);
		if (n == 0)
			continue;
		which = s->host.draw(s->host.arg, n);
		TAILQ_FOREACH(o, &s->samples, link)
		if (is_candidate(o, l, most, worth) && which-- == 0)
			return o;
	}
	return NULL;
}

/* One that is overdue has its turn before those of clients that have had more time. */
bool
fair_is_behind(const struct sampler *s, const struct open_sample *o)
{
	const struct open_sample *k;

	TAILQ_FOREACH(k, &s->samples, link)
	if (k->state == WAITING && k->m.overdue && *k->pick &&
		k->client->spent_ms < o->client->spent_ms &&
		(k->lender == o->lender || streq(k->pick, o->pick)))
		return true;
	return false;
}

/* Those of clients that have had the least time come first; else as they were chosen. */
static void
put_in_turn(struct sampler *s)
{
	struct samples sorted = TAILQ_HEAD_INITIALIZER(sorted);
	struct open_sample *o, *k;

	while ((o = TAILQ_FIRST(&s->samples)) != NULL) {
		TAILQ_REMOVE(&s->samples, o, link);
		TAILQ_FOREACH_REVERSE(k, &sorted, samples, link)
		if (k->client->spent_ms <= o->client->spent_ms)
			break;
		if (k)
			TAILQ_INSERT_AFTER(&sorted, k, o, link);
		else
			TAILQ_INSERT_HEAD(&sorted, o, link);
	}
	TAILQ_CONCAT(&s->samples, &sorted, link);
}

static void
charge(struct sampler *s, uint64_t now)
{
	uint64_t ms = s->ticked_ms ? now - s->ticked_ms : 0;
	struct open_sample *o;

	s->ticked_ms = now;
	TAILQ_FOREACH(o, &s->samples, link)
	if (o->state == RUNNING)
		o->client->spent_ms += ms;
	sampled_tick(&s->clients, now);
}

void
fair_tick(struct sampler *s, uint64_t now)
{
	charge(s, now);
	put_in_turn(s);
}
