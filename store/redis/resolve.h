/* A name's addresses, without waiting: names are looked up by a thread, which may take as long as
 * it likes. Numbers need none. */
#ifndef DRAY_STORE_REDIS_RESOLVE_H
#define DRAY_STORE_REDIS_RESOLVE_H

#include <netdb.h>

#include "common/base.h"

struct resolve;

/* 0 or -errno. */
int resolve_begin(const char *host, uint16_t port, struct resolve **ret);
/* Readable when it is done. */
int resolve_fd(const struct resolve *r);
/* Then: 0 and what freeaddrinfo frees; -EHOSTUNREACH: there is no such name; -EAGAIN: nobody could
 * say. */
int resolve_end(struct resolve *r, struct addrinfo **ret);
/* Also while it is under way. NULL is fine. */
void resolve_free(struct resolve *r);

#endif
