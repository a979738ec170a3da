/* Chunks of blobs that are asked for again and again, as they are sent: when many clients get the
 * same results at once, each chunk is read and compressed once, and lies in memory once, however
 * many messages have it.
 *
 * It gives what is in a blob of that name, and knows nothing of namespaces: the caller has found
 * the blob where its asker may look. One thread's. */
#ifndef DRAY_COORDINATOR_CACHE_HOT_H
#define DRAY_COORDINATOR_CACHE_HOT_H

#include <zmq.h>

#include "common/digest.h"

#define HOT_MAX (16u * 1024 * 1024)

struct hot;

/* A chunk's place. */
struct hot_place {
	const struct digest *name;
	uint64_t offset;
	bool compress; /* as its asker wants it; then it is the one zstd frame, or raw where that is
			* no longer */
};

/* max: bytes that are kept at most. 0 or -ENOMEM. */
int hot_new(size_t max, struct hot **ret);
void hot_free(struct hot *h); /* NULL is fine; messages that have a chunk keep it */

/* Whether it is here; it may be gone at the next call. */
bool hot_has(const struct hot *h, const struct hot_place *at);
/* It is sent once more: *ret is a message with it, which nobody writes to. False: it is not here,
 * and *ret as it was. */
bool hot_get(struct hot *h, const struct hot_place *at, zmq_msg_t *ret, bool *ret_zstd);
/* It was read, and is sent. Kept if it was read lately before, in place of what was asked for least
 * lately; the message shares it. */
void hot_put(struct hot *h, const struct hot_place *at, zmq_msg_t *chunk, bool zstd);
/* Bytes that are kept. */
size_t hot_bytes(const struct hot *h);

#endif
