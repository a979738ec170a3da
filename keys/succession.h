/* A coordinator's key that comes after another one: what the old one has signed, and what a node
 * keeps of it.
 *
 * A statement is a line of words:
 *
 *   successor 1 OLD NEW SIGN SERIAL FROM SIGNATURE
 *
 * OLD and NEW are CURVE keys (Z85), SIGN is the new signing key (64 hex digits), FROM the time from
 * which on the coordinator has the new keys, and no others (seconds since 1970), and SIGNATURE is
 * of OLD's signing key, over the words in front of it with NUL. Of two statements of one key the
 * one with the higher SERIAL counts; one that names OLD as NEW takes an earlier one back.
 *
 * A node has the coordinator's public file of its configuration, and beside it, or in a directory
 * of its own, a file of statements ("dray-successors 1" is its first line) that lead from that key
 * to the one of today. Invariants: a key is followed only by what itself has signed; so who has a
 * key that is over leads nobody astray that knows its successor. */
#ifndef DRAY_KEYS_SUCCESSION_H
#define DRAY_KEYS_SUCCESSION_H

#include "common/buf.h"
#include "keys/identity.h"

#define SUCCESSION_SIZE 384 /* a statement, with NUL */
#define SUCCESSION_FILE_MAX 65536
#define SUCCESSION_MAX 64 /* statements in a file */

struct succession {
	char old[CURVE_KEY_SIZE], curve_public[CURVE_KEY_SIZE];
	uint8_t sign_public[SIGN_KEY_SIZE];
	uint64_t serial, from_s;
};

/* old with its secrets. 0; -EINVAL: a serial number of 0, or no secrets; -EIO. */
int succession_sign(const struct identity *old, const struct identity *fresh, uint64_t serial,
	uint64_t from_s, char ret[SUCCESSION_SIZE]);
/* Reads one, and checks that this key has signed it (what is public of it). 0; -EBADMSG: it is
 * none; -EKEYREJECTED: that key has not. */
int succession_read(
	const char *line, size_t n, const struct identity *signer, struct succession *ret);

/* Where the statements of a file lead, from that key on: *ret is the one of now_s, with from's
 * name; *ret_next is what comes after it, or was the last that it said; its serial is 0: nothing. A
 * file that makes no sense leads nowhere. */
void successions_follow(const char *text, size_t n, const struct identity *from, uint64_t now_s,
	struct identity *ret, struct succession *ret_next);
/* The file with one more statement, of the key that is the one of now_s. 0; -EALREADY: it is there;
 * -ESTALE: a later one of that key is; -EKEYREJECTED: another key has signed it; -EBADMSG; -ENOSPC;
 * -ENOMEM. ret must be empty. */
int successions_add(const char *text, size_t n, const struct identity *from, uint64_t now_s,
	const char *line, struct buf *ret);

/* ---- what a node keeps */

/* The coordinator's key as it is now: of the public file at path, followed by the statements beside
 * it, and in dir (NULL: none). As identity_load. *ret_next may be NULL. */
int successor_load(const char *path, const char *dir, uint64_t now_s, struct identity *ret,
	struct succession *ret_next, unsigned *ret_line);
/* Keeps a statement that came over a connection with the key of now. 0; -EALREADY, and the others
 * of successions_add; -errno: neither place can be written. */
int successor_take(const char *path, const char *dir, uint64_t now_s, const char *line);

#endif
