/* One value of the configuration. Invariant: a field is changed only to a value that is of its type
 * and within the bounds of its row; and each path in it is absolute, since cargo runs the wrapper
 * in many directories: a relative one would mean another file each time. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/conf/priv.h"
#include "common/conf/coordinators.h"
#include "common/fs.h"
#include "common/users.h"

/* sockaddr_un's path, with its NUL. */
#define IPC_PATH_MAX 108u

/* In pairs: no, yes. */
static const char *const bool_words[] = { "no", "yes", "false", "true", "off", "on", "0", "1",
	NULL };

bool
conf_key_is_text(const struct conf_key *k)
{
	return k->type <= TYPE_STORES;
}

void *
conf_field(struct conf *c, const struct conf_key *k)
{
	return (char *)c + k->offset;
}

/* Errors are sentences for a person: what was in a file is shown, but cannot act on a terminal. */
int
conf_fail(char **ret_error, int err, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	free(*ret_error);
	*ret_error = text;
	return err;
}

static void
add_words(struct buf *b, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		(void)buf_addf(b, "%s%s", i ? ", " : "", words[i]);
}

/* One value: checking and turning it into the field's type. Each returns 0, -ENOMEM, or -EINVAL
 * with what is allowed in `hint`. */

static int
parse_number(const char *v, bool size, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	uint64_t n = 0;
	const char *s;

	if (!isdigit((unsigned char)*v))
		return -EINVAL;
	for (; isdigit((unsigned char)*v); v++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*v - '0'), &n))
			return -EINVAL;
	if (size && *v) {
		s = strchr(suffixes, toupper((unsigned char)*v));
		if (!s || __builtin_mul_overflow(n, 1024ull << (10 * (s - suffixes)), &n))
			return -EINVAL;
		v++;
	}
	if (*v)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int
set_number(const struct conf_key *k, const char *v, uint64_t *out, struct buf *hint)
{
	bool size = k->type == TYPE_SIZE;
	uint64_t n;

	if (parse_number(v, size, &n) == 0 && n >= k->min && n <= k->max) {
		*out = n;
		return 0;
	}
	if (size)
		(void)buf_addf(
			hint, "a number of bytes, with K, M, G or T behind it for KiB and so on");
	else
		(void)buf_addf(hint, "a whole number, at most %llu", (unsigned long long)k->max);
	if (k->min)
		(void)buf_addf(hint, ", at least %llu", (unsigned long long)k->min);
	return -EINVAL;
}

static int
find_word(const char *const *words, const char *v, struct buf *hint)
{
	for (int i = 0; words[i]; i++)
		if (strcasecmp(words[i], v) == 0)
			return i;
	add_words(hint, words);
	return -EINVAL;
}

static bool
endpoint_ok(const char *v, bool listen)
{
	const char *host, *port;
	uint64_t n;

	for (const char *p = v; *p; p++)
		if (!isgraph((unsigned char)*p))
			return false;
	/* An abstract socket (ipc://@name) has no permissions: anybody on the machine could come.
	 */
	if (starts_with(v, "ipc://"))
		return v[6] == '/' && strlen(v + 6) < IPC_PATH_MAX;
	if (!starts_with(v, "tcp://") || strlen(v) > 300)
		return false;
	host = v + 6;
	port = strrchr(host, ':');
	if (!port || port == host || strchr(host, '/'))
		return false;
	if (listen && streq(port, ":*"))
		return true;
	return parse_number(port + 1, false, &n) == 0 && n >= 1 && n <= 65535;
}

/* The coordinator looks at it more closely. */
static bool
page_ok(const char *v)
{
	const char *port = strrchr(v, ':');
	uint64_t n;

	if (streq(v, "off"))
		return true;
	for (const char *p = v; *p; p++)
		if (!isgraph((unsigned char)*p))
			return false;
	return port && port > v && strlen(v) <= 64 &&
	       (streq(port, ":*") ||
		       (parse_number(port + 1, false, &n) == 0 && n >= 1 && n <= 65535));
}

static bool
name_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(isalpha((unsigned char)p[i]) || p[i] == '_' ||
			    (i && isdigit((unsigned char)p[i]))))
			return false;
	return n > 0;
}

static bool
word_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !(p[i] && strchr("-_.", p[i])))
			return false;
	return n > 0;
}

