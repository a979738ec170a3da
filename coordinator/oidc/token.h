/* A token of OpenID Connect, as the identity provider of a CI gives one to each run: a JSON Web
 * Token in its compact form (RFC 7515, 7519), signed by its issuer.
 *
 * What is believed of it, and when:
 *
 *   oidc_token_parse     nothing: its issuer and its key's id are only what it says
 *   oidc_token_verify    that the holder of that key has signed these claims
 *   oidc_token_check     that they are of this issuer, for us, and of now
 *
 * The algorithm is the key's, by its type, and never what the token asks for: RS256 of an RSA key
 * of 2048 bits or more, ES256 of a key on P-256. No other type of key is taken, and so no token
 * that is signed by a shared secret, or by nothing. */
#ifndef DRAY_COORDINATOR_OIDC_TOKEN_H
#define DRAY_COORDINATOR_OIDC_TOKEN_H

#include <jansson.h>

#include "common/base.h"

#define OIDC_TOKEN_MAX (16u * 1024) /* bytes; GitHub's have 1.5 to 2 KiB */
#define OIDC_KEYS_MAX 64u	    /* of an issuer */
#define OIDC_SKEW_S 60		    /* by which clocks may differ */
#define OIDC_LIFE_S (24 * 3600)	    /* the longest that is taken; theirs live 5 min to some hours */

/* An issuer's public keys: its JWK set (RFC 7517). */
struct oidc_keys;
void oidc_keys_free(struct oidc_keys *k); /* NULL is fine */
void oidc_keys_freep(struct oidc_keys **k);
/* Takes the keys that can verify: others in the set are left out. 0; -EBADMSG: no set, or no such
 * key in it; -ENOMEM. */
int oidc_keys_parse(const char *text, size_t n, struct oidc_keys **ret);
size_t oidc_keys_count(const struct oidc_keys *k);
bool oidc_keys_have(const struct oidc_keys *k, const char *id);

struct oidc_token;
void oidc_token_free(struct oidc_token *t); /* NULL is fine */
void oidc_token_freep(struct oidc_token **t);

/* Each ret_why, of those below: a sentence without the token, static; untouched on success. */

/* 0; -EBADMSG; -ENOMEM. */
int oidc_token_parse(const char *text, size_t n, struct oidc_token **ret, const char **ret_why);
const char *oidc_token_issuer(const struct oidc_token *t);
const char *oidc_token_key_id(const struct oidc_token *t);
/* Of t: an object. */
const json_t *oidc_token_claims(const struct oidc_token *t);
/* When it ends, in seconds since 1970. Once it is checked. */
uint64_t oidc_token_expires(const struct oidc_token *t);

/* 0; -ENOKEY: its key is not among them; -EKEYREJECTED. */
int oidc_token_verify(struct oidc_token *t, const struct oidc_keys *keys, const char **ret_why);
/* now_s: seconds since 1970. 0; -EKEYREJECTED: of another issuer, or for somebody else;
 * -EKEYEXPIRED: not of now. */
int oidc_token_check(const struct oidc_token *t, const char *issuer, const char *audience,
	uint64_t now_s, const char **ret_why);

#endif
