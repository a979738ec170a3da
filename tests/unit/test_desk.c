/* The shared cache's requests: what is kept and given, to whom, in which bounds. */
#include "config.h"

#include "tests/unit/desk_fixture.h"
#include "tests/unit/shared_fixture.h"

#include "cache/list.h"
#include "coordinator/cache/desk_priv.h"
#include "coordinator/cache/merge.h"

#define MANY (WIRE_CHUNK_MAX * 3 + 77)

static void
test_put_and_get(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, WIRE_CHUNK_MAX, WIRE_CHUNK_MAX + 1, MANY };
	struct room *d = *state;
	struct digest names[ARRAY_LEN(sizes) + 2];
	_cleanup_(buf_done) struct buf all = BUF_INIT;
	struct heard *h;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_cleanup_(freep) uint8_t *p = make_blob((unsigned)i, sizes[i], &names[i]);

		assert_int_equal(put_all(d, 1, "", (uint32_t)i, false, &names[i], p, sizes[i]), 0);
		assert_int_equal(buf_add(&all, p, sizes[i]), 0);
	}
	/* two that are not here: one in the middle of the message, one at its end */
	names[6] = names[5];
	memset(names[5].b, 1, DIGEST_SIZE);
	memset(names[7].b, 2, DIGEST_SIZE);
	assert_int_equal(get(d, 2, 9, names, 8, 64), 0);
	room_work(d);
	h = heard_of(d, 2, 9);
	assert_true(h->ended);
	assert_int_equal(h->verdict, 0);
	assert_int_equal(h->n_absent, 2);
	assert_int_equal(h->absent[0], 5);
	assert_int_equal(h->absent[1], 7);
	assert_int_equal(h->content.n, all.n);
	assert_memory_equal(h->content.p, all.p, all.n);
	{
		ProtobufCBinaryData v[2] = { { DIGEST_SIZE, names[4].b },
			{ DIGEST_SIZE, names[7].b } };
		Dray__SharedGet m;

		dray__shared_get__init(&m);
		m.name = v;
		m.n_name = 2;
		m.credit = 1;
		m.look = true;
		assert_int_equal(say(d, 2, 10, WIRE_SHARED_GET, &m.base), 0);
		room_work(d);
		h = heard_of(d, 2, 10);
		assert_true(h->ended);
		assert_int_equal(h->chunks, 0);
		assert_int_equal(h->n_absent, 1);
		assert_int_equal(h->absent[0], 1);
		assert_int_equal(h->sizes[0], sizes[4]);
		assert_int_equal(h->sizes[1], 0);
	}
	/* It is there: nothing is sent, and nothing written. */
	assert_int_equal(put_in(d, 1, "", 20, false, &names[4], sizes[4]), 0);
	room_work(d);
	h = heard_of(d, 1, 20);
	assert_true(h->ended && h->was_there);
	assert_int_equal(h->credit, 0);
}

static void
test_entries(void **state)
{
	struct room *d = *state;
	struct digest entry;
	struct heard *h;

	memset(entry.b, 7, DIGEST_SIZE);
	assert_int_equal(put_all(d, 1, "", 1, true, &entry, "first", 5), 0);
	assert_int_equal(put_all(d, 1, "", 2, true, &entry, "the second", 10), 0);
	assert_int_equal(get_in(d, 2, 2, "", 1, true, &entry, 1, 4), 0);
	/* an entry's name names no blob */
	assert_int_equal(get_in(d, 2, 2, "", 2, false, &entry, 1, 4), 0);
	room_work(d);
	h = heard_of(d, 2, 1);
	assert_int_equal(h->content.n, 10);
	assert_memory_equal(h->content.p, "the second", 10);
	assert_int_equal(heard_of(d, 2, 2)->n_absent, 1);
}

