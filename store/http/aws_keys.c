/* The chain of places where keys are looked for.
 *
 * Invariant: at most one request for keys is open; all that want keys meanwhile wait for it, and
 * each of them is told once. */
#include "config.h"

#include "store/http/aws_keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "store/http/aws_profile.h"
#include "store/url.h"
#include "common/clock.h"
#include "common/process/environ.h"
#include "common/fs.h"

#define FILE_MAX ((size_t)1 << 20)
#define TOKEN_MAX ((size_t)64 << 10)
#define BEFORE_END_S 300
#define FAILED_MS 30000
/* Ours alone could be asked for again at once. */
#define FRESH_MS 60000

enum variable {
	VAR_KEY_ID,
	VAR_SECRET,
	VAR_TOKEN,
	VAR_REGION,
	VAR_DEFAULT_REGION,
	VAR_PROFILE,
	VAR_CREDENTIALS_FILE,
	VAR_CONFIG_FILE,
	VAR_HOME,
	VAR_WEB_IDENTITY,
	VAR_ROLE_ARN,
	VAR_ROLE_SESSION,
	VAR_STS_URL,
	VAR_RELATIVE_URI,
	VAR_FULL_URI,
	VAR_CONTAINER_TOKEN,
	VAR_CONTAINER_TOKEN_FILE,
	VAR_IMDS_DISABLED,
	VAR_IMDS_URL,
	VAR_N
};

static const char *const VARIABLES[VAR_N] = {
	[VAR_KEY_ID] = "AWS_ACCESS_KEY_ID",
	[VAR_SECRET] = "AWS_SECRET_ACCESS_KEY",
	[VAR_TOKEN] = "AWS_SESSION_TOKEN",
	[VAR_REGION] = "AWS_REGION",
	[VAR_DEFAULT_REGION] = "AWS_DEFAULT_REGION",
	[VAR_PROFILE] = "AWS_PROFILE",
	[VAR_CREDENTIALS_FILE] = "AWS_SHARED_CREDENTIALS_FILE",
	[VAR_CONFIG_FILE] = "AWS_CONFIG_FILE",
	[VAR_HOME] = "HOME",
	[VAR_WEB_IDENTITY] = "AWS_WEB_IDENTITY_TOKEN_FILE",
	[VAR_ROLE_ARN] = "AWS_ROLE_ARN",
	[VAR_ROLE_SESSION] = "AWS_ROLE_SESSION_NAME",
	[VAR_STS_URL] = "AWS_ENDPOINT_URL_STS",
	[VAR_RELATIVE_URI] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	[VAR_FULL_URI] = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	[VAR_CONTAINER_TOKEN] = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	[VAR_CONTAINER_TOKEN_FILE] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	[VAR_IMDS_DISABLED] = "AWS_EC2_METADATA_DISABLED",
	[VAR_IMDS_URL] = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
};

struct waiting {
	struct waiting *next;
	aws_keys_fn fn;
	void *arg;
};

struct aws_keys {
	struct web *web;
	char *profile, *region;
	char *v[VAR_N]; /* NULL: not set, or empty */
	struct aws_key key;
	uint64_t got_at;    /* clock_mono_ms */
	uint64_t failed_at; /* the same; 0: it did not */
	int error;	    /* then */
	bool asking;
	char *imds_token; /* of the walk through IMDS */
	struct waiting *waiting;
	char why[512];
};

static int fail(struct aws_keys *k, int r, const char *fmt, ...) _printf_(3, 4);

static int
fail(struct aws_keys *k, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->why, sizeof(k->why), fmt, ap);
	va_end(ap);
	return r;
}

int
aws_keys_new(const struct aws_keys_in *in, struct aws_keys **ret)
{
	struct aws_keys *k = calloc(1, sizeof(*k));
	bool whole = k != NULL;

	for (size_t i = 0; i < VAR_N && whole; i++) {
		const char *v = environ_get(VARIABLES[i]);

		if (v && *v)
			whole = (k->v[i] = strdup(v)) != NULL;
	}
	if (whole && in->profile)
		whole = (k->profile = strdup(in->profile)) != NULL;
	if (whole && in->region)
		whole = (k->region = strdup(in->region)) != NULL;
	if (!whole) {
		aws_keys_free(k);
		return -ENOMEM;
	}
	*ret = k;
	return 0;
}

