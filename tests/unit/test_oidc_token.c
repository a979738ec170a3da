/* Tokens of OpenID Connect: which are taken, and why the others are not. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/oidc/token.h"
#include "oidc_fixture.h"

#define CLAIMS                                                                  \
	"{\"iss\":\"" ISSUER                                                    \
	"\",\"aud\":\"dray\",\"sub\":\"repo:example/web:ref:refs/heads/main\"," \
	"\"iat\":1799999990,\"nbf\":1799999990,\"exp\":1800000300}"

static struct oidc_keys *
take_set(cjose_jwk_t *const *v, size_t n)
{
	_cleanup_(freep) char *text = key_set(v, n);
	struct oidc_keys *keys = NULL;

	assert_int_equal(oidc_keys_parse(text, strlen(text), &keys), 0);
	return keys;
}

/* 0, or what the first of the three steps says that refuses it. */
static int
look(const char *token, const struct oidc_keys *keys, const char *audience)
{
	_cleanup_(oidc_token_freep) struct oidc_token *t = NULL;
	const char *why = NULL;
	int r = oidc_token_parse(token, strlen(token), &t, &why);

	if (r == 0)
		r = oidc_token_verify(t, keys, &why);
	if (r == 0)
		r = oidc_token_check(t, ISSUER, audience, NOW, &why);
	assert_true((r == 0) == (why == NULL));
	return r;
}

static int
look_at_claims(const struct oidc_keys *keys, const char *claims)
{
	_cleanup_(freep) char *token = sign_with(ec, "ES256", "ec", NULL, claims);

	return look(token, keys, "dray");
}

static void
test_both_algorithms(void **state)
{
	cjose_jwk_t *const v[] = { rsa, ec };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 2);
	_cleanup_(freep) char *by_rsa = sign_with(rsa, "RS256", "rsa", NULL, CLAIMS);
	_cleanup_(freep) char *by_ec = sign_with(ec, "ES256", "ec", NULL, CLAIMS);
	_cleanup_(oidc_token_freep) struct oidc_token *t = NULL;
	const char *why;

	(void)state;
	assert_int_equal(look(by_rsa, keys, "dray"), 0);
	assert_int_equal(look(by_ec, keys, "dray"), 0);
	assert_int_equal(oidc_token_parse(by_ec, strlen(by_ec), &t, &why), 0);
	assert_string_equal(oidc_token_issuer(t), ISSUER);
	assert_string_equal(oidc_token_key_id(t), "ec");
	assert_int_equal(oidc_token_expires(t), 1800000300);
	assert_string_equal(
		json_string_value(json_object_get(oidc_token_claims(t), "aud")), "dray");
}

/* The key's type says the algorithm; what the token says has to be the same. */
static void
test_algorithm_is_the_keys(void **state)
{
	cjose_jwk_t *const v[] = { rsa, ec, secret };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 3);
	static const char *const others[] = { "RS384", "RS512", "PS256" };
	_cleanup_(freep) char *shared = sign_with(secret, "HS256", "secret", NULL, CLAIMS);
	/* a secret made of what everybody knows */
	_cleanup_(freep) char *known = sign_with(secret, "HS256", "rsa", NULL, CLAIMS);

	(void)state;
	assert_int_equal(oidc_keys_count(keys), 2);
	assert_int_equal(look(shared, keys, "dray"), -ENOKEY);
	assert_int_equal(look(known, keys, "dray"), -EKEYREJECTED);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		_cleanup_(freep) char *token = sign_with(rsa, others[i], "rsa", NULL, CLAIMS);

		assert_int_equal(look(token, keys, "dray"), -EKEYREJECTED);
	}
}

