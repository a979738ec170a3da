/* Inside one try on one worker. */
#ifndef DRAY_CLIENT_DISPATCH_REMOTE_PRIV_H
#define DRAY_CLIENT_DISPATCH_REMOTE_PRIV_H

#include "client/dispatch/files.h"
#include "client/dispatch/outputs.h"
#include "client/dispatch/relay.h"
#include "client/dispatch/remote.h"
#include "client/dispatch/upload.h"
#include "proto/chunk.h"
#include "proto/socket.h"
#include "proto/wire.h"

/* States are bits, so that a message's row can name several. */
enum remote_state {
	REMOTE_OPENING = 1, /* JobOpen is sent */
	REMOTE_FEEDING = 2, /* accepted: it may ask for blobs */
	REMOTE_RUNNING = 4,
	REMOTE_ENDED = 8,
};

struct remote {
	const struct remote_in *in;
	struct remote_result *result;
	enum remote_state state;
	void *socket;
	struct monitor *monitor;
	bool connected;
	bool pooled;  /* it had another job before */
	bool stale;   /* ... and was lost since, before the worker said a word about this one */
	bool fresh;   /* so this one must not */
	bool in_turn; /* the worker takes another one after this */
	bool blocked; /* the socket took no more at the last try */
	struct chunk_coder *coder;
	struct upload *upload;
	struct files_answer answer; /* to a file that the compiler waits for */
	bool answering;		    /* it is not sent yet */
	struct outputs *outputs;
	struct relay *relay;
	uint32_t granted; /* content messages the worker may still send */
	uint32_t owed;	  /* credit to give back */
	uint64_t opened_ms, heard_ms, started_ms;
	uint64_t fed_us;    /* when it asked for blobs */
	uint64_t output_us; /* begin of the output that comes now, or 0 */
};

/* remote_step.c */
/* Ends the try. Always REMOTE_ENDED after. The first end stays. */
void remote_end(struct remote *r, enum remote_end end, Dray__Verdict verdict, const char *fmt, ...)
	_printf_(4, 5);

/* Sends the answer that waits. 0; -EAGAIN: the socket takes no more now; -errno. */
int remote_answer(struct remote *r);
/* One message. */
void remote_step(struct remote *r, struct wire_msg *m);

#endif
