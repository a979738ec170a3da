/* Tokens by which keys join the farm: who has one (keys/join_word.h) is let into the list of keys,
 * as often as the token says, until it expires. Kept in a file in the coordinator's directory
 * (0600), of which the secrets are not part: a digest of each.
 *
 *   dray-tokens 1
 *   DIGEST role=ROLE name=NAME namespace=NAMESPACE by=WHO made=S expires=S uses=N used=N ended=S
 * revoked=0|1
 *
 * name, namespace and by may be empty; S: seconds since 1970, by the coordinator's clock; ended:
 * when it was used up or revoked, 0: it was not. Those that have ended are kept for a while, so
 * that one who comes with such a token is told why it is of no use.
 *
 * The clock is passed in. */
#ifndef DRAY_COORDINATOR_ADMIN_JOIN_TOKENS_H
#define DRAY_COORDINATOR_ADMIN_JOIN_TOKENS_H

#include "common/digest.h"
#include "keys/identity.h"

#define JOIN_TOKENS_FILE "tokens"
#define JOIN_TOKENS_MAX 256 /* that are kept; of these that have ended the oldest makes room */
#define JOIN_TTL_S 3600u
#define JOIN_TTL_MAX_S (30u * 86400u)
#define JOIN_USES_MAX 1000u
#define JOIN_ADMIN_TTL_MAX_S 86400u /* of an admin's, which has one use */
/* So long after the last token has ended those that come with it are still told why. */
#define JOIN_LATE_S 600u
#define JOIN_APART_S 300u /* by so much the clock may have gone back */

struct join_token {
	struct digest digest; /* join_secret_digest */
	enum role role;
	char name[KEYS_NAME_MAX + 1];	   /* "": the joiner says it */
	char namespace[KEYS_NAME_MAX + 1]; /* "": none */
	char by[KEYS_NAME_MAX + 1];	   /* who has made it; "": not known */
	uint64_t made_s, expires_s, ended_s;
	unsigned uses, used;
	bool revoked;
};
struct join_tokens {
	struct join_token *v;
	size_t n;
};
void join_tokens_done(struct join_tokens *t);

enum join_state {
	JOIN_LIVE,
	JOIN_EXPIRED,
	JOIN_USED,
	JOIN_REVOKED,
	JOIN_CLOCK /* the clock says that it was not made yet */
};
enum join_state join_token_state(const struct join_token *t, uint64_t now_s);
const char *join_state_name(enum join_state s); /* "live", … */
/* By what it is named, which tells nothing of the secret. */
#define JOIN_ID_SIZE 17
void join_token_id(const struct join_token *t, char ret[JOIN_ID_SIZE]);

/* *ret must be empty, and is so after an error. 0; -EBADMSG: a line is wrong; -EPROTONOSUPPORT: of
 * a later version; -ENOMEM. */
int join_tokens_parse(const char *text, size_t n, struct join_tokens *ret);
/* A file that is not there has none. Also -errno. */
int join_tokens_load(const char *dir, struct join_tokens *ret);
/* On the disk when it returns 0. */
int join_tokens_save(const char *dir, const struct join_tokens *t);

/* 0; -EINVAL: it is none (its bounds, its names, a digest that is there); -ENOSPC: there are as
 * many that live; -ENOMEM. */
int join_tokens_add(struct join_tokens *t, const struct join_token *k, uint64_t now_s);
/* In the same time whatever is there. NULL: there is none. */
struct join_token *join_tokens_find(struct join_tokens *t, const struct digest *d);
/* The one whose id begins so; NULL: none does, or several. */
struct join_token *join_tokens_named(struct join_tokens *t, const char *id);
/* One more use; ends it after the last. */
void join_token_use(struct join_token *t, uint64_t now_s);
/* Whether a key that is in no list is heard at all: one lives, or has ended a moment ago. */
bool join_tokens_open(const struct join_tokens *t, uint64_t now_s);

#endif
