/* Inside the conversation with the coordinator. */
#ifndef DRAY_CLIENT_FARM_PRIV_H
#define DRAY_CLIENT_FARM_PRIV_H

#include "client/farm.h"
#include "common/digest.h"
#include "proto/socket.h"
#include "proto/wire.h"

enum farm_state_now {
	FARM_CONNECTING,
	FARM_CONNECTED, /* the handshake is done; not welcomed yet (or not again) */
	FARM_WELCOMED,
	FARM_AWAY, /* was there, is not now */
};

struct farm {
	void *socket;
	struct watch *watch;
	struct identity identity;
	bool has_identity;
	enum farm_state_now state;
	bool greeted;  /* Hello is sent already */
	bool welcomed; /* once */
	bool rejected; /* the handshake failed: keys */
	bool unreachable;
	uint64_t opened_ms, connect_ms;
	uint64_t away_ms, heard_ms;

	/* the job; what is needed to ask again */
	bool waiting; /* for a placement */
	char id[JOB_ID_SIZE];
	uint8_t toolchain[DIGEST_SIZE];
	char *crate, *kind;
	uint32_t glibc;
	uint64_t source_bytes;
};

int farm_hello(struct farm *f);
/* Takes all that the monitor has; asks again after a reconnection. */
void farm_watch_events(struct farm *f, uint64_t now);

#endif
