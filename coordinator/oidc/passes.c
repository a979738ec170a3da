/* Invariant: a key, what it signs by, and a token are each there once. */
#include "config.h"

#include "coordinator/oidc/passes.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "coordinator/admin/kept.h"

#define SPENT "spent "
#define FILE_MAX (2u << 20) /* more than all lines have */
#define FIELDS 9

static const struct kept_form form = { "dray-passes", "1", false };

void
passes_done(struct passes *p)
{
	free(p->v);
	free(p->spent);
	*p = (struct passes)PASSES_INIT;
}

int
passes_copy(const struct passes *p, struct passes *ret)
{
	_cleanup_(passes_done) struct passes c = PASSES_INIT;

	c.v = calloc(p->n + 1, sizeof(*c.v));
	c.spent = calloc(p->n_spent + 1, sizeof(*c.spent));
	if (!c.v || !c.spent)
		return -ENOMEM;
	if (p->n)
		memcpy(c.v, p->v, p->n * sizeof(*c.v));
	if (p->n_spent)
		memcpy(c.spent, p->spent, p->n_spent * sizeof(*c.spent));
	c.n = p->n;
	c.n_spent = p->n_spent;
	*ret = c;
	c = (struct passes)PASSES_INIT;
	return 0;
}

struct pass *
passes_find(struct passes *p, const char *curve_public)
{
	for (size_t i = 0; i < p->n; i++)
		if (streq(p->v[i].key.curve_public, curve_public))
			return &p->v[i];
	return NULL;
}

static bool
is_pass(const struct pass *k)
{
	uint8_t raw[32];

	return strlen(k->key.curve_public) == CURVE_KEY_SIZE - 1 &&
	       z85_decode32(k->key.curve_public, raw) == 0 &&
	       (k->key.role == ROLE_CLIENT || k->key.role == ROLE_READER ||
		       k->key.role == ROLE_PUBLISHER) &&
	       keys_name_ok(k->key.name, strlen(k->key.name)) &&
	       (!*k->key.namespace || keys_name_ok(k->key.namespace, strlen(k->key.namespace))) &&
	       k->expires_s <= k->until_s;
}

/* Takes out the one that would go next, of those that are over. */
static bool
make_room(struct passes *p, uint64_t now_s)
{
	struct pass *oldest = NULL;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].expires_s <= now_s && (!oldest || p->v[i].until_s < oldest->until_s))
			oldest = &p->v[i];
	if (oldest)
		*oldest = p->v[--p->n];
	return oldest != NULL;
}

static bool
is_spent(const struct passes *p, const struct digest *token)
{
	for (size_t i = 0; i < p->n_spent; i++)
		if (digest_eq(&p->spent[i].token, token))
			return true;
	return false;
}

