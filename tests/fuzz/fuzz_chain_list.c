/* A list of stores: any text. What is accepted is accepted again, place by place, and means the
 * same. */
#include "config.h"

#include "common/conf/ci.h"
#include "store/chain/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Of a run that writes below a prefix of its own: nothing else is written to. */
static void
own(const char *text, const struct chain_list *as_read)
{
	_cleanup_(freep) char *list = NULL, *why = NULL;
	struct chain_list l = { .n = 0 };

	if (ci_own_stores(text, "pr/7", &list) < 0)
		abort();
	/* a URL may be too long then, and two that differed in their mode alone are one */
	if (chain_list_parse(list, &l, &why) < 0)
		return;
	if (l.n < as_read->n || l.n > CHAIN_PLACES_MAX)
		abort();
	for (size_t i = 0; i < l.n; i++)
		if (!l.read_only[i] && (!l.own[i] || !strstr(l.urls[i], "below=pr/7")))
			abort();
	chain_list_done(&l);
}

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
			one.read_only[0] != l.read_only[i] || one.own[0] != l.own[i] ||
			!streq(one.urls[0], l.urls[i]))
			abort();
		chain_list_done(&one);
	}
	own(text, &l);
	chain_list_done(&l);
	return 0;
}
