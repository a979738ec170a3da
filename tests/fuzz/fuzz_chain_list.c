/* A list of stores: any text. What is accepted is accepted again, place by place, and means the
 * same. */
#include "config.h"

#include "store/chain/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)p, n), *why = NULL, *again = NULL;
	struct chain_list l = { .n = 0 }, one = { .n = 0 };

	if (text == NULL)
		return 0;
	if (chain_list_parse(text, &l, &why) < 0) {
		if (l.n != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < l.n; i++) {
		if (chain_list_parse(l.urls[i], &one, &again) < 0 || one.n != 1 ||
			one.read_only[0] != l.read_only[i] || !streq(one.urls[0], l.urls[i]))
			abort();
		chain_list_done(&one);
	}
	chain_list_done(&l);
	return 0;
}
