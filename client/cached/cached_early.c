/* The connection with the farm half, for what is in stores that are shared; and what is said on it
 * before a key is known. Below the other parts of cached. */
#include "config.h"

#include "client/far/ask.h"
#include "client/wrap/build_name.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/fresh.h"

bool
cached_open_far(struct cached *c)
{
	if (!c->far && !c->far_tried) {
		c->far_tried = true;
		if (far_ask_open(c->in.conf, &c->far) < 0)
			c->far = NULL;
	}
	return c->far != NULL;
}

void
cached_ask_early(struct cached *c)
{
	const struct conf *conf = c->in.conf;
	struct digest list;

	if (fresh_is_machine(conf) && build_name(c->in.memo, &list) == 0 && cached_open_far(c))
		far_ask_build(c->far, &list);
}
