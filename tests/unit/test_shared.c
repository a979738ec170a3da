/* Shared results: what a trusted producer sealed is opened as it was; a lie in any field, another
 * key, another namespace, any byte changed: refused, and said why. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "proto/shared.pb-c.h"
#include "tests/unit/shared_fixture.h"

static void
test_there_and_back(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT, got = RESULT_INIT;
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	struct shared_by by = by_worker();
	struct trust t = trust_both(TRUST_WORKERS);
	struct shared_reader reader = { &t, "team" };
	struct shared_seal s;
	struct digest d, producer;

	(void)state;
	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	/* no value leaves, and nothing that tells of this machine */
	assert_null(memmem(sealed.p, sealed.n, "SECRET", 6));
	assert_null(memmem(sealed.p, sealed.n, "/home/me", 8));
	assert_null(memmem(sealed.p, sealed.n, r.producer, strlen(r.producer)));
	entry_of(&sealed, &e);
	assert_int_equal(shared_open(&e, 0, &reader, &got, &s, &why), 0);
	assert_null(why);
	assert_true(inputs_equal(&r.inputs, &got.inputs));
	assert_int_equal(got.n_outputs, 2);
	d = digest_for("liba.rlib");
	assert_true(got.outputs[0].is_blob && digest_eq(&got.outputs[0].digest, &d));
	assert_string_equal((char *)got.outputs[1].text.p, "\x01/a.d: src/lib.rs\n");
	assert_string_equal((char *)got.err.p, "{\"artifact\":\"\x01/liba.rlib\"}\n");
	assert_string_equal((char *)got.out.p, "hello\n");
	assert_string_equal(got.rustc, "1.95.0");
	assert_int_equal(got.compile_us, 12345);
	assert_int_equal(got.time_s, 99);
	assert_string_equal(got.from, "shared");
	assert_true(result_is_producer(got.producer));
	assert_int_equal(digest_parse(got.producer, &producer), 0);
	assert_memory_equal(producer.b, worker.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(got.argv.n + got.env.n, 0);
	assert_null(got.cwd);
	assert_int_equal(s.kind, TRUST_WORKER);
	assert_int_equal(s.time_s, SOME_TIME);
	assert_memory_equal(s.producer, worker.sign_public, SIGN_KEY_SIZE);
	trust_keys_done(&t.keys);
}

/* Every byte of a sealed result counts. */
static void
test_each_byte(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	struct shared_by by = by_publisher();

	(void)state;
	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	assert_int_equal(open_one(&sealed), 0);
	for (size_t i = 0; i < sealed.n; i++)
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			sealed.p[i] ^= (uint8_t)bit;
			if (open_one(&sealed) == 0)
				fail_msg("byte %zu, bit %u", i, bit);
			sealed.p[i] ^= (uint8_t)bit;
		}
	assert_int_equal(open_one(&sealed), 0);
	/* and so does its length */
	while (sealed.n-- > 0)
		assert_int_not_equal(open_one(&sealed), 0);
}

/* ---- a lie in every field */

struct lie {
	const char *what;
	void (*tell)(Dray__SharedResult *m);
	int err;
};

static uint8_t zeros[SIGNATURE_SIZE];

static void
lie_namespace(Dray__SharedResult *m)
{
	m->namespace_ = (ProtobufCBinaryData){ 4, (uint8_t *)"else" };
}

static void
lie_no_namespace(Dray__SharedResult *m)
{
	m->namespace_ = (ProtobufCBinaryData){ 0, NULL };
}

static void
lie_key(Dray__SharedResult *m)
{
	m->key.data = other_key.b;
}

static void
lie_short_key(Dray__SharedResult *m)
{
	m->key.len--;
}

static void
lie_kind(Dray__SharedResult *m)
{
	m->kind = TRUST_WORKER;
}

static void
lie_no_kind(Dray__SharedResult *m)
{
	m->kind = TRUST_NONE;
}

static void
lie_admin(Dray__SharedResult *m)
{
	m->kind = TRUST_ADMIN;
}

static void
lie_producer(Dray__SharedResult *m)
{
	m->producer.data = stranger.sign_public;
}

static void
lie_other_producer(Dray__SharedResult *m)
{
	m->producer.data = worker.sign_public;
}

static void
lie_short_producer(Dray__SharedResult *m)
{
	m->producer.len--;
}

static void
lie_time(Dray__SharedResult *m)
{
	m->time_s++;
}

static void
lie_result(Dray__SharedResult *m)
{
	m->result.data[m->result.len / 2] ^= 1;
}

static void
lie_no_result(Dray__SharedResult *m)
{
	m->result.len = 0;
}

static void
lie_signature(Dray__SharedResult *m)
{
	m->signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, zeros };
}

static void
lie_unsigned(Dray__SharedResult *m)
{
	m->signature.len = 0;
}

