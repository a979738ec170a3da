/* Messages on the wire.
 *
 * A message is one header frame and, for the types that carry one, one payload frame:
 *
 *   header frame   "DRAY" | version, 2 bytes big-endian | type, 2 bytes big-endian | protobuf body
 *   payload frame  raw bytes
 *
 * Each type has a row in one table: its protobuf descriptor, the largest body, whether a payload
 * may follow and how large, and who may send it. A message that breaks its row is refused before
 * any of it is looked at. The version in the header is the sender's; Hello and Refused keep their
 * meaning in every version, so that two that do not match can say so. */
#ifndef DRAY_PROTO_WIRE_H
#define DRAY_PROTO_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <zmq.h>

#include "common/base.h"
#include "proto/client.pb-c.h"
#include "proto/job.pb-c.h"
#include "proto/link.pb-c.h"
#include "proto/peer.h"
#include "proto/worker.pb-c.h"

#define WIRE_VERSION 1
#define WIRE_HEADER_SIZE 8
#define WIRE_CHUNK_MAX (256 * 1024) /* content of one chunk */
#define WIRE_PAYLOAD_MAX                                                                   \
	(WIRE_CHUNK_MAX + 4096)		  /* as sent: zstd can grow what does not compress \
					   */
#define WIRE_BODY_MAX (16u * 1024 * 1024) /* of the largest type (JobOpen) */

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_WELCOME,
	WIRE_REFUSED,

	WIRE_JOB_REQUEST = 16,
	WIRE_JOB_QUEUED,
	WIRE_JOB_PLACED,
	WIRE_JOB_DENIED,
	WIRE_JOB_RETRY,
	WIRE_JOB_FINISHED,
	WIRE_JOB_CANCEL,
	WIRE_STATUS_REQUEST,
	WIRE_STATUS,

	WIRE_WORKER_REGISTER = 32,
	WIRE_WORKER_HEARTBEAT,
	WIRE_HEARTBEAT_ACK,
	WIRE_WORKER_JOB_STARTED,
	WIRE_WORKER_JOB_ENDED,
	WIRE_WORKER_CANCEL,
	WIRE_WORKER_BYE,

	WIRE_JOB_OPEN = 48,
	WIRE_JOB_ACCEPTED,
	WIRE_JOB_REJECTED,
	WIRE_BLOB_NEED,
	WIRE_BLOB_CHUNK,
	WIRE_CREDIT,
	WIRE_JOB_STARTED,
	WIRE_JOB_TEXT,
	WIRE_OUTPUT_BEGIN,
	WIRE_OUTPUT_CHUNK,
	WIRE_JOB_RESULT,
	WIRE_JOB_STOP,
	WIRE_FILE_NEED,
	WIRE_FILE_ANSWER,
};

/* The programs that send a type; a bit set. */
enum wire_side { WIRE_FROM_CLIENT = 1, WIRE_FROM_WORKER = 2, WIRE_FROM_COORDINATOR = 4 };

struct wire_info {
	enum wire_type type;
	const char *name; /* "JobOpen" */
	const ProtobufCMessageDescriptor *desc;
	size_t body_max;    /* bytes */
	size_t payload_max; /* 0: no payload frame */
	unsigned senders;   /* wire_side bits */
};

/* NULL for an unknown type. */
const struct wire_info *wire_info(unsigned type);

/* A decoded message. */
struct wire_msg {
	const struct wire_info *info;
	ProtobufCMessage *body; /* cast to the type's struct; never NULL after decoding */
	zmq_msg_t payload;	/* initialised always; empty when there is none */
	unsigned version;	/* the sender's */
};

#define WIRE_MSG_INIT                    \
	{                                \
		NULL, NULL, { { 0 } }, 0 \
	}

void wire_msg_done(struct wire_msg *m); /* also on one that was only WIRE_MSG_INIT */

/* Decodes one header frame and an optional payload. Takes the payload's content out of *payload
 * (which may be NULL). from: one wire_side bit, what the other end is.
 * 0; or -EBADMSG (not ours, or malformed), -EPROTO (version), -EMSGSIZE, -EPERM (wrong sender).
 * For each of these wire_verdict_of gives what to tell the peer. */
int wire_decode(
	const void *header, size_t n, zmq_msg_t *payload, unsigned from, struct wire_msg *ret);
Dray__Verdict wire_verdict_of(int err);

/* Sends a message: [routing id frame when not NULL,] header, payload when not NULL. A type whose
 * row allows a payload always has the frame (n may be 0). Never blocks: -EAGAIN when the peer's
 * queue is full, -EHOSTUNREACH when a ROUTER does not know the peer. -EMSGSIZE when the row forbids
 * it. */
int wire_send(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, const void *payload, size_t n);
/* The same, the payload given as a ready zmq message, whose content is taken on success. */
int wire_send_msg(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload);

/* Receives one whole message without blocking. ret_peer is filled for a ROUTER (NULL for others).
 * 0; -EAGAIN when there is none; the errors of wire_decode, after which the rest of that message
 * has been drained and *ret_peer still names its sender. Accepts [peer,] header [, payload] only.
 */
int wire_recv(void *socket, struct wire_peer *ret_peer, unsigned from, struct wire_msg *ret);

#endif
