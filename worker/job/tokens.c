/* Invariant: each token of a job's own pool was taken from the shared pool, and goes back there. A
 * compiler that wants a token waits in a read, which cannot be seen from outside. So each pool is
 * looked at ten times a second: an empty one may get more; if the shared pool is empty, all tokens
 * but one are lent to other jobs. */
#include "config.h"

#include "worker/job/tokens.h"

#include "common/clock.h"

#define LOOK_MS 100

static bool
take(const struct jobserver *from)
{
	struct jobserver js = *from;

	return jobserver_take(&js) == 0;
}

static void
give(const struct jobserver *to)
{
	struct jobserver js = *to;

	jobserver_give(&js);
}

static void
fill(struct tokens *t)
{
	while (t->taken < t->max && take(t->shared)) {
		give(&t->own);
		t->taken++;
	}
}

int
tokens_begin(const struct jobserver *shared, uint32_t jobs, unsigned cores, struct tokens *ret)
{
	struct tokens t = TOKENS_INIT;

	t.shared = shared;
	/* With as many jobs as cores, or more, the shared pool never shows too much. */
	if (jobs && jobs < cores) {
		int r = jobserver_make(0, &t.own);

		if (r < 0)
			return r;
		t.max = jobs - 1;
	}
	t.self = take(shared);
	fill(&t);
	t.next_ms = t.max ? clock_mono_ms() + LOOK_MS : 0;
	*ret = t;
	return 0;
}

const struct jobserver *
tokens_pool(const struct tokens *t)
{
	return t->own.rd < 0 ? t->shared : &t->own;
}

void
tokens_tick(struct tokens *t, uint64_t now_ms)
{
	int n;

	if (!t->next_ms || now_ms < t->next_ms)
		return;
	t->next_ms = now_ms + LOOK_MS;
	n = jobserver_left(&t->own);
	if (n == 0)
		fill(t);
	if (jobserver_left(t->shared) > 0)
		return;
	/* a compiler may have put its own first token in, too, which is not the pool's */
	for (; n > 1 && t->taken > 0 && take(&t->own); n--, t->taken--)
		give(t->shared);
}

void
tokens_done(struct tokens *t)
{
	for (; t->taken > 0; t->taken--)
		give(t->shared);
	if (t->self)
		give(t->shared);
	jobserver_done(&t->own);
	*t = (struct tokens)TOKENS_INIT;
}
