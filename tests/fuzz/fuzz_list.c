/* A build's list: any bytes. What is read is within its bound, has no key twice, and is read again
 * from what is written. */
#include "config.h"

#include "cache/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct list l = { NULL, 0 }, again = { NULL, 0 };

	if (list_decode(p, n, &l) < 0)
		return 0;
	if (l.n > LIST_MAX || list_encode(&l, &b) < 0 || b.n > n ||
		list_decode(b.p, b.n, &again) < 0 || again.n != l.n ||
		memcmp(l.v ? (void *)l.v : "", again.v ? (void *)again.v : "", l.n * DIGEST_SIZE) !=
			0)
		abort();
	list_done(&l);
	list_done(&again);
	return 0;
}
