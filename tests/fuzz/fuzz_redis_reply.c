/* What a Redis server says: any bytes, in pieces of a size that the first one says. */
#include "config.h"

#include "store/redis/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
on_reply(void *arg, const struct reply *r)
{
	static volatile uint8_t sum;
	size_t *total = arg;

	if (r->n > REPLY_MAX || r->kind > REPLY_BYTES)
		abort();
	for (size_t i = 0; i < r->n; i++)
		sum = (uint8_t)(sum + (uint8_t)r->p[i]);
	*total += r->n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct replies *r = NULL;
	char *why = NULL;
	size_t total = 0, piece;

	if (n < 1 || replies_load(&why) < 0 || replies_new(on_reply, &total, &r) < 0) {
		free(why);
		return 0;
	}
	piece = (size_t)p[0] * 16 + 1;
	for (size_t i = 1; i < n; i += piece)
		if (replies_feed(r, p + i, MIN2(piece, n - i)) < 0)
			break;
	if (total > n)
		abort();
	replies_free(r);
	return 0;
}