void
aws_keys_free(struct aws_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < VAR_N; i++)
		free(k->v[i]);
	while (k->waiting) {
		struct waiting *w = k->waiting;

		k->waiting = w->next;
		free(w);
	}
	aws_key_done(&k->key);
	free(k->profile);
	free(k->region);
	free(k->imds_token);
	free(k);
}

void
aws_keys_use(struct aws_keys *k, struct web *w)
{
	k->web = w;
}

const char *
aws_keys_why(const struct aws_keys *k)
{
	return k->why;
}

/* An answer came, with keys or without: all that wait are told. */
static void
finish(struct aws_keys *k, int r)
{
	struct waiting *all = k->waiting;
	uint64_t now = clock_mono_ms();

	k->asking = false;
	k->waiting = NULL;
	k->error = r;
	if (r == 0)
		k->got_at = now;
	else
		k->failed_at = now;
	while (all) {
		struct waiting *w = all;

		all = w->next;
		w->fn(w->arg);
		free(w);
	}
}

/* What a service says in which keys should be. */
static void
take(struct aws_keys *k, const struct web_answer *a, const char *from,
	int (*parse)(const void *text, size_t n, struct aws_key *ret))
{
	char code[AWS_CODE_SIZE];
	int r;

	if (a->error < 0) {
		r = fail(k, -EACCES, "no keys from %s: %s", from, a->why);
	} else if (a->status != 200) {
		aws_answer_code(a->text, a->text_n, code);
		r = fail(k, -EACCES, "no keys from %s: it answers %u%s%s", from, a->status,
			code[0] ? " " : "", code);
	} else {
		r = parse(a->text, a->text_n, &k->key);
		if (r == -EBADMSG)
			r = fail(k, -EACCES, "no keys from %s: there are none in its answer", from);
	}
	finish(k, r);
}

static int
ask(struct aws_keys *k, const struct web_ask *a)
{
	int r = web_ask(k->web, a);

	if (r < 0)
		return fail(k, r, "no keys: %s", strerror(-r));
	k->asking = true;
	return -EINPROGRESS;
}

/* Sources. Each gives 0: k->key is set; -ENOENT: it is not configured; -EINPROGRESS: it was asked;
 * another: it is configured, and gives no keys. */

static int
set(struct aws_keys *k, const char *id, const char *secret, const char *token, const char *from)
{
	int r = aws_key_set(&k->key, id, secret, token);

	return r == -EINVAL ? fail(k, -EACCES, "the keys in %s are not whole, or are no keys", from)
			    : r;
}

