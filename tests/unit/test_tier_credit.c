/* tier: what has come is acknowledged, each chunk once, and at once where nothing more is here: the
 * coordinator's bound on a key may let no other one go before. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "store/tier/tier.h"

#define CHUNKS 7u
#define SIZE 10u

/* A coordinator that says what the test lets it say. */
struct far {
	uint8_t content[CHUNKS * SIZE];
	struct digest name;
	unsigned next, may; /* chunks that were said, and may be */
	bool end, ended;
	uint32_t number;
	unsigned acked, acks; /* chunks, and messages */
	bool asked;
	int fd;
};

static int
far_send(void *arg, uint32_t number, enum wire_type type, const ProtobufCMessage *body,
	zmq_msg_t *payload)
{
	struct far *f = arg;

	(void)payload;
	if (type == WIRE_SHARED_GET) {
		f->asked = true;
		f->number = number;
	} else if (type == WIRE_SHARED_CREDIT) {
		assert_int_equal(number, f->number);
		f->acked += ((const Dray__SharedCredit *)body)->n;
		f->acks++;
		assert_true(f->acked <= f->next);
	}
	return 0;
}

static int
say(struct far *f, enum wire_type type, const ProtobufCMessage *body, const void *p, size_t n,
	struct wire_msg *ret)
{
	zmq_msg_t header, payload;
	int r;

	assert_int_equal(wire_encode_number(type, f->number, body, &header), 0);
	assert_int_equal(zmq_msg_init_size(&payload, n), 0);
	if (n)
		memcpy(zmq_msg_data(&payload), p, n);
	r = wire_decode(zmq_msg_data(&header), zmq_msg_size(&header), p ? &payload : NULL,
		WIRE_FROM_COORDINATOR, ret);
	zmq_msg_close(&header);
	zmq_msg_close(&payload);
	return r;
}

static int
far_receive(void *arg, struct wire_msg *ret)
{
	struct far *f = arg;

	if (f->asked && f->next < f->may) {
		Dray__SharedData m;

		dray__shared_data__init(&m);
		m.offset = f->next * SIZE;
		m.total = sizeof(f->content);
		m.size = SIZE;
		m.last = ++f->next == CHUNKS;
		return say(f, WIRE_SHARED_DATA, &m.base, f->content + m.offset, SIZE, ret);
	}
	if (f->end && !f->ended) {
		Dray__SharedEnd m;

		dray__shared_end__init(&m);
		f->ended = true;
		return say(f, WIRE_SHARED_END, &m.base, NULL, 0, ret);
	}
	return -EAGAIN;
}

static int
far_fd(void *arg)
{
	return ((struct far *)arg)->fd;
}

static void
far_close(void *arg)
{
	(void)arg;
}

static const struct tier_line line = {
	.send = far_send, .receive = far_receive, .fd = far_fd, .close = far_close
};

static void
on_got(void *arg, const struct store_reply *r)
{
	assert_int_equal(r->error, 0);
	assert_int_equal(r->size, CHUNKS * SIZE);
	close(r->fd);
	*(bool *)arg = true;
}

static void
test_acknowledged(void **state)
{
	const struct store_in in = { .request_ms = 20000 };
	struct far f = { .fd = eventfd(0, EFD_CLOEXEC) };
	struct store *s;
	bool got = false;

	(void)state;
	for (size_t i = 0; i < sizeof(f.content); i++)
		f.content[i] = (uint8_t)i;
	assert_int_equal(digest_bytes(f.content, sizeof(f.content), &f.name), 0);
	assert_int_equal(tier_open(&line, &f, 0, true, &in, &s), 0);
	store_get(s, STORE_BLOB, &f.name, UINT64_MAX, on_got, &got);
	store_work(s, 0);
	assert_true(f.asked);
	/* one alone */
	f.may = 1;
	store_work(s, 0);
	assert_int_equal(f.acked, 1);
	/* several at once take fewer messages */
	f.may = CHUNKS - 1;
	store_work(s, 0);
	assert_int_equal(f.acked, CHUNKS - 1);
	assert_in_range(f.acks, 2, CHUNKS - 2);
	/* the last, with the end of all: a number is free when all of it was acknowledged */
	f.may = CHUNKS;
	f.end = true;
	store_work(s, 0);
	assert_true(got && f.ended);
	assert_int_equal(f.acked, CHUNKS);
	store_close(s);
	close(f.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
