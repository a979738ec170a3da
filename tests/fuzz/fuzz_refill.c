/* refill_decode: what it takes is what it would encode, word for word. */
#include "config.h"

#include "client/far/refill.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT, again = STRV_INIT;
	_cleanup_(refill_call_done) struct refill_call c = { .umask = 0 };
	const uint8_t *end = p + n, *nul;

	while (p < end && (nul = memchr(p, '\0', (size_t)(end - p)))) {
		if (strv_add(&words, (const char *)p) < 0)
			return 0;
		p = nul + 1;
	}
	if (refill_decode(&words, &c) < 0)
		return 0;
	if (c.argv.n == 0 || refill_encode(&c, &again) < 0 || again.n != words.n)
		abort();
	for (size_t i = 0; i < words.n; i++)
		if (!streq(words.v[i], again.v[i]))
			abort();
	return 0;
}
