/* Reads and verifies tokens, by libcjose and jansson. Invariant: no key is used by another
 * algorithm than that of its type. */
#include "config.h"

#include "coordinator/oidc/token.h"

#include <cjose/cjose.h>
#include <errno.h>

#define RSA_BITS_MIN 2048u
#define RSA_BITS_MAX 8192u /* to verify by a larger one takes long */
/* in base64url: of 2048 to 8192 bits, with a zero byte before them or not */
#define RSA_N_MIN 342u
#define RSA_N_MAX 1368u
#define RSA_E_MAX 11u /* 64 bits */
#define P256_SIZE 43u
#define ID_MAX 256u /* of a key: it is compared, and shown nowhere */

struct oidc_key {
	cjose_jwk_t *jwk;
	const char *id; /* of jwk */
	const char *alg;
};

struct oidc_keys {
	struct oidc_key v[OIDC_KEYS_MAX];
	size_t n;
};

struct oidc_token {
	cjose_jws_t *jws;
	json_t *claims;
	const char *alg, *key_id; /* of jws */
	const char *issuer;	  /* of claims */
	uint64_t expires_s;
};

void
oidc_keys_free(struct oidc_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++)
		(void)cjose_jwk_release(k->v[i].jwk);
	free(k);
}

void
oidc_keys_freep(struct oidc_keys **k)
{
	oidc_keys_free(*k);
	*k = NULL;
}

static void
json_freep(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

/* The algorithm that a key of this type signs by; NULL: none that is taken. */
static const char *
alg_of(const cjose_jwk_t *jwk)
{
	cjose_err err;
	size_t bits = cjose_jwk_get_keysize(jwk, &err);

	switch (cjose_jwk_get_kty(jwk, &err)) {
	case CJOSE_JWK_KTY_RSA:
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? CJOSE_HDR_ALG_RS256 : NULL;
	case CJOSE_JWK_KTY_EC:
		return cjose_jwk_EC_get_curve(jwk, &err) == CJOSE_JWK_EC_P_256 ? CJOSE_HDR_ALG_ES256
									       : NULL;
	case CJOSE_JWK_KTY_OCT:
		break;
	}
	return NULL;
}

static bool
is_or_lacks(const json_t *object, const char *member, const char *value)
{
	const json_t *j = json_object_get(object, member);

	return !j || (json_is_string(j) && streq(json_string_value(j), value));
}

/* What the set says of its key agrees with what it is used for. */
static bool
is_for_us(const json_t *member, const struct oidc_key *k)
{
	return k->alg && k->id && *k->id && strlen(k->id) <= ID_MAX &&
	       is_or_lacks(member, "use", "sig") && is_or_lacks(member, "alg", k->alg);
}

static const char *
text_of(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));

	return s && *s ? s : NULL;
}

static bool
is_base64url(char c)
{
	return c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

/* A number of a key, in base64url without padding, of so many characters. NULL: it is none. */
static const char *
number_of(const json_t *member, const char *name, size_t least, size_t most)
{
	const char *s = text_of(member, name);
	size_t n = s ? strlen(s) : 0;

	if (n < least || n > most || n % 4 == 1)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!is_base64url(s[i]))
			return NULL;
	return s;
}

/* What libcjose gets of a key: these members alone, in their form (RFC 7518, 6.2 and 6.3). It ends
 * the process on some that are none. NULL: it is none that is taken. */
static json_t *
plain_key(const json_t *member)
{
	const char *kty = text_of(member, "kty"), *crv = text_of(member, "crv");
	const char *id = text_of(member, CJOSE_HDR_KID);
	const char *n = number_of(member, "n", RSA_N_MIN, RSA_N_MAX);
	const char *e = number_of(member, "e", 2, RSA_E_MAX);
	const char *x = number_of(member, "x", P256_SIZE, P256_SIZE);
	const char *y = number_of(member, "y", P256_SIZE, P256_SIZE);

	if (!kty || !id)
		return NULL;
	if (streq(kty, "RSA") && n && e)
		return json_pack("{s:s, s:s, s:s, s:s}", "kty", kty, "kid", id, "n", n, "e", e);
	if (streq(kty, "EC") && crv && streq(crv, "P-256") && x && y)
		return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kty", kty, "crv", crv, "kid", id,
			"x", x, "y", y);
	return NULL;
}

