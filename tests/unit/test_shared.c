/* Shared results: what a trusted producer sealed is opened as it was; a lie in any field, another
 * key, another namespace, any byte changed: refused, and said why. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/attributes.h"
#include "cache/key.h"
#include "cache/shared.h"
#include "cache/variables.h"
#include "proto/entry.pb-c.h"
#include "proto/shared.pb-c.h"

#define SOME_TIME 1800000000

static struct identity worker, publisher, stranger;
static struct digest key, other_key;
static char *const hermetic[] = { (char *)"CARGO_PKG_NAME=a", (char *)"PASSED=x", NULL };

static struct digest
digest_for(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static int
make_identities(void **state)
{
	(void)state;
	key = digest_for("key");
	other_key = digest_for("another key");
	if (identity_generate("worker", &worker) < 0 ||
		identity_generate("publisher", &publisher) < 0)
		return -1;
	return identity_generate("stranger", &stranger);
}

static struct shared_by
by_worker(void)
{
	return (struct shared_by){ .id = &worker,
		.kind = TRUST_WORKER,
		.namespace = "team",
		.env = hermetic,
		.time_s = SOME_TIME };
}

static struct shared_by
by_publisher(void)
{
	struct shared_by by = by_worker();

	by.id = &publisher;
	by.kind = TRUST_PUBLISHER;
	return by;
}

/* ---- whom a reader trusts */

static void
add_line(struct buf *list, const char *kind, const struct identity *id, const char *rest)
{
	struct digest d;
	char hex[DIGEST_HEX_SIZE];

	memcpy(d.b, id->sign_public, DIGEST_SIZE);
	digest_hex(&d, hex);
	assert_int_equal(buf_addf(list, "%s %s %s\n", kind, hex, rest), 0);
}

static struct trust
trust_of(const struct buf *list, enum trust_level level)
{
	struct trust t = { .level = level };
	unsigned line;

	assert_int_equal(trust_keys_parse((const char *)list->p, list->n, &t.keys, &line), 0);
	return t;
}

static struct trust
trust_both(enum trust_level level)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;

	add_line(&list, "worker", &worker, "w1");
	add_line(&list, "publisher", &publisher, "ci");
	return trust_of(&list, level);
}

/* ---- results */

static struct output *
add_output(struct result *r, const char *name)
{
	struct output *o = result_add_output(r, name);

	assert_non_null(o);
	o->mode = 0666;
	o->size = 7;
	o->digest = digest_for(name);
	o->is_blob = true;
	return o;
}

static void
add_digest(struct result *r, enum input_kind kind, const char *name, const char *of)
{
	struct digest d = digest_for(of);

	assert_int_equal(inputs_add(&r->inputs, kind, name, d.b, DIGEST_SIZE), 0);
}

static void
fill_result(struct result *r, const char *source)
{
	struct output *o;

	add_digest(r, INPUT_FILE, "/w/src/lib.rs", source);
	assert_int_equal(inputs_add(&r->inputs, INPUT_ABSENT, "/w/src/a.rs", NULL, 0), 0);
	add_output(r, "liba.rlib");
	o = result_add_output(r, "a.d");
	assert_non_null(o);
	o->mode = 0666;
	assert_int_equal(buf_adds(&o->text, "\x01/a.d: src/lib.rs\n"), 0);
	assert_int_equal(buf_adds(&r->err, "{\"artifact\":\"\x01/liba.rlib\"}\n"), 0);
	assert_int_equal(buf_adds(&r->out, "hello\n"), 0);
	r->compile_us = 12345;
	r->time_s = 99;
	assert_int_equal(strv_add(&r->argv, "rustc"), 0);
	assert_int_equal(strv_add(&r->env, "SECRET=1"), 0);
	r->cwd = strdup("/home/me/w");
	r->from = strdup("local");
	r->rustc = strdup("1.95.0");
	r->producer = strdup("1]yYn&.3zxIFg3vKE%3I(b?r-pjQOcT%0<s8&u6a");
}

static void
seal(const struct shared_by *by, const struct result *r, struct buf *ret)
{
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(shared_seal(by, &key, r, ret, &why), 0);
	assert_null(why);
}

/* An entry with one sealed result. */
static void
entry_of(const struct buf *sealed, struct shared_entry *ret)
{
	ret->key = key;
	ret->sealed = calloc(1, sizeof(*ret->sealed));
	assert_non_null(ret->sealed);
	assert_int_equal(buf_add(&ret->sealed[0], sealed->p, sealed->n), 0);
	ret->n = 1;
}

/* What shared_open says of the bytes, as one who trusts both. */
static int
open_as(const struct buf *sealed, const struct digest *k, const struct trust *t,
	const char *namespace, char **ret_why)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result res = RESULT_INIT;
	struct shared_reader reader = { t, namespace };
	int r;

	entry_of(sealed, &e);
	e.key = *k;
	r = shared_open(&e, 0, &reader, &res, NULL, ret_why);
	/* nothing of a refused one is left */
	if (r < 0)
		assert_true(res.n_outputs == 0 && res.inputs.n == 0 && !res.from && !res.producer);
	return r;
}

static int
open_one(const struct buf *sealed)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	struct trust t = trust_both(TRUST_PUBLISHERS);

	keys = t.keys;
	return open_as(sealed, &key, &t, "team", NULL);
}

/* ---- */

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
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_trusted),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
