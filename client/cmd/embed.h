/* A farm on this machine for as long as its owner lives: a coordinator and workers with fresh keys
 * in a private directory, on loopback ports or Unix sockets of the kernel's choice. */
#ifndef DRAY_CLIENT_CMD_EMBED_H
#define DRAY_CLIENT_CMD_EMBED_H

#include "common/base.h"

struct embed_options {
	unsigned workers;
	unsigned slots;	 /* of each worker; 0: the cores shared out among them */
	const char *dir; /* kept at the end; NULL: a fresh one below cache_dir, removed */
	const char *cache_dir;
	bool ipc;
	void (*waiting)(const char *name); /* called once if a daemon takes long; or NULL */
};

struct embed;

/* Starts all and waits until they serve. On failure nothing stays, and *ret_error says what
 * happened, with the end of that daemon's log. -ECANCELED: a signal came (child.h). */
int embed_start(const struct embed_options *o, struct embed **ret, char **ret_error);
/* Asks all to end, workers first, waits a bounded time, then forces them. */
void embed_stop(struct embed *e); /* NULL is fine */
void embed_stopp(struct embed **e);

const char *embed_endpoint(const struct embed *e);
const char *embed_coordinator_key(const struct embed *e);
const char *embed_identity(const struct embed *e);
/* A daemon that has ended before its time ("worker-2"), or NULL. */
const char *embed_lost(struct embed *e);

#endif
