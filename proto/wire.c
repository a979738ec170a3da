/* Messages on the wire: one table, one encoder, one decoder.
 *
 * Invariant: nothing of a message is looked at before it fits its row. Magic, version, type, sender
 * and sizes are checked on the raw frames, and only then does protobuf-c see the body, with a bound
 * on what it may allocate: a body of tiny repeated fields would else grow forty-fold in memory. */
#include "config.h"

#include "proto/wire.h"

#include <errno.h>

#include "proto/unpack.h"

#define KIB 1024u
#define MIB (1024u * 1024)

#define FRAME_COST 42 /* of CURVE and ZMTP, at most */

#define CLIENT WIRE_FROM_CLIENT
#define WORKER WIRE_FROM_WORKER
#define COORDINATOR WIRE_FROM_COORDINATOR

static const char wire_magic[4] = { 'D', 'R', 'A', 'Y' };

/* Sorted by type: wire_info searches it. Chunk headers are small and their payload has the bulk. */
static const struct wire_info wire_table[] = {
	{ WIRE_HELLO, "Hello", &dray__hello__descriptor, 4 * KIB, 0, CLIENT | WORKER },
	{ WIRE_WELCOME, "Welcome", &dray__welcome__descriptor, 4 * KIB, 0, COORDINATOR | WORKER },
	{ WIRE_REFUSED, "Refused", &dray__refused__descriptor, 4 * KIB, 0, COORDINATOR | WORKER },
	{ WIRE_JOIN, "Join", &dray__join__descriptor, 20 * KIB, 0, CLIENT | WORKER },
	{ WIRE_JOINED, "Joined", &dray__joined__descriptor, KIB, 0, COORDINATOR },
	{ WIRE_ROTATE, "Rotate", &dray__rotate__descriptor, KIB, 0, CLIENT | WORKER },
	{ WIRE_ROTATED, "Rotated", &dray__rotated__descriptor, KIB, 0, COORDINATOR },
	{ WIRE_SUCCESSOR, "Successor", &dray__successor__descriptor, KIB, 0, COORDINATOR },

	{ WIRE_JOB_REQUEST, "JobRequest", &dray__job_request__descriptor, 4 * KIB, 0, CLIENT },
	{ WIRE_JOB_QUEUED, "JobQueued", &dray__job_queued__descriptor, KIB, 0, COORDINATOR },
	{ WIRE_JOB_PLACED, "JobPlaced", &dray__job_placed__descriptor, 4 * KIB, 0, COORDINATOR },
	{ WIRE_JOB_DENIED, "JobDenied", &dray__job_denied__descriptor, 4 * KIB, 0, COORDINATOR },
	{ WIRE_JOB_RETRY, "JobRetry", &dray__job_retry__descriptor, 4 * KIB, 0, CLIENT },
	{ WIRE_JOB_FINISHED, "JobFinished", &dray__job_finished__descriptor, KIB, 0, CLIENT },
	{ WIRE_JOB_CANCEL, "JobCancel", &dray__job_cancel__descriptor, KIB, 0, CLIENT },
	{ WIRE_STATUS_REQUEST, "StatusRequest", &dray__status_request__descriptor, KIB, 0, CLIENT },
	{ WIRE_STATUS, "Status", &dray__status__descriptor, 4 * MIB, 0, COORDINATOR },
	{ WIRE_PRODUCERS_ASK, "ProducersAsk", &dray__producers_ask__descriptor, KIB, 0,
		CLIENT | WORKER },
	/* more than a list of keys can name (keys/allowed.c) */
	{ WIRE_PRODUCERS, "Producers", &dray__producers__descriptor, 4 * MIB, 0, COORDINATOR },
	{ WIRE_CACHE_PURGE, "CachePurge", &dray__cache_purge__descriptor, KIB, 0, CLIENT },
	{ WIRE_CACHE_PURGED, "CachePurged", &dray__cache_purged__descriptor, KIB, 0, COORDINATOR },
	{ WIRE_PUSH_PROGRESS, "PushProgress", &dray__push_progress__descriptor, KIB, 0, CLIENT },

	{ WIRE_WORKER_REGISTER, "WorkerRegister", &dray__worker_register__descriptor, MIB, 0,
		WORKER },
	{ WIRE_WORKER_HEARTBEAT, "WorkerHeartbeat", &dray__worker_heartbeat__descriptor, KIB, 0,
		WORKER },
	{ WIRE_HEARTBEAT_ACK, "HeartbeatAck", &dray__heartbeat_ack__descriptor, KIB, 0,
		COORDINATOR },
	{ WIRE_WORKER_JOB_STARTED, "WorkerJobStarted", &dray__worker_job_started__descriptor, KIB,
		0, WORKER },
	{ WIRE_WORKER_JOB_ENDED, "WorkerJobEnded", &dray__worker_job_ended__descriptor, 4 * KIB, 0,
		WORKER },
	{ WIRE_WORKER_CANCEL, "WorkerCancel", &dray__worker_cancel__descriptor, KIB, 0,
		COORDINATOR },
	{ WIRE_WORKER_BYE, "WorkerBye", &dray__worker_bye__descriptor, KIB, 0, WORKER },
	{ WIRE_WORKER_JOB_REFUSED, "WorkerJobRefused", &dray__worker_job_refused__descriptor, KIB,
		0, WORKER },
	{ WIRE_WORKER_EXPECT, "WorkerExpect", &dray__worker_expect__descriptor, KIB, 0,
		COORDINATOR },
	{ WIRE_WORKER_LEND, "WorkerLend", &dray__worker_lend__descriptor, 4 * KIB, 0, COORDINATOR },
	{ WIRE_WORKER_LENT, "WorkerLent", &dray__worker_lent__descriptor, KIB, 0, WORKER },
	{ WIRE_WORKER_UNSHARED, "WorkerUnshared", &dray__worker_unshared__descriptor, 2 * MIB, 0,
		COORDINATOR },

	{ WIRE_WORKER_HOLDS, "WorkerHolds", &dray__worker_holds__descriptor, 192 * KIB, 0, WORKER },
	{ WIRE_WORKER_SEEK, "WorkerSeek", &dray__worker_seek__descriptor, 64 * KIB, 0, WORKER },
	{ WIRE_WORKER_FOUND, "WorkerFound", &dray__worker_found__descriptor, 64 * KIB, 0,
		COORDINATOR },
	{ WIRE_WORKER_DROP, "WorkerDrop", &dray__worker_drop__descriptor, KIB, 0, COORDINATOR },

	{ WIRE_JOB_OPEN, "JobOpen", &dray__job_open__descriptor, 4 * KIB, 0, CLIENT },
	{ WIRE_JOB_ACCEPTED, "JobAccepted", &dray__job_accepted__descriptor, KIB, 0, WORKER },
	{ WIRE_JOB_REJECTED, "JobRejected", &dray__job_rejected__descriptor, 4 * KIB, 0, WORKER },
	{ WIRE_BLOB_NEED, "BlobNeed", &dray__blob_need__descriptor, MIB, 0, WORKER },
	{ WIRE_BLOB_CHUNK, "BlobChunk", &dray__blob_chunk__descriptor, 256, WIRE_PAYLOAD_MAX,
		CLIENT },
	{ WIRE_CREDIT, "Credit", &dray__credit__descriptor, 256, 0, CLIENT | WORKER },
	{ WIRE_JOB_STARTED, "JobStarted", &dray__job_started__descriptor, KIB, 0, WORKER },
	{ WIRE_JOB_TEXT, "JobText", &dray__job_text__descriptor, 64, WIRE_CHUNK_MAX, WORKER },
	{ WIRE_OUTPUT_BEGIN, "OutputBegin", &dray__output_begin__descriptor, 8 * KIB, 0, WORKER },
	{ WIRE_OUTPUT_CHUNK, "OutputChunk", &dray__output_chunk__descriptor, 256, WIRE_PAYLOAD_MAX,
		WORKER },
	{ WIRE_JOB_RESULT, "JobResult", &dray__job_result__descriptor, WIRE_BODY_MAX, 0, WORKER },
	{ WIRE_JOB_STOP, "JobStop", &dray__job_stop__descriptor, KIB, 0, CLIENT },
	{ WIRE_FILE_NEED, "FileNeed", &dray__file_need__descriptor, 8 * KIB, 0, WORKER },
	{ WIRE_FILE_ANSWER, "FileAnswer", &dray__file_answer__descriptor, 4 * KIB, 0, CLIENT },
	{ WIRE_JOB_UNIT, "JobUnit", &dray__job_unit__descriptor, 256, WIRE_PAYLOAD_MAX, CLIENT },

	{ WIRE_SHARED_GET, "SharedGet", &dray__shared_get__descriptor, 16 * KIB, 0,
		CLIENT | WORKER },
	{ WIRE_SHARED_DATA, "SharedData", &dray__shared_data__descriptor, 256, WIRE_PAYLOAD_MAX,
		CLIENT | WORKER | COORDINATOR },
	{ WIRE_SHARED_CREDIT, "SharedCredit", &dray__shared_credit__descriptor, 256, 0,
		CLIENT | WORKER | COORDINATOR },
	{ WIRE_SHARED_PUT, "SharedPut", &dray__shared_put__descriptor, KIB, 0, CLIENT | WORKER },
	{ WIRE_SHARED_STOP, "SharedStop", &dray__shared_stop__descriptor, 256, 0, CLIENT | WORKER },
	{ WIRE_SHARED_END, "SharedEnd", &dray__shared_end__descriptor, 4 * KIB, 0,
		WORKER | COORDINATOR },

	{ WIRE_ADMIN_LOOK, "AdminLook", &dray__admin_look__descriptor, 256, 0, CLIENT },
	{ WIRE_ADMIN_VIEW, "AdminView", &dray__admin_view__descriptor, WIRE_BODY_MAX, 0,
		COORDINATOR },
	{ WIRE_ADMIN_ACT, "AdminAct", &dray__admin_act__descriptor, KIB, 0, CLIENT },
	{ WIRE_ADMIN_DONE, "AdminDone", &dray__admin_done__descriptor, 4 * KIB, 0, COORDINATOR },
	{ WIRE_ADMIN_FOLLOW, "AdminFollow", &dray__admin_follow__descriptor, 256, 0, CLIENT },
	{ WIRE_ADMIN_EVENTS, "AdminEvents", &dray__admin_events__descriptor, MIB, 0, COORDINATOR },
};

