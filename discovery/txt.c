/* Invariant: nothing of a record that is refused is used. */
#include "config.h"

#include "discovery/txt.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "keys/identity.h"

#define TXT_VERSION "1"

enum { KEY_VERS, KEY_FP, KEY_NS, KEY_VERSION, KEYS };

static const char *const names[KEYS] = { "txtvers", "fp", "ns", "version" };

/* Which key it is; KEYS: another one. */
static size_t
find_key(const struct txt_string *s, struct txt_string *ret_value)
{
	const uint8_t *sign = s->n <= TXT_STRING_MAX ? memchr(s->p, '=', s->n) : NULL;
	size_t n = sign ? (size_t)(sign - s->p) : 0;

	for (size_t i = 0; sign && i < KEYS; i++) {
		if (strlen(names[i]) != n || strncasecmp((const char *)s->p, names[i], n) != 0)
			continue;
		*ret_value = (struct txt_string){ sign + 1, s->n - n - 1 };
		return i;
	}
	return KEYS;
}

static bool
is_text(const struct txt_string *v, const char *text)
{
	return v->n == strlen(text) && memcmp(v->p, text, v->n) == 0;
}

int
txt_decode(const struct txt_string *v, size_t n, struct found_one *ret)
{
	struct txt_string at[KEYS] = { { NULL, 0 } };
	const char *fp, *ns, *version;

	for (size_t i = 0; i < n && i < TXT_STRINGS_MAX; i++) {
		struct txt_string value = { NULL, 0 };
		size_t k = find_key(&v[i], &value);

		if (k < KEYS && !at[k].p)
			at[k] = value;
	}
	fp = (const char *)at[KEY_FP].p;
	ns = (const char *)at[KEY_NS].p;
	version = (const char *)at[KEY_VERSION].p;
	if (!at[KEY_VERS].p || !is_text(&at[KEY_VERS], TXT_VERSION) || !fp ||
		!found_fingerprint_ok(fp, at[KEY_FP].n) ||
		(at[KEY_NS].n && !keys_name_ok(ns, at[KEY_NS].n)) ||
		(at[KEY_VERSION].n && !found_version_ok(version, at[KEY_VERSION].n)))
		return -EBADMSG;
	snprintf(ret->fingerprint, sizeof(ret->fingerprint), "%.*s", (int)at[KEY_FP].n, fp);
	snprintf(ret->namespace, sizeof(ret->namespace), "%.*s", (int)at[KEY_NS].n, ns ? ns : "");
	snprintf(ret->version, sizeof(ret->version), "%.*s", (int)at[KEY_VERSION].n,
		version ? version : "");
	return 0;
}

static int
add(struct strv *v, size_t key, const char *value)
{
	char text[TXT_STRING_MAX + 1];

	if (!*value)
		return 0;
	snprintf(text, sizeof(text), "%s=%s", names[key], value);
	return strv_add(v, text);
}

int
txt_encode(const struct found_one *o, struct strv *ret)
{
	int r = add(ret, KEY_VERS, TXT_VERSION);

	if (r == 0)
		r = add(ret, KEY_FP, o->fingerprint);
	if (r == 0)
		r = add(ret, KEY_NS, o->namespace);
	if (r == 0)
		r = add(ret, KEY_VERSION, o->version);
	return r;
}
