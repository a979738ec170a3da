/* The rules of joining by a token of OpenID Connect: whose runs may, and as what. A JSON file of
 * the admin's:
 *
 *   { "issuers": [ {
 *       "issuer":   "https://token.actions.githubusercontent.com",
 *       "audience": "dray",
 *       "keys":     "https://…/jwks",       else found by discovery below the issuer
 *       "allow": [ {
 *           "role":      "publisher",          client, reader or publisher
 *           "namespace": "web",                else none
 *           "ttl":       "6h",                 how long the key counts that joins; at most 24h
 *           "claims":    { "repository": "example/web", "ref_protected": "true" } } ] } ] }
 *
 * The first of `allow` whose claims are all as they are there counts. A claim is a text, a number,
 * true or false, or a list of which one has to be so. A text may end in "/" and a "*" behind it (or
 * ":" and "*", if that ":" is not its first separator): it is then what the claim begins with, and
 * something has to follow.
 *
 * Invariant: no rule leaves open whose runs they are: one that names none of OIDC_WHOSE's claims is
 * an error, since everybody has runs at the large issuers. Neither may a worker or an admin join
 * this way. */
#ifndef DRAY_COORDINATOR_OIDC_RULES_H
#define DRAY_COORDINATOR_OIDC_RULES_H

#include <jansson.h>

#include "keys/identity.h"

#define OIDC_FILE_MAX (256u * 1024)
#define OIDC_ISSUERS_MAX 16u
#define OIDC_ALLOW_MAX 256u /* of an issuer */
#define OIDC_TTL_S (6 * 3600u)
#define OIDC_TTL_MAX_S (24 * 3600u)

struct oidc_allow {
	enum role role;
	char namespace[KEYS_NAME_MAX + 1];
	uint32_t ttl_s;
	json_t *claims; /* an object, as in the file */
};

struct oidc_issuer {
	const char *url, *audience; /* of the file's text */
	const char *keys;	    /* NULL: by discovery */
	struct oidc_allow *v;
	size_t n;
};

struct oidc_rules {
	json_t *file;
	struct oidc_issuer *v;
	size_t n;
};
#define OIDC_RULES_INIT       \
	{                     \
		NULL, NULL, 0 \
	}
void oidc_rules_done(struct oidc_rules *r);

/* 0; -EBADMSG: *ret_why says what is wrong, and where (the caller frees it); -ENOMEM. */
int oidc_rules_parse(const char *text, size_t n, struct oidc_rules *ret, char **ret_why);
/* Whether it begins with https://, or leads to this machine itself, and has nothing strange in it.
 */
bool oidc_rules_is_url(const char *s);
/* NULL: it is none of them. */
const struct oidc_issuer *oidc_rules_issuer(const struct oidc_rules *r, const char *url);
/* NULL: none allows them. claims: of a token that is verified and checked. */
const struct oidc_allow *oidc_rules_match(const struct oidc_issuer *i, const json_t *claims);
/* A name for the key of such a token, for logs and admins: "ci-" and what of `sub` may be in a
 * name. */
void oidc_rules_name(const json_t *claims, char ret[KEYS_NAME_MAX + 1]);

#endif