static bool
word_or_star_ok(const char *p, size_t n)
{
	return (n == 1 && *p == '*') || word_ok(p, n);
}

/* NAME=SIZE, of n bytes. *ret_name: the name's length. */
static bool
take_size_of_name(const char *p, size_t n, size_t *ret_name, uint64_t *ret)
{
	const char *sign = memchr(p, '=', n);
	char text[32];
	size_t rest;

	if (!sign || !word_or_star_ok(p, (size_t)(sign - p)))
		return false;
	*ret_name = (size_t)(sign - p);
	rest = n - *ret_name - 1;
	if (rest == 0 || rest >= sizeof(text))
		return false;
	memcpy(text, sign + 1, rest);
	text[rest] = '\0';
	return parse_number(text, true, ret) == 0 && *ret <= INT64_MAX;
}

static bool
quota_ok(const char *p, size_t n)
{
	size_t name;
	uint64_t size;

	return take_size_of_name(p, n, &name, &size);
}

static bool
size_of_name_ok(const char *p, size_t n)
{
	return *p != '*' && quota_ok(p, n);
}

uint64_t
conf_sizes_get(const char *sizes, const char *name, uint64_t otherwise)
{
	while (sizes && *sizes) {
		size_t n = strcspn(sizes, " "), k;
		uint64_t size;

		if (take_size_of_name(sizes, n, &k, &size) && strlen(name) == k &&
			memcmp(sizes, name, k) == 0)
			return size;
		sizes += n + strspn(sizes + n, " ");
	}
	return otherwise;
}

uint64_t
conf_quota_get(const char *quotas, const char *space)
{
	return conf_sizes_get(quotas, *space ? space : "-", conf_sizes_get(quotas, "*", 0));
}

static int
parse_names(const char *v, bool (*ok)(const char *p, size_t n), char **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	while (*(v += strspn(v, " \t"))) {
		size_t n = strcspn(v, " \t");

		if (!ok(v, n))
			return -EINVAL;
		if ((b.n && buf_adds(&b, " ") < 0) || buf_add(&b, v, n) < 0)
			return -ENOMEM;
		v += n;
	}
	*ret = (char *)steal_ptr(b.p);
	return 0;
}

char *
conf_home_dir(void)
{
	_cleanup_(freep) char *name = NULL, *home = NULL;
	const char *env = getenv("HOME");

	if (env && *env == '/')
		return strdup(env);
	return users_find(getuid(), &name, &home) == 0 && *home == '/' ? steal_ptr(home) : NULL;
}

static int
parse_path(const char *v, size_t n, const char *base, char **ret)
{
	_cleanup_(freep) char *home = NULL;
	_cleanup_(freep) char *path = strndup(v, n);
	const char *from = base, *rest = path;

	if (!path)
		return -ENOMEM;
	if (starts_with(path, "~/") || streq(path, "~")) {
		home = conf_home_dir();
		from = home;
		rest = path + 1 + (path[1] == '/');
	}
	if (*rest != '/' && !from)
		return -EINVAL;
	if (from == home && home)
		while (*rest == '/')
			rest++;
	*ret = path_normalize(from ? from : "/", rest);
	if (!*ret)
		return -ENOMEM;
	if (strlen(*ret) < PATH_MAX)
		return 0;
	free(steal_ptr(*ret));
	return -EINVAL;
}

static int
parse_paths(const char *v, const char *base, char **ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (;;) {
		size_t n = strcspn(v, ":");
		_cleanup_(freep) char *path = NULL;
		int r = n ? parse_path(v, n, base, &path) : 0;

		if (r < 0)
			return r;
		if (path && ((b.n && buf_adds(&b, ":") < 0) || buf_adds(&b, path) < 0))
			return -ENOMEM;
		if (!v[n])
			break;
		v += n + 1;
	}
	*ret = (char *)steal_ptr(b.p);
	return 0;
}

/* Adds one of a list. */
static int
add_item(struct buf *b, const char *item)
{
	return (b->n && buf_adds(b, ", ") < 0) || buf_adds(b, item) < 0 ? -ENOMEM : 0;
}

