/* The file of what was purged: any bytes. What is read is written as what reads the same. */
#include "config.h"

#include "coordinator/cache/purged.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(buf_done) struct buf one = BUF_INIT, two = BUF_INIT;
	struct purged *a = NULL, *b = NULL;

	if (purged_parse((const char *)p, n, &a) < 0)
		return 0;
	if (purged_print(a, &one) < 0 || purged_parse((const char *)one.p, one.n, &b) < 0 ||
		purged_print(b, &two) < 0 || one.n != two.n || memcmp(one.p, two.p, one.n) != 0)
		abort();
	purged_free(a);
	purged_free(b);
	return 0;
}
