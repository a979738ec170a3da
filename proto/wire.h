/* Messages on the wire.
 *
 * A message is one header frame and, for the types that carry one, one payload frame:
 *
 *   header frame   "DRAY" | version, 2 bytes big-endian | type, 2 bytes big-endian
 *                  | in messages about a job (job.proto) or a request (serve.proto,
 *                    admin.proto) its number, 4 bytes big-endian
 *                  | protobuf body
 *   payload frame  raw bytes
 *
 * A job's number is chosen by the client, and is its own among the jobs that run over the same
 * connection: several may at once. It is in the header, so that what a message may do is known
 * before its body is decoded.
 *
 * Each type has a row in one table: its protobuf descriptor, the largest body, whether a payload
 * may follow and how large, and who may send it. A message that breaks its row is refused before
 * any of it is looked at. The version in the header is the sender's; Hello and Refused keep their
 * meaning in every version, so that two that do not match can say so. Within a version types and
 * fields are only added, and a new type is sent only to a peer whose Hello or Welcome names the
 * feature. */
#ifndef DRAY_PROTO_WIRE_H
#define DRAY_PROTO_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <zmq.h>

#include "common/base.h"
#include "proto/admin.pb-c.h"
#include "proto/client.pb-c.h"
#include "proto/job.pb-c.h"
#include "proto/link.pb-c.h"
#include "proto/peer.h"
#include "proto/serve.pb-c.h"
#include "proto/worker.pb-c.h"

#define WIRE_VERSION 2
#define WIRE_HEADER_SIZE 8
#define WIRE_JOB_HEADER_SIZE 12
#define WIRE_HEADER_MAX WIRE_JOB_HEADER_SIZE
#define WIRE_CHUNK_MAX (256 * 1024) /* content of one chunk */
#define WIRE_PAYLOAD_MAX                                                                   \
	(WIRE_CHUNK_MAX + 4096)		  /* as sent: zstd can grow what does not compress \
					   */
#define WIRE_BODY_MAX (8u * 1024 * 1024)  /* of the largest type (JobResult) */
#define WIRE_UNIT_MAX (16u * 1024 * 1024) /* a packed Unit */
#define WIRE_UNIT_AHEAD 4		  /* JobUnit messages that need no credit */

/* Names in Welcome.features. A worker that takes a job after another on one connection, as soon as
 * it has sent the JobResult of the one before; and one that takes several at once, by number. */
#define WIRE_IN_TURN "jobs-in-turn"
#define WIRE_AT_ONCE "jobs-at-once"
/* Of a coordinator: it has a shared cache (serve.proto); and takes puts of this peer. */
#define WIRE_SHARED "shared-cache"
#define WIRE_SHARED_PUTS "shared-put"

/* Of a coordinator: it says whom it vouches for, also where it has no cache. */
#define WIRE_VOUCHES "producers"
/* Likewise: it knows what a refill is (client.proto). */
#define WIRE_REFILLS "refills"
/* Likewise: clients may give workers toolchains (client.proto, Pushes). */
#define WIRE_PUSHES "pushes"
/* Likewise: it takes PushProgress. */
#define WIRE_PROGRESS "push-progress"
/* Likewise: it removes results for this peer, which is an admin. */
#define WIRE_PURGES "cache-purge"
/* Likewise: it is told what there is, and what to do (admin.proto). */
#define WIRE_ADMIN "admin"
/* Likewise: a key may have another one come in its place (link.proto, Rotate). */
#define WIRE_ROTATES "rotate"
/* In Hello.features: this one hears of other keys of the coordinator (link.proto, Successor). */
#define WIRE_HEARS "successor"
/* Of a coordinator: workers may say what they have, and ask who has it (worker.proto, Peers first).
 * Of a worker: it gives blobs. */
#define WIRE_PEERS "peers"

#define WIRE_OFFERS_MAX 1024 /* toolchains in a WorkerRegister */
#define WIRE_SEEK_MAX 1024   /* blobs in a WorkerSeek */
#define WIRE_HOLDERS_MAX 4
#define WIRE_HOLDS_MAX 4096 /* digests in a WorkerHolds */

#define WIRE_SHARED_ITEMS_MAX 256 /* names in a SharedGet */
#define WIRE_SHARED_CREDIT_MAX 64 /* SharedData messages on their way for one request */
#define WIRE_SHARED_ENTRY_MAX (8u * 1024 * 1024)

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_WELCOME,
	WIRE_REFUSED,
	WIRE_JOIN,
	WIRE_JOINED,
	WIRE_ROTATE,
	WIRE_ROTATED,
	WIRE_SUCCESSOR,

	WIRE_JOB_REQUEST = 16,
	WIRE_JOB_QUEUED,
	WIRE_JOB_PLACED,
	WIRE_JOB_DENIED,
	WIRE_JOB_RETRY,
	WIRE_JOB_FINISHED,
	WIRE_JOB_CANCEL,
	WIRE_STATUS_REQUEST,
	WIRE_STATUS,
	WIRE_PRODUCERS_ASK,
	WIRE_PRODUCERS,
	WIRE_CACHE_PURGE,
	WIRE_CACHE_PURGED,
	WIRE_PUSH_PROGRESS = 31,

	WIRE_WORKER_REGISTER = 32,
	WIRE_WORKER_HEARTBEAT,
	WIRE_HEARTBEAT_ACK,
	WIRE_WORKER_JOB_STARTED,
	WIRE_WORKER_JOB_ENDED,
	WIRE_WORKER_CANCEL,
	WIRE_WORKER_BYE,
	WIRE_WORKER_JOB_REFUSED,
	WIRE_WORKER_EXPECT,
	WIRE_WORKER_LEND,
	WIRE_WORKER_LENT,
	WIRE_WORKER_UNSHARED,
	WIRE_WORKER_HOLDS,
	WIRE_WORKER_SEEK,
	WIRE_WORKER_FOUND,
	WIRE_WORKER_DROP,

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
	WIRE_JOB_UNIT,

	WIRE_SHARED_GET = 72,
	WIRE_SHARED_DATA,
	WIRE_SHARED_CREDIT,
	WIRE_SHARED_PUT,
	WIRE_SHARED_STOP,
	WIRE_SHARED_END,

	WIRE_ADMIN_LOOK = 96,
	WIRE_ADMIN_VIEW,
	WIRE_ADMIN_ACT,
	WIRE_ADMIN_DONE,
	WIRE_ADMIN_FOLLOW,
	WIRE_ADMIN_EVENTS,
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
static inline bool
wire_is_of_job(unsigned type)
{
	return type >= WIRE_JOB_OPEN;
}
static inline size_t
wire_header_size(unsigned type)
{
	return wire_is_of_job(type) ? WIRE_JOB_HEADER_SIZE : WIRE_HEADER_SIZE;
}
/* The largest frame of any message that one of these senders sends (wire_side bits), in bytes. */
size_t wire_frame_max(unsigned senders);

