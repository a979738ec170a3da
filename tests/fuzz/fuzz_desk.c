/* The coordinator's shared cache, told anything by two peers in any order: each byte triple is a
 * message with its fields, a peer that goes, a turn of the threads, or time that passes. What it
 * has on its way stays within its bound, and when its peers are gone it has nothing. */
#include "config.h"

#include <stdio.h>

#include "common/digest.h"
#include "common/fs.h"
#include "coordinator/cache/desk.h"
#include "coordinator/cache/turns.h"
#include "proto/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
host_send(void *arg, uint64_t serial, uint32_t number, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	(void)arg;
	(void)serial;
	(void)number;
	/* What could not be packed could not be sent. */
	if (protobuf_c_message_get_packed_size(body) > wire_info(type)->body_max)
		abort();
	if (payload && zmq_msg_size(payload) > wire_info(type)->payload_max)
		abort();
}

static void
host_drop(void *arg, uint64_t serial, const char *why)
{
	(void)why;
	*(uint64_t *)arg = serial;
}

struct play {
	struct desk *desk;
	uint64_t now, dropped;
};

static void
hear(struct play *a, uint64_t serial, uint32_t number, enum wire_type type, ProtobufCMessage *body,
	size_t payload)
{
	const struct desk_who who = {
		.serial = serial, .account = serial, .namespace = serial & 1 ? "a" : ""
	};
	struct wire_msg m = { .info = wire_info(type), .body = body, .job = number };
	const char *why;

	if (zmq_msg_init_size(&m.payload, payload) < 0)
		return;
	memset(zmq_msg_data(&m.payload), 'x', payload);
	if (desk_hear(a->desk, &who, &m, a->now, &why) < 0)
		desk_gone(a->desk, serial);
	zmq_msg_close(&m.payload);
}

static void
say_get(struct play *a, uint64_t serial, uint32_t number, uint8_t x)
{
	uint8_t names[4][DIGEST_SIZE] = { { 0 }, { 1 }, { 2 }, { x } };
	ProtobufCBinaryData v[4];
	Dray__SharedGet m;

	dray__shared_get__init(&m);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i] = (ProtobufCBinaryData){ x == 99 ? 3 : DIGEST_SIZE, names[i] };
	m.name = v;
	m.n_name = x & 3;
	m.credit = x & 7;
	m.entry = x & 8;
	m.look = x & 16;
	m.compress = x & 32;
	m.most = x & 64 ? x : 0;
	hear(a, serial, number, WIRE_SHARED_GET, &m.base, 0);
}

static void
say_put(struct play *a, uint64_t serial, uint32_t number, uint8_t x)
{
	uint8_t name[DIGEST_SIZE] = { x & 3 };
	Dray__SharedPut m;

	dray__shared_put__init(&m);
	m.name = (ProtobufCBinaryData){ x == 99 ? 31 : DIGEST_SIZE, name };
	m.entry = x & 4;
	m.size = x & 128 ? UINT64_MAX : x >> 3;
	hear(a, serial, number, WIRE_SHARED_PUT, &m.base, 0);
}

static void
say_data(struct play *a, uint64_t serial, uint32_t number, uint8_t x)
{
	Dray__SharedData m;

	dray__shared_data__init(&m);
	m.size = x & 15;
	m.offset = x & 64 ? 1 : 0;
	m.last = x & 16;
	m.zstd = x & 32;
	hear(a, serial, number, WIRE_SHARED_DATA, &m.base, m.size + (x & 128 ? 1 : 0));
}

static void
say_credit(struct play *a, uint64_t serial, uint32_t number, uint8_t x)
{
	Dray__SharedCredit m;

	dray__shared_credit__init(&m);
	m.n = x & 128 ? UINT32_MAX : x & 3;
	hear(a, serial, number, WIRE_SHARED_CREDIT, &m.base, 0);
}

static void
play(struct play *a, const uint8_t p[3])
{
	uint64_t serial = 1 + (p[1] & 1);
	uint32_t number = p[1] >> 1 & 3;
	Dray__SharedStop stop;

	switch (p[0] % 9) {
	case 0:
	case 1:
		say_get(a, serial, number, p[2]);
		return;
	case 2:
		say_put(a, serial, number, p[2]);
		return;
	case 3:
		say_data(a, serial, number, p[2]);
		return;
	case 4:
		say_credit(a, serial, number, p[2]);
		return;
	case 5:
		dray__shared_stop__init(&stop);
		hear(a, serial, number, WIRE_SHARED_STOP, &stop.base, 0);
		return;
	case 6:
		desk_gone(a->desk, serial);
		return;
	case 7:
		a->now += (uint64_t)p[2] * 300;
		desk_tick(a->desk, a->now);
		if (a->dropped)
			desk_gone(a->desk, a->dropped);
		a->dropped = 0;
		return;
	default:
		desk_step(a->desk, a->now);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct conf *conf;
	static char *dir;
	struct play a = { NULL, 1000, 0 };
	const struct desk_host host = { &a.dropped, host_send, host_drop, NULL, NULL };
	struct desk_stats st;
	char text[256], *error = NULL;

	if (!conf) {
		if (conf_parse("", 0, "none", &conf, &error) < 0 ||
			fs_make_temp_dir("/tmp", "dray-fuzz-", &dir) < 0)
			abort();
		snprintf(text, sizeof(text), "coordinator.cache_dir=%s", dir);
		if (conf_set(conf, text, &error) < 0)
			abort();
	}
	if (desk_new(conf, &host, false, &a.desk, &error) < 0)
		abort();
	for (; n >= 3 && n < 3000; p += 3, n -= 3) {
		play(&a, p);
		desk_get_stats(a.desk, &st);
		if (st.in_memory > TURNS_ALL_MAX)
			abort();
	}
	desk_gone(a.desk, 1);
	desk_gone(a.desk, 2);
	for (int i = 0; i < 8; i++)
		desk_step(a.desk, a.now);
	desk_get_stats(a.desk, &st);
	if (st.in_memory || st.requests)
		abort();
	desk_free(a.desk);
	return 0;
}
