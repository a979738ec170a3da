/* wire.c: the table, what the decoder refuses and why, and whole messages through real sockets. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/socket.h"
#include "proto/wire.h"

#define ANYONE (WIRE_FROM_CLIENT | WIRE_FROM_WORKER | WIRE_FROM_COORDINATOR)

static const enum wire_type all_types[] = {
	WIRE_HELLO,
	WIRE_WELCOME,
	WIRE_REFUSED,
	WIRE_JOB_REQUEST,
	WIRE_JOB_QUEUED,
	WIRE_JOB_PLACED,
	WIRE_JOB_DENIED,
	WIRE_JOB_RETRY,
	WIRE_JOB_FINISHED,
	WIRE_JOB_CANCEL,
	WIRE_STATUS_REQUEST,
	WIRE_STATUS,
	WIRE_WORKER_REGISTER,
	WIRE_WORKER_HEARTBEAT,
	WIRE_HEARTBEAT_ACK,
	WIRE_WORKER_JOB_STARTED,
	WIRE_WORKER_JOB_ENDED,
	WIRE_WORKER_CANCEL,
	WIRE_WORKER_BYE,
	WIRE_WORKER_JOB_REFUSED,
	WIRE_WORKER_EXPECT,
	WIRE_JOB_OPEN,
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
	WIRE_SHARED_GET,
	WIRE_SHARED_DATA,
	WIRE_SHARED_CREDIT,
	WIRE_SHARED_PUT,
	WIRE_SHARED_STOP,
	WIRE_SHARED_END,
	WIRE_PRODUCERS_ASK,
	WIRE_PRODUCERS,
	WIRE_CACHE_PURGE,
	WIRE_CACHE_PURGED,
	WIRE_PUSH_PROGRESS,
	WIRE_WORKER_LEND,
	WIRE_WORKER_LENT,
	WIRE_WORKER_UNSHARED,
	WIRE_WORKER_HOLDS,
	WIRE_WORKER_SEEK,
	WIRE_WORKER_FOUND,
	WIRE_WORKER_DROP,
	WIRE_ADMIN_LOOK,
	WIRE_ADMIN_VIEW,
	WIRE_ADMIN_ACT,
	WIRE_ADMIN_DONE,
	WIRE_ADMIN_FOLLOW,
	WIRE_ADMIN_EVENTS,
	WIRE_JOIN,
	WIRE_JOINED,
	WIRE_ROTATE,
	WIRE_ROTATED,
	WIRE_SUCCESSOR,
};

/* A header frame by hand. */
static uint8_t *
frame(unsigned version, unsigned type, const void *body, size_t n, size_t *ret_n)
{
	size_t head = wire_header_size(type);
	uint8_t *p = calloc(1, head + n);

	assert_non_null(p);
	memcpy(p, "DRAY", 4);
	p[4] = (uint8_t)(version >> 8);
	p[5] = (uint8_t)version;
	p[6] = (uint8_t)(type >> 8);
	p[7] = (uint8_t)type;
	if (n)
		memcpy(p + head, body, n);
	*ret_n = head + n;
	return p;
}

static int
decode(unsigned version, unsigned type, const void *body, size_t n, zmq_msg_t *payload,
	unsigned from, struct wire_msg *ret)
{
	size_t total;
	_cleanup_(freep) uint8_t *p = frame(version, type, body, n, &total);

	return wire_decode(p, total, payload, from, ret);
}

/* Decodes and lets go. */
static int
verdict(unsigned version, unsigned type, const void *body, size_t n, zmq_msg_t *payload,
	unsigned from)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int r = decode(version, type, body, n, payload, from, &m);

	assert_true(r == 0 ? m.body != NULL && m.info != NULL : m.body == NULL && m.info == NULL);
	return r;
}

static void
test_table(void **state)
{
	size_t known = 0;

	for (unsigned t = 0; t < 70000; t++)
		known += wire_info(t) != NULL;
	assert_int_equal(known, ARRAY_LEN(all_types));
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		const struct wire_info *info = wire_info(all_types[i]);

		assert_non_null(info);
		assert_int_equal(info->type, all_types[i]);
		assert_string_equal(info->name, info->desc->short_name);
		assert_true(info->body_max >= 64 && info->body_max <= WIRE_BODY_MAX);
		assert_true(info->payload_max <= WIRE_PAYLOAD_MAX);
		assert_true(info->senders != 0 && (info->senders & ~(unsigned)ANYONE) == 0);
	}
	assert_int_equal(wire_info(WIRE_HELLO)->senders, WIRE_FROM_CLIENT | WIRE_FROM_WORKER);
	assert_int_equal(wire_info(WIRE_CREDIT)->senders, WIRE_FROM_CLIENT | WIRE_FROM_WORKER);
	assert_int_equal(wire_info(WIRE_JOB_OPEN)->senders, WIRE_FROM_CLIENT);
}

