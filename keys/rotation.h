/* A node takes a new identity in the place of its old one (link.proto, Rotate): what it proves.
 *
 * All of it is about one text, which names the coordinator's key, the old one and both new ones:
 *
 *   by_new   a signature of the new signing key
 *   by_old   a signature of the old one, which counts where the list of keys knows that one
 *   mac      an HMAC-SHA256 by what X25519 makes of the new CURVE key and the coordinator's: who
 *            has made it has the new key's secret half
 *
 * That it has the old CURVE key is proved by the connection over which it comes. */
#ifndef DRAY_KEYS_ROTATION_H
#define DRAY_KEYS_ROTATION_H

#include "keys/identity.h"

#define ROTATION_MAC_SIZE 32
#define ROTATION_OVERLAP_S 3600u /* for which both keys count, unless it is said otherwise */
#define ROTATION_OVERLAP_MAX_S (30u * 86400) /* at most */

struct rotation {
	char curve_public[CURVE_KEY_SIZE]; /* the new ones */
	uint8_t sign_public[SIGN_KEY_SIZE];
	uint8_t by_new[SIGNATURE_SIZE], by_old[SIGNATURE_SIZE];
	uint8_t mac[ROTATION_MAC_SIZE];
};

/* Both with their secrets; coordinator: its CURVE key. 0; -EINVAL: that is no key; -EIO. */
int rotation_make(const struct identity *old, const struct identity *fresh, const char *coordinator,
	struct rotation *ret);
/* coordinator: with its secrets; old_sign: NULL: not known. 0; -EKEYREJECTED: something of it is
 * not proved, or it names no new keys; -EIO. */
int rotation_check(const struct rotation *r, const struct identity *coordinator,
	const char *old_curve, const uint8_t *old_sign);

#endif
