/* The key sets of issuers, got from them by HTTPS, and kept for a while.
 *
 * Invariant: nobody outside makes this ask an issuer more than once a minute, however many tokens
 * with unknown keys come.
 *
 * Where the rules name no place of the keys, the issuer's own configuration does
 * (ISSUER/.well-known/openid-configuration, OpenID Connect Discovery 1.0, 4), which has to name
 * that issuer. A set that is OIDC_FRESH_S old is got anew when it is wanted; while that fails it
 * counts until it is OIDC_STALE_S old. */
#ifndef DRAY_COORDINATOR_OIDC_SETS_H
#define DRAY_COORDINATOR_OIDC_SETS_H

#include "coordinator/oidc/rules.h"
#include "coordinator/oidc/token.h"

#define OIDC_ASK_MS 60000u /* between two requests for an issuer's keys */
#define OIDC_FRESH_S 3600u
#define OIDC_STALE_S (6 * 3600u)

struct oidc_sets;

/* rules: outlive it. ca: a file whose certificates are believed beside the system's; NULL: none.
 * 0; -ENOPKG: no libcurl, see *ret_why (the caller frees it); -errno. */
int oidc_sets_new(
	const struct oidc_rules *rules, const char *ca, struct oidc_sets **ret, char **ret_why);
/* Requests under way end. NULL is fine. */
void oidc_sets_free(struct oidc_sets *s);
void oidc_sets_freep(struct oidc_sets **s);

/* The keys of an issuer of the rules, with this one among them. now_ms: clock_mono_ms. 0: *ret,
 * until the next call of oidc_sets_work. -EINPROGRESS: they are being got: ask again after
 * oidc_sets_work. -ENOKEY: its issuer has no such key, as far as may be asked now. -EHOSTUNREACH:
 * its keys could not be got; *ret_why says why, until the next call of oidc_sets_work. */
int oidc_sets_find(struct oidc_sets *s, const struct oidc_issuer *i, const char *key_id,
	uint64_t now_ms, const struct oidc_keys **ret, const char **ret_why);

/* To be polled for reading while something is under way; and what is done then, without waiting. */
int oidc_sets_fd(const struct oidc_sets *s);
bool oidc_sets_busy(const struct oidc_sets *s);
void oidc_sets_work(struct oidc_sets *s);

#endif
