/* Invariant: what concerns one client's results alone changes nothing for another client's. */
#include "config.h"

#include "coordinator/cache/lender.h"

#include <stdio.h>
#include <stdlib.h>

struct lender *
lenders_find(const struct lenders *all, const char *worker)
{
	struct lender *l;

	TAILQ_FOREACH(l, all, link)
	if (streq(l->worker, worker))
		return l;
	return NULL;
}

struct lender *
lenders_get(struct lenders *all, const char *worker)
{
	struct lender *l = lenders_find(all, worker);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	snprintf(l->worker, sizeof(l->worker), "%s", worker);
	TAILQ_INIT(&l->tallies);
	TAILQ_INSERT_TAIL(all, l, link);
	return l;
}

static void
forget(struct lender *l, struct lender_tally *t)
{
	TAILQ_REMOVE(&l->tallies, t, link);
	l->n_tallies--;
	free(t);
}

void
lenders_done(struct lenders *all)
{
	struct lender *l;

	while ((l = TAILQ_FIRST(all)) != NULL) {
		while (!TAILQ_EMPTY(&l->tallies))
			forget(l, TAILQ_FIRST(&l->tallies));
		TAILQ_REMOVE(all, l, link);
		free(l);
	}
}

static struct lender_tally *
find_tally(const struct lender *l, const char *client)
{
	struct lender_tally *t;

	TAILQ_FOREACH(t, &l->tallies, link)
	if (streq(t->client, client))
		return t;
	return NULL;
}

static struct lender_tally *
get_tally(struct lender *l, const char *client)
{
	struct lender_tally *t = find_tally(l, client);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (l->n_tallies >= LENDER_TALLIES_MAX)
		forget(l, TAILQ_FIRST(&l->tallies));
	snprintf(t->client, sizeof(t->client), "%s", client);
	TAILQ_INSERT_TAIL(&l->tallies, t, link);
	l->n_tallies++;
	return t;
}

void
lender_watch(struct lender *l)
{
	if (l)
		l->watched = l->results + LENDER_WATCHED;
}

static void
forgive(struct lender_tally *t)
{
	if (++t->good < LENDER_GOOD)
		return;
	t->good = 0;
	t->failures -= t->failures > 0;
}

void
lender_note_good(struct lender *l, const char *client)
{
	struct lender_tally *t = find_tally(l, client);

	forgive(&l->own);
	if (t)
		forgive(t);
}

static void
bar(struct lender_tally *t, uint64_t now)
{
	uint64_t ms = (uint64_t)LENDER_BARRED_MS << MIN2(t->bars, 5u);

	t->failures = t->good = 0;
	t->bars++;
	t->barred_until = now + MIN2(ms, (uint64_t)LENDER_BARRED_MAX_MS);
}

static size_t
count_barred(const struct lender *l, uint64_t now)
{
	const struct lender_tally *t;
	size_t n = 0;

	TAILQ_FOREACH(t, &l->tallies, link)
	n += *t->client && now < t->barred_until;
	return n;
}

enum lender_bar
lender_note_failure(struct lender *l, const char *client, bool enough, uint64_t now)
{
	struct lender_tally *t = client ? get_tally(l, client) : &l->own;

	lender_watch(l);
	if (!t)
		return LENDER_NOT_BARRED;
	t->good = 0;
	if (++t->failures < LENDER_FAILURES && !enough)
		return LENDER_NOT_BARRED;
	bar(t, now);
	if (t == &l->own)
		return LENDER_BARRED_ALL;
	if (count_barred(l, now) < LENDER_CLIENTS)
		return LENDER_BARRED_CLIENT;
	bar(&l->own, now);
	return LENDER_BARRED_ALL;
}

bool
lender_may_share(const struct lender *l, const char *client, uint64_t now)
{
	const struct lender_tally *t = l && client ? find_tally(l, client) : NULL;

	return !l || (now >= l->own.barred_until && (!t || now >= t->barred_until));
}
