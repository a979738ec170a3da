/* TXT records, which are anybody's bytes: strings with their length before each, as DNS has them.
 * What is taken is written again so that it is read as the same. */
#include "config.h"

#include <stdlib.h>

#include "discovery/txt.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
again(const struct found_one *o)
{
	_cleanup_(strv_done) struct strv v = STRV_INIT;
	struct txt_string s[8];
	struct found_one second = { .endpoint = "" };

	if (txt_encode(o, &v) < 0 || v.n > 8)
		abort();
	for (size_t i = 0; i < v.n; i++)
		s[i] = (struct txt_string){ (const uint8_t *)v.v[i], strlen(v.v[i]) };
	if (txt_decode(s, v.n, &second) < 0 || !streq(second.fingerprint, o->fingerprint) ||
		!streq(second.namespace, o->namespace) || !streq(second.version, o->version))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct txt_string v[2 * TXT_STRINGS_MAX];
	struct found_one o = { .fingerprint = "untouched" };
	size_t k = 0;

	for (; n > 0 && k < ARRAY_LEN(v); k++) {
		size_t m = MIN2((size_t)p[0], n - 1);

		v[k] = (struct txt_string){ p + 1, m };
		p += m + 1;
		n -= m + 1;
	}
	if (txt_decode(v, k, &o) == 0)
		again(&o);
	else if (!streq(o.fingerprint, "untouched"))
		abort();
	return 0;
}
