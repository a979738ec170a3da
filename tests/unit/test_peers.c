/* Blobs between workers: what one gives, to whom and how much at a time; and that one who asks is
 * not kept waiting. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "discovery/whereabouts.h"
#include "proto/socket.h"
#include "tests/unit/store_fixture.h"
#include "worker/peers/seek.h"
#include "worker/peers/serve.h"

#define LIMIT_MS 20000
#define LARGE (20u << 20) /* 80 chunks */
#define SMALL 600000u	  /* 3 chunks */

struct place {
	char *dir, *store_dir;
	struct store *store;
	struct owners *owners;
	struct serve *serve;
	struct wire_peer peer;
	struct digest made, sent, other, large;
};

static struct digest
put(struct place *p, unsigned seed, size_t n)
{
	uint8_t *b = malloc(n);
	struct store_writer *w;
	struct digest d;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)((i * 2654435761u + seed * 40503u) >> 7);
	assert_int_equal(digest_bytes(b, n, &d), 0);
	assert_int_equal(store_write_begin(p->store, &w), 0);
	assert_int_equal(store_write(w, b, n), 0);
	assert_int_equal(store_write_commit_now(w, &d, n), 0);
	free(b);
	return d;
}

static int
up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &p->dir), 0);
	p->store_dir = path_join(p->dir, "store");
	assert_int_equal(open_own_store(p->store_dir, 0, &p->store), 0);
	assert_int_equal(owners_new(1000, &p->owners), 0);
	assert_int_equal(serve_open(p->store, p->owners, SERVE_STALL_MS, &p->serve), 0);
	p->peer = (struct wire_peer){ .id = "12345", .id_len = 5, .fd = -1, .curve = "w2" };
	p->made = put(p, 1, SMALL);
	p->sent = put(p, 2, 100);
	p->other = put(p, 3, 100);
	p->large = put(p, 4, LARGE);
	owners_add(p->owners, NULL, &p->made);
	owners_add(p->owners, NULL, &p->large);
	owners_add(p->owners, "ann", &p->sent);
	owners_add(p->owners, "bob", &p->other);
	*state = p;
	return 0;
}

static int
down(void **state)
{
	struct place *p = *state;

	serve_closep(&p->serve);
	owners_freep(&p->owners);
	store_closep(&p->store);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->store_dir);
	free(p);
	return 0;
}

static int
get_by(struct place *p, uint32_t number, const char *owner, const struct digest *v, size_t n,
	unsigned credit, bool look)
{
	struct digest copy[8];
	ProtobufCBinaryData names[8];
	Dray__SharedGet m = DRAY__SHARED_GET__INIT;

	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		names[i] = (ProtobufCBinaryData){ DIGEST_SIZE, copy[i].b };
	}
	m.name = names;
	m.n_name = n;
	m.credit = credit;
	m.look = look;
	return serve_get(p->serve, &p->peer, number, owner, &m);
}

/* The next word. NULL in m->info: none comes within ms. */
static struct wire_msg
word(struct place *p, int ms)
{
	struct wire_msg m = WIRE_MSG_INIT;
	uint64_t end = clock_mono_ms() + (uint64_t)ms;
	struct serve_word w;

	while (!serve_next(p->serve, &w)) {
		struct pollfd fd = { serve_fd(p->serve), POLLIN, 0 };

		if (clock_mono_ms() >= end)
			return m;
		poll(&fd, 1, 20);
	}
	assert_memory_equal(w.peer.id, p->peer.id, p->peer.id_len);
	assert_int_equal(wire_decode(zmq_msg_data(&w.frames[0]), zmq_msg_size(&w.frames[0]),
				 w.data ? &w.frames[1] : NULL, WIRE_FROM_WORKER, &m),
		0);
	zmq_msg_close(&w.frames[0]);
	zmq_msg_close(&w.frames[1]);
	return m;
}