static int
from_environment(struct aws_keys *k)
{
	if (!k->v[VAR_KEY_ID] && !k->v[VAR_SECRET])
		return -ENOENT;
	return set(k, k->v[VAR_KEY_ID], k->v[VAR_SECRET], k->v[VAR_TOKEN],
		"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
}

static void
web_identity_answered(void *arg, const struct web_answer *a)
{
	take(arg, a, "AssumeRoleWithWebIdentity", aws_answer_xml);
}

/* The file's text, without white space at its end; 0 or -errno. */
static int
read_token(const char *path, struct buf *ret)
{
	int r = fs_read_file(path, TOKEN_MAX, ret);

	while (r == 0 && ret->n > 0 && strchr(" \t\r\n", ret->p[ret->n - 1]))
		ret->n--;
	if (r == 0)
		r = ret->n > 0 ? buf_add(ret, "", 1) : -ENODATA;
	return r;
}

static int
add_field(struct buf *form, const char *name, const char *value)
{
	int r = buf_addf(form, "&%s=", name);

	return r < 0 ? r : store_url_encode(form, value, "");
}

static int
sts_url(struct aws_keys *k, char **ret)
{
	const char *region = aws_keys_region(k);
	int n;

	if (k->v[VAR_STS_URL])
		n = asprintf(ret, "%s%s", k->v[VAR_STS_URL],
			ends_with(k->v[VAR_STS_URL], "/") ? "" : "/");
	else if (region)
		n = asprintf(ret, "https://sts.%s.amazonaws.com%s/", region,
			starts_with(region, "cn-") ? ".cn" : "");
	else
		n = asprintf(ret, "https://sts.amazonaws.com/");
	if (n < 0)
		*ret = NULL;
	return n < 0 ? -ENOMEM : 0;
}

static int
by_web_identity(struct aws_keys *k, const char *file, const char *role, const char *session)
{
	_cleanup_(buf_done) struct buf token = BUF_INIT, form = BUF_INIT;
	_cleanup_(freep) char *url = NULL;
	struct web_ask a = {
		.method = WEB_POST, .fd = -1, .done = web_identity_answered, .arg = k
	};
	int r;

	if (!role)
		return fail(k, -EACCES, "there is a web identity, and no role (AWS_ROLE_ARN)");
	r = read_token(file, &token);
	if (r < 0 && r != -ENOMEM)
		return fail(k, -EACCES, "no web identity in %s: %s", file, strerror(-r));
	if (r == 0)
		r = buf_adds(&form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
	if (r == 0)
		r = add_field(&form, "RoleArn", role);
	if (r == 0)
		r = add_field(&form, "RoleSessionName", session ? session : "dray");
	if (r == 0)
		r = add_field(&form, "WebIdentityToken", (const char *)token.p);
	if (r == 0)
		r = sts_url(k, &url);
	if (r < 0)
		return r;
	a.url = url;
	a.form = (const char *)form.p;
	return ask(k, &a);
}

static int
from_web_identity(struct aws_keys *k)
{
	if (!k->v[VAR_WEB_IDENTITY])
		return -ENOENT;
	return by_web_identity(
		k, k->v[VAR_WEB_IDENTITY], k->v[VAR_ROLE_ARN], k->v[VAR_ROLE_SESSION]);
}

static int
add_file(struct aws_keys *k, const char *set, const char *name, const char *profile, bool is_config,
	struct aws_profile *ret)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	int r;

	if (!set && !k->v[VAR_HOME])
		return 0;
	if (set ? !(path = strdup(set)) : asprintf(&path, "%s/.aws/%s", k->v[VAR_HOME], name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = fs_read_file(path, FILE_MAX, &text);
	if (r == -ENOMEM)
		return r;
	/* one that may not be read has nothing of ours, as one that is not there */
	return r < 0 ? 0 : aws_profile_add(ret, (const char *)text.p, text.n, profile, is_config);
}

static int
read_profile(struct aws_keys *k, struct aws_profile *ret)
{
	const char *name = k->profile ? k->profile : k->v[VAR_PROFILE];
	int r;

	if (!name)
		name = "default";
	r = add_file(k, k->v[VAR_CREDENTIALS_FILE], "credentials", name, false, ret);
	return r < 0 ? r : add_file(k, k->v[VAR_CONFIG_FILE], "config", name, true, ret);
}

static int
use_profile(struct aws_keys *k, const struct aws_profile *p, bool is_named)
{
	char *const *v = p->v;

	if (v[AWS_KEY_ID] || v[AWS_SECRET])
		return set(k, v[AWS_KEY_ID], v[AWS_SECRET], v[AWS_TOKEN], "the profile");
	if (v[AWS_WEB_IDENTITY_TOKEN_FILE])
		return by_web_identity(k, v[AWS_WEB_IDENTITY_TOKEN_FILE], v[AWS_ROLE_ARN],
			v[AWS_ROLE_SESSION_NAME]);
	for (size_t i = AWS_SOURCE_PROFILE; i < AWS_N_SETTINGS; i++)
		if (v[i])
			return fail(k, -EACCES,
				"the profile gets keys by `%s`, which is not known here: give them "
				"in variables (aws configure export-credentials)",
				aws_setting_name(i));
	if (!is_named)
		return -ENOENT;
	return fail(k, -EACCES,
		p->found ? "the profile that is named has no keys"
			 : "there is no profile of that name");
}

static int
from_profile(struct aws_keys *k)
{
	struct aws_profile p = { .found = false };
	int r = read_profile(k, &p);

	if (r == 0)
		r = use_profile(k, &p, k->profile || k->v[VAR_PROFILE]);
	aws_profile_done(&p);
	return r;
}

static void
container_answered(void *arg, const struct web_answer *a)
{
	take(arg, a, "the container's service", aws_answer_json);
}

/* A service that is not on this machine would be given our authorization in plain text. */
static bool
is_near(const char *url)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]", "169.254.170.2",
		"169.254.170.23", "[fd00:ec2::23]" };
	const char *host;
	size_t n;

	if (starts_with(url, "https://"))
		return true;
	if (!starts_with(url, "http://"))
		return false;
	/* "http://localhost:80@elsewhere/" */
	if (strpbrk(url, "@\\"))
		return false;
	host = url + strlen("http://");
	n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (strlen(hosts[i]) == n && strncmp(host, hosts[i], n) == 0)
			return host[n] == '\0' || strchr(":/?", host[n]);
	return false;
}

