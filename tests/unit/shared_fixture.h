/* Producers, and results for them to seal. */
#ifndef DRAY_TESTS_SHARED_FIXTURE_H
#define DRAY_TESTS_SHARED_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/shared.h"
#include "proto/shared.pb-c.h"

#define SOME_TIME 1800000000

static struct identity worker, publisher, stranger;
static struct digest key, other_key;
static char *const hermetic[] = { (char *)"CARGO_PKG_NAME=a", (char *)"PASSED=x", NULL };

static inline struct digest
digest_for(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static inline int
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

static inline struct shared_by
by_worker(void)
{
	return (struct shared_by){ .id = &worker,
		.kind = TRUST_WORKER,
		.namespace = "team",
		.env = hermetic,
		.time_s = SOME_TIME };
}

static inline struct shared_by
by_publisher(void)
{
	struct shared_by by = by_worker();

	by.id = &publisher;
	by.kind = TRUST_PUBLISHER;
	return by;
}

/* ---- whom a reader trusts */

static inline void
add_line(struct buf *list, const char *kind, const struct identity *id, const char *rest)
{
	struct digest d;
	char hex[DIGEST_HEX_SIZE];

	memcpy(d.b, id->sign_public, DIGEST_SIZE);
	digest_hex(&d, hex);
	assert_int_equal(buf_addf(list, "%s %s %s\n", kind, hex, rest), 0);
}

static inline struct trust
trust_of(const struct buf *list, enum trust_level level)
{
	struct trust t = { .level = level };
	struct keys_fault fault;

	assert_int_equal(trust_keys_parse((const char *)list->p, list->n, &t.keys, &fault), 0);
	return t;
}

static inline struct trust
trust_both(enum trust_level level)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;

	add_line(&list, "worker", &worker, "w1");
	add_line(&list, "publisher", &publisher, "ci");
	return trust_of(&list, level);
}

/* ---- results */

static inline struct output *
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

static inline void
add_digest(struct result *r, enum input_kind kind, const char *name, const char *of)
{
	struct digest d = digest_for(of);

	assert_int_equal(inputs_add(&r->inputs, kind, name, d.b, DIGEST_SIZE), 0);
}

static inline void
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

static inline void
seal(const struct shared_by *by, const struct result *r, struct buf *ret)
{
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(shared_seal(by, &key, r, ret, &why), 0);
	assert_null(why);
}

/* An entry with one sealed result. */
static inline void
entry_of(const struct buf *sealed, struct shared_entry *ret)
{
	ret->key = key;
	ret->sealed = calloc(1, sizeof(*ret->sealed));
	assert_non_null(ret->sealed);
	assert_int_equal(buf_add(&ret->sealed[0], sealed->p, sealed->n), 0);
	ret->n = 1;
}

/* What shared_open says of the bytes, as one who trusts both. */
static inline int
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

static inline int
open_one(const struct buf *sealed)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	struct trust t = trust_both(TRUST_PUBLISHERS);

	keys = t.keys;
	return open_as(sealed, &key, &t, "team", NULL);
}

/* ---- what a producer signs that makes no such results */

static inline void
add_field(struct buf *b, const void *p, size_t n)
{
	for (int i = 7; i >= 0; i--)
		assert_int_equal(buf_add(b, &(uint8_t){ (uint8_t)((uint64_t)n >> (8 * i)) }, 1), 0);
	if (n)
		assert_int_equal(buf_add(b, p, n), 0);
}

/* The bytes of a sealed result, made as shared.h says it. */
static inline void
seal_bytes(const struct shared_by *by, const void *result, size_t n, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	Dray__SharedResult m = DRAY__SHARED_RESULT__INIT;
	uint8_t sig[SIGNATURE_SIZE], time[8];
	const char *kind = by->kind == TRUST_WORKER ? "worker" : "publisher";

	for (unsigned i = 0; i < 8; i++)
		time[i] = (uint8_t)(by->time_s >> (56 - 8 * i));
	assert_int_equal(buf_add(&b, "dray shared result 1", 21), 0);
	add_field(&b, by->namespace, strlen(by->namespace));
	add_field(&b, key.b, DIGEST_SIZE);
	add_field(&b, kind, strlen(kind));
	add_field(&b, by->id->sign_public, SIGN_KEY_SIZE);
	add_field(&b, time, sizeof(time));
	add_field(&b, result, n);
	assert_int_equal(identity_sign(by->id, b.p, b.n, sig), 0);
	m.namespace_ = (ProtobufCBinaryData){ strlen(by->namespace), (uint8_t *)by->namespace };
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, key.b };
	m.kind = by->kind;
	m.producer = (ProtobufCBinaryData){ SIGN_KEY_SIZE, (uint8_t *)by->id->sign_public };
	m.time_s = by->time_s;
	m.result = (ProtobufCBinaryData){ n, (uint8_t *)result };
	m.signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, sig };
	assert_int_equal(buf_reserve(ret, dray__shared_result__get_packed_size(&m)), 0);
	ret->n += dray__shared_result__pack(&m, ret->p + ret->n);
}

/* The same of a result as it is. */
static inline void
seal_as_is(const struct shared_by *by, const struct result *r, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(result_encode(r, &b), 0);
	seal_bytes(by, b.p, b.n, ret);
}

#endif