/* So many chunks come, and no more. */
static void
chunks_come(struct place *p, unsigned n)
{
	struct wire_msg m;

	for (unsigned i = 0; i < n; i++) {
		m = word(p, LIMIT_MS);
		assert_non_null(m.info);
		assert_int_equal(m.info->type, WIRE_SHARED_DATA);
		wire_msg_done(&m);
	}
	m = word(p, 50);
	assert_null(m.info);
}

static struct wire_msg
end_comes(struct place *p, Dray__Verdict verdict)
{
	struct wire_msg m = word(p, LIMIT_MS);

	assert_non_null(m.info);
	assert_int_equal(m.info->type, WIRE_SHARED_END);
	assert_int_equal(((const Dray__SharedEnd *)m.body)->verdict, verdict);
	return m;
}

static void
test_who_gets_what(void **state)
{
	struct place *p = *state;
	const struct digest v[] = { p->sent, p->made, p->other };
	static const struct {
		const char *owner;
		unsigned chunks;
		size_t n_absent;
		uint32_t absent[2];
	} cases[] = { { "ann", 4, 1, { 2 } }, { "bob", 4, 1, { 0 } }, { "eve", 3, 2, { 0, 2 } },
		{ "", 3, 2, { 0, 2 } } };

	for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = 0;
		struct wire_msg m;
		const Dray__SharedEnd *e;

		assert_int_equal(get_by(p, i, cases[i].owner, v, 3, 64, false), 0);
		for (unsigned k = 0; k < cases[i].chunks; k++) {
			m = word(p, LIMIT_MS);
			assert_non_null(m.info);
			assert_int_equal(m.info->type, WIRE_SHARED_DATA);
			assert_int_equal(m.job, i);
			bytes += ((const Dray__SharedData *)m.body)->size;
			wire_msg_done(&m);
		}
		assert_int_equal(bytes, SMALL + (cases[i].chunks == 4 ? 100 : 0));
		m = end_comes(p, DRAY__VERDICT__VERDICT_NONE);
		e = (const Dray__SharedEnd *)m.body;
		assert_int_equal(e->n_absent, cases[i].n_absent);
		assert_memory_equal(e->absent, cases[i].absent, e->n_absent * sizeof(uint32_t));
		wire_msg_done(&m);
		serve_credit(p->serve, &p->peer, i, cases[i].chunks);
	}
}

static void
test_look(void **state)
{
	struct place *p = *state;
	const struct digest v[] = { p->other, p->made };
	struct wire_msg m;
	const Dray__SharedEnd *e;

	assert_int_equal(get_by(p, 1, "ann", v, 2, 1, true), 0);
	m = end_comes(p, DRAY__VERDICT__VERDICT_NONE);
	e = (const Dray__SharedEnd *)m.body;
	assert_int_equal(e->n_absent, 1);
	assert_int_equal(e->n_sizes, 2);
	assert_int_equal(e->sizes[1], SMALL);
	wire_msg_done(&m);
}

static void
test_credit(void **state)
{
	struct place *p = *state;
	struct wire_msg m;

	assert_int_equal(get_by(p, 1, "ann", &p->made, 1, 2, false), 0);
	chunks_come(p, 2);
	/* more than it was sent does not count */
	serve_credit(p->serve, &p->peer, 1, 1000);
	m = word(p, LIMIT_MS);
	assert_int_equal(m.info->type, WIRE_SHARED_DATA);
	assert_true(((const Dray__SharedData *)m.body)->last);
	wire_msg_done(&m);
	m = end_comes(p, DRAY__VERDICT__VERDICT_NONE);
	wire_msg_done(&m);
	/* its number is free when all was acknowledged */
	assert_int_equal(get_by(p, 1, "ann", &p->sent, 1, 2, false), -EBADMSG);
	serve_credit(p->serve, &p->peer, 1, 1);
	assert_int_equal(get_by(p, 1, "ann", &p->sent, 1, 2, false), 0);
}

