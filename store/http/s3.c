/* S3, and what speaks like it. Requests are signed by libcurl (CURLOPT_AWS_SIGV4), which
 *
 *   signs the path as it is given: all but unreserved characters are encoded here
 *   takes the hash of no body at all for what is uploaded, unless x-amz-content-sha256 says it: an
 *   object is hashed once more, as it will be sent
 *   signs our own headers too, so that a token for a time counts
 *
 * Invariant: an operation is sent only with keys, or with none where the URL says so. */
#include "config.h"

#include "store/http/http_priv.h"

#include <errno.h>
#include <stdio.h>

#include "store/http/aws_keys.h"
#include "common/process/environ.h"
#include "common/strv.h"
#include "common/text/why.h"

/* From 8.10 on libcurl sorts headers by their names when it signs: before, by whole lines, so that
 * "x-amz-server-side-encryption-aws-kms-key-id" came before what it begins with (curl 14370). */
#define CURL_SORTS_HEADERS 0x080a00

#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct s3 {
	struct aws_keys *keys; /* NULL: anonymous */
	struct web_auth auth;
	char *aws; /* what libcurl signs with */
	char *region, *sse, *sse_key, *storage_class;
	char *source; /* BUCKET/PREFIX, encoded: what a copy calls the begin of an object's name */
};

static struct s3 *
s3_of(const struct op *op)
{
	return op->h->of_kind;
}

static void
keys_came(void *arg)
{
	op_send(arg);
}

static int
find_auth(struct op *op, struct strv *headers, const struct web_auth **ret)
{
	struct s3 *s = s3_of(op);
	const struct aws_key *key;
	int r;

	if (!s->keys)
		return 0;
	r = aws_keys_get(s->keys, keys_came, op, &key);
	if (r < 0) {
		if (r != -EINPROGRESS)
			snprintf(op->h->base.why, sizeof(op->h->base.why), "%s",
				aws_keys_why(s->keys));
		return r;
	}
	s->auth.user = key->id;
	s->auth.password = key->secret;
	*ret = &s->auth;
	return key->token ? strv_addf(headers, "x-amz-security-token: %s", key->token) : 0;
}

static int
hash_object(struct op *op)
{
	struct digest d;
	int r;

	if (op->sha256[0])
		return 0;
	if (lseek(op->object.fd, 0, SEEK_SET) < 0)
		return -errno;
	r = digest_fd(op->object.fd, &d, NULL);
	if (r == 0)
		digest_hex(&d, op->sha256);
	return r;
}

/* How an object is to be kept. */
static int
add_kept_headers(const struct s3 *s, struct strv *headers)
{
	int r = strv_add(headers, "Content-Type: application/octet-stream");

	if (r == 0 && s->sse)
		r = strv_addf(headers, "x-amz-server-side-encryption: %s", s->sse);
	if (r == 0 && s->sse_key)
		r = strv_addf(
			headers, "x-amz-server-side-encryption-aws-kms-key-id: %s", s->sse_key);
	if (r == 0 && s->storage_class)
		r = strv_addf(headers, "x-amz-storage-class: %s", s->storage_class);
	return r;
}

static int
add_put_headers(struct op *op, struct strv *headers)
{
	int r = hash_object(op);

	if (r == 0)
		r = strv_addf(headers, "x-amz-content-sha256: %s", op->sha256);
	return r < 0 ? r : add_kept_headers(s3_of(op), headers);
}

/* An object is copied onto itself only where something of it becomes another: its metadata are
 * replaced, by the same. */
static int
renew(struct op *op, struct strv *headers)
{
	struct s3 *s = s3_of(op);
	int r = strv_addf(
		headers, "x-amz-copy-source: /%s%s", s->source, op->url + strlen(op->h->root));

	if (r == 0)
		r = strv_add(headers, "x-amz-metadata-directive: REPLACE");
	return r < 0 ? r : add_kept_headers(s, headers);
}

static int
prepare(struct op *op, struct strv *headers, const struct web_auth **ret)
{
	int r = find_auth(op, headers, ret);

	if (r < 0)
		return r;
	if (op->what == OP_PUT)
		return add_put_headers(op, headers);
	return s3_of(op)->keys ? strv_add(headers, "x-amz-content-sha256: " SHA256_OF_NOTHING) : 0;
}