static void
test_other_keys(void **state)
{
	cjose_jwk_t *const v[] = { ec };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 1);
	cjose_jwk_t *stranger = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	_cleanup_(freep) char *forged = sign_with(stranger, "ES256", "ec", NULL, CLAIMS);
	_cleanup_(freep) char *of_none = sign_with(stranger, "ES256", "new", NULL, CLAIMS);
	_cleanup_(freep) char *nameless = sign_with(ec, "ES256", NULL, NULL, CLAIMS);
	_cleanup_(freep) char *crit = sign_with(
		ec, "ES256", "ec", "{\"crit\":[\"b64\"],\"b64\":false}", CLAIMS);

	(void)state;
	assert_int_equal(look(forged, keys, "dray"), -EKEYREJECTED);
	assert_int_equal(look(of_none, keys, "dray"), -ENOKEY);
	assert_int_equal(look(nameless, keys, "dray"), -EBADMSG);
	assert_int_equal(look(crit, keys, "dray"), -EBADMSG);
	cjose_jwk_release(stranger);
}

/* Each character of a good token, changed: another token, or none. */
static void
test_each_character(void **state)
{
	cjose_jwk_t *const v[] = { ec };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 1);
	_cleanup_(freep) char *token = sign_with(ec, "ES256", "ec", NULL, CLAIMS);
	size_t n = strlen(token);

	(void)state;
	/* the last one's lower bits are in no byte of the signature */
	for (size_t i = 0; i + 1 < n; i++) {
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(look(token, keys, "dray"), 0);
		token[i] = was;
	}
	for (size_t cut = 1; cut < n; cut++) {
		_cleanup_(freep) char *part = strndup(token, n - cut);

		assert_int_not_equal(look(part, keys, "dray"), 0);
	}
	assert_int_equal(look(token, keys, "dray"), 0);
}

static void
test_claims(void **state)
{
	cjose_jwk_t *const v[] = { ec };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 1);
#define WITH(more) "{\"iss\":\"" ISSUER "\",\"aud\":\"dray\"," more "}"
	static const struct {
		const char *claims;
		int r;
	} cases[] = {
		{ WITH("\"exp\":1800000300"), 0 },
		{ WITH("\"exp\":1799999941"), 0 }, /* clocks differ */
		{ WITH("\"exp\":1799999940"), -EKEYEXPIRED },
		{ WITH("\"exp\":9223372036854775807"), -EKEYEXPIRED },
		{ WITH("\"exp\":\"1800000300\""), -EBADMSG },
		{ WITH("\"exp\":-1"), -EBADMSG },
		{ WITH("\"exp\":1e12"), -EBADMSG },
		{ WITH("\"sub\":\"x\""), -EBADMSG },
		{ WITH("\"exp\":1800000300,\"nbf\":1800000061"), -EKEYEXPIRED },
		{ WITH("\"exp\":1800000300,\"nbf\":true"), -EKEYEXPIRED },
		{ WITH("\"exp\":1800000300,\"iat\":1800000061"), -EKEYEXPIRED },
		{ WITH("\"exp\":1800000300,\"exp\":1800000300"), -EBADMSG },
		{ "{\"iss\":\"https://tokens.example/\",\"aud\":\"dray\",\"exp\":1800000300}",
			-EKEYREJECTED },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"dray2\",\"exp\":1800000300}", -EKEYREJECTED },
		{ "{\"iss\":\"" ISSUER "\",\"exp\":1800000300}", -EKEYREJECTED },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":[],\"exp\":1800000300}", -EKEYREJECTED },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":[1,\"x\",\"dray\"],\"exp\":1800000300}", 0 },
		{ "{\"aud\":\"dray\",\"exp\":1800000300}", -EBADMSG },
		{ "{\"iss\":7,\"aud\":\"dray\",\"exp\":1800000300}", -EBADMSG },
		{ "[]", -EBADMSG },
		{ "null", -EBADMSG },
		{ "{", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (look_at_claims(keys, cases[i].claims) != cases[i].r)
			fail_msg("%s: not %d", cases[i].claims, cases[i].r);
}

