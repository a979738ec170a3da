/* The check sums of a seed, with any bytes, and with any bytes behind which their digest stands:
 * what is decoded is encoded as the same text. */
#include "config.h"

#include "client/incremental/sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(const void *p, size_t n)
{
	_cleanup_(sums_done) struct sums s = SUMS_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (sums_decode(p, n, &s) < 0) {
		if (s.v || s.n)
			abort();
		return;
	}
	if (sums_encode(&s, &b) < 0 || b.n != n || memcmp(b.p, p, n) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	decode(data, size);
	if (digest_bytes(data, size, &d) < 0)
		return 0;
	digest_hex(&d, hex);
	if (buf_add(&b, data, size) == 0 && buf_addf(&b, "%s\n", hex) == 0)
		decode(b.p, b.n);
	return 0;
}