static void
test_all_together(void **state)
{
	struct place *p = *state;
	struct wire_msg m;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(get_by(p, i, "ann", &p->large, 1, 64, false), 0);
	chunks_come(p, SERVE_ON_WAY);
	serve_stop(p->serve, &p->peer, 2);
	m = end_comes(p, DRAY__VERDICT__VERDICT_CANCELLED);
	wire_msg_done(&m);
	/* one is gone, and has made room for as many as it had */
	serve_gone(p->serve, &p->peer);
	p->peer.id[0] = 'x';
	assert_int_equal(get_by(p, 0, "ann", &p->large, 1, 64, false), 0);
	chunks_come(p, SERVE_ON_WAY);
}

/* One that takes nothing of what it is sent is forgotten, and others have its room. */
static void
test_stalled(void **state)
{
	struct place *p = *state;
	struct wire_msg m;

	serve_closep(&p->serve);
	assert_int_equal(serve_open(p->store, p->owners, 1, &p->serve), 0);
	assert_int_equal(get_by(p, 1, "ann", &p->large, 1, 64, false), 0);
	for (unsigned i = 0; i < SERVE_ON_WAY; i++) {
		m = word(p, LIMIT_MS);
		assert_non_null(m.info);
		wire_msg_done(&m);
	}
	assert_int_equal(get_by(p, 2, "ann", &p->sent, 1, 64, false), 0);
	for (uint32_t number = 0; number != 2;) {
		m = word(p, LIMIT_MS);
		assert_non_null(m.info);
		number = m.job;
		wire_msg_done(&m);
	}
}

static void
test_what_is_none(void **state)
{
	struct place *p = *state;
	uint8_t small[4] = { 0 };
	ProtobufCBinaryData name = { DIGEST_SIZE, p->sent.b };
	Dray__SharedGet m = DRAY__SHARED_GET__INIT;

	m.name = &name;
	m.credit = 1;
	assert_int_equal(serve_get(p->serve, &p->peer, 1, "ann", &m), -EBADMSG);
	m.n_name = 1;
	m.credit = 0;
	assert_int_equal(serve_get(p->serve, &p->peer, 1, "ann", &m), -EBADMSG);
	m.credit = WIRE_SHARED_CREDIT_MAX + 1;
	assert_int_equal(serve_get(p->serve, &p->peer, 1, "ann", &m), -EBADMSG);
	m.credit = 1;
	m.entry = true;
	assert_int_equal(serve_get(p->serve, &p->peer, 1, "ann", &m), -EBADMSG);
	m.entry = false;
	name = (ProtobufCBinaryData){ sizeof(small), small };
	assert_int_equal(serve_get(p->serve, &p->peer, 1, "ann", &m), -EBADMSG);
	for (uint32_t i = 0; i < SERVE_REQUESTS_KEY; i++)
		assert_int_equal(get_by(p, i, "ann", &p->large, 1, 1, false), 0);
	assert_int_equal(get_by(p, 999, "ann", &p->large, 1, 1, false), -EBUSY);
	/* another key's */
	snprintf(p->peer.curve, sizeof(p->peer.curve), "w3");
	assert_int_equal(get_by(p, 999, "ann", &p->large, 1, 1, false), 0);
}

/* ---- asking */

#define JOB "0123456789abcdef0123456789abcdef"
#define WAIT_MS 150

struct asking {
	struct place *p;
	void *ctx;
	struct identity id, other;
	struct whereabouts where; /* of the other one's key */
	struct seeker *seeker;
};

static void
asking_up(struct asking *a, struct place *p)
{
	*a = (struct asking){ .p = p, .ctx = zmq_ctx_new() };
	assert_int_equal(identity_generate("w1", &a->id), 0);
	assert_int_equal(identity_generate("other", &a->other), 0);
	whereabouts_init(&a->where);
	whereabouts_set_key(&a->where, a->other.curve_public);
	assert_int_equal(seeker_open(&(struct seeker_conf){ .ctx = a->ctx,
					     .identity = &a->id,
					     .coordinator = "tcp://127.0.0.1:9",
					     .key = &a->where,
					     .store = p->store,
					     .tmp = p->dir,
					     .wait_ms = WAIT_MS },
				 &a->seeker),
		0);
}

