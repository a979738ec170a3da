#include "config.h"

#include "store/redis/settings.h"

#include <errno.h>

#include "common/strv.h"
#include "common/text/why.h"
#include "store/redis/tls.h"
#include "store/url.h"

#define CONNECT_MS 2000u
#define REQUEST_MS 30000u
#define DAY_S 86400u
#define PORT 6379

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
redis_settings_done(struct redis_settings *s)
{
	tls_context_free(s->tls);
	free(s->host);
	free(s->path);
	free(s->prefix);
	wipe(s->user);
	wipe(s->password);
	*s = (struct redis_settings){ .tls = NULL };
}

int
redis_settings_read(const struct store_in *in, size_t prefix_max, struct redis_settings *ret)
{
	const struct store_url *u = in->url;
	const char *prefix = store_url_get(u, STORE_PARAM_PREFIX);
	unsigned connect = in->connect_ms != 0 ? in->connect_ms : CONNECT_MS;
	struct tls_in tls = { .ca = store_url_get(u, STORE_PARAM_CA),
		.cert = store_url_get(u, STORE_PARAM_CERT),
		.key = store_url_get(u, STORE_PARAM_KEY) };
	struct redis_settings *r = ret;
	uint64_t request_s;
	int e = 0;

	request_s = MIN2(store_url_number(u, STORE_PARAM_REQUEST_S, 0), DAY_S);
	if (request_s != 0)
		r->request_ms = (unsigned)request_s * 1000;
	else
		r->request_ms = in->request_ms != 0 ? in->request_ms : REQUEST_MS;
	r->expire_s = store_url_number(u, STORE_PARAM_EXPIRE_S, 0);
	if (str_copy(u->host, &r->host) < 0 || str_copy(u->user, &r->user) < 0 ||
		str_copy(u->password, &r->password) < 0 ||
		str_copy(prefix != NULL ? prefix : STORE_REDIS_PREFIX, &r->prefix) < 0 ||
		str_copy(u->scheme == STORE_URL_REDIS_UNIX ? u->path : NULL, &r->path) < 0)
		return -ENOMEM;
	if (strlen(r->prefix) > prefix_max)
		return why_set(in->ret_why, -EINVAL, "its prefix is too long");
	if (store_url_get(u, STORE_PARAM_PASSWORD_FILE) != NULL)
		e = store_url_secret(u, STORE_PARAM_PASSWORD_FILE, &r->password, in->ret_why);
	if (e == 0 && u->scheme == STORE_URL_REDISS)
		e = tls_context_new(&tls, &r->tls, in->ret_why);
	if (e < 0)
		return e;
	r->link = (struct link_in){ .host = r->host,
		.port = u->port != 0 ? u->port : PORT,
		.path = r->path,
		.tls = r->tls,
		.user = r->user,
		.password = r->password,
		.db = store_url_number(u, STORE_PARAM_DB, 0),
		.connect_ms = (unsigned)store_url_number(u, STORE_PARAM_CONNECT_MS, connect) };
	return 0;
}