static void
test_namespaces(void **state)
{
	struct room *d = *state;
	static const char *const others[] = { "", "b", "team" };
	struct digest name, entry;
	_cleanup_(freep) uint8_t *p = make_blob(1, 5000, &name);

	memset(entry.b, 3, DIGEST_SIZE);
	assert_int_equal(put_in(d, 1, "a", 1, false, &name, 5000), 0);
	room_work(d);
	{
		struct wire_msg m = { .info = wire_info(WIRE_SHARED_DATA), .job = 1 };
		Dray__SharedData body;
		const struct desk_who who = { .serial = 1, .account = 1, .namespace = "a" };
		const char *why;

		dray__shared_data__init(&body);
		body.size = 5000;
		body.last = true;
		m.body = &body.base;
		zmq_msg_init_size(&m.payload, 5000);
		memcpy(zmq_msg_data(&m.payload), p, 5000);
		assert_int_equal(desk_hear(d->c, &who, &m, d->now, &why), 0);
		zmq_msg_close(&m.payload);
	}
	room_work(d);
	assert_true(heard_of(d, 1, 1)->ended);
	assert_int_equal(heard_of(d, 1, 1)->verdict, 0);
	assert_int_equal(get_in(d, 2, 2, "a", 1, false, &name, 1, 4), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 2, 1)->content.n, 5000);
	for (uint32_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(get_in(d, 3, 3, others[i], i, false, &name, 1, 4), 0);
		room_work(d);
		assert_true(heard_of(d, 3, i)->ended);
		assert_int_equal(heard_of(d, 3, i)->n_absent, 1);
		assert_int_equal(heard_of(d, 3, i)->content.n, 0);
		/* Nor does a put tell that it is there: it has to be sent. */
		assert_int_equal(put_in(d, 4, others[i], i, false, &name, 5000), 0);
		room_work(d);
		assert_false(heard_of(d, 4, i)->ended);
		assert_true(heard_of(d, 4, i)->credit > 0);
	}
}

static void
test_wrong_content(void **state)
{
	struct room *d = *state;
	struct digest name;
	_cleanup_(freep) uint8_t *p = make_blob(1, 5000, &name);

	p[17] ^= 1;
	assert_int_equal(
		put_all(d, 1, "", 1, false, &name, p, 5000), DRAY__VERDICT__VERDICT_INPUT_CHANGED);
	assert_int_equal(get(d, 1, 2, &name, 1, 4), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 1, 2)->n_absent, 1);
	/* larger than a quarter of the room */
	assert_int_equal(put_in(d, 1, "", 3, false, &name, UINT64_MAX), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 1, 3)->verdict, DRAY__VERDICT__VERDICT_TOO_LARGE);
	assert_int_equal(put_in(d, 1, "", 4, true, &name, WIRE_SHARED_ENTRY_MAX + 1), 0);
	assert_int_equal(heard_of(d, 1, 4)->verdict, DRAY__VERDICT__VERDICT_TOO_LARGE);
}

