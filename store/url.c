/* A store's URL.
 *
 * Invariant: an error names the scheme and what is wrong, and quotes only names of the tables here;
 * a '/' or '?' in a password that was not written as %2F or %3F ends the part that it is in, so any
 * other part may be a piece of one. */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "store/url.h"

#define NUMBER_MAX 1000000000u
#define SECRET_MAX ((size_t)64 << 10)
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"

#define OF(s) (1u << STORE_URL_##s)
#define WEB (OF(HTTP) | OF(HTTPS))
#define REDIS (OF(REDIS) | OF(REDISS) | OF(REDIS_UNIX))
#define NETWORK (WEB | OF(S3) | REDIS)
#define ALL (NETWORK | OF(FILE))

static const struct scheme {
	const char *name; /* with what follows it */
	bool has_host, may_have_user;
} SCHEMES[STORE_N_SCHEMES] = {
	[STORE_URL_FILE] = { "file://", false, false },
	[STORE_URL_HTTP] = { "http://", true, true },
	[STORE_URL_HTTPS] = { "https://", true, true },
	[STORE_URL_S3] = { "s3://", true, false },
	[STORE_URL_REDIS] = { "redis://", true, true },
	[STORE_URL_REDISS] = { "rediss://", true, true },
	[STORE_URL_REDIS_UNIX] = { "redis+unix://", false, true },
};

enum kind { KIND_TEXT, KIND_NUMBER, KIND_CHOICE, KIND_PATH, KIND_PREFIX, KIND_ENDPOINT };

static const struct param {
	const char *name;
	unsigned schemes;
	enum kind kind;
	const char *choices; /* " a b " */
} PARAMS[STORE_N_PARAMS] = {
	[STORE_PARAM_MODE] = { "mode", ALL, KIND_CHOICE, " ro rw own " },
	[STORE_PARAM_BELOW] = { "below", ALL, KIND_PREFIX, NULL },
	[STORE_PARAM_CONNECT_MS] = { "connect_ms", NETWORK, KIND_NUMBER, NULL },
	[STORE_PARAM_REQUEST_S] = { "request_s", ALL, KIND_NUMBER, NULL },
	[STORE_PARAM_ACCESS] = { "access", OF(FILE), KIND_CHOICE, " group all " },
	[STORE_PARAM_CA] = { "ca", OF(HTTPS) | OF(S3) | OF(REDISS), KIND_PATH, NULL },
	[STORE_PARAM_CERT] = { "cert", OF(HTTPS) | OF(S3) | OF(REDISS), KIND_PATH, NULL },
	[STORE_PARAM_KEY] = { "key", OF(HTTPS) | OF(S3) | OF(REDISS), KIND_PATH, NULL },
	[STORE_PARAM_PASSWORD_FILE] = { "password_file", WEB | REDIS, KIND_PATH, NULL },
	[STORE_PARAM_TOKEN_FILE] = { "token_file", WEB, KIND_PATH, NULL },
	[STORE_PARAM_TOKEN_ENV] = { "token_env", WEB, KIND_TEXT, NULL },
	[STORE_PARAM_RATE] = { "rate", WEB | OF(S3), KIND_NUMBER, NULL },
	[STORE_PARAM_LOW_SPEED_S] = { "low_speed_s", WEB | OF(S3), KIND_NUMBER, NULL },
	[STORE_PARAM_REGION] = { "region", OF(S3), KIND_TEXT, NULL },
	[STORE_PARAM_ENDPOINT] = { "endpoint", OF(S3), KIND_ENDPOINT, NULL },
	[STORE_PARAM_STYLE] = { "style", OF(S3), KIND_CHOICE, " path virtual " },
	[STORE_PARAM_SSE] = { "sse", OF(S3), KIND_CHOICE, " AES256 aws:kms aws:kms:dsse " },
	[STORE_PARAM_SSE_KEY] = { "sse_key", OF(S3), KIND_TEXT, NULL },
	[STORE_PARAM_STORAGE_CLASS] = { "storage_class", OF(S3), KIND_TEXT, NULL },
	[STORE_PARAM_RENEW_DAYS] = { "renew_days", OF(S3), KIND_NUMBER, NULL },
	[STORE_PARAM_PROFILE] = { "profile", OF(S3), KIND_TEXT, NULL },
	[STORE_PARAM_ANONYMOUS] = { "anonymous", OF(S3), KIND_CHOICE, " yes no " },
	[STORE_PARAM_DB] = { "db", REDIS, KIND_NUMBER, NULL },
	[STORE_PARAM_PREFIX] = { "prefix", REDIS, KIND_TEXT, NULL },
	[STORE_PARAM_EXPIRE_S] = { "expire_s", REDIS, KIND_NUMBER, NULL },
};

