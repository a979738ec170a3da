/* What was compiled here is offered to the stores that are shared: it is noted in the queue
 * (client/far/queue.h), and a farm half seals and uploads it, behind the build. */
#include "config.h"

#include <stdio.h>

#include "cache/shared.h"
#include "client/far/ask.h"
#include "client/far/queue.h"
#include "client/cached/cached_priv.h"

/* What the farm made, its workers share; what came from a store is there. */
static bool
is_ours(const struct result *res)
{
	return res->from && streq(res->from, "local") && !res->producer;
}

void
cached_offer(struct cached *c, const struct digest *key, const struct result *res, char *const *env,
	struct cached_far *far)
{
	static char *const none[] = { NULL };
	const struct conf *conf = c->in.conf;
	const struct queue_item item = { *key, c->kept };
	const struct shared_by by = { .kind = TRUST_PUBLISHER,
		.namespace = conf->client.namespace ? conf->client.namespace : "",
		.env = env ? env : none,
		.any_env = conf->client.share_env == SHARE_ENV_ALL,
		.time_s = res->time_s };
	_cleanup_(freep) char *why = NULL, *dir = NULL;
	int r;

	if (!far_may_write(conf) || !is_ours(res))
		return;
	r = shared_may(&by, res, &why);
	if (r == 0)
		r = queue_dir(conf, &dir);
	if (r == 0)
		r = queue_add(dir, &item, by.env);
	if (r < 0)
		snprintf(far->not_shared, sizeof(far->not_shared), "%s", why ? why : strerror(-r));
}
