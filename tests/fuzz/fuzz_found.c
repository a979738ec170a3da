/* The file of what was found, whatever is in it: what is taken is written as it was read, and every
 * endpoint in it is one that could have come from an address. */
#include "config.h"

#include <stdlib.h>

#include "discovery/find.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	static struct found f;

	if (found_parse((const char *)p, n, &f) < 0) {
		if (f.n || *f.why)
			abort();
		return 0;
	}
	if (found_format(&f, &b) < 0)
		abort();
	/* the reason may stand anywhere, and is written first */
	if (!*f.why && (b.n != n || memcmp(b.p, p, n) != 0))
		abort();
	for (size_t i = 0; i < f.n; i++)
		if (!found_endpoint_ok(f.v[i].endpoint) ||
			!find_has(&f, f.v[i].fingerprint, f.v[i].endpoint) ||
			!find_next(&f, f.v[i].fingerprint, f.v[i].endpoint))
			abort();
	return 0;
}
