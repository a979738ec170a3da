/* What a Redis store's URL says (doc/stores.md), and how it is connected to. */
#ifndef DRAY_STORE_REDIS_SETTINGS_H
#define DRAY_STORE_REDIS_SETTINGS_H

#include "store/redis/link.h"
#include "store/store.h"

struct redis_settings {
	char *host, *path, *user, *password, *prefix;
	uint64_t expire_s; /* of each key, after its last use; 0: never */
	unsigned request_ms;
	struct tls_context *tls; /* NULL: none is wanted */
	struct link_in link;	 /* points into all that */
};

/* *ret is empty before. Reads the file of a password. prefix_max: bytes that a prefix may have. 0;
 * -errno, often with a sentence in *in->ret_why; *ret is to be done then, too. */
int redis_settings_read(const struct store_in *in, size_t prefix_max, struct redis_settings *ret);
void redis_settings_done(struct redis_settings *s);

#endif
