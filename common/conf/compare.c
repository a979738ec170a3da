/* Configurations as wholes: whether two are the same, and where they differ. */
#include "config.h"

#include <errno.h>

#include "common/conf/priv.h"
#include "common/digest.h"

static void
hash_value(const struct conf *c, const struct conf_key *k, struct hasher *h)
{
	const void *field = (const char *)c + k->offset;
	const char *text = NULL;
	uint64_t n = 0;

	if (conf_key_is_text(k))
		text = *(char *const *)field;
	else if (k->type == TYPE_BOOL)
		n = *(const bool *)field;
	else if (k->type == TYPE_ENUM)
		n = (uint64_t) * (const int *)field;
	else
		n = *(const uint64_t *)field;
	hasher_field(h, k->name, strlen(k->name));
	hasher_field(h, &n, sizeof(n));
	hasher_field(h, text ? text : "", text ? strlen(text) : 0);
}

int
conf_client_digest(const struct conf *c, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	size_t n;
	const struct conf_key *keys = conf_keys(&n);
	const char *made[] = { c->client.cache_dir, c->client.store_dir };

	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (streq(keys[i].section, "client") && !starts_with(keys[i].name, "job_log"))
			hash_value(c, &keys[i], h);
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		hasher_field(h, made[i] ? made[i] : "", made[i] ? strlen(made[i]) : 0);
	hasher_final(h, ret);
	return 0;
}

static bool
same_value(const struct conf *a, const struct conf *b, const struct conf_key *k)
{
	const void *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;

	if (conf_key_is_text(k)) {
		const char *s = *(char *const *)x, *t = *(char *const *)y;

		return s && t ? streq(s, t) : s == t;
	}
	if (k->type == TYPE_BOOL)
		return *(const bool *)x == *(const bool *)y;
	if (k->type == TYPE_ENUM)
		return *(const int *)x == *(const int *)y;
	return *(const uint64_t *)x == *(const uint64_t *)y;
}

int
conf_differs(const struct conf *a, const struct conf *b, const char *section, struct strv *ret)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (streq(keys[i].section, section) && !same_value(a, b, &keys[i]))
			r = strv_add(ret, keys[i].name);
	return r;
}