/* One token is written in one way. */
static void
test_one_form(void **state)
{
	cjose_jwk_t *const v[] = { ec };
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = take_set(v, 1);
	_cleanup_(freep) char *token = sign_with(ec, "ES256", "ec", NULL, CLAIMS);
	static const char *const more[] = { "=", "==", "=.", "=.aa", ".", ".aa", "\n", " ", "+",
		"/" };

	(void)state;
	assert_int_equal(look(token, keys, "dray"), 0);
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		_cleanup_(freep) char *other = NULL;

		assert_true(asprintf(&other, "%s%s", token, more[i]) > 0);
		assert_int_equal(look(other, keys, "dray"), -EBADMSG);
	}
}

static void
test_no_token(void **state)
{
	static const char *const none[] = { "", "x", "..", "a.b.c", "e30.e30.", "e30.e30.AAAA",
		"eyJhbGciOiJub25lIiwia2lkIjoiZWMifQ.e30." };
	_cleanup_(freep) char *large = malloc(OIDC_TOKEN_MAX + 2);
	struct oidc_token *t = NULL;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(oidc_token_parse(none[i], strlen(none[i]), &t, &why), -EBADMSG);
	memset(large, 'A', OIDC_TOKEN_MAX + 1);
	assert_int_equal(oidc_token_parse(large, OIDC_TOKEN_MAX + 1, &t, &why), -EBADMSG);
	assert_null(t);
}

static void
test_sets(void **state)
{
	static const uint8_t e[] = { 1, 0, 1 };
	cjose_jwk_t *small = cjose_jwk_create_RSA_random(1024, e, sizeof(e), NULL);
	cjose_jwk_t *other_curve = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, NULL);
	cjose_jwk_t *twin = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	cjose_jwk_t *v[] = { small, other_curve, secret };
	static const char *const none[] = { "", "{", "[]", "{\"keys\":{}}", "{\"keys\":[]}",
		"{\"keys\":[1,null,{}]}", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"x\",\"x\":7,\"y\":null}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"x\",\"n\":\"\",\"e\":\"AQAB\"}]}" };
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *token = sign_with(ec, "ES256", "ec", NULL, CLAIMS);
	_cleanup_(oidc_keys_freep) struct oidc_keys *keys = NULL;
	cjose_jwk_t *const two[] = { ec, twin };

	(void)state;
	keep_id(small, "small");
	keep_id(other_curve, "other");
	keep_id(twin, "ec");
	text = key_set(v, 3);
	assert_int_equal(oidc_keys_parse(text, strlen(text), &keys), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(oidc_keys_parse(none[i], strlen(none[i]), &keys), -EBADMSG);
	assert_null(keys);
	/* of one name the first one counts */
	keys = take_set(two, 2);
	assert_int_equal(oidc_keys_count(keys), 1);
	assert_int_equal(look(token, keys, "dray"), 0);
	cjose_jwk_release(small);
	cjose_jwk_release(other_curve);
	cjose_jwk_release(twin);
}

/* A key that is for something else verifies nothing. */
static void
test_use_of_keys(void **state)
{
	static const struct {
		const char *member, *value;
		bool taken;
	} cases[] = { { "use", "sig", true }, { "use", "enc", false }, { "alg", "ES256", true },
		{ "alg", "RS256", false }, { "alg", "none", false } };
	_cleanup_(freep) char *key = cjose_jwk_to_json(ec, false, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *o = json_loads(key, 0, NULL);
		json_t *set = json_pack("{s:[o]}", "keys", o);
		struct oidc_keys *keys = NULL;
		char *text;

		json_object_set_new(o, cases[i].member, json_string(cases[i].value));
		text = json_dumps(set, 0);
		assert_int_equal(
			oidc_keys_parse(text, strlen(text), &keys), cases[i].taken ? 0 : -EBADMSG);
		oidc_keys_free(keys);
		free(text);
		json_decref(set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_algorithms),
		cmocka_unit_test(test_algorithm_is_the_keys),
		cmocka_unit_test(test_other_keys),
		cmocka_unit_test(test_each_character),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_one_form),
		cmocka_unit_test(test_no_token),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_use_of_keys),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