static void
asking_down(struct asking *a)
{
	seeker_closep(&a->seeker);
	zmq_ctx_termp(&a->ctx);
	whereabouts_done(&a->where);
	identity_done(&a->id);
	identity_done(&a->other);
}

static struct seek *
begin(struct asking *a)
{
	const struct seek_blob v[] = { { a->p->sent, 100, false }, { a->p->made, SMALL, true } };
	struct seek *k = seek_begin(a->seeker, JOB, v, ARRAY_LEN(v));
	struct seeker_question q;

	if (!k)
		return NULL;
	assert_true(seeker_next(a->seeker, &q));
	assert_string_equal(q.ask.job, JOB);
	assert_int_equal(q.ask.n_blob, 2);
	assert_memory_equal(q.ask.blob[1].data, a->p->made.b, DIGEST_SIZE);
	seeker_question_done(&q);
	assert_false(seeker_next(a->seeker, &q));
	return k;
}

/* Both are nowhere. Returns how long that took. */
static uint64_t
is_nowhere(struct seek *k)
{
	uint64_t began = clock_mono_ms();
	bool told[2] = { false, false };

	/* what nobody has is told of before all is known */
	while (!seek_is_over(k) || !seek_is_planned(k)) {
		struct pollfd fd = { seek_fd(k), POLLIN, 0 };
		size_t i;
		bool here;

		assert_true(clock_mono_ms() - began < LIMIT_MS);
		poll(&fd, 1, LIMIT_MS);
		while (seek_next(k, &i, &here)) {
			assert_true(i < 2 && !told[i] && !here);
			told[i] = true;
		}
	}
	assert_true(told[0] && told[1]);
	seek_end(k);
	return clock_mono_ms() - began;
}

static void
test_nobody_says(void **state)
{
	struct asking a;
	struct seek *k;

	assert_null(seek_begin(NULL, JOB, NULL, 0));
	asking_up(&a, *state);
	k = begin(&a);
	seeker_unheard(a.seeker, JOB);
	is_nowhere(k);
	/* it is not waited for twice */
	k = begin(&a);
	assert_true(is_nowhere(k) >= WAIT_MS - 20);
	assert_null(begin(&a));
	asking_down(&a);
}

/* A worker at a port that nobody listens on, twice; the second time nobody tries. */
static void
test_a_holder_that_is_gone(void **state)
{
	struct asking a;
	Dray__Holder h = DRAY__HOLDER__INIT, *list[] = { &h };
	Dray__WorkerFound m = DRAY__WORKER_FOUND__INIT;
	uint32_t blobs[] = { 0, 1, 77 };
	char job[] = JOB, endpoint[] = "tcp://127.0.0.1:9";
	struct seeker_counts n;

	asking_up(&a, *state);
	h.endpoint = endpoint;
	h.curve_public = a.other.curve_public;
	h.blob = blobs;
	h.n_blob = ARRAY_LEN(blobs);
	m.job = job;
	m.holder = list;
	m.n_holder = 1;
	for (int i = 0; i < 2; i++) {
		struct seek *k = begin(&a);

		seeker_hear(a.seeker, &m);
		is_nowhere(k);
		seeker_count(a.seeker, &n);
		/* and the cache, which is as far away */
		assert_int_equal(n.shunned, 2);
		assert_int_equal(n.nowhere, 2 * (i + 1));
	}
	/* a job that leaves before it is told */
	seek_end(begin(&a));
	seeker_hear(a.seeker, &m);
	seek_end(begin(&a));
	asking_down(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_gets_what, up, down),
		cmocka_unit_test_setup_teardown(test_look, up, down),
		cmocka_unit_test_setup_teardown(test_credit, up, down),
		cmocka_unit_test_setup_teardown(test_all_together, up, down),
		cmocka_unit_test_setup_teardown(test_stalled, up, down),
		cmocka_unit_test_setup_teardown(test_what_is_none, up, down),
		cmocka_unit_test_setup_teardown(test_nobody_says, up, down),
		cmocka_unit_test_setup_teardown(test_a_holder_that_is_gone, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
