/* A peer of a ROUTER socket: its routing id, the descriptor its message came on, and its CURVE key.
 */
#ifndef DRAY_PROTO_PEER_H
#define DRAY_PROTO_PEER_H

#include "common/base.h"

#define PEER_ID_MAX 16 /* libzmq makes 5-byte ids; we never set our own */

struct wire_peer {
	uint8_t id[PEER_ID_MAX];
	uint8_t id_len; /* 0: it chose its own (wire_recv) */
	int fd;		/* ZMQ_SRCFD of its last message, -1 when unknown */
	uint8_t door;	/* which of its program's sockets: 0, or as the program sets it */
	char curve[41]; /* Z85 key proved by CURVE; "" over ipc */
};

static inline bool
wire_peer_eq(const struct wire_peer *a, const struct wire_peer *b)
{
	return a->door == b->door && a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

#endif
