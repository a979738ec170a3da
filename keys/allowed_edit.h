/* Changes of a list of allowed keys, as a text: its other lines, and their comments, stay as they
 * are. Invariant: what leaves these functions is a list that allowed_keys_parse takes. */
#ifndef DRAY_KEYS_ALLOWED_EDIT_H
#define DRAY_KEYS_ALLOWED_EDIT_H

#include "common/buf.h"
#include "keys/identity.h"

/* The list with one more line. 0; -EBADMSG, and what is wrong (the key is there already, say);
 * -ENOMEM. ret must be empty. */
int allowed_list_add(const char *text, size_t n, const struct allowed_key *k, struct buf *ret,
	struct keys_fault *ret_fault);
/* The list with the word "revoked" in that key's line. 0; -ENOENT: there is no such line;
 * -EALREADY: it is revoked; -EBADMSG, and what is wrong with the list; -ENOMEM. */
int allowed_list_revoke(const char *text, size_t n, const char *curve_public, struct buf *ret,
	struct keys_fault *ret_fault);
/* The list with one more line, of the key that comes in the place of that one, whose line gets
 * until= (and "revoked"). Lines of the same role and name that are over (now_s), and sign nothing,
 * are left out. Errors as above. */
int allowed_list_rotate(const char *text, size_t n, const char *old_curve,
	const struct allowed_key *fresh, uint64_t now_s, uint64_t until_s, bool revoked,
	struct buf *ret, struct keys_fault *ret_fault);

#endif