/* Endpoints, ", " between them; each is there once. */
static int
parse_connects(const char *v, char **ret)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = coordinators_split(v, false, &all);

	if (r == 0 && streq(v, COORDINATORS_AUTO))
		return str_copy(v, ret);
	if (r == 0 && (all.n == 0 || all.n > COORDINATORS_MAX))
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		for (size_t k = 0; k < i; k++)
			if (streq(all.v[i], all.v[k]))
				return -EINVAL;
		r = endpoint_ok(all.v[i], false) ? add_item(&b, all.v[i]) : -EINVAL;
	}
	if (r == 0)
		*ret = (char *)steal_ptr(b.p);
	return r;
}

static int
parse_key_files(const char *v, const char *base, char **ret)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = coordinators_split(v, true, &all);

	if (r == 0 && (all.n == 0 || all.n > COORDINATORS_MAX))
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		_cleanup_(freep) char *path = NULL;

		r = parse_path(all.v[i], strlen(all.v[i]), base, &path);
		if (r == 0)
			r = add_item(&b, path);
	}
	if (r == 0)
		*ret = (char *)steal_ptr(b.p);
	return r;
}

static bool
is_text(const char *v)
{
	while (isgraph((unsigned char)*v) || *v == ' ' || *v == '\t')
		v++;
	return !*v;
}

/* What the URL means is a matter of store/url.h: here only its form is looked at. */
static bool
store_ok(const char *p, size_t n)
{
	const char *end = memmem(p, n, "://", 3);

	if (!end || end == p)
		return false;
	for (const char *q = p; q < end; q++)
		if (!islower((unsigned char)*q) && !(q > p && strchr("0123456789+", *q)))
			return false;
	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)p[i]))
			return false;
	return n > (size_t)(end - p) + 3;
}

/* "URL [ro|rw]", with one blank, and ", " between them. */
static int
parse_stores(const char *v, char **ret)
{
	static const char blank[] = " \t";
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (;; v++) {
		size_t n, mode;

		v += strspn(v, blank);
		n = strcspn(v, " \t,");
		if (!store_ok(v, n))
			return -EINVAL;
		if (buf_addf(&b, "%s%.*s", b.n ? ", " : "", (int)n, v) < 0)
			return -ENOMEM;
		v += n + strspn(v + n, blank);
		mode = strcspn(v, " \t,");
		if (mode && !(mode == 2 && (starts_with(v, "ro") || starts_with(v, "rw"))))
			return -EINVAL;
		if (mode && buf_addf(&b, " %.2s", v) < 0)
			return -ENOMEM;
		v += mode + strspn(v + mode, blank);
		if (!*v)
			break;
		if (*v != ',')
			return -EINVAL;
	}
	*ret = (char *)steal_ptr(b.p);
	return 0;
}

