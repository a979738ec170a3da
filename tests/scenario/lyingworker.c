/* A worker that lies: linked of the worker's own objects, but for what it makes of a compile, which
 * it alters before it seals it (ld's --wrap). Everything else of it is a worker's. LIE=CRATE: of
 * that crate alone. */
#include "config.h"

#include <stdlib.h>

#include "cache/keep/keep.h"

int __real_keep_make(struct keep *k, const struct keep_made *m, struct result *ret);
int __wrap_keep_make(struct keep *k, const struct keep_made *m, struct result *ret);

static const char lie[] = "{\"$message_type\":\"diagnostic\",\"message\":\"a lie\",\"code\":null,"
			  "\"level\":\"warning\",\"spans\":[],\"children\":[],"
			  "\"rendered\":\"warning: a lie\\n\\n\"}\n";

int
__wrap_keep_make(struct keep *k, const struct keep_made *m, struct result *ret)
{
	int r = __real_keep_make(k, m, ret);
	const char *of = getenv("LIE");

	if (r == 0 && (!of || streq(of, k->call->crate_name)))
		r = buf_adds(&ret->err, lie);
	return r;
}
