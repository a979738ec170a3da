/* clang-format off */
/* What a wrapper and the farm half of its user say to each other, over a Unix socket that keeps
 * messages apart (SOCK_SEQPACKET).
 *
 *   dray                                    dray-dispatch --half
 *     hello ──────────────────────────────▶
 *     ◀──────────────────────────── ready     within HALF_ASK_MS, or dray goes on without it
 *     HALF_UNIT ──────────────────────────▶   with HALF_FDS: stdout, stderr, the directory, the
 *     │                                       ledger (ledger.h), a file with the request
 *     │                                       … the unit, noted in the ledger …
 *     ◀──────────────────────── HALF_BEAT     every HALF_BEAT_MS: none for HALF_BEATS of these,
 *     │                                       or for two while it is stopped, and it is killed
 *     ◀──────────────────── end of file       all is written down in the ledger; or it has not
 *                                             begun, and dray goes on without it
 *
 * dray's end of file says that nobody waits for the unit any more.
 *
 * Nothing is handed to who has not answered: cargo waits until nobody has its pipe, also where that
 * is a process that is stopped. From HALF_UNIT on the half ends the unit, or it ends itself. */
/* clang-format on */
#ifndef DRAY_CLIENT_HALF_REQUEST_H
#define DRAY_CLIENT_HALF_REQUEST_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/digest.h"

#define HALF_VERSION 3 /* of all that is in this file */

#define HALF_ASK_MS 50
#define HALF_START_MS 250 /* likewise, for the wrapper that has started it */
#define HALF_STORES_MS \
	1000 /* for the stores, which nobody else asks: it may have been started just now */
#define HALF_BEAT_MS 500
#define HALF_BEATS 12

#define HALF_UNIT 'U'
#define HALF_BEAT 'B'

enum half_fd { HALF_OUT, HALF_ERR, HALF_CWD, HALF_LEDGER, HALF_REQUEST, HALF_FDS };

enum half_purpose {
	HALF_FOR_UNIT,	 /* a unit for the farm: as drawn above */
	HALF_FOR_STORES, /* what is in stores: client/far/messages.h */
	HALF_PURPOSES
};

struct half_hello {
	char magic[8];
	uint32_t purpose;
	uint8_t key[DIGEST_SIZE];
};

struct half_ready {
	char magic[8];
	int32_t pid; /* the half's */
};

void half_hello_make(const struct digest *key, enum half_purpose purpose, struct half_hello *ret);
/* Whether n bytes are one for this key. */
bool half_hello_ok(
	const void *p, size_t n, const struct digest *key, enum half_purpose *ret_purpose);
void half_ready_make(pid_t pid, struct half_ready *ret);
bool half_ready_ok(const void *p, size_t n, pid_t *ret_pid);

#define HALF_REQUEST_MAX (16u << 20)

/* Of a unit that another client's job may make as well, wherever it lies. */
struct half_alike {
	struct digest sought; /* the key under which the shared cache will have it */
	struct digest called; /* what a worker calls it (cache/job_key.h) */
};

struct half_request {
	unsigned jobs; /* as dray-dispatch --jobs */
	bool mapped;
	bool is_alike; /* the next one is there */
	struct half_alike alike;
	mode_t umask;
	char **argv, **env; /* NULL-terminated */
};

int half_request_encode(const struct half_request *q, struct buf *ret);
/* The lists are new, their strings are in p. 0; -EBADMSG; -ENOMEM. */
int half_request_decode(const void *p, size_t n, struct half_request *ret);
void half_request_done(struct half_request *q); /* of one that was decoded */

#endif