static void
test_empty_body_of_each_type(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		const struct wire_info *info = wire_info(all_types[i]);

		for (unsigned from = 1; from <= 4; from <<= 1) {
			zmq_msg_t payload;
			int r;

			assert_int_equal(zmq_msg_init_size(&payload, info->payload_max), 0);
			r = verdict(WIRE_VERSION, info->type, NULL, 0,
				info->payload_max ? &payload : NULL, from);
			assert_int_equal(r, info->senders & from ? 0 : -EPERM);
			zmq_msg_close(&payload);
		}
	}
}

static void
test_magic_version_type(void **state)
{
	struct wire_msg m = WIRE_MSG_INIT;

	assert_int_equal(wire_decode("", 0, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("DRAY\0\1\0", 7, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("GET / HTTP/1.1", 14, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("DRAy\0\1\0\1", 8, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("DRAY\0\1\0\1", 8, NULL, WIRE_FROM_CLIENT, &m), 0);
	assert_int_equal(m.version, 1);
	assert_int_equal(zmq_msg_size(&m.payload), 0);
	wire_msg_done(&m);

	assert_int_equal(verdict(WIRE_VERSION, 15, NULL, 0, NULL, ANYONE), -EBADMSG);
	assert_int_equal(verdict(WIRE_VERSION, 0xffff, NULL, 0, NULL, ANYONE), -EBADMSG);
	assert_int_equal(
		verdict(WIRE_VERSION + 1, WIRE_JOB_REQUEST, NULL, 0, NULL, ANYONE), -EPROTO);
	assert_int_equal(verdict(0, WIRE_JOB_REQUEST, NULL, 0, NULL, ANYONE), -EPROTO);
	assert_int_equal(verdict(WIRE_VERSION + 1, 0xffff, NULL, 0, NULL, ANYONE), -EPROTO);
	assert_int_equal(verdict(WIRE_VERSION + 1, WIRE_WELCOME, NULL, 0, NULL, ANYONE), -EPROTO);
	assert_int_equal(verdict(WIRE_VERSION + 1, WIRE_HELLO, NULL, 0, NULL, ANYONE), 0);
	assert_int_equal(verdict(0xffff, WIRE_REFUSED, NULL, 0, NULL, ANYONE), 0);

	/* A job's number is no part of the body. */
	assert_int_equal(wire_decode("DRAY\0\2\0\x35", 8, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("DRAY\0\2\0\x35\1\2\3", 11, NULL, ANYONE, &m), -EBADMSG);
	assert_int_equal(wire_decode("DRAY\0\2\0\x35\1\2\3\4", 12, NULL, ANYONE, &m), 0);
	assert_int_equal(m.info->type, WIRE_CREDIT);
	assert_int_equal(m.job, 0x01020304);
	wire_msg_done(&m);
	assert_int_equal(decode(513, WIRE_HELLO, NULL, 0, NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.version, 513);
	wire_msg_done(&m);
	wire_msg_done(&m);
}

static void
test_sizes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		const struct wire_info *info = wire_info(all_types[i]);
		_cleanup_(freep) uint8_t *body = calloc(1, info->body_max + 1);
		zmq_msg_t payload;

		/* One unknown field (number 100) of just the size that fills the body. */
		size_t n = info->body_max - 2;
		unsigned len_bytes = n < 128 + 1 ? 1 : n < 16384 + 2 ? 2 : n < 2097152 + 3 ? 3 : 4;
		size_t len = n - len_bytes;

		body[0] = 0xa2;
		body[1] = 0x06;
		for (unsigned b = 0; b < len_bytes; b++)
			body[2 + b] = (uint8_t)((len >> (7 * b) & 0x7f) |
						(b + 1 < len_bytes ? 0x80 : 0));
		zmq_msg_init_size(&payload, info->payload_max);
		assert_int_equal(verdict(WIRE_VERSION, info->type, body, info->body_max,
					 info->payload_max ? &payload : NULL, ANYONE),
			0);
		zmq_msg_close(&payload);
		zmq_msg_init_size(&payload, info->payload_max);
		assert_int_equal(verdict(WIRE_VERSION, info->type, body, info->body_max + 1,
					 info->payload_max ? &payload : NULL, ANYONE),
			-EMSGSIZE);
		zmq_msg_close(&payload);
	}
}

static void
test_payload_rules(void **state)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	zmq_msg_t payload;

	assert_int_equal(verdict(WIRE_VERSION, WIRE_JOB_TEXT, NULL, 0, NULL, ANYONE), -EBADMSG);
	zmq_msg_init_size(&payload, WIRE_CHUNK_MAX + 1);
	assert_int_equal(
		verdict(WIRE_VERSION, WIRE_JOB_TEXT, NULL, 0, &payload, ANYONE), -EMSGSIZE);
	/* Refused: still the caller's. */
	assert_int_equal(zmq_msg_size(&payload), WIRE_CHUNK_MAX + 1);
	assert_int_equal(verdict(WIRE_VERSION, WIRE_CREDIT, NULL, 0, &payload, ANYONE), -EBADMSG);
	zmq_msg_close(&payload);

	zmq_msg_init_size(&payload, 3);
	memcpy(zmq_msg_data(&payload), "abc", 3);
	assert_int_equal(
		decode(WIRE_VERSION, WIRE_JOB_TEXT, NULL, 0, &payload, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(zmq_msg_size(&payload), 0);
	assert_int_equal(zmq_msg_size(&m.payload), 3);
	assert_memory_equal(zmq_msg_data(&m.payload), "abc", 3);
	zmq_msg_close(&payload);
}

static void
test_malformed_bodies(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{ "\x0a", 1 }, /* a string without its length */
		{ "\x0a\x05"
		  "ab",
			4 },			   /* shorter than its length */
		{ "\x0a\xff\xff\xff\xff\x0f", 6 }, /* 4 GiB */
		{ "\x0f\x00", 2 },		   /* wire type 7 */
		{ "\x0b", 1 },			   /* a group */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11 },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			verdict(WIRE_VERSION, WIRE_JOB_REQUEST, bad[i].p, bad[i].n, NULL, ANYONE),
			-EBADMSG);
}

static int
unpack_unit(const void *p, size_t n, Dray__Unit **ret)
{
	ProtobufCMessage *body = NULL;
	int r = wire_unpack(&dray__unit__descriptor, p, n, WIRE_UNIT_MAX, &body);

	assert_true((r == 0) == (body != NULL));
	*ret = (Dray__Unit *)body;
	return r;
}

/* 8 Mi empty submessages in 16 MiB: some 90 bytes of memory for 2 on the wire. */
static void
test_allocation_is_bounded(void **state)
{
	_cleanup_(freep) uint8_t *body = malloc(WIRE_UNIT_MAX + 1);
	Dray__Unit *unit;

	assert_non_null(body);
	for (size_t i = 0; i + 1 < WIRE_UNIT_MAX; i += 2) {
		body[i] = 0x42; /* Unit.blobs */
		body[i + 1] = 0;
	}
	assert_int_equal(unpack_unit(body, WIRE_UNIT_MAX, &unit), -EMSGSIZE);
	assert_int_equal(unpack_unit(body, WIRE_UNIT_MAX + 1, &unit), -EMSGSIZE);
	assert_int_equal(unpack_unit(body, 1, &unit), -EBADMSG);
}

/* The dearest honest unit is let through: thousands of two-letter arguments. */
static void
test_short_arguments_fit(void **state)
{
	enum { COUNT = 100000 };
	static char *argv[COUNT];
	static char text[] = "-C";
	_cleanup_(freep) uint8_t *body = NULL;
	Dray__Unit unit, *back;
	size_t n;

	for (size_t i = 0; i < COUNT; i++)
		argv[i] = text;
	dray__unit__init(&unit);
	unit.argv = argv;
	unit.n_argv = COUNT;
	n = dray__unit__get_packed_size(&unit);
	body = malloc(n);
	assert_non_null(body);
	dray__unit__pack(&unit, body);
	assert_int_equal(unpack_unit(body, n, &back), 0);
	assert_int_equal(back->n_argv, COUNT);
	dray__unit__free_unpacked(back, NULL);
}

static void
test_verdicts(void **state)
{
	assert_int_equal(wire_verdict_of(0), DRAY__VERDICT__VERDICT_NONE);
	assert_int_equal(wire_verdict_of(-EBADMSG), DRAY__VERDICT__VERDICT_MALFORMED);
	assert_int_equal(wire_verdict_of(-EPROTO), DRAY__VERDICT__VERDICT_VERSION);
	assert_int_equal(wire_verdict_of(-EMSGSIZE), DRAY__VERDICT__VERDICT_TOO_LARGE);
	assert_int_equal(wire_verdict_of(-EPERM), DRAY__VERDICT__VERDICT_NOT_ALLOWED);
}

/* A ROUTER and a DEALER over inproc: delivery is immediate, no waiting. */
struct pair {
	void *ctx, *router, *dealer;
};

static int
pair_up(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int one = 1, hwm = 4;

	p->ctx = zmq_ctx_new();
	p->router = zmq_socket(p->ctx, ZMQ_ROUTER);
	p->dealer = zmq_socket(p->ctx, ZMQ_DEALER);
	zmq_setsockopt(p->router, ZMQ_ROUTER_MANDATORY, &one, sizeof(one));
	zmq_setsockopt(p->router, ZMQ_SNDHWM, &hwm, sizeof(hwm));
	zmq_setsockopt(p->dealer, ZMQ_RCVHWM, &hwm, sizeof(hwm));
	zmq_bind(p->router, "inproc://pair");
	zmq_connect(p->dealer, "inproc://pair");
	*state = p;
	return 0;
}

static int
pair_down(void **state)
{
	struct pair *p = *state;

	socket_closep(&p->dealer);
	socket_closep(&p->router);
	zmq_ctx_termp(&p->ctx);
	free(p);
	return 0;
}

static void
say_hello(struct pair *p, struct wire_peer *ret)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	char role[] = "client";
	Dray__Hello hello;

	dray__hello__init(&hello);
	hello.role = role;
	hello.version_min = hello.version_max = WIRE_VERSION;
	assert_int_equal(wire_send(p->dealer, NULL, WIRE_HELLO, &hello.base, NULL, 0), 0);
	assert_int_equal(wire_recv(p->router, ret, WIRE_FROM_CLIENT, &m), 0);
	assert_int_equal(m.info->type, WIRE_HELLO);
	assert_string_equal(((Dray__Hello *)m.body)->role, "client");
	assert_int_equal(ret->id_len, 5);
	assert_string_equal(ret->curve, "");
}

static void
test_send_and_receive(void **state)
{
	struct pair *p = *state;
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	struct wire_peer peer, nobody;
	Dray__JobText text;
	Dray__Credit credit;

	assert_int_equal(wire_recv(p->router, &peer, ANYONE, &m), -EAGAIN);
	say_hello(p, &peer);
	dray__job_text__init(&text);
	text.out = true;
	assert_int_equal(
		wire_send(p->router, &peer, WIRE_JOB_TEXT, &text.base, "error: no\n", 10), 0);
	assert_int_equal(wire_recv(p->dealer, NULL, WIRE_FROM_WORKER, &m), 0);
	assert_true(((Dray__JobText *)m.body)->out);
	assert_int_equal(zmq_msg_size(&m.payload), 10);
	wire_msg_done(&m);

	/* No payload given where the row has one: an empty frame goes all the same. */
	assert_int_equal(wire_send(p->router, &peer, WIRE_JOB_TEXT, &text.base, NULL, 0), 0);
	assert_int_equal(wire_recv(p->dealer, NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(zmq_msg_size(&m.payload), 0);
	wire_msg_done(&m);

	dray__credit__init(&credit);
	nobody = peer;
	nobody.id[4] ^= 0x55;
	assert_int_equal(
		wire_send(p->router, &nobody, WIRE_CREDIT, &credit.base, NULL, 0), -EHOSTUNREACH);
	assert_int_equal(wire_send(p->router, &peer, WIRE_CREDIT, &credit.base, "x", 1), -EMSGSIZE);
	assert_int_equal(wire_send(p->router, &peer, WIRE_JOB_TEXT, &text.base,
				 zmq_msg_data(&m.payload), WIRE_CHUNK_MAX + 1),
		-EMSGSIZE);
	assert_int_equal(
		wire_send(p->router, &peer, WIRE_JOB_TEXT, &credit.base, NULL, 0), -EINVAL);
	/* None of these left half a message behind. */
	assert_int_equal(wire_send(p->router, &peer, WIRE_CREDIT, &credit.base, NULL, 0), 0);
	assert_int_equal(wire_recv(p->dealer, NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.info->type, WIRE_CREDIT);
	wire_msg_done(&m);
	assert_int_equal(wire_recv(p->dealer, NULL, WIRE_FROM_WORKER, &m), -EAGAIN);
}

static void
test_body_too_large_to_send(void **state)
{
	struct pair *p = *state;
	_cleanup_(freep) char *job = calloc(1, 2000);
	Dray__JobCancel cancel;

	memset(job, 'a', 1999);
	dray__job_cancel__init(&cancel);
	cancel.job = job;
	assert_int_equal(
		wire_send(p->dealer, NULL, WIRE_JOB_CANCEL, &cancel.base, NULL, 0), -EMSGSIZE);
}

static void
test_full_queue(void **state)
{
	struct pair *p = *state;
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	struct wire_peer peer;
	Dray__JobText text;
	unsigned sent = 0, got = 0;
	zmq_msg_t payload;
	int r;

	say_hello(p, &peer);
	dray__job_text__init(&text);
	for (;;) {
		zmq_msg_init_size(&payload, 8);
		memset(zmq_msg_data(&payload), 'x', 8);
		r = wire_send_msg(p->router, &peer, WIRE_JOB_TEXT, &text.base, &payload);
		if (r < 0)
			break;
		/* Taken: nothing of it is left here. */
		assert_int_equal(zmq_msg_size(&payload), 0);
		zmq_msg_close(&payload);
		assert_true(++sent < 100);
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(zmq_msg_size(&payload), 8);
	zmq_msg_close(&payload);
	while ((r = wire_recv(p->dealer, NULL, WIRE_FROM_WORKER, &m)) == 0) {
		assert_int_equal(zmq_msg_size(&m.payload), 8);
		wire_msg_done(&m);
		got++;
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(got, sent);
}

/* Garbage is refused with its sender's name, and what comes after it is whole. */
static void
test_garbage_between(void **state)
{
	struct pair *p = *state;
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	struct wire_peer peer, known;

	say_hello(p, &known);
	zmq_send(p->dealer, "x", 1, 0);
	zmq_send(p->dealer, "", 0, 0);
	zmq_send(p->dealer, "DRAY\0\1\0\1", 8, ZMQ_SNDMORE);
	zmq_send(p->dealer, "a", 1, ZMQ_SNDMORE);
	zmq_send(p->dealer, "b", 1, ZMQ_SNDMORE);
	zmq_send(p->dealer, "c", 1, 0);
	zmq_send(p->dealer, "DRAY\0\1\0\1", 8, ZMQ_SNDMORE); /* Hello with a payload */
	zmq_send(p->dealer, "a", 1, 0);
	zmq_send(p->dealer, "DRAY\0\2\0\2", 8, 0); /* Welcome from a client */
	zmq_send(p->dealer, "DRAY\0\1\0\1", 8, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), -EBADMSG);
		assert_true(wire_peer_eq(&peer, &known));
	}
	assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), -EPERM);
	assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), 0);
	assert_true(wire_peer_eq(&peer, &known));
	wire_msg_done(&m);
	assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), -EAGAIN);
}

