/* Chunks: content cut into pieces of WIRE_CHUNK_MAX, each raw or one zstd frame (level 1: 507 MB/s
 * on debug rlibs at a ratio of 4, rustc-facts §7). A piece that zstd would not shrink goes raw. */
#ifndef DRAY_PROTO_CHUNK_H
#define DRAY_PROTO_CHUNK_H

#include <zmq.h>

#include "common/base.h"

struct chunk_coder; /* holds the zstd contexts; one per thread */

int chunk_coder_new(struct chunk_coder **ret);
void chunk_coder_free(struct chunk_coder *c);
void chunk_coder_freep(struct chunk_coder **c);
/* Gives its memory back, megabytes of it, until it is needed again. */
void chunk_coder_rest(struct chunk_coder *c);

/* Makes the payload for n (<= WIRE_CHUNK_MAX) bytes. *ret_zstd says which form was chosen. */
int chunk_encode(struct chunk_coder *c, const void *p, size_t n, bool compress, zmq_msg_t *ret,
	bool *ret_zstd);
/* Restores content: *ret_p points into the coder or the payload until the next call. size: what the
 * message claims; -EBADMSG when the content is not exactly that, or larger than WIRE_CHUNK_MAX. */
int chunk_decode(
	struct chunk_coder *c, zmq_msg_t *payload, bool zstd, size_t size, const uint8_t **ret_p);

#endif