/* Keys that were good when they were got. HEAD has no body that could say which error it is. */
static bool
is_old_key(const struct op *op, const struct web_answer *a, const char *code)
{
	if (a->status != 400 && a->status != 401 && a->status != 403)
		return false;
	return streq(code, "ExpiredToken") || streq(code, "InvalidToken") ||
	       streq(code, "InvalidAccessKeyId") || (op->what == OP_HAS && code[0] == '\0');
}

static bool
take_on(struct op *op, const struct web_answer *a)
{
	struct s3 *s = s3_of(op);
	struct http *h = op->h;
	char code[AWS_CODE_SIZE];

	if (a->error < 0)
		return false;
	aws_answer_code(a->text, a->text_n, code);
	if (s->keys && op->step == 0 && is_old_key(op, a, code)) {
		op->step = 1;
		if (aws_keys_refused(s->keys)) {
			op_send(op);
			return true;
		}
	}
	if (streq(code, "NoSuchBucket"))
		http_say_once(h, NOTE_BUCKET, "there is no such bucket");
	else if (a->region[0] && s->region && !streq(a->region, s->region) &&
		 (a->status == 301 || a->status == 307 || a->status == 400))
		http_say_once(
			h, NOTE_BUCKET, "the bucket is in another region: region=%s", a->region);
	else if (streq(code, "RequestTimeTooSkewed"))
		http_say_once(
			h, NOTE_BUCKET, "this machine's clock is wrong, by what the store says");
	return false;
}

static void
close_s3(struct http *h)
{
	struct s3 *s = h->of_kind;

	if (s == NULL)
		return;
	aws_keys_free(s->keys);
	free(s->aws);
	free(s->region);
	free(s->sse);
	free(s->sse_key);
	free(s->storage_class);
	free(s->source);
	free(s);
}

static const struct http_kind kind = { .prepare = prepare,
	.take_on = take_on,
	.renew = renew,
	.renewals = &http_renewals,
	.close = close_s3 };

/* As a part of a host's name, or of what is signed. */
static bool
is_region(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < 64 && s[n] == '\0';
}

/* Whether a certificate for *.s3.amazonaws.com is one for this bucket, too. */
static bool
is_label(const char *bucket)
{
	size_t n = strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 3 && n <= 63 && bucket[n] == '\0';
}

static bool
is_virtual(const struct store_url *u, bool own_endpoint)
{
	const char *style = store_url_get(u, STORE_PARAM_STYLE);

	return style ? streq(style, "virtual") : !own_endpoint && is_label(u->host);
}

