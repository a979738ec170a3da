/* half_request_decode: what it takes is what it would encode, byte for byte. */
#include "config.h"

#include "client/half/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct half_request q = { .argv = NULL };
	struct buf b = BUF_INIT;

	if (half_request_decode(p, n, &q) < 0)
		return 0;
	if (!q.argv[0] || half_request_encode(&q, &b) < 0 || b.n != n || memcmp(b.p, p, n) != 0)
		abort();
	buf_done(&b);
	half_request_done(&q);
	return 0;
}