/* Each of these ends the peer. */
static void
test_not_allowed(void **state)
{
	struct room *d = *state;
	static const struct {
		uint64_t offset;
		size_t n;
		bool last;
	} bad[] = { { 1, 100, false }, { 0, 5001, true }, { 0, 5000, false }, { 0, 100, true },
		{ 0, 0, false } };
	struct digest name, many[WIRE_SHARED_ITEMS_MAX + 1];
	_cleanup_(freep) uint8_t *p = make_blob(1, 6000, &name);
	ProtobufCBinaryData shorter = { 31, name.b };
	Dray__SharedGet m;

	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(put_in(d, 1, "", i, false, &name, 5000), 0);
		room_work(d);
		assert_int_equal(data(d, 1, i, bad[i].offset, p, bad[i].n, bad[i].last), -EBADMSG);
		desk_gone(d->c, 1);
	}
	/* more than there is credit for */
	assert_int_equal(put_in(d, 1, "", 9, false, &name, 5000), 0);
	room_work(d);
	for (unsigned i = 0; i < heard_of(d, 1, 9)->credit; i++)
		assert_int_equal(data(d, 1, 9, i * 10, p, 10, false), 0);
	assert_int_equal(data(d, 1, 9, heard_of(d, 1, 9)->credit * 10, p, 10, false), -EBADMSG);
	/* before there is any */
	assert_int_equal(put_in(d, 1, "", 10, false, &name, 5000), 0);
	assert_int_equal(data(d, 1, 10, 0, p, 10, false), -EBADMSG);
	desk_gone(d->c, 1);
	/* a number that is in use */
	assert_int_equal(put_in(d, 1, "", 11, false, &name, 5000), 0);
	assert_int_equal(put_in(d, 1, "", 11, false, &name, 5000), -EBADMSG);
	assert_int_equal(get(d, 1, 11, &name, 1, 1), -EBADMSG);
	/* names */
	memset(many, 0, sizeof(many));
	assert_int_equal(get(d, 1, 12, many, ARRAY_LEN(many), 1), -EBADMSG);
	assert_int_equal(get(d, 1, 12, many, 0, 1), -EBADMSG);
	assert_int_equal(get(d, 1, 12, many, 1, 0), -EBADMSG);
	assert_int_equal(get(d, 1, 12, many, 1, 65), -EBADMSG);
	dray__shared_get__init(&m);
	m.name = &shorter;
	m.n_name = m.credit = 1;
	assert_int_equal(say(d, 1, 12, WIRE_SHARED_GET, &m.base), -EBADMSG);
	/* credit for what was not sent */
	assert_int_equal(get(d, 2, 1, &name, 1, 4), 0);
	assert_int_equal(ack(d, 2, 1, 1), -EBADMSG);
	/* Of a number that is not there nothing is thought: it may have ended. */
	assert_int_equal(ack(d, 2, 77, 1), 0);
	assert_int_equal(stop_request(d, 2, 77), 0);
	assert_int_equal(data(d, 2, 77, 0, p, 10, false), 0);
}

/* A number is free when all of it was acknowledged. */
static void
test_numbers(void **state)
{
	struct room *d = *state;
	struct digest name;
	_cleanup_(freep) uint8_t *p = make_blob(1, MANY, &name);
	struct desk_stats st;

	assert_int_equal(put_all(d, 1, "", 1, false, &name, p, MANY), 0);
	assert_int_equal(get(d, 2, 1, &name, 1, 2), 0);
	room_work(d);
	/* Two chunks: that was the credit. */
	assert_int_equal(heard_of(d, 2, 1)->chunks, 2);
	assert_false(heard_of(d, 2, 1)->ended);
	assert_int_equal(ack(d, 2, 1, 2), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 2, 1)->chunks, 4);
	assert_true(heard_of(d, 2, 1)->ended);
	assert_int_equal(get(d, 2, 1, &name, 1, 2), -EBADMSG);
	desk_get_stats(d->c, &st);
	assert_true(st.in_memory > WIRE_CHUNK_MAX && st.in_memory < 2 * TURNS_CHUNK);
	assert_int_equal(ack(d, 2, 1, 2), 0);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.in_memory, 0);
	assert_int_equal(st.requests, 0);
	room_forget(d);
	assert_int_equal(get(d, 2, 1, &name, 1, 2), 0);
	room_work(d);
	assert_int_equal(stop_request(d, 2, 1), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 2, 1)->verdict, DRAY__VERDICT__VERDICT_CANCELLED);
	assert_int_equal(ack(d, 2, 1, 2), 0);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.requests, 0);
}

