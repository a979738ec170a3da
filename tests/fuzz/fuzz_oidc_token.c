/* Tokens and key sets on any text: nothing is verified by a key whose secret nobody has, and what
 * is taken of a set is bounded. */
#include "config.h"

#include "coordinator/oidc/token.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Its secret was thrown away. */
static const char set_text[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\","
			       "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			       "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void
look_at_token(const char *text, size_t n, const struct oidc_keys *keys)
{
	_cleanup_(oidc_token_freep) struct oidc_token *t = NULL;
	const char *why = NULL;
	int r = oidc_token_parse(text, n, &t, &why);

	if ((r == 0) != (t != NULL) || (r == -EBADMSG) != (why != NULL))
		abort();
	if (r < 0)
		return;
	if (!*oidc_token_issuer(t) || !*oidc_token_key_id(t) ||
		!json_is_object(oidc_token_claims(t)))
		abort();
	if (oidc_token_verify(t, keys, &why) == 0 || !why)
		abort();
	why = NULL;
	if ((oidc_token_check(t, oidc_token_issuer(t), "dray", 1800000000, &why) == 0) !=
		(why == NULL))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct oidc_keys *keys;
	struct oidc_keys *others = NULL;

	if (!keys && oidc_keys_parse(set_text, sizeof(set_text) - 1, &keys) < 0)
		abort();
	look_at_token((const char *)p, n, keys);
	if (oidc_keys_parse((const char *)p, n, &others) == 0 &&
		(oidc_keys_count(others) == 0 || oidc_keys_count(others) > OIDC_KEYS_MAX))
		abort();
	oidc_keys_free(others);
	return 0;
}
