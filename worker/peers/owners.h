/* Which blobs a client may name by their digests alone.
 *
 * A worker's store has blobs of all its clients. A digest is no secret: it stands in logs and in
 * records. So a client that names one has the blob used only if it has sent it to this worker, or
 * if a job here has made it; else it is asked for the content, whether the store has it or not. */
#ifndef DRAY_WORKER_PEERS_OWNERS_H
#define DRAY_WORKER_PEERS_OWNERS_H

#include "common/digest.h"

struct owners;

/* Remembers at least so many of the latest pairs of client and blob. */
int owners_new(size_t most, struct owners **ret);
void owners_freep(struct owners **o);

/* client: the key that its connection has proved; "": of this machine, without one; NULL: anybody.
 * What is forgotten, or cannot be kept without memory, is asked for again. */
void owners_add(struct owners *o, const char *client, const struct digest *blob);
/* Whether it was added for that client, or for anybody. */
bool owners_has(struct owners *o, const char *client, const struct digest *blob);

#endif
