/* clang-format off */
/* Gives other workers the blobs that they lack (proto/worker.proto, Peers first).
 *
 *   the main loop    serve_get, once its ticket was checked ── requests ──▶ a thread: reads, packs
 *                    serve_next: what is to be sent         ◀── words ────
 *
 * What is given is what jobs here have made, and what the client that the ticket names has sent
 * here (owners.h). What is on its way is bounded, for all together; one that takes none of
 * it for SERVE_STALL_MS is forgotten. */
/* clang-format on */
#ifndef DRAY_WORKER_PEERS_SERVE_H
#define DRAY_WORKER_PEERS_SERVE_H

#include "proto/wire.h"
#include "store/store.h"
#include "worker/peers/owners.h"

#define SERVE_REQUESTS 128
#define SERVE_REQUESTS_KEY 32 /* of one key */
#define SERVE_ON_WAY 64	      /* chunks that were not acknowledged */
#define SERVE_STALL_MS 5000

struct serve;

/* Both must outlive it. stall_ms: SERVE_STALL_MS, or less in tests. 0 or -errno. */
int serve_open(struct store *store, struct owners *owners, unsigned stall_ms, struct serve **ret);
void serve_closep(struct serve **s);

/* owner: the client whose blobs may be had. 0; -EBADMSG: it is none that is allowed; -EBUSY: there
 * are too many; -ENOMEM. */
int serve_get(struct serve *s, const struct wire_peer *peer, uint32_t number, const char *owner,
	const Dray__SharedGet *m);
/* These do nothing for a request that is not there any more. */
void serve_credit(struct serve *s, const struct wire_peer *peer, uint32_t number, uint32_t n);
void serve_stop(struct serve *s, const struct wire_peer *peer, uint32_t number);
void serve_gone(struct serve *s, const struct wire_peer *peer);

struct serve_word {
	struct wire_peer peer;
	bool data; /* it has a payload, and counts as content */
	zmq_msg_t frames[2];
};
/* What is to be sent next. False: nothing. The caller sends its frames or closes them. */
bool serve_next(struct serve *s, struct serve_word *ret);
/* Readable when there is something. */
int serve_fd(const struct serve *s);

#endif