/* A name that the peer chose itself, short or longer than we keep, is not accepted, and is no
 * peer's. */
static void
test_chosen_names(void **state)
{
	static const char *const names[] = { "boss", "chief", "a name of more than sixteen bytes" };
	struct pair *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
		_cleanup_(socket_closep) void *s = zmq_socket(p->ctx, ZMQ_DEALER);
		struct wire_peer peer;

		zmq_setsockopt(s, ZMQ_ROUTING_ID, names[i], strlen(names[i]));
		assert_int_equal(zmq_connect(s, "inproc://pair"), 0);
		assert_int_equal(zmq_send(s, "DRAY\0\1\0\1", 8, 0), 8);
		assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), -EBADMSG);
		assert_int_equal(peer.id_len, 0);
		assert_int_equal(wire_recv(p->router, &peer, WIRE_FROM_CLIENT, &m), -EAGAIN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_empty_body_of_each_type),
		cmocka_unit_test(test_magic_version_type),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_payload_rules),
		cmocka_unit_test(test_malformed_bodies),
		cmocka_unit_test(test_allocation_is_bounded),
		cmocka_unit_test(test_short_arguments_fit),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test_setup_teardown(test_send_and_receive, pair_up, pair_down),
		cmocka_unit_test_setup_teardown(test_body_too_large_to_send, pair_up, pair_down),
		cmocka_unit_test_setup_teardown(test_full_queue, pair_up, pair_down),
		cmocka_unit_test_setup_teardown(test_garbage_between, pair_up, pair_down),
		cmocka_unit_test_setup_teardown(test_chosen_names, pair_up, pair_down),
	};

	/* A test that fails leaves its sockets open, and ending their context waits for them for
	 * ever. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
