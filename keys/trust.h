/* Whose results are taken from a shared cache (cache/shared.h).
 *
 * A list of keys has one a line, '#' begins a comment:
 *
 *   <kind> <Ed25519 public key, 64 hex digits> [name] [namespace=NAMESPACE] [revoked]
 *
 * what is behind the key in any order, with kind one of worker, publisher, admin. A worker signs
 * what it compiled for others, a publisher what it compiled itself; a key is one of them, and signs
 * as nothing else. With a namespace it counts for that one alone. What a revoked key signed, and
 * signs, counts no more.
 *
 * A list of workers and publishers may also lie in the store itself, signed by an admin that the
 * configuration names. Such an object is a text:
 *
 *   dray keys 1
 *   serial <number>
 *   expires <seconds since 1970>
 *   <the list>
 *   signature <the admin's public key> <128 hex digits>
 *
 * The signature is over the bytes "dray keys 1" and NUL, and all of the text before its line. A
 * change has a higher serial number; readers remember the last that they saw and refuse lower ones,
 * so nobody who can write to the store can bring a revoked key back. An admin key signs one such
 * list: two stores that have different ones have different admins. */
#ifndef DRAY_KEYS_TRUST_H
#define DRAY_KEYS_TRUST_H

#include "common/buf.h"
#include "common/digest.h"
#include "keys/identity.h"

enum trust_kind { TRUST_NONE, TRUST_WORKER, TRUST_PUBLISHER, TRUST_ADMIN, TRUST_KINDS };
/* "worker"; "none" for what is none of them. */
const char *trust_kind_name(enum trust_kind kind);

struct trust_key {
	uint8_t key[SIGN_KEY_SIZE];
	enum trust_kind kind;
	char name[65];
	char namespace[65]; /* "": it counts for each */
	bool revoked;
};
struct trust_keys {
	struct trust_key *v; /* sorted by key, each once */
	size_t n;
};

#define TRUST_KEYS_MAX 65536

/* *ret must be empty, and is so after an error. 0; -EBADMSG, and what is wrong, unless that is
 * NULL; -ENOMEM. */
int trust_keys_parse(
	const char *text, size_t n, struct trust_keys *ret, struct keys_fault *ret_fault);
/* What the setting says: the path of a list, which begins with '/', or a list with ',' between its
 * lines. As trust_keys_parse; or -errno of the file. */
int trust_keys_load(const char *setting, struct trust_keys *ret, struct keys_fault *ret_fault);
/* A list of these, in any order. *ret must be empty, and is so after an error. 0; -EBADMSG: a key
 * is there twice, or there are more than TRUST_KEYS_MAX; -ENOMEM. */
int trust_keys_make(const struct trust_key *v, size_t n, struct trust_keys *ret);
/* Adds what another list says. A key that is in both stays as it is, and is revoked if it is so in
 * one of them. 0 or -ENOMEM. */
int trust_keys_add(struct trust_keys *to, const struct trust_keys *more);
const struct trust_key *trust_keys_find(
	const struct trust_keys *k, const uint8_t key[SIGN_KEY_SIZE]);
void trust_keys_done(struct trust_keys *k);

/* trust = … */
enum trust_level {
	TRUST_WORKERS,	  /* what workers compiled */
	TRUST_PUBLISHERS, /* and publishers: of what they compiled themselves nobody knows more than
			     they */
};

struct trust {
	struct trust_keys keys;
	enum trust_level level;
};

enum trust_verdict {
	TRUST_OK,
	TRUST_UNKNOWN,	   /* no such key */
	TRUST_REVOKED,	   /* it was, once */
	TRUST_OTHER_KIND,  /* it signs as another one */
	TRUST_OTHER_PLACE, /* its namespace is another */
	TRUST_NOT_ENOUGH,  /* a publisher's, where only workers count */
	TRUST_VERDICTS
};
/* Whether what this key signed, as this kind of producer and for this namespace, is taken now. */
enum trust_verdict trust_judge(const struct trust *t, const uint8_t key[SIGN_KEY_SIZE],
	enum trust_kind kind, const char *namespace);
const char *trust_verdict_text(enum trust_verdict v); /* "the key is not known" */

/* ---- the list in a store */

#define KEYS_OBJECT_MAX (4u << 20)

/* The name of the entry that it is in a store: the SHA-256 of "dray keys", which no unit has. 0 or
 * -ENOMEM. */
int keys_object_name(struct digest *ret);

struct keys_object {
	struct trust_keys keys; /* workers and publishers */
	uint64_t serial, expires_s;
	uint8_t admin[SIGN_KEY_SIZE]; /* the one that signed it */
};

/* Reads one. admins: the configuration's keys, of which those of the kind admin count, unless they
 * are revoked. last: the highest serial number that was seen here; 0: none. 0; -EBADMSG: it is
 * none; -EPROTONOSUPPORT: it is of a later format; -EKEYREJECTED: no admin that is named signed it;
 * -EKEYEXPIRED; -ESTALE: its serial number is lower; -ENOMEM. *ret must be empty. */
int keys_object_read(const void *p, size_t n, const struct trust_keys *admins, uint64_t now_s,
	uint64_t last, struct keys_object *ret);
/* The same with the highest serial number that is remembered for this admin in the directory, and
 * remembers this one. Where that cannot be written, it is taken all the same. */
int keys_object_take(const void *p, size_t n, const struct trust_keys *admins, uint64_t now_s,
	const char *dir, struct keys_object *ret);
#define KEYS_SEEN_FILE \
	"keys-seen" /* a line a change: admin TAB serial number; the highest counts */
/* The same without a look at who signed it, or when; the signature must be right. */
int keys_object_peek(const void *p, size_t n, struct keys_object *ret);
/* Makes one of a list, as text. *ret_fault: as trust_keys_parse has it. 0; -EBADMSG: the list is
 * none, or names an admin; -EINVAL: a serial number of 0, or no secret; -ENOMEM; -EIO. */
int keys_object_sign(const struct identity *admin, const char *list, size_t n, uint64_t serial,
	uint64_t expires_s, struct buf *ret, struct keys_fault *ret_fault);
void keys_object_done(struct keys_object *o);

#endif
