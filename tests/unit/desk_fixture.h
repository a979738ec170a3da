/* The shared cache without sockets and threads: the test is its host, and steps it. */
#ifndef DRAY_TESTS_UNIT_DESK_FIXTURE_H
#define DRAY_TESTS_UNIT_DESK_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "coordinator/cache/desk.h"
#include "coordinator/cache/turns.h"
#include "proto/chunk.h"

#define ENDS_MAX 8192

/* What was said about one request. */
struct heard {
	uint64_t serial;
	uint32_t number;
	struct buf content; /* of all items, one after the other */
	unsigned chunks, credit, acked;
	bool ended, was_there;
	Dray__Verdict verdict;
	uint32_t absent[WIRE_SHARED_ITEMS_MAX];
	size_t n_absent;
	uint64_t sizes[WIRE_SHARED_ITEMS_MAX];
};

struct room {
	char *dir;
	struct conf *conf;
	struct desk *c;
	uint64_t now;
	struct heard *heard;
	size_t n_heard;
	struct {
		uint64_t serial;
		uint32_t number;
	} sent[ENDS_MAX]; /* chunks, in their order */
	size_t n_sent;
	uint64_t dropped[64];
	size_t n_dropped;
	struct signers *signers; /* of all who put */
	struct signer signer;
	unsigned n_kept; /* results of workers that were new; the last one: */
	char kept_in[KEYS_NAME_MAX + 1];
	struct digest kept_key;
	struct merge_note kept;
};

static inline struct heard *
heard_of(struct room *d, uint64_t serial, uint32_t number)
{
	for (size_t i = 0; i < d->n_heard; i++)
		if (d->heard[i].serial == serial && d->heard[i].number == number)
			return &d->heard[i];
	assert_true(d->n_heard < ENDS_MAX);
	d->heard[d->n_heard] = (struct heard){ .serial = serial, .number = number };
	return &d->heard[d->n_heard++];
}

static inline void
host_send(void *arg, uint64_t serial, uint32_t number, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	struct heard *h = heard_of(arg, serial, number);

	assert_false(h->ended);
	if (type == WIRE_SHARED_CREDIT) {
		h->credit += ((const Dray__SharedCredit *)body)->n;
	} else if (type == WIRE_SHARED_DATA) {
		const Dray__SharedData *m = (const Dray__SharedData *)body;
		static struct chunk_coder *coder;
		const uint8_t *p;

		if (!coder)
			assert_int_equal(chunk_coder_new(&coder), 0);
		assert_int_equal(chunk_decode(coder, payload, m->zstd, m->size, &p), 0);
		assert_int_equal(buf_add(&h->content, p, m->size), 0);
		h->chunks++;
		if (((struct room *)arg)->n_sent < ENDS_MAX) {
			struct room *d = arg;

			d->sent[d->n_sent].serial = serial;
			d->sent[d->n_sent++].number = number;
		}
		chunk_coder_rest(coder);
	} else {
		const Dray__SharedEnd *m = (const Dray__SharedEnd *)body;

		assert_int_equal(type, WIRE_SHARED_END);
		h->ended = true;
		h->verdict = m->verdict;
		h->was_there = m->was_there;
		h->n_absent = m->n_absent;
		for (size_t i = 0; i < m->n_sizes; i++)
			h->sizes[i] = m->sizes[i];
		for (size_t i = 0; i < m->n_absent; i++)
			h->absent[i] = m->absent[i];
	}
}

static inline void
host_drop(void *arg, uint64_t serial, const char *why)
{
	struct room *d = arg;

	assert_true(d->n_dropped < ARRAY_LEN(d->dropped));
	d->dropped[d->n_dropped++] = serial;
}

static inline void
host_kept(void *arg, const char *namespace, const struct digest *key, const struct merge_note *note)
{
	struct room *d = arg;

	d->n_kept++;
	snprintf(d->kept_in, sizeof(d->kept_in), "%s", namespace);
	d->kept_key = *key;
	d->kept = *note;
}

static inline void
room_option(struct room *d, const char *key, const char *value)
{
	char text[1024], *error = NULL;

	snprintf(text, sizeof(text), "coordinator.%s=%s", key, value);
	if (conf_set(d->conf, text, &error) < 0)
		fail_msg("%s", error);
}

static inline void
room_open(struct room *d)
{
	const struct desk_host host = { d, host_send, host_drop, host_kept, NULL };
	char *error = NULL;

	if (desk_new(d->conf, &host, false, &d->c, &error) < 0)
		fail_msg("%s", error);
}

static inline int
room_up(void **state)
{
	struct room *d = calloc(1, sizeof(*d));
	char *error = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &d->dir), 0);
	assert_int_equal(conf_parse("", 0, "none", &d->conf, &error), 0);
	room_option(d, "cache_dir", d->dir);
	d->heard = calloc(ENDS_MAX, sizeof(*d->heard));
	d->now = 1000;
	room_open(d);
	*state = d;
	return 0;
}

static inline void
room_forget(struct room *d)
{
	for (size_t i = 0; i < d->n_heard; i++)
		buf_done(&d->heard[i].content);
	d->n_heard = 0;
}