static int
spend(struct passes *p, const struct digest *token, uint64_t until_s)
{
	struct pass_spent *v;

	if (p->n_spent >= PASSES_SPENT_MAX)
		return -ENOSPC;
	v = reallocarray(p->spent, p->n_spent + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->spent = v;
	v[p->n_spent++] = (struct pass_spent){ *token, until_s };
	return 0;
}

/* In the place of the former one, or as one more. */
static int
put_pass(struct passes *p, const struct pass *k, uint64_t now_s)
{
	struct pass *own = passes_find(p, k->key.curve_public), *v;

	if (own) {
		*own = *k;
		return 0;
	}
	if (p->n >= PASSES_MAX && !make_room(p, now_s))
		return -ENOSPC;
	v = reallocarray(p->v, p->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->v = v;
	v[p->n++] = *k;
	return 0;
}

static bool
signs_as_another(const struct passes *p, const struct pass *k)
{
	for (size_t i = 0; i < p->n; i++)
		if (!streq(p->v[i].key.curve_public, k->key.curve_public) &&
			memcmp(p->v[i].key.sign_public, k->key.sign_public, SIGN_KEY_SIZE) == 0)
			return true;
	return false;
}

int
passes_add(struct passes *p, const struct pass *k, uint64_t spent_s, uint64_t now_s)
{
	const struct pass *own = passes_find(p, k->key.curve_public);
	int r;

	if (!is_pass(k))
		return -EINVAL;
	if (own && own->key.revoked)
		return -EKEYREVOKED;
	if (is_spent(p, &k->token))
		return -EEXIST;
	if (signs_as_another(p, k))
		return -EADDRINUSE;
	r = spend(p, &k->token, spent_s);
	if (r < 0)
		return r;
	r = put_pass(p, k, now_s);
	if (r < 0)
		p->n_spent--;
	return r;
}

/* ---- the file */

/* It has as many bytes as a digest. */
static bool
take_sign(const char *text, uint8_t ret[SIGN_KEY_SIZE])
{
	struct digest d;

	static_assert(sizeof(d.b) == SIGN_KEY_SIZE, "32 bytes");
	if (digest_parse(text, &d) < 0)
		return false;
	memcpy(ret, d.b, SIGN_KEY_SIZE);
	return true;
}

static bool
take_seconds(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 12)
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

static bool
take_word(const char *text, char *ret, size_t size)
{
	return (size_t)snprintf(ret, size, "%s", text) < size;
}

static bool
take_line(char *line, struct pass *ret)
{
	char *f[FIELDS];

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < FIELDS; i++)
		if (!(f[i] = strsep(&line, " ")))
			return false;
	ret->key.role = role_parse(f[2]);
	ret->key.signs = ret->key.role == ROLE_PUBLISHER;
	ret->key.revoked = streq(f[8], "1");
	return !line && take_word(f[0], ret->key.curve_public, sizeof(ret->key.curve_public)) &&
	       take_sign(f[1], ret->key.sign_public) &&
	       take_word(f[3], ret->key.name, sizeof(ret->key.name)) &&
	       take_word(streq(f[4], "-") ? "" : f[4], ret->key.namespace,
		       sizeof(ret->key.namespace)) &&
	       take_seconds(f[5], &ret->expires_s) && take_seconds(f[6], &ret->until_s) &&
	       digest_parse(f[7], &ret->token) == 0 && (ret->key.revoked || streq(f[8], "0"));
}

static int
take_spent(char *line, struct passes *ret)
{
	const char *hex = strsep(&line, " ");
	struct digest token;
	uint64_t until_s;

	if (!line || digest_parse(hex, &token) < 0 || !take_seconds(line, &until_s) ||
		is_spent(ret, &token))
		return -EBADMSG;
	return spend(ret, &token, until_s);
}

static int
take_any(char *line, void *to)
{
	struct passes *p = to;
	struct pass k;
	int r;

	if (starts_with(line, SPENT))
		r = take_spent(line + strlen(SPENT), p);
	else if (!take_line(line, &k) || passes_find(p, k.key.curve_public) ||
		 signs_as_another(p, &k) || !is_pass(&k))
		r = -EBADMSG;
	else
		r = put_pass(p, &k, 0);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

int
passes_parse(const char *text, size_t n, struct passes *ret)
{
	int r;

	*ret = (struct passes)PASSES_INIT;
	r = kept_lines(&form, text, n, take_any, ret);
	if (r < 0)
		passes_done(ret);
	return r;
}

int
passes_load(const char *dir, struct passes *ret)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = kept_read(dir, PASSES_FILE, FILE_MAX, &text);

	*ret = (struct passes)PASSES_INIT;
	return r <= 0 ? r : passes_parse((const char *)text.p, text.n, ret);
}

static int
put_line(struct buf *b, const struct pass *k)
{
	char sign[DIGEST_HEX_SIZE], token[DIGEST_HEX_SIZE];
	struct digest d;

	memcpy(d.b, k->key.sign_public, SIGN_KEY_SIZE);
	digest_hex(&d, sign);
	digest_hex(&k->token, token);
	return buf_addf(b, "%s %s %s %s %s %" PRIu64 " %" PRIu64 " %s %d\n", k->key.curve_public,
		sign, role_name(k->key.role), k->key.name,
		*k->key.namespace ? k->key.namespace : "-", k->expires_s, k->until_s, token,
		k->key.revoked);
}

int
passes_save(const char *dir, const struct passes *p)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_begin(&form, &b);

	for (size_t i = 0; r == 0 && i < p->n; i++)
		r = put_line(&b, &p->v[i]);
	for (size_t i = 0; r == 0 && i < p->n_spent; i++) {
		char hex[DIGEST_HEX_SIZE];

		digest_hex(&p->spent[i].token, hex);
		r = buf_addf(&b, SPENT "%s %" PRIu64 "\n", hex, p->spent[i].until_s);
	}
	return r < 0 ? r : kept_write(dir, PASSES_FILE, &b);
}

/* ---- what follows of them */

bool
passes_expire(struct passes *p, uint64_t was_s, uint64_t now_s)
{
	bool changed = false;
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct pass *k = &p->v[i];

		changed |= k->until_s <= now_s || (k->expires_s > was_s && k->expires_s <= now_s);
		if (k->until_s > now_s)
			p->v[n++] = *k;
	}
	p->n = n;
	n = 0;
	for (size_t i = 0; i < p->n_spent; i++)
		if (p->spent[i].until_s > now_s)
			p->spent[n++] = p->spent[i];
	p->n_spent = n;
	return changed;
}

static bool
is_named(const struct allowed_keys *keys, const struct allowed_key *k)
{
	for (size_t i = 0; i < keys->n; i++)
		if (streq(keys->v[i].curve_public, k->curve_public) ||
			(keys->v[i].signs &&
				memcmp(keys->v[i].sign_public, k->sign_public, SIGN_KEY_SIZE) == 0))
			return true;
	return false;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct allowed_key *)a)->curve_public,
		((const struct allowed_key *)b)->curve_public);
}

int
passes_apply(const struct passes *p, uint64_t now_s, struct allowed_keys *keys)
{
	struct allowed_keys all = *keys;
	struct allowed_key *v = reallocarray(keys->v, keys->n + p->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	keys->v = all.v = v;
	for (size_t i = 0; i < p->n; i++) {
		const struct pass *k = &p->v[i];

		if (k->until_s <= now_s || is_named(keys, &k->key))
			continue;
		v[all.n] = k->key;
		v[all.n].by_pass = true;
		v[all.n++].over = k->expires_s <= now_s;
	}
	*keys = all;
	if (keys->n > 1)
		qsort(keys->v, keys->n, sizeof(*v), compare);
	return 0;
}

bool
passes_update(const struct passes *p, uint64_t now_s, struct allowed_keys *keys)
{
	bool changed = false;

	for (size_t i = 0; i < keys->n; i++) {
		struct allowed_key *k = &keys->v[i], was = *k;
		const struct pass *now = NULL;

		for (size_t n = 0; k->by_pass && n < p->n; n++)
			if (streq(p->v[n].key.curve_public, k->curve_public))
				now = &p->v[n];
		if (!k->by_pass)
			continue;
		k->over |= !now || now->expires_s <= now_s;
		k->revoked |= now && now->key.revoked;
		changed |= k->over != was.over || k->revoked != was.revoked;
	}
	return changed;
}