static int
container_headers(struct aws_keys *k, struct strv *ret)
{
	_cleanup_(buf_done) struct buf token = BUF_INIT;
	const char *v = k->v[VAR_CONTAINER_TOKEN];
	int r;

	if (k->v[VAR_CONTAINER_TOKEN_FILE]) {
		r = read_token(k->v[VAR_CONTAINER_TOKEN_FILE], &token);
		if (r < 0)
			return fail(k, -EACCES, "no token in %s: %s",
				k->v[VAR_CONTAINER_TOKEN_FILE], strerror(-r));
		v = (const char *)token.p;
	}
	if (!v)
		return 0;
	if (strpbrk(v, "\r\n"))
		return fail(k, -EACCES, "the container's authorization is more than a line");
	return strv_addf(ret, "Authorization: %s", v);
}

static int
from_container(struct aws_keys *k)
{
	_cleanup_(strv_done) struct strv headers = STRV_INIT;
	_cleanup_(freep) char *url = NULL;
	struct web_ask a = {
		.headers = &headers, .fd = -1, .direct = true, .done = container_answered, .arg = k
	};
	int r;

	if (k->v[VAR_RELATIVE_URI]) {
		if (k->v[VAR_RELATIVE_URI][0] != '/' ||
			asprintf(&url, "http://169.254.170.2%s", k->v[VAR_RELATIVE_URI]) < 0)
			url = NULL;
	} else if (k->v[VAR_FULL_URI]) {
		if (!is_near(k->v[VAR_FULL_URI]))
			return fail(k, -EACCES,
				"AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this "
				"machine");
		url = strdup(k->v[VAR_FULL_URI]);
	} else {
		return -ENOENT;
	}
	if (!url)
		return fail(k, -EACCES, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
	r = container_headers(k, &headers);
	if (r < 0)
		return r;
	a.url = url;
	return ask(k, &a);
}

/* IMDSv2: a token by PUT, the role's name, its keys. */

static const char INSTANCE[] = "the instance's service (IMDSv2)";

static int
ask_instance(struct aws_keys *k, enum web_method method, const char *path, web_done_fn done)
{
	_cleanup_(strv_done) struct strv headers = STRV_INIT;
	_cleanup_(freep) char *url = NULL;
	const char *root = k->v[VAR_IMDS_URL] ? k->v[VAR_IMDS_URL] : "http://169.254.169.254";
	struct web_ask a = { .method = method,
		.headers = &headers,
		.fd = -1,
		.direct = true,
		.done = done,
		.arg = k };
	int r;

	if (asprintf(&url, "%s%s%s", root, ends_with(root, "/") ? "" : "/", path) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	if (method == WEB_PUT)
		r = strv_add(&headers, "X-aws-ec2-metadata-token-ttl-seconds: 300");
	else
		r = strv_addf(&headers, "X-aws-ec2-metadata-token: %s", k->imds_token);
	if (r < 0)
		return r;
	a.url = url;
	return ask(k, &a);
}

/* A step's answer: one line of plain characters, from which another path or header is made. */
static char *
take_line(const struct web_answer *a, size_t max)
{
	const char *text = a->text;
	size_t n = 0;

	if (a->error < 0 || a->status != 200)
		return NULL;
	while (n < a->text_n && text[n] > ' ' && text[n] < 0x7f)
		n++;
	return n > 0 && n <= max ? strndup(text, n) : NULL;
}

static void
no_instance(struct aws_keys *k)
{
	finish(k,
		fail(k, -EACCES,
			"no keys are found: neither in variables nor in a profile, of no container "
			"and of no instance's role (`anonymous=yes` reads without)"));
}

static void
instance_keys(void *arg, const struct web_answer *a)
{
	take(arg, a, INSTANCE, aws_answer_json);
}

#define ROLES "latest/meta-data/iam/security-credentials/"

static void
instance_role(void *arg, const struct web_answer *a)
{
	struct aws_keys *k = arg;
	_cleanup_(freep) char *role = take_line(a, 256), *path = NULL;
	int r;

	if (!role) {
		no_instance(k);
		return;
	}
	if (asprintf(&path, ROLES "%s", role) < 0)
		path = NULL;
	r = path ? ask_instance(k, WEB_GET, path, instance_keys) : -ENOMEM;
	if (r != -EINPROGRESS)
		finish(k, r);
}

static void
instance_token(void *arg, const struct web_answer *a)
{
	struct aws_keys *k = arg;
	int r;

	free(k->imds_token);
	k->imds_token = take_line(a, 4096);
	if (!k->imds_token) {
		no_instance(k);
		return;
	}
	r = ask_instance(k, WEB_GET, ROLES, instance_role);
	if (r != -EINPROGRESS)
		finish(k, r);
}

static int
from_instance(struct aws_keys *k)
{
	if (k->v[VAR_IMDS_DISABLED] && strcasecmp(k->v[VAR_IMDS_DISABLED], "true") == 0)
		return fail(k, -EACCES,
			"no keys are found: neither in variables nor in a profile, and no "
			"container has "
			"any (`anonymous=yes` reads without)");
	return ask_instance(k, WEB_PUT, "latest/api/token", instance_token);
}

static int
look(struct aws_keys *k)
{
	static int (*const sources[])(struct aws_keys * k) = { from_environment, from_web_identity,
		from_profile, from_container, from_instance };
	int r = -ENOENT;

	if (k->profile)
		return from_profile(k);
	for (size_t i = 0; i < ARRAY_LEN(sources) && r == -ENOENT; i++)
		r = sources[i](k);
	return r;
}

static bool
has_key(const struct aws_keys *k, uint64_t at_least_s)
{
	return k->key.id &&
	       (k->key.expires == 0 || k->key.expires > (uint64_t)time(NULL) + at_least_s);
}

static int
wait_for(struct aws_keys *k, aws_keys_fn fn, void *arg)
{
	struct waiting *w = malloc(sizeof(*w)), **at = &k->waiting;

	if (w == NULL)
		return -ENOMEM;
	*w = (struct waiting){ .fn = fn, .arg = arg };
	while (*at)
		at = &(*at)->next;
	*at = w;
	return -EINPROGRESS;
}

int
aws_keys_get(struct aws_keys *k, aws_keys_fn fn, void *arg, const struct aws_key **ret)
{
	bool failed = k->failed_at != 0 && clock_mono_ms() - k->failed_at < FAILED_MS;
	int r = 0;

	if (!k->asking && !has_key(k, BEFORE_END_S) && !failed) {
		r = look(k);
		if (r != -EINPROGRESS)
			finish(k, r);
	}
	/* while others are got the old ones do, as long as they last */
	if (has_key(k, 0)) {
		*ret = &k->key;
		return 0;
	}
	if (k->asking)
		return wait_for(k, fn, arg);
	return k->error < 0 ? k->error : -EACCES;
}

bool
aws_keys_refused(struct aws_keys *k)
{
	if (k->asking || !k->key.id || clock_mono_ms() - k->got_at < FRESH_MS)
		return false;
	aws_key_done(&k->key);
	k->failed_at = 0;
	return true;
}

const char *
aws_keys_region(struct aws_keys *k)
{
	struct aws_profile p = { .found = false };

	if (k->region)
		return k->region;
	if (k->v[VAR_REGION])
		return k->v[VAR_REGION];
	if (k->v[VAR_DEFAULT_REGION])
		return k->v[VAR_DEFAULT_REGION];
	if (read_profile(k, &p) == 0) {
		k->region = p.v[AWS_REGION];
		p.v[AWS_REGION] = NULL;
	}
	aws_profile_done(&p);
	return k->region;
}
