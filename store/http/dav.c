/* A web server or WebDAV.
 *
 *   PUT ROOT/v1/blobs/ab/…   404, 409 or, of nginx, 500: a directory is missing
 *   MKCOL ROOT/v1/blobs/ab/  409 or the like: so is the one above, which comes first
 *   …                        201, or 405 where there is one: the next one down
 *                            another status (WsgiDAV: 500): likewise, since somebody else may have
 *                            made it in the same moment
 *   PUT once more
 *
 * Invariant: an operation makes directories once, and each request of that walk goes one step, so
 * that it ends. */
#include "config.h"

#include "store/http/http_priv.h"

#include <errno.h>
#include <stdio.h>

#include "common/process/environ.h"
#include "common/text/why.h"

#define SUBS 256u

/* op->step */
enum { STEP_PUT, STEP_UP, STEP_DOWN, STEP_AGAIN };

struct dav {
	struct web_auth auth;
	char *user, *password;
	bool no_mkcol;
	uint8_t known[STORE_N_KINDS][SUBS / 8]; /* directories in which something was put */
};

static struct dav *
dav_of(const struct op *op)
{
	return op->h->of_kind;
}

static bool
is_known(const struct op *op)
{
	unsigned sub = op->name.b[0];

	return dav_of(op)->known[op->kind][sub / 8] & (1u << (sub % 8));
}

static int
prepare(struct op *op, struct strv *headers, const struct web_auth **ret)
{
	(void)headers;
	*ret = &dav_of(op)->auth;
	/* it would be sent three times */
	op->final = op->what == OP_PUT && op->step == STEP_PUT && !is_known(op) ? 500 : 0;
	return 0;
}

static void walked(void *arg, const struct web_answer *a);

/* MKCOL of the first `at` bytes of its URL, which end with the '/' that nginx wants. */
static void
make_dir(struct op *op)
{
	_cleanup_(freep) char *url = strndup(op->url, op->at);
	struct web_ask ask = { .method = WEB_MKCOL,
		.url = url,
		.auth = &dav_of(op)->auth,
		.fd = -1,
		.final = 500,
		.deadline = op->deadline,
		.done = walked,
		.arg = op };
	int r = url ? web_ask(op->h->web, &ask) : -ENOMEM;

	if (r < 0)
		op_fail(op, r);
}

static void
put_again(struct op *op)
{
	op->step = STEP_AGAIN;
	op_send(op);
}

/* To the directory above; false: there is none. */
static bool
go_up(struct op *op)
{
	size_t at = op->at - 1;

	while (at > op->h->host_n && op->url[at - 1] != '/')
		at--;
	if (at <= op->h->host_n + 1)
		return false;
	op->at = at;
	return true;
}

static bool
go_down(struct op *op)
{
	const char *slash = strchr(op->url + op->at, '/');

	if (!slash)
		return false;
	op->at = (size_t)(slash + 1 - op->url);
	return true;
}

static void
walked(void *arg, const struct web_answer *a)
{
	struct op *op = arg;
	struct http *h = op->h;
	bool is_there = a->error == 0 && ((a->status >= 200 && a->status < 300) ||
						 a->status == 405 || a->status == 301);

	if (a->error < 0) {
		snprintf(h->base.why, sizeof(h->base.why), "MKCOL: %s", a->why);
		op_fail(op, a->error);
		return;
	}
	if (a->status == 501)
		dav_of(op)->no_mkcol = true;
	if (is_there || (op->step == STEP_DOWN && a->status != 501)) {
		op->step = STEP_DOWN;
		if (go_down(op))
			make_dir(op);
		else
			put_again(op);
	} else if (op->step == STEP_UP && a->status != 501 && go_up(op)) {
		make_dir(op);
	} else {
		/* its own answer says what is wrong */
		put_again(op);
	}
}

