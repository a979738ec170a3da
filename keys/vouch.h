/* The producers that a coordinator vouches for: whose results its clients may believe without a
 * list of their own (keys/trust.h). They are the lines of its list of allowed keys that have sign=:
 *
 *   publishers of that namespace
 *   workers of that namespace, and those without one: they compile for all
 *
 * Revoked ones are named, too, so that no other list's word for them counts. */
#ifndef DRAY_KEYS_VOUCH_H
#define DRAY_KEYS_VOUCH_H

#include "keys/trust.h"

/* Those of a namespace ("": none). *ret must be empty; their `namespace` is the given one. 0 or
 * -ENOMEM. */
int vouch_for(const struct allowed_keys *a, const char *namespace, struct trust_keys *ret);
/* Those of all namespaces, each with its own. As vouch_for. */
int vouch_all(const struct allowed_keys *a, struct trust_keys *ret);

#endif