static int
set_text(const struct conf_key *k, const char *v, const char *base, char **out, struct buf *hint)
{
	_cleanup_(freep) char *fresh = NULL;
	int r = 0;

	if (!*v) {
		/* Unset; this takes back what an earlier file said. */
	} else if (k->type == TYPE_CONNECT || k->type == TYPE_LISTEN) {
		bool listen = k->type == TYPE_LISTEN;

		r = endpoint_ok(v, listen) ? 0 : -EINVAL;
		if (r < 0)
			(void)buf_addf(hint, "tcp://HOST:PORT%s or ipc:///PATH",
				listen ? " (PORT may be *)" : "");
		else if (!(fresh = strdup(v)))
			r = -ENOMEM;
	} else if (k->type == TYPE_CONNECTS) {
		r = parse_connects(v, &fresh);
		if (r == -EINVAL)
			(void)buf_addf(hint,
				"tcp://HOST:PORT or ipc:///PATH, or up to %d different ones with "
				"commas between them; or auto",
				COORDINATORS_MAX);
	} else if (k->type == TYPE_KEY_FILES) {
		r = parse_key_files(v, base, &fresh);
		if (r == -EINVAL)
			(void)buf_addf(hint,
				"a path that begins with / or ~/, or up to %d, one for each "
				"coordinator, with commas between them",
				COORDINATORS_MAX);
	} else if (k->type == TYPE_NAMES || k->type == TYPE_WORDS) {
		bool words = k->type == TYPE_WORDS;

		r = parse_names(v, words ? word_ok : name_ok, &fresh);
		if (r == -EINVAL)
			(void)buf_adds(hint, words ? "names of letters, digits, '-', '_' and '.', "
						     "separated by spaces"
						   : "names of variables, separated by spaces");
	} else if (k->type == TYPE_SIZES || k->type == TYPE_QUOTAS) {
		bool quotas = k->type == TYPE_QUOTAS;

		r = parse_names(v, quotas ? quota_ok : size_of_name_ok, &fresh);
		if (r == -EINVAL)
			(void)buf_addf(hint,
				"NAME=%s, separated by spaces, %s, with K, M, G or T behind it "
				"for KiB and so on%s",
				quotas ? "NUMBER" : "SIZE",
				quotas ? "a number of slots, jobs or bytes"
				       : "a size being a number of bytes",
				quotas ? "; * is each namespace that is not named, - that of keys "
					 "without one"
				       : "");
	} else if (k->type == TYPE_WORD) {
		r = word_ok(v, strlen(v)) ? 0 : -EINVAL;
		if (r < 0)
			(void)buf_adds(
				hint, "a name of letters, digits, '-', '_' and '.', or a number");
		else if (!(fresh = strdup(v)))
			r = -ENOMEM;
	} else if (k->type == TYPE_PAGE) {
		r = page_ok(v) ? 0 : -EINVAL;
		if (r < 0)
			(void)buf_adds(hint, "off, or an address in numbers and a port: "
					     "127.0.0.1:7421, [::1]:7421");
		else if (!(fresh = strdup(v)))
			r = -ENOMEM;
	} else if (k->type == TYPE_KEYS && *v != '/' && *v != '~') {
		r = is_text(v) ? 0 : -EINVAL;
		if (r < 0)
			(void)buf_adds(hint, "the path of a list of keys, or a list with commas "
					     "between its lines");
		else if (!(fresh = strdup(v)))
			r = -ENOMEM;
	} else if (k->type == TYPE_STORES) {
		r = parse_stores(v, &fresh);
		if (r == -EINVAL)
			(void)buf_adds(hint, "URLs of stores (file:///DIR, https://HOST/PATH, "
					     "s3://BUCKET/PREFIX, redis://HOST), each with ro or "
					     "rw behind it or nothing, separated by commas");
	} else {
		bool list = k->type == TYPE_PATHS;

		r = list ? parse_paths(v, base, &fresh) : parse_path(v, strlen(v), base, &fresh);
		if (r == -EINVAL)
			(void)buf_addf(hint, "%s that begin%s with / or ~/",
				list ? "paths, separated by colons," : "a path", list ? "" : "s");
	}
	if (r < 0)
		return r;
	free(*out);
	*out = steal_ptr(fresh);
	return 0;
}

int
conf_set_key(struct conf *c, const struct conf_key *k, const char *v, const char *base,
	const char *where, char **ret_error)
{
	_cleanup_(buf_done) struct buf hint = BUF_INIT;
	int r;

	if (conf_key_is_text(k)) {
		r = set_text(k, v, base, (char **)conf_field(c, k), &hint);
	} else if (k->type == TYPE_ENUM || k->type == TYPE_BOOL) {
		r = find_word(k->type == TYPE_BOOL ? bool_words : k->words, v, &hint);
		if (r >= 0 && k->type == TYPE_BOOL)
			*(bool *)conf_field(c, k) = r & 1;
		else if (r >= 0)
			*(int *)conf_field(c, k) = r;
		r = MIN2(r, 0);
	} else {
		r = set_number(k, v, conf_field(c, k), &hint);
	}
	/* a URL may have a password in it */
	if (r == -EINVAL && k->type == TYPE_STORES)
		return conf_fail(ret_error, r, "%s: bad value for [%s] %s; allowed: %s.", where,
			k->section, k->name, hint.p ? (char *)hint.p : "");
	if (r == -EINVAL)
		return conf_fail(ret_error, r, "%s: bad value \"%.200s\" for [%s] %s; allowed: %s.",
			where, v, k->section, k->name, hint.p ? (char *)hint.p : "");
	return r;
}

bool
conf_names_has(const char *words, const char *name, size_t n)
{
	static const char blank[] = " \t\n,";

	if (!words)
		return false;
	for (const char *p = words; *p;) {
		size_t k;

		p += strspn(p, blank);
		k = strcspn(p, blank);
		if (k == n && n > 0 && memcmp(p, name, n) == 0)
			return true;
		p += k;
	}
	return false;
}
