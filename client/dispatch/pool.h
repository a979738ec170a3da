/* Connections with workers that stand, and have no job now: the next unit for that worker need not
 * shake hands. Only with a worker that takes jobs in turn on one connection (WIRE_IN_TURN). Any
 * thread may call these: a connection is one thread's at a time. */
#ifndef DRAY_CLIENT_DISPATCH_POOL_H
#define DRAY_CLIENT_DISPATCH_POOL_H

#include "proto/socket.h"

struct pool;

int pool_new(struct pool **ret);
void pool_freep(struct pool **p);
/* From now on it keeps so many at most, each of which has POOL_FDS descriptors. */
#define POOL_FDS 4
void pool_bound(struct pool *p, size_t max);

/* One to that worker, whose public key is that; the caller's then. False: there is none. */
bool pool_take(struct pool *p, const char *endpoint, const char *curve, void **ret_socket,
	struct monitor **ret_monitor);
/* Gives one back, whose job has come to its end. It may be closed at once. */
void pool_give(struct pool *p, const char *endpoint, const char *curve, void *socket,
	struct monitor *monitor);
/* Closes those that nobody has used for a while. now in ms. */
void pool_tick(struct pool *p, uint64_t now);

#endif