static void
tell(const struct lie *lie)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT, lied = BUF_INIT;
	struct shared_by by = by_publisher();
	Dray__SharedResult *m;
	int err;

	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	m = dray__shared_result__unpack(NULL, sealed.n, sealed.p);
	assert_non_null(m);
	{
		/* on a copy, whose pointers are not the message's own */
		Dray__SharedResult copy = *m;

		lie->tell(&copy);
		assert_int_equal(
			buf_reserve(&lied, dray__shared_result__get_packed_size(&copy)), 0);
		lied.n = dray__shared_result__pack(&copy, lied.p);
	}
	dray__shared_result__free_unpacked(m, NULL);
	err = open_one(&lied);
	if (err != lie->err)
		fail_msg("%s: %d", lie->what, err);
}

static void
test_lies(void **state)
{
	static const struct lie lies[] = {
		{ "another namespace", lie_namespace, -EKEYREJECTED },
		{ "no namespace", lie_no_namespace, -EKEYREJECTED },
		{ "another key", lie_key, -EKEYREJECTED },
		{ "a short key", lie_short_key, -EBADMSG },
		{ "another kind", lie_kind, -EACCES },
		{ "no kind", lie_no_kind, -EBADMSG },
		{ "an admin", lie_admin, -EBADMSG },
		{ "an unknown producer", lie_producer, -EACCES },
		{ "another one that is trusted", lie_other_producer, -EACCES },
		{ "a short producer", lie_short_producer, -EBADMSG },
		{ "another time", lie_time, -EKEYREJECTED },
		{ "another result", lie_result, -EKEYREJECTED },
		{ "no result", lie_no_result, -EKEYREJECTED },
		{ "another signature", lie_signature, -EKEYREJECTED },
		{ "no signature", lie_unsigned, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++)
		tell(&lies[i]);
}

/* The signature is over what shared.h says, and no more. */
static void
test_format(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT, by_hand = BUF_INIT, more = BUF_INIT;
	struct shared_by by = by_worker();

	(void)state;
	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	strv_done(&r.argv);
	strv_done(&r.env);
	free(steal_ptr(r.cwd));
	free(steal_ptr(r.from));
	free(steal_ptr(r.producer));
	seal_as_is(&by, &r, &by_hand);
	assert_int_equal(sealed.n, by_hand.n);
	assert_memory_equal(sealed.p, by_hand.p, sealed.n);
	/* a field of a later version: number 15, two bytes */
	assert_int_equal(buf_add(&more, sealed.p, sealed.n), 0);
	assert_int_equal(buf_add(&more, "\x7a\x02hi", 4), 0);
	assert_int_equal(open_one(&more), 0);
}

/* What is right in one place is nothing in another. */
static void
test_replayed(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(freep) char *why = NULL, *why_key = NULL;
	struct shared_by by = by_publisher();
	struct trust t = trust_both(TRUST_PUBLISHERS);

	(void)state;
	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	assert_int_equal(open_as(&sealed, &key, &t, "team", NULL), 0);
	assert_int_equal(open_as(&sealed, &key, &t, "", &why), -EKEYREJECTED);
	assert_string_equal(why, "it is another key's, or another namespace's");
	assert_int_equal(open_as(&sealed, &other_key, &t, "team", &why_key), -EKEYREJECTED);
	assert_string_equal(why_key, why);
	trust_keys_done(&t.keys);
}

/* ---- who is trusted */

static void
test_trusted(void **state)
{
	static const struct {
		const char *kind, *rest;
		enum trust_level level;
		bool of_worker; /* who sealed it */
		int err;
		const char *why;
	} rows[] = {
		{ "worker", "", TRUST_WORKERS, true, 0, NULL },
		{ "worker", "w1", TRUST_PUBLISHERS, true, 0, NULL },
		{ "worker", "w1 namespace=team", TRUST_WORKERS, true, 0, NULL },
		{ "worker", "w1 namespace=else", TRUST_WORKERS, true, -EACCES,
			"its key is for another namespace" },
		{ "worker", "w1 revoked", TRUST_WORKERS, true, -EACCES, "its key is revoked" },
		{ "worker", "w1 namespace=team revoked", TRUST_WORKERS, true, -EACCES,
			"its key is revoked" },
		{ "publisher", "", TRUST_PUBLISHERS, true, -EACCES,
			"its key is one of another kind" },
		{ "admin", "", TRUST_PUBLISHERS, true, -EACCES, "its key is not known" },
		{ "publisher", "ci", TRUST_PUBLISHERS, false, 0, NULL },
		{ "publisher", "ci", TRUST_WORKERS, false, -EACCES,
			"a publisher made it, and trust = workers" },
		{ "worker", "ci", TRUST_PUBLISHERS, false, -EACCES,
			"its key is one of another kind" },
		{ "publisher", "ci revoked", TRUST_PUBLISHERS, false, -EACCES,
			"its key is revoked" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT, list = BUF_INIT;
		_cleanup_(freep) char *why = NULL;
		struct shared_by by = rows[i].of_worker ? by_worker() : by_publisher();
		struct trust t;

		fill_result(&r, "source");
		seal(&by, &r, &sealed);
		add_line(&list, rows[i].kind, by.id, rows[i].rest);
		t = trust_of(&list, rows[i].level);
		assert_int_equal(open_as(&sealed, &key, &t, "team", &why), rows[i].err);
		if (rows[i].why)
			assert_string_equal(why, rows[i].why);
		else
			assert_null(why);
		trust_keys_done(&t.keys);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_trusted),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