/* http[s]://HOST[:PORT] */
static int
find_endpoint(
	const struct store_url *u, const char *region, char **ret, bool *ret_own, char **ret_why)
{
	_cleanup_(store_url_freep) struct store_url *parsed = NULL;
	_cleanup_(freep) char *why = NULL;
	const char *v = store_url_get(u, STORE_PARAM_ENDPOINT), *name = "AWS_ENDPOINT_URL_S3";
	int n;

	if (!v)
		v = environ_get(name);
	if (!v || !*v)
		v = environ_get(name = "AWS_ENDPOINT_URL");
	*ret_own = v && *v;
	if (!*ret_own) {
		n = asprintf(ret, "https://s3.%s.amazonaws.com%s", region,
			starts_with(region, "cn-") ? ".cn" : "");
	} else {
		n = asprintf(ret, "%s%s", strstr(v, "://") ? "" : "https://", v);
		if (n > 0 && (store_url_parse(*ret, &parsed, &why) < 0 || parsed->user ||
				     parsed->password || parsed->path[0] ||
				     (parsed->scheme != STORE_URL_HTTP &&
					     parsed->scheme != STORE_URL_HTTPS)))
			return why_set(ret_why, -EINVAL, "%s is not http[s]://host[:port]", name);
	}
	if (n < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	n = (int)strlen(*ret);
	while (n > 0 && (*ret)[n - 1] == '/')
		(*ret)[--n] = '\0';
	return 0;
}

static int
make_root(const struct store_url *u, const char *region, char **ret, char **ret_why)
{
	_cleanup_(freep) char *endpoint = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *host;
	bool own;
	int r = find_endpoint(u, region, &endpoint, &own, ret_why);

	if (r < 0)
		return r;
	host = strstr(endpoint, "://") + 3;
	r = is_virtual(u, own)
		    ? buf_addf(&b, "%.*s%s.%s", (int)(host - endpoint), endpoint, u->host, host)
		    : buf_addf(&b, "%s/%s", endpoint, u->host);
	if (r == 0 && u->path[0])
		r = buf_adds(&b, "/");
	if (r == 0)
		r = store_url_encode(&b, u->path, "/");
	if (r == 0)
		*ret = (char *)steal_ptr(b.p);
	return r;
}

static int
make_source(const struct store_url *u, char **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = store_url_encode(&b, u->host, "");

	if (r == 0 && u->path[0])
		r = buf_adds(&b, "/");
	if (r == 0)
		r = store_url_encode(&b, u->path, "/");
	if (r == 0)
		*ret = (char *)steal_ptr(b.p);
	return r;
}

static int
set_s3(struct s3 *s, const struct store_url *u, const char *region)
{
	int r = str_copy(region, &s->region);

	if (r == 0)
		r = str_copy(store_url_get(u, STORE_PARAM_SSE), &s->sse);
	if (r == 0)
		r = str_copy(store_url_get(u, STORE_PARAM_SSE_KEY), &s->sse_key);
	if (r == 0)
		r = str_copy(store_url_get(u, STORE_PARAM_STORAGE_CLASS), &s->storage_class);
	if (r == 0 && asprintf(&s->aws, "aws:amz:%s:s3", region) < 0) {
		s->aws = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = make_source(u, &s->source);
	s->auth = (struct web_auth){ .kind = WEB_AWS, .aws = s->aws };
	return r;
}

static int
find_region(struct aws_keys *keys, const char **ret, char **ret_why)
{
	const char *region = aws_keys_region(keys);

	if (!region)
		region = "us-east-1";
	if (!is_region(region))
		return why_set(
			ret_why, -EINVAL, "the region is no name of letters, digits and '-'");
	*ret = region;
	return 0;
}

static const char *
find_ca(const struct store_url *u)
{
	const char *v = store_url_get(u, STORE_PARAM_CA);

	if (!v)
		v = environ_get("AWS_CA_BUNDLE");
	return v ? v : environ_get("SSL_CERT_FILE");
}

static void
keys_freep(struct aws_keys **k)
{
	aws_keys_free(*k);
}

static int
open_s3(const struct store_in *in, struct store **ret)
{
	const struct store_url *u = in->url;
	const char *anonymous = store_url_get(u, STORE_PARAM_ANONYMOUS);
	struct aws_keys_in keys_in = { .profile = store_url_get(u, STORE_PARAM_PROFILE),
		.region = store_url_get(u, STORE_PARAM_REGION) };
	_cleanup_(keys_freep) struct aws_keys *keys = NULL;
	struct http *h = NULL;
	char *root = NULL;
	const char *region = NULL;
	struct s3 *s;
	int r = aws_keys_new(&keys_in, &keys);

	if (r == 0)
		r = find_region(keys, &region, in->ret_why);
	if (r == 0)
		r = make_root(u, region, &root, in->ret_why);
	if (r == 0)
		r = http_new(in, &store_s3, &kind, root, find_ca(u), &h);
	if (r < 0)
		return r;
	h->of_kind = s = calloc(1, sizeof(*s));
	r = s ? set_s3(s, u, region) : -ENOMEM;
	if (r == 0 && s->sse_key && web_curl_version(h->web) < CURL_SORTS_HEADERS)
		r = why_set(in->ret_why, -ENOPKG,
			"`sse_key` needs libcurl 8.10, since older ones sign its header wrongly: "
			"set the key "
			"as the bucket's default");
	if (r < 0) {
		http_close(&h->base);
		return r;
	}
	if (!anonymous || !streq(anonymous, "yes")) {
		s->keys = steal_ptr(keys);
		aws_keys_use(s->keys, h->web);
	}
	*ret = &h->base;
	return 0;
}

const struct store_type store_s3 = {
	.name = "s3",
	.open = open_s3,
	.close = http_close,
	.has = http_has,
	.get = http_get,
	OUTGOING_FUNCTIONS,
	.put = http_put,
	.work = http_work,
};
