/* Gets issuers' keys, one request an issuer at a time. */
#include "config.h"

#include "coordinator/oidc/sets.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "store/http/web.h"

#define REQUEST_MS 8000u
#define WHY_SIZE 160
#define DISCOVERY "/.well-known/openid-configuration"

struct set {
	struct oidc_sets *of;
	const struct oidc_issuer *issuer;
	struct oidc_keys *keys; /* NULL: none yet */
	uint64_t got_ms;	/* since when keys are known to be the issuer's */
	uint64_t asked_ms;	/* the last request's begin; 0: none */
	bool under_way;
	bool discovering;
	char why[WHY_SIZE]; /* the last request failed; "": it did not */
};

struct oidc_sets {
	struct web *web;
	struct set *v;
	size_t n;
};

int
oidc_sets_new(
	const struct oidc_rules *rules, const char *ca, struct oidc_sets **ret, char **ret_why)
{
	const struct web_in in = { .request_ms = REQUEST_MS, .ca = ca };
	_cleanup_(oidc_sets_freep) struct oidc_sets *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->v = calloc(rules->n, sizeof(*s->v));
	if (!s->v)
		return -ENOMEM;
	for (; s->n < rules->n; s->n++) {
		s->v[s->n].of = s;
		s->v[s->n].issuer = &rules->v[s->n];
	}
	r = web_new(&in, &s->web, ret_why);
	if (r == 0)
		*ret = steal_ptr(s);
	return r;
}

void
oidc_sets_free(struct oidc_sets *s)
{
	if (!s)
		return;
	web_free(s->web);
	for (size_t i = 0; i < s->n; i++)
		oidc_keys_free(s->v[i].keys);
	free(s->v);
	free(s);
}

void
oidc_sets_freep(struct oidc_sets **s)
{
	oidc_sets_free(*s);
	*s = NULL;
}

static void
failed(struct set *s, const char *what, const char *why)
{
	s->under_way = false;
	snprintf(s->why, sizeof(s->why), "%s %s", what, why);
	log_warn("keys of %s: %s", s->issuer->url, s->why);
}

static void on_answer(void *arg, const struct web_answer *a);

static void
ask(struct set *s, const char *url)
{
	const struct web_ask ask = { .method = WEB_GET, .url = url, .done = on_answer, .arg = s };

	s->under_way = web_ask(s->of->web, &ask) == 0;
	if (!s->under_way)
		failed(s, "no request could be made:", "out of memory");
}

static void
begin(struct set *s, uint64_t now_ms)
{
	char url[1024];
	int n;

	s->asked_ms = now_ms;
	s->discovering = !s->issuer->keys;
	if (!s->discovering) {
		ask(s, s->issuer->keys);
		return;
	}
	n = snprintf(url, sizeof(url), "%s", s->issuer->url);
	while (n > 0 && n < (int)sizeof(url) && url[n - 1] == '/')
		n--;
	if (n >= (int)(sizeof(url) - sizeof(DISCOVERY))) {
		failed(s, "its URL", "is too long");
		return;
	}
	memcpy(url + n, DISCOVERY, sizeof(DISCOVERY));
	ask(s, url);
}

/* Where the issuer's configuration says that its keys are. */
static void
take_configuration(struct set *s, const struct web_answer *a)
{
	json_t *o = json_loadb(a->text, a->text_n, JSON_REJECT_DUPLICATES, NULL);
	const char *issuer = json_string_value(json_object_get(o, "issuer"));
	const char *keys = json_string_value(json_object_get(o, "jwks_uri"));

	s->discovering = false;
	if (!issuer || !streq(issuer, s->issuer->url))
		failed(s, "its configuration", "is another issuer's");
	else if (!keys || !oidc_rules_is_url(keys))
		failed(s, "its configuration", "says of no keys that come by https");
	else
		ask(s, keys);
	json_decref(o);
}

static void
take_keys(struct set *s, const struct web_answer *a)
{
	struct oidc_keys *keys = NULL;
	int r = oidc_keys_parse(a->text, a->text_n, &keys);

	if (r < 0) {
		failed(s, "its answer",
			r == -ENOMEM ? "does not fit into memory"
				     : "has no RSA key, nor one on P-256");
		return;
	}
	s->under_way = false;
	s->why[0] = '\0';
	oidc_keys_free(s->keys);
	s->keys = keys;
	s->got_ms = clock_mono_ms();
	log_info("keys of %s: %zu", s->issuer->url, oidc_keys_count(keys));
}

static void
on_answer(void *arg, const struct web_answer *a)
{
	struct set *s = arg;
	char status[32];

	if (a->error) {
		failed(s, "they could not be got:", a->why);
	} else if (a->status != 200) {
		snprintf(status, sizeof(status), "status %u", a->status);
		failed(s, "they could not be got:", status);
	} else if (s->discovering) {
		take_configuration(s, a);
	} else {
		take_keys(s, a);
	}
}

static bool
is_younger(const struct set *s, uint64_t now_ms, uint64_t seconds)
{
	return s->keys && now_ms < s->got_ms + seconds * 1000;
}

int
oidc_sets_find(struct oidc_sets *sets, const struct oidc_issuer *i, const char *key_id,
	uint64_t now_ms, const struct oidc_keys **ret, const char **ret_why)
{
	struct set *s = NULL;
	bool has;

	for (size_t k = 0; k < sets->n; k++)
		if (sets->v[k].issuer == i)
			s = &sets->v[k];
	if (!s)
		return -EINVAL;
	has = s->keys && oidc_keys_have(s->keys, key_id);
	if (!has || !is_younger(s, now_ms, OIDC_FRESH_S)) {
		if (!s->under_way && (!s->asked_ms || now_ms - s->asked_ms >= OIDC_ASK_MS))
			begin(s, now_ms);
		if (s->under_way)
			return -EINPROGRESS;
	}
	if (has && is_younger(s, now_ms, OIDC_STALE_S)) {
		*ret = s->keys;
		return 0;
	}
	if (!s->why[0])
		return -ENOKEY;
	*ret_why = s->why;
	return -EHOSTUNREACH;
}

int
oidc_sets_fd(const struct oidc_sets *s)
{
	return web_fd(s->web);
}

bool
oidc_sets_busy(const struct oidc_sets *s)
{
	return !web_is_idle(s->web);
}

void
oidc_sets_work(struct oidc_sets *s)
{
	web_work(s->web, 0);
}