const struct wire_info *
wire_info(unsigned type)
{
	size_t low = 0, high = ARRAY_LEN(wire_table);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if ((unsigned)wire_table[mid].type == type)
			return &wire_table[mid];
		if ((unsigned)wire_table[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

size_t
wire_frame_max(unsigned senders)
{
	size_t max = 0;

	for (size_t i = 0; i < ARRAY_LEN(wire_table); i++)
		if (wire_table[i].senders & senders)
			max = MAX2(max, MAX2(WIRE_HEADER_MAX + wire_table[i].body_max,
						wire_table[i].payload_max));
	return max;
}

Dray__Verdict
wire_verdict_of(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return DRAY__VERDICT__VERDICT_NONE;
	case EPROTO:
		return DRAY__VERDICT__VERDICT_VERSION;
	case EMSGSIZE:
		return DRAY__VERDICT__VERDICT_TOO_LARGE;
	case EPERM:
		return DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	default:
		return DRAY__VERDICT__VERDICT_MALFORMED;
	}
}

static void
wire_msg_init(struct wire_msg *m)
{
	m->info = NULL;
	m->body = NULL;
	m->version = 0;
	m->job = 0;
	zmq_msg_init(&m->payload);
}

void
wire_msg_done(struct wire_msg *m)
{
	/* The bounded allocator's memory is malloc's, so the default one may free it. */
	if (m->body)
		protobuf_c_message_free_unpacked(m->body, NULL);
	/* On one that was never initialised (WIRE_MSG_INIT) libzmq says EFAULT and does nothing. */
	zmq_msg_close(&m->payload);
	wire_msg_init(m);
}

/* The dearest honest body is a list of short strings ("-C"): 4 bytes there are 8 for the pointer, 3
 * for the text and 40 in protobuf-c's list of scanned fields. 32 times a small body lets these
 * through; 8 times the type's largest stops a large one made of nothing else. */
static size_t
budget_for(const struct wire_info *info, size_t n)
{
	size_t by_type = MAX2(8 * info->body_max, (size_t)(16 * KIB));

	return MIN2(by_type, 64 * KIB + 32 * n);
}

static int
unpack(const struct wire_info *info, const uint8_t *p, size_t n, ProtobufCMessage **ret)
{
	return unpack_within(info->desc, p, n, budget_for(info, n), ret);
}

int
wire_unpack(const ProtobufCMessageDescriptor *desc, const void *p, size_t n, size_t max,
	ProtobufCMessage **ret)
{
	return n > max ? -EMSGSIZE
		       : unpack_within(desc, p, n, MIN2(4 * max, 64 * KIB + 32 * n), ret);
}

static unsigned
get_be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Hello and Refused are read in every version: they are how two versions tell each other so. */
static bool
any_version(unsigned type)
{
	return type == WIRE_HELLO || type == WIRE_REFUSED;
}

static int
check_payload(const struct wire_info *info, const zmq_msg_t *payload)
{
	if (!payload != !info->payload_max)
		return -EBADMSG;
	if (payload && zmq_msg_size(payload) > info->payload_max)
		return -EMSGSIZE;
	return 0;
}

static uint32_t
get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

struct header {
	const struct wire_info *info;
	unsigned version;
	uint32_t job;
	size_t size; /* the body begins there */
};

/* All that can be said of a message without its body. */
static int
read_header(const uint8_t *p, size_t n, const zmq_msg_t *payload, unsigned from, struct header *ret)
{
	struct header h = { NULL, 0, 0, WIRE_HEADER_SIZE };
	unsigned type;
	int r;

	if (n < WIRE_HEADER_SIZE || memcmp(p, wire_magic, sizeof(wire_magic)) != 0)
		return -EBADMSG;
	h.version = get_be16(p + 4);
	type = get_be16(p + 6);
	if (h.version != WIRE_VERSION && !any_version(type))
		return -EPROTO;
	h.info = wire_info(type);
	if (!h.info)
		return -EBADMSG;
	if (!(h.info->senders & from))
		return -EPERM;
	h.size = wire_header_size(type);
	if (n < h.size)
		return -EBADMSG;
	if (wire_is_of_job(type))
		h.job = get_be32(p + WIRE_HEADER_SIZE);
	if (n - h.size > h.info->body_max)
		return -EMSGSIZE;
	r = check_payload(h.info, payload);
	if (r == 0)
		*ret = h;
	return r;
}

int
wire_decode(const void *header, size_t n, zmq_msg_t *payload, unsigned from, struct wire_msg *ret)
{
	struct header h;
	int r;

	wire_msg_init(ret);
	r = read_header(header, n, payload, from, &h);
	if (r == 0)
		r = unpack(h.info, (const uint8_t *)header + h.size, n - h.size, &ret->body);
	if (r < 0)
		return r;
	if (payload)
		zmq_msg_move(&ret->payload, payload);
	ret->info = h.info;
	ret->version = h.version;
	ret->job = h.job;
	return 0;
}

void
wire_raw_init(struct wire_raw *raw)
{
	*raw = (struct wire_raw){ .info = NULL };
	zmq_msg_init(&raw->header);
	zmq_msg_init(&raw->payload);
}

void
wire_raw_done(struct wire_raw *raw)
{
	zmq_msg_close(&raw->header);
	zmq_msg_close(&raw->payload);
	wire_raw_init(raw);
}

size_t
wire_raw_size(const struct wire_raw *raw)
{
	size_t n = raw->info ? zmq_msg_size(&raw->header) + FRAME_COST : 0;

	return raw->has_payload ? n + zmq_msg_size(&raw->payload) + FRAME_COST : n;
}

int
wire_open(struct wire_raw *raw, struct wire_msg *ret)
{
	const uint8_t *p = zmq_msg_data(&raw->header);
	size_t n = zmq_msg_size(&raw->header), head;
	int r;

	wire_msg_init(ret);
	if (!raw->info)
		return -EBADMSG;
	head = wire_header_size(raw->info->type);
	r = unpack(raw->info, p + head, n - head, &ret->body);
	if (r < 0)
		return r;
	if (raw->has_payload)
		zmq_msg_move(&ret->payload, &raw->payload);
	ret->info = raw->info;
	ret->version = raw->version;
	ret->job = raw->job;
	return 0;
}

static void
msg_closep(zmq_msg_t *m)
{
	zmq_msg_close(m);
}

/* EINTR can only come from a wait inside libzmq: nothing has been taken then. */
static int
send_frame(void *socket, zmq_msg_t *frame, bool more)
{
	int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);

	while (zmq_msg_send(frame, socket, flags) < 0)
		if (zmq_errno() != EINTR)
			return -zmq_errno();
	return 0;
}

static int
recv_frame(void *socket, zmq_msg_t *frame)
{
	while (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0)
		if (zmq_errno() != EINTR)
			return -zmq_errno();
	return 0;
}

static uint8_t *
put_be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static int
encode_header(
	const struct wire_info *info, uint32_t job, const ProtobufCMessage *body, zmq_msg_t *ret)
{
	size_t n = protobuf_c_message_get_packed_size(body);
	uint8_t *p;

	if (n > info->body_max)
		return -EMSGSIZE;
	if (zmq_msg_init_size(ret, wire_header_size(info->type) + n) < 0)
		return -ENOMEM;
	p = zmq_msg_data(ret);
	memcpy(p, wire_magic, sizeof(wire_magic));
	p = put_be16(p + sizeof(wire_magic), WIRE_VERSION);
	p = put_be16(p, (unsigned)info->type);
	if (wire_is_of_job(info->type))
		p = put_be16(put_be16(p, job >> 16), job & 0xffff);
	protobuf_c_message_pack(body, p);
	return 0;
}

int
wire_encode(enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *ret)
{
	const struct wire_info *info = wire_info(type);

	if (!info || info->payload_max || body->descriptor != info->desc)
		return -EINVAL;
	return encode_header(info, 0, body, ret);
}

/* Only the first frame can fail for a reason of the peer's (full, unknown): libzmq counts and
 * routes whole messages, so what follows a first frame that was taken is taken too. */
int
wire_send_job(void *socket, const struct wire_peer *to, uint32_t job, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	const struct wire_info *info = wire_info(type);
	_cleanup_(msg_closep) zmq_msg_t header = { { 0 } };
	int r;

	if (!info || body->descriptor != info->desc)
		return -EINVAL;
	if (check_payload(info, payload) < 0)
		return -EMSGSIZE;
	r = encode_header(info, job, body, &header);
	if (r < 0)
		return r;
	if (to) {
		_cleanup_(msg_closep) zmq_msg_t id = { { 0 } };

		if (zmq_msg_init_size(&id, to->id_len) < 0)
			return -ENOMEM;
		memcpy(zmq_msg_data(&id), to->id, to->id_len);
		r = send_frame(socket, &id, true);
		if (r < 0)
			return r;
	}
	r = send_frame(socket, &header, payload != NULL);
	if (r < 0 || !payload)
		return r;
	return send_frame(socket, payload, false);
}

int
wire_send_msg(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	return wire_send_job(socket, to, 0, type, body, payload);
}

int
wire_pass(void *socket, struct wire_raw *raw)
{
	int r = send_frame(socket, &raw->header, raw->has_payload);

	return r < 0 || !raw->has_payload ? r : send_frame(socket, &raw->payload, false);
}

void
wire_hello(Dray__Hello *ret, char *role)
{
	static char software[] = "dray " PACKAGE_VERSION;

	dray__hello__init(ret);
	ret->version_min = ret->version_max = WIRE_VERSION;
	ret->role = role;
	ret->software = software;
}

void
wire_hello_hears(Dray__Hello *ret, char *role)
{
	static char hears[] = WIRE_HEARS;
	static char *features[] = { hears };

	wire_hello(ret, role);
	ret->features = features;
	ret->n_features = ARRAY_LEN(features);
}

int
wire_send(void *socket, const struct wire_peer *to, enum wire_type type,
	const ProtobufCMessage *body, const void *payload, size_t n)
{
	const struct wire_info *info = wire_info(type);
	_cleanup_(msg_closep) zmq_msg_t frame = { { 0 } };

	if (!info)
		return -EINVAL;
	if (!info->payload_max)
		return n ? -EMSGSIZE : wire_send_msg(socket, to, type, body, NULL);
	if (n > info->payload_max)
		return -EMSGSIZE;
	if (zmq_msg_init_size(&frame, n) < 0)
		return -ENOMEM;
	if (n)
		memcpy(zmq_msg_data(&frame), payload, n);
	return wire_send_msg(socket, to, type, body, &frame);
}

int
wire_encode_number(
	enum wire_type type, uint32_t number, const ProtobufCMessage *body, zmq_msg_t *ret)
{
	const struct wire_info *info = wire_info(type);

	if (!info || body->descriptor != info->desc)
		return -EINVAL;
	return encode_header(info, number, body, ret);
}

/* Takes the rest of a message that is not looked at. */
static void
drain(void *socket, zmq_msg_t *last)
{
	while (zmq_msg_more(last))
		if (recv_frame(socket, last) < 0)
			return;
}

/* A routing id that libzmq made is a zero byte and a counter. A peer that chose its own is nobody:
 * two connections could claim one name, and monitor.c tells old from new by the counter, so that
 * what is kept of such a one would be kept for ever. */
static bool
peer_from_frame(zmq_msg_t *frame, struct wire_peer *ret)
{
	const uint8_t *p = zmq_msg_data(frame);
	size_t n = zmq_msg_size(frame);

	memset(ret, 0, sizeof(*ret));
	ret->fd = -1;
	if (n != 5 || p[0] != 0)
		return false;
	memcpy(ret->id, p, n);
	ret->id_len = (uint8_t)n;
	return true;
}

/* What libzmq knows of the connection a frame came on. User-Id is what ZAP vouched for (zap.c). */
static void
peer_from_header(zmq_msg_t *header, struct wire_peer *ret)
{
	const char *user = zmq_msg_gets(header, "User-Id");
	size_t n = user ? strlen(user) : 0;

	ret->fd = zmq_msg_get(header, ZMQ_SRCFD);
	if (n && n < sizeof(ret->curve))
		memcpy(ret->curve, user, n + 1);
}

/* Receives the frames of one message. -EAGAIN: there is none; -EBADMSG: they are no message. */
static int
take_frames(void *socket, struct wire_peer *ret_peer, struct wire_raw *raw)
{
	bool known = true;
	int r = recv_frame(socket, &raw->header);

	if (r < 0)
		return r;
	if (ret_peer) {
		known = peer_from_frame(&raw->header, ret_peer);
		if (!zmq_msg_more(&raw->header))
			return -EBADMSG;
		r = recv_frame(socket, &raw->header);
		if (r < 0)
			return r;
		peer_from_header(&raw->header, ret_peer);
	}
	if (zmq_msg_more(&raw->header)) {
		raw->has_payload = true;
		r = recv_frame(socket, &raw->payload);
		if (r < 0)
			return r;
	}
	if (!known || (raw->has_payload && zmq_msg_more(&raw->payload))) {
		drain(socket, raw->has_payload ? &raw->payload : &raw->header);
		return -EBADMSG;
	}
	return 0;
}

int
wire_take(void *socket, struct wire_peer *ret_peer, unsigned from, struct wire_raw *ret)
{
	struct header h;
	int r;

	wire_raw_init(ret);
	r = take_frames(socket, ret_peer, ret);
	if (r == 0)
		r = read_header(zmq_msg_data(&ret->header), zmq_msg_size(&ret->header),
			ret->has_payload ? &ret->payload : NULL, from, &h);
	if (r < 0) {
		wire_raw_done(ret);
		return r;
	}
	ret->info = h.info;
	ret->version = h.version;
	ret->job = h.job;
	return 0;
}

int
wire_recv(void *socket, struct wire_peer *ret_peer, unsigned from, struct wire_msg *ret)
{
	_cleanup_(wire_raw_done) struct wire_raw raw;
	int r;

	wire_msg_init(ret);
	r = wire_take(socket, ret_peer, from, &raw);
	return r < 0 ? r : wire_open(&raw, ret);
}
