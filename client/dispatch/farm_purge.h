/* Has results removed from the coordinator's shared cache: an admin's key may ask for that
 * (proto/serve.proto, CachePurge). */
#ifndef DRAY_CLIENT_DISPATCH_FARM_PURGE_H
#define DRAY_CLIENT_DISPATCH_FARM_PURGE_H

#include "common/conf/conf.h"
#include "keys/identity.h"

/* The word by which dray has dray-dispatch do it (dispatch_main.c). */
#define FARM_PURGE_COMMAND "farm-purge"
/* How long the coordinator may take: all entries of all namespaces are read. */
#define FARM_PURGE_MS (30u * 60 * 1000)

/* All that are given have to be so; at least one is. */
struct farm_purge {
	const uint8_t *producer; /* SIGN_KEY_SIZE bytes; NULL: any */
	const char *namespace;	 /* "" is that of keys without one; NULL: any */
	uint64_t before_s;	 /* sealed before, since 1970; 0: whenever */
};

struct farm_purged {
	uint64_t entries, results;
};

/* Waits until it is done. 0; -errno, with a sentence in *ret_why (the caller frees it):
 * -ECONNREFUSED: this key may not. */
int farm_purge(const struct conf *conf, const struct farm_purge *what, struct farm_purged *ret,
	char **ret_why);

#endif