static int
take_key(struct oidc_keys *keys, json_t *member)
{
	_cleanup_(json_freep) json_t *plain = plain_key(member);
	cjose_err err = { .code = CJOSE_ERR_NONE };
	struct oidc_key k = { .jwk = NULL };

	if (keys->n >= OIDC_KEYS_MAX || !plain)
		return 0;
	k.jwk = cjose_jwk_import_json(plain, &err);
	if (!k.jwk)
		return err.code == CJOSE_ERR_NO_MEMORY ? -ENOMEM : 0;
	k.id = cjose_jwk_get_kid(k.jwk, &err);
	k.alg = alg_of(k.jwk);
	if (is_for_us(member, &k) && !oidc_keys_have(keys, k.id))
		keys->v[keys->n++] = k;
	else
		(void)cjose_jwk_release(k.jwk);
	return 0;
}

int
oidc_keys_parse(const char *text, size_t n, struct oidc_keys **ret)
{
	_cleanup_(json_freep) json_t *set = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = calloc(1, sizeof(*keys));
	const json_t *list = json_object_get(set, "keys");

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (take_key(keys, json_array_get(list, i)) < 0)
			return -ENOMEM;
	if (keys->n == 0)
		return -EBADMSG;
	*ret = steal_ptr(keys);
	return 0;
}

size_t
oidc_keys_count(const struct oidc_keys *k)
{
	return k->n;
}

static const struct oidc_key *
find(const struct oidc_keys *k, const char *id)
{
	for (size_t i = 0; i < k->n; i++)
		if (streq(k->v[i].id, id))
			return &k->v[i];
	return NULL;
}

bool
oidc_keys_have(const struct oidc_keys *k, const char *id)
{
	return find(k, id) != NULL;
}

void
oidc_token_free(struct oidc_token *t)
{
	if (!t)
		return;
	json_decref(t->claims);
	if (t->jws)
		cjose_jws_release(t->jws);
	free(t);
}

void
oidc_token_freep(struct oidc_token **t)
{
	oidc_token_free(*t);
	*t = NULL;
}

static int
fail(const char **ret_why, int err, const char *why)
{
	*ret_why = why;
	return err;
}

/* A whole number of seconds since 1970. */
static bool
take_time(const json_t *claims, const char *name, uint64_t *ret)
{
	const json_t *j = json_object_get(claims, name);

	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(j);
	return true;
}

static int
take_claims(struct oidc_token *t, const char **ret_why)
{
	uint8_t *text; /* of jws */
	size_t n;
	cjose_err err;

	if (!cjose_jws_get_plaintext(t->jws, &text, &n, &err))
		return fail(ret_why, -EBADMSG, "the token has no claims");
	t->claims = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(t->claims))
		return fail(ret_why, -EBADMSG, "the token's claims are no JSON object");
	t->issuer = text_of(t->claims, "iss");
	if (!t->issuer)
		return fail(ret_why, -EBADMSG, "the token says of no issuer (iss)");
	if (!take_time(t->claims, "exp", &t->expires_s))
		return fail(ret_why, -EBADMSG, "the token does not say when it ends (exp)");
	return 0;
}

/* Three parts of base64url, without padding (RFC 7515, 2 and 7.1): libcjose reads more, so that one
 * token could be written in several ways. */
static bool
is_compact(const char *text, size_t n)
{
	unsigned dots = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		dots += c == '.';
		if (c != '.' && !is_base64url(c))
			return false;
	}
	return dots == 2;
}

