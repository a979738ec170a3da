#include "config.h"

#include "store/place.h"

#include <errno.h>

#include "common/text/why.h"
#include "store/http/http.h"
#include "store/redis/redis.h"
#include "store/shared_dir.h"
#include "store/store_row.h"
#include "store/url.h"

static const struct store_type *const TYPES[STORE_N_SCHEMES] = {
	[STORE_URL_FILE] = &store_shared_dir,
	[STORE_URL_REDIS] = &store_redis,
	[STORE_URL_REDISS] = &store_redis,
	[STORE_URL_REDIS_UNIX] = &store_redis,
	[STORE_URL_HTTP] = &store_http,
	[STORE_URL_HTTPS] = &store_http,
	[STORE_URL_S3] = &store_s3,
};

int
place_open(const char *text, const struct store_in *in, struct store **ret, char **ret_why)
{
	_cleanup_(store_url_freep) struct store_url *url = NULL;
	_cleanup_(freep) char *shown = NULL, *why = NULL;
	struct store_in i = *in;
	int r = store_url_parse(text, &url, ret_why);

	if (r == 0 && in->below != NULL)
		r = store_url_go_below(url, in->below);
	if (r < 0)
		return r;
	shown = store_url_show(url);
	if (shown == NULL)
		return -ENOMEM;
	if (TYPES[url->scheme] == NULL)
		return why_set(
			ret_why, -EINVAL, "%s: this program has no such kind of store", shown);
	i.url = url;
	i.ret_why = &why;
	r = store_open(TYPES[url->scheme], &i, ret);
	if (r < 0)
		return why_set(ret_why, r, "%s: %s", shown, why != NULL ? why : strerror(-r));
	return 0;
}
