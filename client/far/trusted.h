/* The list of whose results count that lies in a store, signed by an admin (keys/trust.h). */
#ifndef DRAY_CLIENT_FAR_TRUSTED_H
#define DRAY_CLIENT_FAR_TRUSTED_H

#include "client/far/stores.h"
#include "keys/trust.h"

/* Adds what the list says to *to, if that names an admin, and the stores have a list of this
 * admin's. Waits for them for two seconds at most. 0; -ENOENT: there is none, or no admin is named;
 * -errno of keys_object_take and of the stores. *ret_why, when not NULL, says it in words for all
 * of these that are not -ENOENT (the caller frees it). */
int trusted_take(struct stores *s, const struct conf *conf, struct trust_keys *to, char **ret_why);

/* Puts a signed list into the stores that are written to. 0; -errno, and *ret_why as above: it is
 * no such list, the stores have a later one, or none is written to. */
int trusted_put(const struct conf *conf, const void *p, size_t n, char **ret_why);

/* Why a list is not taken: of an error of keys_object_take, in words. */
const char *trusted_why(int error);

#endif
