/* Invariant: while it is open, one request at most is under way that was let through since. */
#include "config.h"

#include "store/chain/breaker.h"

bool
breaker_may(struct breaker *b, uint64_t now)
{
	if (b->until == 0)
		return true;
	if (now < b->until || b->probing)
		return false;
	b->probing = true;
	return true;
}

void
breaker_ok(struct breaker *b)
{
	*b = (struct breaker){ .failures = 0 };
}

bool
breaker_failed(struct breaker *b, uint64_t now)
{
	uint64_t rest = BREAKER_REST_MS;

	/* one that was under way when it opened tells nothing new */
	if (b->until != 0 && !b->probing)
		return false;
	if (b->until == 0 && ++b->failures < BREAKER_FAILURES)
		return false;
	for (unsigned i = 0; i < b->rests && rest < BREAKER_REST_MAX_MS; i++)
		rest *= 2;
	b->rests++;
	b->failures = 0;
	b->probing = false;
	b->until = now + MIN2(rest, (uint64_t)BREAKER_REST_MAX_MS);
	return true;
}

void
breaker_unsure(struct breaker *b)
{
	b->probing = false;
}

bool
breaker_is_open(const struct breaker *b)
{
	return b->until != 0;
}
