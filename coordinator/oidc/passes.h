/* Keys that have joined by a token of OpenID Connect: each is let in for some hours, as its rule
 * says, and is in no list. Kept in a file in the coordinator's directory (0600):
 *
 *   dray-passes 1
 *   CURVE SIGN ROLE NAME NAMESPACE EXPIRES UNTIL DIGEST REVOKED
 *   spent DIGEST UNTIL
 *
 * SIGN: 64 hex digits; NAMESPACE may be "-": none; EXPIRES, UNTIL: seconds since 1970; DIGEST: of
 * the token by which it joined last; REVOKED: 0 or 1. Until EXPIRES the key is let in. What a
 * publisher has signed counts until UNTIL, since its results outlive the run that made them. Then
 * the line goes. A token that has joined a key is spent, and joins no other; that is known until it
 * has expired itself, whatever becomes of the pass. The clock is passed in. */
#ifndef DRAY_COORDINATOR_OIDC_PASSES_H
#define DRAY_COORDINATOR_OIDC_PASSES_H

#include "common/digest.h"
#include "keys/identity.h"

#define PASSES_FILE "passes"
#define PASSES_MAX 1024 /* of those that are over the oldest makes room */
/* How long what a publisher has signed counts: as a cache's entries, that are not used, may live.
 */
#define PASSES_KEEP_S (30u * 86400)

struct pass {
	struct allowed_key key; /* revoked: an admin has said so */
	uint64_t expires_s, until_s;
	struct digest token;
};
struct pass_spent {
	struct digest token;
	uint64_t until_s;
};
struct passes {
	struct pass *v;
	size_t n;
	struct pass_spent *spent;
	size_t n_spent;
};
#define PASSES_SPENT_MAX 8192
#define PASSES_INIT              \
	{                        \
		NULL, 0, NULL, 0 \
	}
void passes_done(struct passes *p);
/* A copy; *ret must be empty. 0 or -ENOMEM. */
int passes_copy(const struct passes *p, struct passes *ret);

/* *ret must be empty, and is so after an error. 0; -EBADMSG: a line is wrong; -EPROTONOSUPPORT: of
 * a later version; -ENOMEM. */
int passes_parse(const char *text, size_t n, struct passes *ret);
/* A file that is not there has none. Also -errno. */
int passes_load(const char *dir, struct passes *ret);
/* On the disk when it returns 0. */
int passes_save(const char *dir, const struct passes *p);

/* Adds it, in the place of a former one of that key; its token is spent, which is known until
 * spent_s. 0; -EEXIST: that token has joined a key; -EKEYREVOKED: the key was revoked; -EADDRINUSE:
 * what it signs by is another key's; -ENOSPC: as many are let in, or spent; -EINVAL; -ENOMEM. */
int passes_add(struct passes *p, const struct pass *k, uint64_t spent_s, uint64_t now_s);
struct pass *passes_find(struct passes *p, const char *curve_public);
/* Removes those of which nothing counts any more. True: one was let in before, and is not now
 * (was_s: when it was asked last), or one went. */
bool passes_expire(struct passes *p, uint64_t was_s, uint64_t now_s);
/* Adds them to a list, in whose order; what the list says of a key, or of what it signs by, goes
 * before. 0 or -ENOMEM. */
int passes_apply(const struct passes *p, uint64_t now_s, struct allowed_keys *keys);
/* Likewise for those that are in it already: what has ended since has ended there, too. Whether
 * something has. */
bool passes_update(const struct passes *p, uint64_t now_s, struct allowed_keys *keys);

#endif
