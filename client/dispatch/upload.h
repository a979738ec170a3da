/* Sends a worker the blobs it lacks, in the order it asked for them, within its credit. */
#ifndef DRAY_CLIENT_DISPATCH_UPLOAD_H
#define DRAY_CLIENT_DISPATCH_UPLOAD_H

#include "client/dispatch/unit.h"
#include "proto/chunk.h"

struct upload;

int upload_new(struct unit *u, struct chunk_coder *coder, bool compress, struct upload **ret);
void upload_free(struct upload *up);

/* One more blob, after the unit's own and those before it (proto/job.proto, files on demand). */
int upload_offer(struct upload *up, const char *path, uint64_t size);
/* -EBADMSG: an index that is not there, blobs that are asked for before the last ones were sent, or
 * too much credit. */
int upload_need(struct upload *up, const Dray__BlobNeed *m);
int upload_credit(struct upload *up, uint32_t n);
/* Packs the unit, which goes first, as far as it may before any credit is given. Its size in
 * *ret_n. -EMSGSIZE: it is too large. */
int upload_begin(struct upload *up, uint32_t *ret_n);

/* Sends a bounded part of what is due. 0: nothing more to do for now; 1: there is; -EAGAIN: the
 * socket takes no more now; -ESTALE: a file is not what it was (upload_file names it); -errno. */
int upload_step(struct upload *up, void *socket);
/* Gives back the memory of what was sent. More may be sent then, on demand. */
void upload_rest(struct upload *up);
const char *upload_file(const struct upload *up); /* the current one, or NULL */
uint64_t upload_bytes(const struct upload *up);	  /* payload as sent */
/* Content of the blobs that were asked for last: what was sent of it, and all. */
void upload_progress(const struct upload *up, uint64_t *ret_done, uint64_t *ret_of);

#endif
