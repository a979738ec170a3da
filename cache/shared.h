/* Results that are shared: an entry of a store holds up to SHARED_RESULTS_MAX of them for one key
 * of the local cache (key.h), each sealed on its own by its producer (doc/shared-cache.md).
 *
 * Its bytes are "drayshr1" and a SharedEntry (proto/shared.proto). A seal is an Ed25519 signature
 * over
 *
 *   "dray shared result 1" and NUL
 *   namespace, key, kind of producer (its name), the producer's public key, time_s (8 bytes, the
 *   highest first), result: each after its length, in 8 bytes, the highest first
 *
 * so that nothing signed means something else under another key, in another namespace, or of
 * another kind of producer. A reader trusts nobody but the keys in its list (keys/trust.h): not the
 * store, and not those that write there.
 *
 * What of a result is shared. Not how it was called (argv, env, cwd: they serve `dray verify` here,
 * and hold values of variables). Of the inputs, by their kinds (shared_may.c):
 *
 *   FILE, METADATA      yes: a name and a digest. A name is of a place that has a mark, or an
 *   LISTING, GIT_INDEX    absolute path, which holds where the same is found there. No content
 *   ABSENT, EXISTS        of the kernel's files (/proc, /sys)
 *   RUNS, EXTENDED
 *   LINK, REAL          yes: where it leads
 *   PROGRAM, LIBRARY    yes: the paths by which it was found
 *   STAT, LSTAT         unless the time of a change, or of birth, counts: no other file has it.
 *                         (A time of modification may: an archive gives it to all.)
 *   ENV                 if it is not set; if cargo or pass_env set it; if its value is a mark for a
 *                         place, and no more. No other: what was made may hold the value, and
 *                         a digest can be guessed
 *   ENVIRON             yes: cargo set it
 *   VARIABLES           "cpus", "cpu", "limits", which are none; not "uname": it has the machine's
 *                         name. A group, if it is the same without all variables but those of
 *                         cargo and pass_env
 *   OUT_DIR             yes: it holds for one place, and for all that have theirs there
 *   WIDTH, FORM, UMASK  yes
 *   NOT_ABOVE, NOT_FROM yes
 *
 * A publisher may say that all variables may be shared (shared_by.any_env): it then vouches that
 * what is in its environment may be in what it shares. Runs of build scripts, which mostly depend
 * on the whole environment, are shared by publishers alone, and so is what a linker made; a worker
 * shares bundles. */
#ifndef DRAY_CACHE_SHARED_H
#define DRAY_CACHE_SHARED_H

#include "cache/result.h"
#include "keys/trust.h"

#define SHARED_MAX (32u << 20)	     /* of an object */
#define SHARED_RESULTS_MAX 16	     /* in one: the oldest goes */
#define SHARED_SEALED_MAX (8u << 20) /* of a result with its seal, in bytes */
#define SHARED_RECIPE_MAX (256u << 10)
#define SHARED_INPUTS_MAX 200000
#define SHARED_OUTPUTS_MAX 65536
#define SHARED_BYTES_MAX (16ull << 30)		   /* of all outputs of a result */
#define SHARED_COMPILE_US_MAX (86400ull * 1000000) /* a day */

struct shared_entry {
	struct digest key;
	struct strv recipe;
	struct buf *sealed; /* the latest first */
	size_t n;
};

#define SHARED_ENTRY_INIT                     \
	{                                     \
		{ { 0 } }, STRV_INIT, NULL, 0 \
	}

/* *ret must be empty, and is so after an error. 0; -EBADMSG: it is damaged, another key's, or over
 * a limit; -EPROTONOSUPPORT: it is of another version, which is to be said once, is a miss, and is
 * not to be written over; -ENOMEM. A recipe that it has is that of its key. */
int shared_entry_decode(
	const void *p, size_t n, const struct digest *key, struct shared_entry *ret);
