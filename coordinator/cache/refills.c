/* Invariant: an account has one at a time, a worker has one at a time, and each is there once. */
#include "config.h"

#include "coordinator/cache/refills.h"

bool
refills_may(const struct refills *r, uint64_t account)
{
	if (r->n == REFILLS_MAX)
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].account == account)
			return false;
	return true;
}

bool
refills_runs_on(const struct refills *r, uint64_t worker)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].worker == worker)
			return true;
	return false;
}

struct refill *
refills_of_worker(struct refills *r, uint64_t worker)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].worker == worker)
			return &r->v[i];
	return NULL;
}

struct refill *
refills_find(struct refills *r, const char *job)
{
	for (size_t i = 0; i < r->n; i++)
		if (streq(r->v[i].job, job))
			return &r->v[i];
	return NULL;
}

void
refills_add(struct refills *r, const struct refill *add, uint64_t now_ms)
{
	r->v[r->n] = *add;
	r->v[r->n].since_ms = now_ms;
	r->v[r->n++].until_ms = now_ms + REFILL_RUN_MS;
	r->placed++;
}

static void
take_out(struct refills *r, struct refill *f)
{
	*f = r->v[--r->n];
}

void
refills_leave(struct refills *r, struct refill *f, uint64_t now_ms)
{
	(void)r;
	if (!f->cancelled)
		f->until_ms = MIN2(f->until_ms, now_ms + REFILL_LEFT_MS);
}

bool
refills_cancel(struct refills *r, struct refill *f, uint64_t now_ms)
{
	if (f->cancelled)
		return false;
	f->cancelled = true;
	f->until_ms = now_ms + REFILL_LEFT_MS;
	r->cancelled++;
	return true;
}

void
refills_end(struct refills *r, struct refill *f)
{
	take_out(r, f);
	r->ended++;
}

void
refills_worker_gone(struct refills *r, uint64_t worker)
{
	for (size_t i = r->n; i-- > 0;)
		if (r->v[i].worker == worker)
			take_out(r, &r->v[i]);
}

void
refills_client_gone(struct refills *r, uint64_t client)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].client == client)
			r->v[i].client = 0;
}

struct refill *
refills_next_cancel(struct refills *r, bool wanted, uint64_t now_ms)
{
	for (size_t i = 0; i < r->n; i++)
		if ((wanted || !r->v[i].client || now_ms >= r->v[i].until_ms) &&
			refills_cancel(r, &r->v[i], now_ms))
			return &r->v[i];
	return NULL;
}

void
refills_expire(struct refills *r, uint64_t now_ms)
{
	for (size_t i = r->n; i-- > 0;)
		if (r->v[i].cancelled && now_ms >= r->v[i].until_ms)
			take_out(r, &r->v[i]);
}