static inline int
room_down(void **state)
{
	struct room *d = *state;

	desk_free(d->c);
	signers_release(d->signers);
	room_forget(d);
	fs_rm_rf(d->dir);
	conf_free(d->conf);
	free(d->heard);
	free(d->dir);
	free(d);
	return 0;
}

/* All that can be done without another word of a peer. */
static inline void
room_work(struct room *d)
{
	for (int i = 0; i < 60; i++)
		desk_step(d->c, d->now);
}

static inline int
say_in(struct room *d, uint64_t serial, uint64_t account, const char *namespace, uint32_t number,
	enum wire_type type, ProtobufCMessage *body, zmq_msg_t *payload)
{
	const struct desk_who who = { .serial = serial,
		.account = account,
		.namespace = namespace,
		.signers = d->signers,
		.signer = d->signer };
	struct wire_msg m = { .info = wire_info(type), .body = body, .job = number };
	const char *why = "";
	int r;

	zmq_msg_init(&m.payload);
	if (payload)
		zmq_msg_move(&m.payload, payload);
	r = desk_hear(d->c, &who, &m, d->now, &why);
	zmq_msg_close(&m.payload);
	return r;
}

/* A peer of a key of its own, in the namespace "". */
static inline int
say(struct room *d, uint64_t serial, uint32_t number, enum wire_type type, ProtobufCMessage *body)
{
	return say_in(d, serial, serial, "", number, type, body, NULL);
}

static inline int
get_in(struct room *d, uint64_t serial, uint64_t account, const char *namespace, uint32_t number,
	bool entry, const struct digest *names, size_t n, unsigned credit)
{
	ProtobufCBinaryData v[WIRE_SHARED_ITEMS_MAX + 1];
	struct digest copy[WIRE_SHARED_ITEMS_MAX + 1];
	Dray__SharedGet m;

	dray__shared_get__init(&m);
	for (size_t i = 0; i < n; i++) {
		copy[i] = names[i];
		v[i] = (ProtobufCBinaryData){ DIGEST_SIZE, copy[i].b };
	}
	m.entry = entry;
	m.name = v;
	m.n_name = n;
	m.credit = credit;
	return say_in(d, serial, account, namespace, number, WIRE_SHARED_GET, &m.base, NULL);
}

static inline int
get(struct room *d, uint64_t serial, uint32_t number, const struct digest *names, size_t n,
	unsigned credit)
{
	return get_in(d, serial, serial, "", number, false, names, n, credit);
}

static inline int
ack(struct room *d, uint64_t serial, uint32_t number, unsigned n)
{
	Dray__SharedCredit m;

	dray__shared_credit__init(&m);
	m.n = n;
	return say(d, serial, number, WIRE_SHARED_CREDIT, &m.base);
}

static inline int
put_in(struct room *d, uint64_t serial, const char *namespace, uint32_t number, bool entry,
	const struct digest *name, uint64_t size)
{
	struct digest copy = *name;
	Dray__SharedPut m;

	dray__shared_put__init(&m);
	m.entry = entry;
	m.name = (ProtobufCBinaryData){ DIGEST_SIZE, copy.b };
	m.size = size;
	return say_in(d, serial, serial, namespace, number, WIRE_SHARED_PUT, &m.base, NULL);
}

static inline int
data(struct room *d, uint64_t serial, uint32_t number, uint64_t offset, const void *p, size_t n,
	bool last)
{
	Dray__SharedData m;
	zmq_msg_t payload;

	dray__shared_data__init(&m);
	m.offset = offset;
	m.size = (uint32_t)n;
	m.last = last;
	assert_int_equal(zmq_msg_init_size(&payload, n), 0);
	if (n)
		memcpy(zmq_msg_data(&payload), p, n);
	return say_in(d, serial, serial, "", number, WIRE_SHARED_DATA, &m.base, &payload);
}

static inline int
stop_request(struct room *d, uint64_t serial, uint32_t number)
{
	Dray__SharedStop m;

	dray__shared_stop__init(&m);
	return say(d, serial, number, WIRE_SHARED_STOP, &m.base);
}

/* Bytes that no other seed has, and their name. */
static inline uint8_t *
make_blob(unsigned seed, size_t n, struct digest *ret)
{
	uint8_t *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 2654435761u + seed * 40503u) >> 7);
	assert_int_equal(digest_bytes(p, n, ret), 0);
	return p;
}

/* Puts it whole; the verdict. */
static inline Dray__Verdict
put_all(struct room *d, uint64_t serial, const char *namespace, uint32_t number, bool entry,
	const struct digest *name, const void *content, size_t n)
{
	struct heard *h = heard_of(d, serial, number);
	size_t at = 0;

	assert_int_equal(put_in(d, serial, namespace, number, entry, name, n), 0);
	room_work(d);
	while (!h->ended) {
		size_t k = MIN2(n - at, (size_t)WIRE_CHUNK_MAX);

		assert_true(h->credit > 0);
		h->credit--;
		assert_int_equal(
			data(d, serial, number, at, (const uint8_t *)content + at, k, at + k == n),
			0);
		at += k;
		room_work(d);
		if (at == n)
			assert_true(h->ended);
	}
	return h->verdict;
}

#endif
