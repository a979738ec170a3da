/* wire_decode: every type, every side, with and without a payload. The first three bytes choose
 * type, sender and payload, the rest is the body, or the whole frame. What decodes is packed and
 * decoded again, where it may be refused (protobuf-c reads an unknown field numbered 0 in two
 * bytes, and writes it in one, which it does not read), but for its contents only. */
#include "config.h"

#include <errno.h>

#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
again(const struct wire_msg *m, unsigned from)
{
	size_t n = protobuf_c_message_get_packed_size(m->body);
	size_t head = wire_header_size(m->info->type);
	_cleanup_(wire_msg_done) struct wire_msg second = WIRE_MSG_INIT;
	uint8_t *frame = calloc(1, head + n);
	zmq_msg_t payload;
	int r;

	if (!frame)
		return;
	memcpy(frame, "DRAY", 4);
	frame[4] = 0;
	frame[5] = WIRE_VERSION;
	frame[6] = (uint8_t)((unsigned)m->info->type >> 8);
	frame[7] = (uint8_t)m->info->type;
	protobuf_c_message_pack(m->body, frame + head);
	zmq_msg_init(&payload);
	r = wire_decode(frame, head + n, m->info->payload_max ? &payload : NULL, from, &second);
	if (r != 0 && r != -EBADMSG && r != -EMSGSIZE)
		abort();
	zmq_msg_close(&payload);
	free(frame);
}

static void
try_frame(const uint8_t *frame, size_t n, unsigned from, size_t payload_n, bool has_payload)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	zmq_msg_t payload;

	if (zmq_msg_init_size(&payload, payload_n) < 0)
		return;
	memset(zmq_msg_data(&payload), 'p', payload_n);
	if (wire_decode(frame, n, has_payload ? &payload : NULL, from, &m) == 0)
		again(&m, from);
	else if (m.body || m.info)
		abort();
	zmq_msg_close(&payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	unsigned from;
	uint8_t *frame;

	if (n < 3)
		return 0;
	from = 1u << (p[1] % 3);
	if (p[2] & 1) {
		try_frame(p + 3, n - 3, from, p[2], p[2] & 2);
		return 0;
	}
	frame = malloc(WIRE_HEADER_SIZE + n - 3);
	if (!frame)
		return 0;
	memcpy(frame, "DRAY", 4);
	frame[4] = 0;
	frame[5] = WIRE_VERSION;
	frame[6] = 0;
	frame[7] = p[0] & 127;
	memcpy(frame + WIRE_HEADER_SIZE, p + 3, n - 3);
	for (from = 1; from <= 4; from <<= 1) {
		try_frame(frame, WIRE_HEADER_SIZE + n - 3, from, 0, false);
		try_frame(frame, WIRE_HEADER_SIZE + n - 3, from, p[2], true);
	}
	free(frame);
	return 0;
}
