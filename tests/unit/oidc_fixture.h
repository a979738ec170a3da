/* An issuer of tokens: keys, and tokens that they sign, by libcjose. */
#ifndef DRAY_TESTS_OIDC_FIXTURE_H
#define DRAY_TESTS_OIDC_FIXTURE_H

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"

#define ISSUER "https://tokens.example"
#define NOW 1800000000u

static cjose_jwk_t *rsa, *ec, *secret;

static void
keep_id(cjose_jwk_t *jwk, const char *id)
{
	assert_true(jwk && cjose_jwk_set_kid(jwk, id, strlen(id), NULL));
}

static int
make_keys(void **state)
{
	static const uint8_t e[] = { 1, 0, 1 }, word[] = "a shared secret of 32 characters";

	(void)state;
	rsa = cjose_jwk_create_RSA_random(2048, e, sizeof(e), NULL);
	ec = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	secret = cjose_jwk_create_oct_spec(word, sizeof(word) - 1, NULL);
	keep_id(rsa, "rsa");
	keep_id(ec, "ec");
	keep_id(secret, "secret");
	return 0;
}

static int
drop_keys(void **state)
{
	(void)state;
	cjose_jwk_release(rsa);
	cjose_jwk_release(ec);
	cjose_jwk_release(secret);
	return 0;
}

/* The caller frees it. more: further members of the header, an object; or NULL. */
static char *
sign_with(cjose_jwk_t *jwk, const char *alg, const char *id, const char *more, const char *claims)
{
	cjose_header_t *head = cjose_header_new(NULL);
	const char *text = NULL;
	cjose_jws_t *jws;
	char *ret;

	if (more)
		assert_int_equal(json_object_update_new(head, json_loads(more, 0, NULL)), 0);
	assert_true(cjose_header_set(head, CJOSE_HDR_ALG, alg, NULL));
	if (id)
		assert_true(cjose_header_set(head, CJOSE_HDR_KID, id, NULL));
	jws = cjose_jws_sign(jwk, head, (const uint8_t *)claims, strlen(claims), NULL);
	assert_true(jws && cjose_jws_export(jws, &text, NULL));
	ret = strdup(text);
	cjose_jws_release(jws);
	cjose_header_release(head);
	return ret;
}

/* A key set of the public parts. */
static char *
key_set(cjose_jwk_t *const *v, size_t n)
{
	json_t *list = json_array(), *set = json_pack("{s:o}", "keys", list);
	char *ret;

	for (size_t i = 0; i < n; i++) {
		/* a shared secret has no public part */
		char *text = cjose_jwk_to_json(v[i], v[i] == secret, NULL);

		json_array_append_new(list, json_loads(text, 0, NULL));
		free(text);
	}
	ret = json_dumps(set, 0);
	json_decref(set);
	return ret;
}

#endif