static bool
take_on(struct op *op, const struct web_answer *a)
{
	if (op->what != OP_PUT || op->step != STEP_PUT || a->error < 0 || dav_of(op)->no_mkcol)
		return false;
	if (a->status != 404 && a->status != 409 && a->status != 500)
		return false;
	op->step = STEP_UP;
	op->at = (size_t)(strrchr(op->url, '/') + 1 - op->url);
	make_dir(op);
	return true;
}

static void
was_put(struct op *op)
{
	unsigned sub = op->name.b[0];

	dav_of(op)->known[op->kind][sub / 8] |= (uint8_t)(1u << (sub % 8));
}

static void
close_dav(struct http *h)
{
	struct dav *d = h->of_kind;

	if (d == NULL)
		return;
	free(d->user);
	free(d->password);
	free(d);
}

static const struct http_kind kind = {
	.prepare = prepare, .take_on = take_on, .was_put = was_put, .close = close_dav
};

/* A byte that ends a header's line would let the rest be another header. */
static bool
is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int
find_token(const struct store_url *u, char **ret, char **ret_why)
{
	const char *name = store_url_get(u, STORE_PARAM_TOKEN_ENV);
	const char *v;

	if (store_url_get(u, STORE_PARAM_TOKEN_FILE))
		return store_url_secret(u, STORE_PARAM_TOKEN_FILE, ret, ret_why);
	if (!name)
		return 0;
	v = environ_get(name);
	if (!v || !*v)
		return why_set(ret_why, -EINVAL, "the variable that `token_env` names is not set");
	*ret = strdup(v);
	return *ret ? 0 : -ENOMEM;
}

static int
find_auth(const struct store_url *u, struct dav *d, char **ret_why)
{
	const char *file = store_url_get(u, STORE_PARAM_PASSWORD_FILE);
	int r = find_token(u, &d->password, ret_why);

	if (r < 0)
		return r;
	if (d->password) {
		d->auth = (struct web_auth){ .kind = WEB_BEARER, .password = d->password };
	} else if (u->user || u->password || file) {
		d->user = strdup(u->user ? u->user : "");
		if (file)
			r = store_url_secret(u, STORE_PARAM_PASSWORD_FILE, &d->password, ret_why);
		else
			d->password = strdup(u->password ? u->password : "");
		if (r < 0)
			return r;
		if (!d->user || !d->password)
			return -ENOMEM;
		d->auth = (struct web_auth){
			.kind = WEB_BASIC, .user = d->user, .password = d->password
		};
	}
	if ((d->user && !is_plain(d->user)) || (d->password && !is_plain(d->password)))
		return why_set(ret_why, -EINVAL, "a control character in a password or token");
	return 0;
}

static int
make_root(const struct store_url *u, char **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = buf_addf(&b, strchr(u->host, ':') ? "%s://[%s]" : "%s://%s",
		u->scheme == STORE_URL_HTTPS ? "https" : "http", u->host);

	if (r == 0 && u->port)
		r = buf_addf(&b, ":%u", u->port);
	if (r == 0 && u->path[0])
		r = buf_adds(&b, "/");
	if (r == 0)
		r = store_url_encode(&b, u->path, "/");
	if (r == 0)
		*ret = (char *)steal_ptr(b.p);
	return r;
}

static int
open_dav(const struct store_in *in, struct store **ret)
{
	const char *ca = store_url_get(in->url, STORE_PARAM_CA);
	struct http *h = NULL;
	char *root = NULL;
	struct dav *d;
	int r = make_root(in->url, &root);

	if (r == 0)
		r = http_new(
			in, &store_http, &kind, root, ca ? ca : environ_get("SSL_CERT_FILE"), &h);
	if (r < 0)
		return r;
	h->of_kind = d = calloc(1, sizeof(*d));
	r = d ? find_auth(in->url, d, in->ret_why) : -ENOMEM;
	if (r < 0) {
		http_close(&h->base);
		return r;
	}
	*ret = &h->base;
	return 0;
}

const struct store_type store_http = {
	.name = "http",
	.open = open_dav,
	.close = http_close,
	.has = http_has,
	.get = http_get,
	OUTGOING_FUNCTIONS,
	.put = http_put,
	.work = http_work,
};
