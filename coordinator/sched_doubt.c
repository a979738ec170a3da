/* Doubts: a worker offers a toolchain, and clients say that it does not have it.
 *
 * What one client key says counts for that key's jobs alone: they do not go to that worker any
 * more. When a second key says it as well the worker gets no job of that toolchain, of nobody, for
 * UNBELIEVED_MS, and for twice as long each further time; its other toolchains are not touched, nor
 * is its trust. Registering again changes nothing, since a worker that lies would do that: time
 * does, and an admin's word (drayctl resume). So a client that lies costs nobody else anything.
 *
 * Invariants: there are DOUBTS_MAX at most, DOUBTS_OF_WORKER of one worker, and DOUBTS_OF_ACCOUNT
 * that are one key's word alone; for a new one that goes which was spoken of least lately. None
 * goes that keeps an offer shut: where only such are left, no new one is taken. */
#include "config.h"

#include <stdio.h>

#include "coordinator/sched_priv.h"

#define DOUBTS_MAX 256
#define DOUBTS_OF_WORKER 16
#define DOUBTS_OF_ACCOUNT 32
#define UNBELIEVED_MS 600000u
#define DOUBT_ROUNDS 7 /* 21 hours */

static struct doubt *
find(const struct sched *s, const char *worker, const struct digest *toolchain)
{
	struct doubt *d;

	TAILQ_FOREACH(d, &s->doubts, link)
	if (digest_eq(&d->toolchain, toolchain) && streq(d->worker, worker))
		return d;
	return NULL;
}

static void
drop(struct sched *s, struct doubt *d)
{
	TAILQ_REMOVE(&s->doubts, d, link);
	s->n_doubts--;
	free(d);
}

/* Whether an offer is shut by it: a worker that is gone offers nothing. */
static bool
holds(struct sched *s, const struct doubt *d)
{
	const struct sched_worker *w;

	TAILQ_FOREACH(w, &s->live, all_link)
	if (d->shut && streq(w->name, d->worker))
		return true;
	return false;
}

/* Drops the eldest that may go, of that worker or of that account, or of all (NULL, 0). */
static bool
drop_one(struct sched *s, const char *worker, uint64_t account)
{
	struct doubt *d, *gone = NULL;

	TAILQ_FOREACH(d, &s->doubts, link)
	{
		if ((worker && !streq(d->worker, worker)) || (account && d->account != account))
			continue;
		if (!d->shut) {
			drop(s, d);
			return true;
		}
		if (!gone && !holds(s, d))
			gone = d;
	}
	if (gone)
		drop(s, gone);
	return gone != NULL;
}

/* False: there is no room for another one. */
static bool
make_room(struct sched *s, const char *worker, uint64_t account)
{
	size_t of_worker = 0, of_account = 0;
	struct doubt *d;

	TAILQ_FOREACH(d, &s->doubts, link)
	{
		of_worker += streq(d->worker, worker);
		of_account += d->account == account;
	}
	if (of_worker >= DOUBTS_OF_WORKER)
		return drop_one(s, worker, 0);
	if (of_account >= DOUBTS_OF_ACCOUNT)
		return drop_one(s, NULL, account);
	return s->n_doubts < DOUBTS_MAX || drop_one(s, NULL, 0);
}

/* NULL: no memory, or no room. */
static struct doubt *
find_or_make(struct sched *s, const char *worker, const struct digest *toolchain, uint64_t account)
{
	struct doubt *d = find(s, worker, toolchain);

	if (d) {
		TAILQ_REMOVE(&s->doubts, d, link);
		TAILQ_INSERT_TAIL(&s->doubts, d, link);
		return d;
	}
	if (!make_room(s, worker, account))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	snprintf(d->worker, sizeof(d->worker), "%s", worker);
	d->toolchain = *toolchain;
	TAILQ_INSERT_TAIL(&s->doubts, d, link);
	s->n_doubts++;
	return d;
}

bool
doubt_says(struct sched *s, const struct sched_worker *w, const struct digest *toolchain,
	uint64_t account)
{
	struct doubt *d = find_or_make(s, w->name, toolchain, account);

	if (!d || d->shut)
		return false;
	if (s->now >= d->until_ms)
		d->account = 0;
	if (!d->account || d->account == account) {
		d->account = account;
		d->until_ms = s->now + UNBELIEVED_MS;
		return false;
	}
	d->shut = d->news = true;
	d->until_ms = s->now + ((uint64_t)UNBELIEVED_MS << MIN2(d->rounds, (unsigned)DOUBT_ROUNDS));
	d->rounds++;
	d->account = 0;
	return true;
}

const char *
doubt_next(const struct sched *s, const struct sched_job *job, const struct doubt **pos)
{
	const struct doubt *d = *pos ? TAILQ_NEXT(*pos, link) : TAILQ_FIRST(&s->doubts);

	for (; d && job->account; d = TAILQ_NEXT(d, link)) {
		if (d->shut || s->now >= d->until_ms || d->account != job->account->id ||
			!digest_eq(&d->toolchain, &job->toolchain))
			continue;
		*pos = d;
		return d->worker;
	}
	return NULL;
}

void
doubts_apply(const struct sched *s, struct sched_worker *w)
{
	w->n_shut = 0;
	for (size_t i = 0; i < w->n_offers; i++) {
		const struct doubt *d = find(s, w->name, &w->offers[i].pool->tc->id);

		w->offers[i].shut = d && d->shut;
		w->n_shut += w->offers[i].shut;
	}
}

const char *
doubts_end_one(struct sched *s)
{
	struct doubt *d;

	TAILQ_FOREACH(d, &s->doubts, link)
	if (d->shut && s->now >= d->until_ms) {
		d->shut = false;
		return d->worker;
	}
	return NULL;
}

bool
doubts_forget(struct sched *s, const char *worker)
{
	struct doubt *d, *next;
	bool any = false;

	TAILQ_FOREACH(d, &s->doubts, link)
	any |= d->shut && streq(d->worker, worker);
	for (d = TAILQ_FIRST(&s->doubts); any && d; d = next) {
		next = TAILQ_NEXT(d, link);
		if (streq(d->worker, worker))
			drop(s, d);
	}
	return any;
}

void
doubts_free(struct sched *s)
{
	while (!TAILQ_EMPTY(&s->doubts))
		drop(s, TAILQ_FIRST(&s->doubts));
}

bool
sched_doubt_news(struct sched *s, struct sched_doubt *ret)
{
	struct doubt *d;

	TAILQ_FOREACH(d, &s->doubts, link)
	{
		if (!d->news)
			continue;
		d->news = false;
		memcpy(ret->worker, d->worker, sizeof(ret->worker));
		ret->toolchain = d->toolchain;
		ret->ms = d->until_ms - MIN2(s->now, d->until_ms);
		return true;
	}
	return false;
}
