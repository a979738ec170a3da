/* The word of a token by which a node joins a farm (coordinator/admin/join_tokens.h): one word that
 * can be printed and pasted.
 *
 *   dray1-  72 characters of base64url (RFC 4648, section 5): 54 bytes
 *           the coordinator's CURVE public key, 32 | a secret, 20 | check, 2
 *
 * With the coordinator's key in it nobody in between can be the coordinator. The check, of a digest
 * of what is before it, finds a word that was not copied whole. The 1 is the version. */
#ifndef DRAY_KEYS_JOIN_WORD_H
#define DRAY_KEYS_JOIN_WORD_H

#include "common/digest.h"
#include "keys/identity.h"

#define JOIN_SECRET_SIZE 20 /* 160 random bits */
#define JOIN_WORD_SIZE 79   /* with NUL */

struct join_word {
	char curve_public[CURVE_KEY_SIZE]; /* the coordinator's */
	uint8_t secret[JOIN_SECRET_SIZE];
};

/* A fresh secret for that coordinator. -EINVAL: that is no key; -EIO: no random numbers. */
int join_word_make(const char *curve_public, struct join_word *ret);
void join_word_done(struct join_word *w); /* wipes it */
/* 0 or -ENOMEM. */
int join_word_format(const struct join_word *w, char ret[JOIN_WORD_SIZE]);
/* -EBADMSG: it is none, or not whole; -EPROTONOSUPPORT: of a later version; -ENOMEM. *ret is left
 * as it is then. */
int join_word_parse(const char *text, struct join_word *ret);

/* What a coordinator keeps of a secret. 0 or -ENOMEM. */
int join_secret_digest(const uint8_t secret[JOIN_SECRET_SIZE], struct digest *ret);

/* What a joiner signs, so that nobody joins with another's sign-public: the coordinator's CURVE key
 * and its own. */
#define JOIN_PROOF_SIZE 96
void join_proof_text(const char *coordinator, const char *joiner, char ret[JOIN_PROOF_SIZE]);

/* A CURVE key as people compare it: 128 bits of its digest, "1f2e:…", 8 times 4 hex digits. */
#define KEYS_FINGERPRINT_SIZE 40 /* with NUL */
/* "" where that is no key. */
void keys_fingerprint(const char *curve_public, char ret[KEYS_FINGERPRINT_SIZE]);

#endif