int
oidc_token_parse(const char *text, size_t n, struct oidc_token **ret, const char **ret_why)
{
	_cleanup_(oidc_token_freep) struct oidc_token *t = NULL;
	cjose_err err = { .code = CJOSE_ERR_NONE };
	const json_t *head;
	int r;

	if (n == 0 || n > OIDC_TOKEN_MAX)
		return fail(ret_why, -EBADMSG, "there is no token, or too long a one");
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	if (!is_compact(text, n))
		return fail(ret_why, -EBADMSG, "this is no signed JSON Web Token");
	t->jws = cjose_jws_import(text, n, &err);
	if (!t->jws && err.code == CJOSE_ERR_NO_MEMORY)
		return -ENOMEM;
	if (!t->jws)
		return fail(ret_why, -EBADMSG, "this is no signed JSON Web Token");
	head = cjose_jws_get_protected(t->jws);
	t->alg = text_of(head, CJOSE_HDR_ALG);
	t->key_id = text_of(head, CJOSE_HDR_KID);
	if (!t->alg || !t->key_id)
		return fail(ret_why, -EBADMSG, "the token does not name its key (kid)");
	/* extensions that its reader must know (RFC 7515, 4.1.11): we know none */
	if (json_object_get(head, "crit"))
		return fail(ret_why, -EBADMSG, "the token wants an extension (crit)");
	r = take_claims(t, ret_why);
	if (r == 0)
		*ret = steal_ptr(t);
	return r;
}

const char *
oidc_token_issuer(const struct oidc_token *t)
{
	return t->issuer;
}

const char *
oidc_token_key_id(const struct oidc_token *t)
{
	return t->key_id;
}

const json_t *
oidc_token_claims(const struct oidc_token *t)
{
	return t->claims;
}

uint64_t
oidc_token_expires(const struct oidc_token *t)
{
	return t->expires_s;
}

int
oidc_token_verify(struct oidc_token *t, const struct oidc_keys *keys, const char **ret_why)
{
	const struct oidc_key *k = find(keys, t->key_id);
	cjose_err err;

	if (!k)
		return fail(ret_why, -ENOKEY, "its issuer has no such key");
	/* libcjose takes the algorithm from the token */
	if (!streq(t->alg, k->alg))
		return fail(
			ret_why, -EKEYREJECTED, "the token names another algorithm than its key's");
	if (!cjose_jws_verify(t->jws, k->jwk, &err))
		return fail(ret_why, -EKEYREJECTED, "the token's signature is wrong");
	return 0;
}

/* aud is a text, or a list of texts (RFC 7519, 4.1.3). */
static bool
is_for(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud");

	if (json_is_string(aud))
		return streq(json_string_value(aud), audience);
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *s = json_string_value(json_array_get(aud, i));

		if (s && streq(s, audience))
			return true;
	}
	return false;
}

int
oidc_token_check(const struct oidc_token *t, const char *issuer, const char *audience,
	uint64_t now_s, const char **ret_why)
{
	uint64_t from = 0;

	if (!streq(t->issuer, issuer))
		return fail(ret_why, -EKEYREJECTED, "the token is of another issuer (iss)");
	if (!is_for(t->claims, audience))
		return fail(ret_why, -EKEYREJECTED, "the token is for somebody else (aud)");
	if (t->expires_s + OIDC_SKEW_S <= now_s)
		return fail(ret_why, -EKEYEXPIRED, "the token has expired (exp)");
	if (t->expires_s > now_s + OIDC_LIFE_S + OIDC_SKEW_S)
		return fail(ret_why, -EKEYEXPIRED, "the token lives too long (exp)");
	if (json_object_get(t->claims, "nbf") &&
		(!take_time(t->claims, "nbf", &from) || from > now_s + OIDC_SKEW_S))
		return fail(ret_why, -EKEYEXPIRED, "the token does not count yet (nbf)");
	if (json_object_get(t->claims, "iat") &&
		(!take_time(t->claims, "iat", &from) || from > now_s + OIDC_SKEW_S))
		return fail(ret_why, -EKEYEXPIRED, "the token was made later than now (iat)");
	return 0;
}