static struct heard *
get_once(struct room *d, uint32_t number, const char *namespace, const struct digest *names,
	size_t n, bool compress)
{
	ProtobufCBinaryData v[4];
	struct digest copy[4];
	struct heard *h = heard_of(d, 2, number);
	Dray__SharedGet m;

	dray__shared_get__init(&m);
	for (size_t i = 0; i < n; i++) {
		copy[i] = names[i];
		v[i] = (ProtobufCBinaryData){ DIGEST_SIZE, copy[i].b };
	}
	m.name = v;
	m.n_name = n;
	m.credit = 64;
	m.compress = compress;
	assert_int_equal(say_in(d, 2, 2, namespace, number, WIRE_SHARED_GET, &m.base, NULL), 0);
	room_work(d);
	assert_true(h->ended);
	if (h->chunks > 0)
		assert_int_equal(ack(d, 2, number, h->chunks), 0);
	return h;
}

/* What many ask for is at hand, and is the same; but only where it may be looked for, and as long
 * as it is kept on disk. */
static void
test_again_and_again(void **state)
{
	struct room *d = *state;
	struct digest names[3];
	_cleanup_(freep) uint8_t *p = make_blob(1, MANY, &names[0]);
	_cleanup_(freep) uint8_t *q = make_blob(2, 300, &names[2]);
	_cleanup_(freep) char *path = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct heard *h;

	memset(names[1].b, 1, DIGEST_SIZE);
	assert_int_equal(put_all(d, 1, "", 1, false, &names[0], p, MANY), 0);
	assert_int_equal(put_all(d, 1, "", 2, false, &names[2], q, 300), 0);
	for (uint32_t i = 0; i < 8; i++) {
		h = get_once(d, 10 + i, "", names, 3, i % 2 != 0);
		assert_int_equal(h->n_absent, 1);
		assert_int_equal(h->absent[0], 1);
		assert_int_equal(h->content.n, MANY + 300);
		assert_memory_equal(h->content.p, p, MANY);
		assert_memory_equal((const uint8_t *)h->content.p + MANY, q, 300);
	}
	assert_int_equal(hot_bytes(d->c->hot) > MANY, true);
	h = get_once(d, 30, "other", names, 3, false);
	assert_int_equal(h->n_absent, 3);
	assert_int_equal(h->content.n, 0);
	digest_hex(&names[0], hex);
	assert_true(asprintf(&path, "%s/ns/blobs/%.2s/%s", d->dir, hex, hex) > 0);
	assert_int_equal(unlink(path), 0);
	h = get_once(d, 31, "", names, 3, false);
	assert_int_equal(h->n_absent, 2);
	assert_int_equal(h->content.n, 300);
}