/* A decoded message. */
struct wire_msg {
	const struct wire_info *info;
	ProtobufCMessage *body; /* cast to the type's struct; never NULL after decoding */
	zmq_msg_t payload;	/* initialised always; empty when there is none */
	unsigned version;	/* the sender's */
	uint32_t job;		/* its number; 0 in a message about none */
};

#define WIRE_MSG_INIT                       \
	{                                   \
		NULL, NULL, { { 0 } }, 0, 0 \
	}

/* A message as it came: its frames, and what its header says. Nothing of its body is decoded. */
struct wire_raw {
	const struct wire_info *info; /* NULL: none */
	unsigned version;
	uint32_t job;
	zmq_msg_t header, payload; /* initialised always */
	bool has_payload;
};

void wire_raw_init(struct wire_raw *raw);
void wire_raw_done(struct wire_raw *raw);
/* What it took on the wire, at most; 0 when nothing was taken. */
size_t wire_raw_size(const struct wire_raw *raw);

void wire_msg_done(struct wire_msg *m); /* also on one that was only WIRE_MSG_INIT */

/* Decodes one header frame and an optional payload. Takes the payload's content out of *payload
 * (which may be NULL). from: one wire_side bit, what the other end is.
 * 0; or -EBADMSG (not ours, or malformed), -EPROTO (version), -EMSGSIZE, -EPERM (wrong sender).
 * For each of these wire_verdict_of gives what to tell the peer. */
int wire_decode(
	const void *header, size_t n, zmq_msg_t *payload, unsigned from, struct wire_msg *ret);
Dray__Verdict wire_verdict_of(int err);

/* Decodes what came in pieces; freed by protobuf_c_message_free_unpacked. Its memory is bounded by
 * n, and by four times max. 0; -EBADMSG, -EMSGSIZE (n is above max, or it is too dear). */
int wire_unpack(const ProtobufCMessageDescriptor *desc, const void *p, size_t n, size_t max,
	ProtobufCMessage **ret);

/* A Hello of this version. role: client, worker or admin (link.proto); it stays the caller's, and
 * lives as long as *ret. */
void wire_hello(Dray__Hello *ret, char *role);
/* The same of one that hears of a coordinator's other keys (link.proto, Successor). */
void wire_hello_hears(Dray__Hello *ret, char *role);

/* Sends a message: [routing id frame when not NULL,] header, payload when not NULL. A type whose
 * row allows a payload always has the frame (n may be 0). Never blocks: -EAGAIN when the peer's
 * queue is full, -EHOSTUNREACH when a ROUTER does not know the peer. -EMSGSIZE when the row forbids
 * it. */
int wire_send(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, const void *payload, size_t n);
/* The same, the payload given as a ready zmq message, whose content is taken on success. */
int wire_send_msg(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload);
/* The same about a job of that number; wire_send and wire_send_msg say 0. */
int wire_send_job(void *socket, const struct wire_peer *to, uint32_t job, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload);

/* The header frame of a message without payload, to be sent as it is. 0; -EMSGSIZE; -EINVAL;
 * -ENOMEM. */
int wire_encode(enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *ret);
/* The header frame of any message, about a job or a request of that number. */
int wire_encode_number(
	enum wire_type type, uint32_t number, const ProtobufCMessage *body, zmq_msg_t *ret);

/* Receives one whole message without blocking. ret_peer is filled for a ROUTER (NULL for others).
 * 0; -EAGAIN when there is none; the errors of wire_decode, after which the rest of that message
 * has been drained and *ret_peer still names its sender; its id_len is 0 where that chose its name
 * itself, and is to be left alone: such a one cannot be told apart, or be seen to go. Accepts
 * [peer,] header [, payload] only. */
int wire_recv(void *socket, struct wire_peer *ret_peer, unsigned from, struct wire_msg *ret);

/* The same in two steps. wire_take receives a message and checks its header and sizes against its
 * type's row; with the errors of wire_recv. wire_open decodes it: 0, or -EBADMSG, -EMSGSIZE. */
int wire_take(void *socket, struct wire_peer *ret_peer, unsigned from, struct wire_raw *ret);
int wire_open(struct wire_raw *raw, struct wire_msg *ret);
/* Sends a message that was taken, as it is; its content goes along. -EAGAIN. */
int wire_pass(void *socket, struct wire_raw *raw);

#endif
