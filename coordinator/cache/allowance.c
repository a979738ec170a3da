#include "config.h"

#include "coordinator/cache/allowance.h"

#define HOUR_MS 3600000.0

void
allowance_set(struct allowance *a, uint64_t max)
{
	a->max = max;
}

uint64_t
allowance_taken(const struct allowance *a, uint64_t now)
{
	double back = (double)a->max * (double)(now - MIN2(a->at_ms, now)) / HOUR_MS;

	if (a->max == 0 || back >= (double)a->taken)
		return 0;
	return a->taken - (uint64_t)back;
}

bool
allowance_take(struct allowance *a, uint64_t bytes, uint64_t now)
{
	uint64_t taken = allowance_taken(a, now);

	if (a->max == 0)
		return true;
	if (bytes > a->max || taken > a->max - bytes)
		return false;
	a->taken = taken + bytes;
	a->at_ms = now;
	return true;
}

void
allowance_give_back(struct allowance *a, uint64_t bytes)
{
	a->taken -= MIN2(a->taken, bytes);
}