/* A thousand gets at once of a peer that reads nothing, beside one that does. */
static void
test_bounds(void **state)
{
	struct room *d = *state;
	struct digest name, small;
	_cleanup_(freep) uint8_t *p = make_blob(1, MANY, &name), *q = make_blob(2, 10, &small);
	struct desk_stats st;
	struct heard *h;

	assert_int_equal(put_all(d, 1, "", 1, false, &name, p, MANY), 0);
	assert_int_equal(put_all(d, 1, "", 2, false, &small, q, 10), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(get(d, 2, i, &name, 1, 64), 0);
	room_work(d);
	desk_get_stats(d->c, &st);
	assert_true(st.in_memory > TURNS_KEY_MAX / 2);
	assert_true(st.in_memory <= TURNS_KEY_MAX);
	assert_int_equal(get(d, 3, 1, &small, 1, 64), 0);
	room_work(d);
	assert_true(heard_of(d, 3, 1)->ended);
	/* Each key that reads nothing, too: all of them together have a bound, and it is no wall
	 * for those that read. */
	for (uint64_t serial = 10; serial < 40; serial++) {
		for (uint32_t i = 0; i < 64; i++)
			assert_int_equal(get(d, serial, i, &name, 1, 64), 0);
		/* the first of them have more than what is an equal part in the end */
		room_work(d);
	}
	desk_get_stats(d->c, &st);
	assert_true(st.in_memory <= TURNS_ALL_MAX);
	assert_true(st.in_memory > TURNS_ALL_MAX / 2);
	d->now += DESK_STALL_WANTED_MS - 1;
	desk_tick(d->c, d->now);
	assert_int_equal(d->n_dropped, 0);
	d->now += 2;
	assert_int_equal(get(d, 50, 1, &small, 1, 64), 0);
	desk_tick(d->c, d->now);
	assert_true(d->n_dropped >= 8);
	for (size_t i = 0; i < d->n_dropped; i++)
		desk_gone(d->c, d->dropped[i]);
	room_work(d);
	assert_true(heard_of(d, 50, 1)->ended);
	for (uint64_t serial = 10; serial < 40; serial++)
		desk_gone(d->c, serial);
	desk_gone(d->c, 2);
	/* One too many of a key is told so, and is no fault. */
	desk_get_stats(d->c, &st);
	assert_true(st.in_memory < 2 * TURNS_CHUNK);
	for (uint32_t i = 0; i <= DESK_GETS_MAX; i++)
		assert_int_equal(get(d, 60, i, &name, 1, 1), 0);
	h = heard_of(d, 60, DESK_GETS_MAX);
	assert_true(h->ended);
	assert_int_equal(h->verdict, DRAY__VERDICT__VERDICT_FULL);
	desk_gone(d->c, 60);
	desk_gone(d->c, 50);
	room_work(d);
	desk_get_stats(d->c, &st);
	assert_int_equal(st.requests, 0);
	assert_int_equal(st.in_memory, 0);
}

/* A link that takes a chunk at a time, and one key that wants all of it: another one waits for what
 * the first may have on its way, and then has its turns. */
static void
test_fair(void **state)
{
	struct room *d = *state;
	struct digest name;
	_cleanup_(freep) uint8_t *p = make_blob(1, MANY, &name);
	unsigned greedy = 0, modest = 0;

	assert_int_equal(put_all(d, 1, "", 1, false, &name, p, MANY), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(get(d, 2, i, &name, 1, 64), 0);
	room_work(d);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(get(d, 3, i, &name, 1, 64), 0);
	for (size_t at = 0; modest < 8; at++) {
		desk_step(d->c, d->now);
		assert_true(at < d->n_sent);
		assert_int_equal(ack(d, d->sent[at].serial, d->sent[at].number, 1), 0);
		*(d->sent[at].serial == 2 ? &greedy : &modest) += 1;
	}
	assert_true(greedy >= 8);
	assert_true(greedy <= TURNS_KEY_MAX / WIRE_CHUNK_MAX + 2 * 8);
}

static void
test_puts_take_turns(void **state)
{
	struct room *d = *state;
	struct digest names[40];
	_cleanup_(freep) uint8_t *p = make_blob(1, 1000, &names[0]);
	unsigned open = 0, of_two = 0;

	for (uint32_t i = 0; i < 20; i++) {
		free(make_blob(i, 1000, &names[i]));
		assert_int_equal(put_in(d, 1, "", i, false, &names[i], 1000), 0);
	}
	for (uint32_t i = 20; i < 40; i++) {
		free(make_blob(i, 1000, &names[i]));
		assert_int_equal(put_in(d, 2, "", i, false, &names[i], 1000), 0);
	}
	room_work(d);
	for (size_t i = 0; i < d->n_heard; i++) {
		open += d->heard[i].credit > 0;
		of_two += d->heard[i].credit > 0 && d->heard[i].serial == 2;
	}
	assert_int_equal(open, DESK_PUTS_OPEN);
	assert_int_equal(of_two, DESK_PUTS_KEY);
	/* Those that send nothing make room for others. */
	d->now += DESK_STALL_WANTED_MS + 1;
	desk_tick(d->c, d->now);
	room_work(d);
	assert_true(heard_of(d, 1, 0)->ended);
	assert_int_equal(heard_of(d, 1, 0)->verdict, DRAY__VERDICT__VERDICT_CANCELLED);
	assert_true(heard_of(d, 1, DESK_PUTS_KEY)->credit > 0);
	desk_gone(d->c, 1);
	desk_gone(d->c, 2);
	room_work(d);
	{
		_cleanup_(freep) char *tmp = path_join(d->dir, "ns/tmp");
		_cleanup_(closedirp) DIR *dir = opendir(tmp);
		unsigned n = 0;

		assert_non_null(dir);
		while (readdir(dir))
			n++;
		assert_int_equal(n, 2);
	}
}

static void
test_budget(void **state)
{
	struct room *d = *state;
	struct digest names[32];
	struct store_stats space;
	struct heard *h;

	desk_free(d->c);
	room_option(d, "cache_size", "1M");
	room_option(d, "cache_sizes", "big=100M other=4K");
	room_open(d);
	for (uint32_t i = 0; i < 32; i++) {
		_cleanup_(freep) uint8_t *p = make_blob(i, 100000, &names[i]);

		assert_int_equal(put_all(d, 1, "", i, false, &names[i], p, 100000), 0);
		/* The first is used again and again. */
		assert_int_equal(get(d, 2, i, &names[0], 1, 1), 0);
		room_work(d);
		h = heard_of(d, 2, i);
		assert_int_equal(h->n_absent, 0);
		assert_int_equal(ack(d, 2, i, 1), 0);
	}
	assert_int_equal(get(d, 3, 1, names, 32, 64), 0);
	room_work(d);
	h = heard_of(d, 3, 1);
	assert_true(h->ended);
	assert_int_equal(h->n_absent, 22);
	assert_int_equal(h->absent[0], 1);
	assert_int_equal(h->absent[21], 22);
	/* what is said of it, and of one that nobody has asked for */
	assert_true(desk_get_space(d->c, "", &space));
	assert_int_equal(space.blobs, 10);
	assert_int_equal(space.entries, 0);
	assert_in_range(space.bytes, 10 * 100000, 1 << 20);
	assert_int_equal(space.max, 1 << 20);
	assert_false(desk_get_space(d->c, "big", &space));
	/* each namespace by its own */
	assert_int_equal(put_in(d, 4, "other", 1, false, &names[0], 100000), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 4, 1)->verdict, DRAY__VERDICT__VERDICT_TOO_LARGE);
	assert_int_equal(put_in(d, 4, "big", 2, false, &names[0], 20000000), 0);
	room_work(d);
	assert_true(heard_of(d, 4, 2)->credit > 0);
}

/* What was said to be kept is there afterwards; what was not whole is not. */
static void
test_again(void **state)
{
	struct room *d = *state;
	struct digest names[2], entry;
	_cleanup_(freep) uint8_t *p = make_blob(1, MANY, &names[0]);

	memset(entry.b, 9, DIGEST_SIZE);
	free(make_blob(2, MANY, &names[1]));
	assert_int_equal(put_all(d, 1, "", 1, false, &names[0], p, MANY), 0);
	assert_int_equal(put_all(d, 1, "", 2, true, &entry, "entry", 5), 0);
	assert_int_equal(put_in(d, 1, "", 3, false, &names[1], MANY), 0);
	room_work(d);
	assert_int_equal(data(d, 1, 3, 0, p, 1000, false), 0);
	room_work(d);
	desk_free(d->c);
	room_forget(d);
	room_open(d);
	assert_int_equal(get(d, 1, 1, names, 2, 64), 0);
	assert_int_equal(get_in(d, 1, 1, "", 2, true, &entry, 1, 4), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 1, 1)->content.n, MANY);
	assert_int_equal(heard_of(d, 1, 1)->n_absent, 1);
	assert_int_equal(heard_of(d, 1, 2)->content.n, 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_up, room_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_and_get),
		TEST(test_entries),
		TEST(test_namespaces),
		TEST(test_wrong_content),
		TEST(test_not_allowed),
		TEST(test_numbers),
		TEST(test_again_and_again),
		TEST(test_bounds),
		TEST(test_fair),
		TEST(test_puts_take_turns),
		TEST(test_budget),
		TEST(test_again),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