/* The oldest results are left out where there are too many bytes. 0; -EFBIG; -ENOMEM. */
int shared_entry_encode(const struct shared_entry *e, struct buf *ret);
void shared_entry_done(struct shared_entry *e);
/* Takes one out. */
void shared_entry_drop(struct shared_entry *e, size_t i);
/* Puts what shared_seal made first. It replaces one of the same producer with the same inputs, and
 * what cannot be decoded; above SHARED_RESULTS_MAX the last one goes. One that is there byte by
 * byte is left: so two that write what both read and changed lose a result at most. 0; -EBADMSG: it
 * is no sealed result for this key; -ENOMEM. */
int shared_entry_add(struct shared_entry *e, const struct buf *sealed);

/* How long the compile took that made it, as its producer says; nothing of it is checked. 0;
 * -EBADMSG; -ENOMEM. */
int shared_compile_us(const struct shared_entry *e, size_t i, uint64_t *ret);

/* The one that seals, and what it knows of the result. */
struct shared_by {
	const struct identity *id;
	enum trust_kind kind;  /* TRUST_WORKER or TRUST_PUBLISHER */
	const char *namespace; /* "": none */
	/* What cargo and pass_env set, NAME=VALUE, NULL-terminated, with values as inputs have them
	 * (inputs_env). */
	char *const *env;
	bool any_env; /* of a publisher: all variables may be shared */
	uint64_t time_s;
};

/* Whether the result may be shared. 0; -EPERM: no, and *ret_why says why ("it depends on the
 * variable TOKEN, which neither cargo nor pass_env set"; the caller frees it); -ENOMEM. */
int shared_may(const struct shared_by *by, const struct result *r, char **ret_why);
/* Seals it for the key. As shared_may; -EFBIG: it is too large; -EIO. */
int shared_seal(const struct shared_by *by, const struct digest *key, const struct result *r,
	struct buf *ret, char **ret_why);

/* The one that reads. */
struct shared_reader {
	const struct trust *trust;
	const char *namespace; /* "": none */
};

/* What an opened result says beside itself. */
struct shared_seal {
	enum trust_kind kind;
	uint8_t producer[SIGN_KEY_SIZE];
	uint64_t time_s;
};

/* What a result says of its producer. Nothing of it is checked. 0; -EBADMSG. */
int shared_peek(const struct shared_entry *e, size_t i, struct shared_seal *ret);

/* Opens one result. It then is within the limits, has no more than what may be shared, is sealed
 * for this key and namespace, and by a producer that is trusted now: ret->producer is its key in
 * hex, ret->from "shared"; how it is made again (argv, env, cwd) is for the caller to add. Names,
 * modes and kinds of outputs are such as a result of the local cache has, and modes 0666 or 0777
 * but for a run's. What it is of a certain call of the compiler, and its texts and links,
 * client/cached/stranger.h looks at. Blobs are named by digest and size: both are to be checked of
 * what is read. ret_seal may be NULL.
 *
 * 0; -EACCES: its producer is not trusted; -EKEYREJECTED: the seal is not right, or for another key
 * or namespace; -EBADMSG: it makes no sense, or holds what is never shared; -ENOMEM. *ret_why, when
 * not NULL, says it in words for all but -ENOMEM (the caller frees it). */
int shared_open(const struct shared_entry *e, size_t i, const struct shared_reader *reader,
	struct result *ret, struct shared_seal *ret_seal, char **ret_why);

/* ---- for an admin's commands, which trust nobody, and look after all */

/* What a sealed result says of itself. */
struct shared_said {
	char namespace[KEYS_NAME_MAX + 1];
	struct shared_seal seal;
	bool right; /* sealed by the key that it names, for this entry's key */
};
/* 0; -EBADMSG: it is no sealed result, or what is in it makes no sense; -ENOMEM. *ret_result must
 * be empty: what it says of its outputs is as far as it is `right`. */
int shared_look(
	const struct shared_entry *e, size_t i, struct shared_said *ret, struct result *ret_result);

#endif