void
store_url_free(struct store_url *u)
{
	if (u == NULL)
		return;
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->path);
	for (size_t i = 0; i < STORE_N_PARAMS; i++)
		free(u->params[i]);
	free(u);
}

void
store_url_freep(struct store_url **u)
{
	store_url_free(*u);
	*u = NULL;
}

/* What is parsed, and where it says why it cannot be. */
struct parse {
	struct store_url *u;
	char **ret_why;
};

/* `text` is one of ours. */
static int
refuse(const struct parse *p, const char *text)
{
	return why_set(
		p->ret_why, -EINVAL, "a store's URL, %s…: %s", SCHEMES[p->u->scheme].name, text);
}

static int
refuse_param(const struct parse *p, const struct param *of, const char *text)
{
	return why_set(p->ret_why, -EINVAL, "a store's URL, %s…: `%s` %s",
		SCHEMES[p->u->scheme].name, of->name, text);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_control(int c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* n bytes without their percent signs. whole: a '/' that is written as %2F would be another one
 * than those between the parts. */
static int
decode(const struct parse *p, const char *from, size_t n, bool whole, char **ret)
{
	_cleanup_(freep) char *to = malloc(n + 1);
	size_t k = 0;

	if (to == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			int high = i + 2 < n ? hex_value(from[i + 1]) : -1;
			int low = i + 2 < n ? hex_value(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return refuse(p, "a % is not followed by two hex digits");
			c = high * 16 + low;
			i += 2;
			if (!whole && c == '/')
				return refuse(p, "a path with %2F in it");
		}
		if (is_control(c))
			return refuse(p, "it has a control character in it");
		to[k++] = (char)c;
	}
	to[k] = '\0';
	*ret = steal_ptr(to);
	return 0;
}

/* Digits alone, and not many. */
static int
number(const char *text, size_t n, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	if (v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Letters of a host's name, or of a bucket's: others could mean something to a program that the
 * name is given to. */
static bool
is_host(const char *s, size_t n)
{
	if (n == 0 || n > 253 || s[0] == '-' || s[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-._", s[i]))
			return false;
	return true;
}

static bool
is_ipv6(const char *s, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr to;

	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &to) == 1;
}

static int
parse_user(const struct parse *p, const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	size_t user_n = colon ? (size_t)(colon - s) : n;
	int r;

	if (!SCHEMES[p->u->scheme].may_have_user)
		return refuse(p, "no user or key goes here: credentials come from the environment, "
				 "a profile or the machine's role");
	r = user_n > 0 ? decode(p, s, user_n, true, &p->u->user) : 0;
	if (r == 0 && colon)
		r = decode(p, colon + 1, n - user_n - 1, true, &p->u->password);
	return r;
}

/* HOST, HOST:PORT or [IPV6]:PORT. */
static int
parse_host(const struct parse *p, const char *s, size_t n)
{
	const char *host = s, *colon;
	size_t host_n;
	uint64_t port;
	bool in_brackets = n > 0 && s[0] == '[' && p->u->scheme != STORE_URL_S3;

	if (in_brackets) {
		const char *end = memchr(s, ']', n);

		if (!end)
			return refuse(p, "the address has no ] at its end");
		host = s + 1;
		host_n = (size_t)(end - host);
		colon = end + 1 < s + n ? end + 1 : NULL;
		if (colon && *colon != ':')
			return refuse(p, "there is something between ] and the port");
	} else {
		colon = memchr(s, ':', n);
		host_n = colon ? (size_t)(colon - s) : n;
	}
	if (host_n == 0)
		return refuse(p,
			p->u->scheme == STORE_URL_S3 ? "it names no bucket" : "it names no host");
	if (!(in_brackets ? is_ipv6(host, host_n) : is_host(host, host_n)))
		return refuse(p, p->u->scheme == STORE_URL_S3 ? "this is no bucket's name"
							      : "this is no host's name");
	if (colon) {
		if (p->u->scheme == STORE_URL_S3)
			return refuse(p, "a bucket has no port: `endpoint=host:port`");
		if (number(colon + 1, (size_t)(s + n - colon - 1), UINT16_MAX, &port) < 0 ||
			port == 0)
			return refuse(p, "the port is no number from 1 to 65535");
		p->u->port = (uint16_t)port;
	}
	p->u->host = strndup(host, host_n);
	if (!p->u->host)
		return -ENOMEM;
	for (char *c = p->u->host; *c && p->u->scheme != STORE_URL_S3; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

/* Up to the first '/' or '?'. A user cannot have a '@' in it that is not written as %40, a host
 * none at all: the last one is the one between. */
static int
parse_authority(const struct parse *p, const char *s, size_t n)
{
	const char *at = memrchr(s, '@', n);
	int r;

	if (at) {
		r = parse_user(p, s, (size_t)(at - s));
		if (r < 0)
			return r;
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	if (SCHEMES[p->u->scheme].has_host)
		return parse_host(p, s, n);
	return n == 0 ? 0 : refuse(p, "the path begins with /");
}

static bool
is_prefix(const char *path)
{
	for (const char *s = path; *s;) {
		size_t n = strcspn(s, "/");

		if (n == 0 || (n <= 2 && memcmp(s, "..", n) == 0))
			return false;
		s += n;
		if (*s == '/' && *++s == '\0')
			return false;
	}
	return true;
}

static int
set_param(const struct parse *p, enum store_param at, char *value)
{
	if (p->u->params[at]) {
		free(value);
		return refuse_param(p, &PARAMS[at], "is there twice");
	}
	p->u->params[at] = value;
	return 0;
}

/* s begins with '/', or is empty. */
static int
parse_path(const struct parse *p, const char *s, size_t n)
{
	unsigned scheme = 1u << p->u->scheme;
	uint64_t db;
	int r;

	if (scheme & (OF(REDIS) | OF(REDISS))) {
		p->u->path = strdup("");
		if (!p->u->path)
			return -ENOMEM;
		if (n <= 1)
			return 0;
		if (number(s + 1, n - 1, NUMBER_MAX, &db) < 0)
			return refuse(p, "behind the host there is something else than the number "
					 "of a database");
		return set_param(p, STORE_PARAM_DB, strndup(s + 1, n - 1));
	}
	if (scheme & (WEB | OF(S3))) {
		while (n > 0 && s[n - 1] == '/')
			n--;
		r = n > 0 ? decode(p, s + 1, n - 1, false, &p->u->path)
			  : decode(p, s, 0, false, &p->u->path);
		if (r == 0 && !is_prefix(p->u->path))
			return refuse(p, "the path has a part that is empty, \".\" or \"..\"");
		return r;
	}
	while (n > 1 && s[n - 1] == '/')
		n--;
	r = decode(p, s, n, true, &p->u->path);
	if (r == 0 && !path_is_normal(p->u->path))
		return refuse(p, "its path is not absolute, or has a part that is empty, \".\" or "
				 "\"..\"");
	return r;
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);
	const char *at = n > 0 && !strchr(value, ' ') ? strstr(choices, value) : NULL;

	while (at && (at[-1] != ' ' || at[n] != ' '))
		at = strstr(at + 1, value);
	return at != NULL;
}

static int
check_endpoint(const struct parse *p, const struct param *of, const char *value)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL, *whole = NULL;
	int r;

	if (strstr(value, "://") == NULL) {
		if (asprintf(&whole, "https://%s", value) < 0)
			return -ENOMEM;
		value = whole;
	}
	r = store_url_parse(value, &u, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !((1u << u->scheme) & WEB) || u->user || u->password || u->path[0] ||
		strchr(value, '?'))
		return refuse_param(p, of, "is not [http[s]://]host[:port]");
	return 0;
}

static int
check_value(const struct parse *p, const struct param *of, const char *value)
{
	uint64_t n;

	if (value[0] == '\0')
		return refuse_param(p, of, "has no value");
	switch (of->kind) {
	case KIND_TEXT:
		return 0;
	case KIND_NUMBER:
		if (number(value, strlen(value), NUMBER_MAX, &n) < 0)
			return refuse_param(p, of, "is no number up to 1000000000");
		return 0;
	case KIND_CHOICE:
		if (!is_choice(of->choices, value))
			return why_set(p->ret_why, -EINVAL,
				"a store's URL, %s…: `%s` is one of:%.*s",
				SCHEMES[p->u->scheme].name, of->name, (int)strlen(of->choices) - 1,
				of->choices);
		return 0;
	case KIND_PATH:
		return path_is_normal(value) ? 0 : refuse_param(p, of, "is no absolute path");
	case KIND_PREFIX:
		return is_prefix(value) && strspn(value, PLAIN) == strlen(value)
			       ? 0
			       : refuse_param(
					 p, of, "is no a/b of letters, digits, '-', '_' and '.'");
	case KIND_ENDPOINT:
		return check_endpoint(p, of, value);
	}
	return -EINVAL;
}

static int
refuse_name(const struct parse *p)
{
	_cleanup_(buf_done) struct buf known = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < STORE_N_PARAMS && r == 0; i++)
		if (PARAMS[i].schemes & (1u << p->u->scheme))
			r = buf_addf(&known, " %s", PARAMS[i].name);
	if (r < 0)
		return r;
	return why_set(p->ret_why, -EINVAL,
		"a store's URL, %s…: behind the ? there is something else than NAME=VALUE with '&' "
		"between; names are:%s",
		SCHEMES[p->u->scheme].name, (const char *)known.p);
}

static int
parse_param(const struct parse *p, const char *s, size_t n)
{
	_cleanup_(freep) char *value = NULL;
	const char *equals = memchr(s, '=', n);
	size_t name_n = equals ? (size_t)(equals - s) : n, at = 0;
	int r;

	while (at < STORE_N_PARAMS &&
		(strlen(PARAMS[at].name) != name_n || memcmp(PARAMS[at].name, s, name_n) != 0 ||
			!(PARAMS[at].schemes & (1u << p->u->scheme))))
		at++;
	if (at == STORE_N_PARAMS || !equals)
		return refuse_name(p);
	r = decode(p, equals + 1, n - name_n - 1, true, &value);
	if (r == 0)
		r = check_value(p, &PARAMS[at], value);
	return r < 0 ? r : set_param(p, at, steal_ptr(value));
}

static int
parse_params(const struct parse *p, const char *s)
{
	int r = 0;

	while (*s && r == 0) {
		size_t n = strcspn(s, "&");

		r = parse_param(p, s, n);
		s += n;
		if (r == 0 && *s == '&' && *++s == '\0')
			return refuse_name(p);
	}
	return r;
}

static int
check_together(const struct parse *p)
{
	char *const *v = p->u->params;

	if (v[STORE_PARAM_SSE_KEY] && (!v[STORE_PARAM_SSE] || streq(v[STORE_PARAM_SSE], "AES256")))
		return refuse(p, "`sse_key` goes with `sse=aws:kms`");
	if ((p->u->password != NULL) + (v[STORE_PARAM_PASSWORD_FILE] != NULL) +
			(v[STORE_PARAM_TOKEN_FILE] != NULL) + (v[STORE_PARAM_TOKEN_ENV] != NULL) >
		1)
		return refuse(p, "there is more than one password or token");
	if (v[STORE_PARAM_ANONYMOUS] && streq(v[STORE_PARAM_ANONYMOUS], "yes") &&
		v[STORE_PARAM_PROFILE])
		return refuse(p, "`anonymous=yes` has no profile");
	return 0;
}

/* Where there is a path, or a prefix, it becomes a part of that. */
static int
go_below(struct store_url *u)
{
	char **below = &u->params[STORE_PARAM_BELOW], **to = &u->path, *whole = NULL;
	bool is_redis = (1u << u->scheme) & REDIS;
	const char *old;

	if (!*below || u->scheme == STORE_URL_FILE)
		return 0;
	if (is_redis)
		to = &u->params[STORE_PARAM_PREFIX];
	old = *to ? *to : is_redis ? STORE_REDIS_PREFIX : "";
	if (asprintf(&whole, "%s%s%s%s", old, !is_redis && *old ? "/" : "", *below,
		    is_redis ? "/" : "") < 0)
		return -ENOMEM;
	free(*to);
	*to = whole;
	free(*below);
	*below = NULL;
	return 0;
}

int
store_url_go_below(struct store_url *u, const char *prefix)
{
	char **below = &u->params[STORE_PARAM_BELOW], *whole = NULL;

	if (!*prefix || !is_prefix(prefix) || strspn(prefix, PLAIN) != strlen(prefix))
		return -EINVAL;
	if (asprintf(&whole, "%s%s%s", *below ? *below : "", *below ? "/" : "", prefix) < 0)
		return -ENOMEM;
	free(*below);
	*below = whole;
	return go_below(u);
}

static int
parse_rest(const struct parse *p, const char *s)
{
	size_t n;
	int r;

	for (const char *c = s; *c; c++)
		if (is_control(*c) || *c == ' ')
			return refuse(p, "it has a blank or a control character in it");
	if (strchr(s, '#'))
		return refuse(p, "it has a # in it, which is written as %23");
	n = strcspn(s, "/?");
	if (strchr(s + n, '@'))
		return refuse(p, "there is a @ behind the host: in a user, a password or a value "
				 "the characters / ? # @ are written as %2F %3F %23 %40");
	r = parse_authority(p, s, n);
	if (r < 0)
		return r;
	s += n;
	n = strcspn(s, "?");
	r = parse_path(p, s, n);
	if (r < 0)
		return r;
	if (s[n] == '?')
		r = parse_params(p, s + n + 1);
	if (r == 0)
		r = check_together(p);
	return r < 0 ? r : go_below(p->u);
}

int
store_url_parse(const char *text, struct store_url **ret, char **ret_why)
{
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	struct parse p;
	size_t at = 0;
	int r;

	*ret_why = NULL;
	while (at < STORE_N_SCHEMES && !starts_with(text, SCHEMES[at].name))
		at++;
	if (at == STORE_N_SCHEMES)
		return why_set(ret_why, -EINVAL,
			"a store's URL begins with file://, http://, https://, s3://, redis://, "
			"rediss:// or redis+unix://");
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	u->scheme = at;
	p = (struct parse){ .u = u, .ret_why = ret_why };
	if (strnlen(text, STORE_URL_MAX + 1) > STORE_URL_MAX)
		return refuse(&p, "it is longer than 4096 bytes");
	r = parse_rest(&p, text + strlen(SCHEMES[at].name));
	if (r < 0)
		return r;
	*ret = steal_ptr(u);
	return 0;
}

int
store_url_encode(struct buf *b, const char *s, const char *also)
{
	int r = 0;

	for (; *s && r == 0; s++)
		r = isalnum((unsigned char)*s) || strchr("-._~", *s) || strchr(also, *s)
			    ? buf_add(b, s, 1)
			    : buf_addf(b, "%%%02X", (unsigned char)*s);
	return r;
}

char *
store_url_show(const struct store_url *u)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *between = "?";
	int r = buf_adds(&b, SCHEMES[u->scheme].name);

	if (r == 0 && (u->user || u->password))
		r = buf_adds(&b, "***@");
	if (r == 0 && u->host)
		r = buf_addf(&b, strchr(u->host, ':') ? "[%s]" : "%s", u->host);
	if (r == 0 && u->port)
		r = buf_addf(&b, ":%u", u->port);
	if (r == 0 && u->path[0] && u->path[0] != '/')
		r = buf_adds(&b, "/");
	if (r == 0)
		r = store_url_encode(&b, u->path, "/:+=");
	for (size_t i = 0; i < STORE_N_PARAMS && r == 0; i++) {
		if (!u->params[i])
			continue;
		r = buf_addf(&b, "%s%s=", between, PARAMS[i].name);
		if (r == 0)
			r = store_url_encode(&b, u->params[i], "/:");
		between = "&";
	}
	return r == 0 ? (char *)steal_ptr(b.p) : NULL;
}

const char *
store_url_get(const struct store_url *u, enum store_param p)
{
	return u->params[p];
}

uint64_t
store_url_number(const struct store_url *u, enum store_param p, uint64_t otherwise)
{
	return u->params[p] ? strtoull(u->params[p], NULL, 10) : otherwise;
}

int
store_url_secret(const struct store_url *u, enum store_param p, char **ret, char **ret_why)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = fs_read_file(u->params[p], SECRET_MAX, &b);
	size_t n;

	if (r < 0)
		return why_set(ret_why, r, "%s: %s", u->params[p], strerror(-r));
	n = strcspn((const char *)b.p, "\r\n");
	if (n > 0)
		*ret = strndup((const char *)b.p, n);
	explicit_bzero(b.p, b.n);
	if (n == 0)
		return why_set(ret_why, -EINVAL, "%s: its first line is empty", u->params[p]);
	return *ret != NULL ? 0 : -ENOMEM;
}

const char *
store_url_param_name(enum store_param p)
{
	return PARAMS[p].name;
}
