/* ticket.c: one client, one worker, one job, once, and not for long. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/ticket.pb-c.h"
#include "keys/ticket.h"

#define JOB "0123456789abcdef0123456789abcdef"
#define NOW 1700000000000u
#define SKEW 60000
#define BOOK_MAX 1000 /* several times the first number of buckets */

static struct identity coordinator, stranger;
static char client[CURVE_KEY_SIZE], other_client[CURVE_KEY_SIZE];
static char worker[CURVE_KEY_SIZE], other_worker[CURVE_KEY_SIZE];

struct issued {
	uint8_t *p;
	size_t n;
	uint8_t sig[SIGNATURE_SIZE];
};

static int
keys_up(void **state)
{
	memset(client, 'a', 40);
	memset(other_client, 'b', 40);
	memset(worker, 'c', 40);
	memset(other_worker, 'd', 40);
	if (identity_generate("coordinator", &coordinator) < 0)
		return -1;
	return identity_generate("stranger", &stranger);
}

static int
book_up(void **state)
{
	struct ticket_book *b;
	int r = ticket_book_new(&b);

	*state = b;
	return r;
}

static int
book_down(void **state)
{
	ticket_book_free(*state);
	return 0;
}

static void
issued_done(struct issued *t)
{
	free(t->p);
}

static void
issue(const struct identity *by, const char *for_client, const char *for_worker, struct issued *ret)
{
	assert_int_equal(ticket_issue(by, JOB, for_client, for_worker, NULL, NOW, &ret->p, &ret->n,
				 ret->sig),
		0);
}

static int
check_as(struct ticket_book *b, const struct issued *t, const char *as_client,
	const char *as_worker, uint64_t now)
{
	_cleanup_(freep) char *job = NULL;
	struct ticket_terms terms = { .twin = true, .sample = true, .refill = true };
	int r = ticket_check(b, t->p, t->n, t->sig, sizeof(t->sig), coordinator.sign_public,
		as_client, as_worker, now, &job, &terms);

	if (r == 0) {
		assert_string_equal(job, JOB);
		assert_false(terms.twin || terms.sample || terms.refill || *terms.namespace);
	} else {
		assert_null(job);
	}
	return r;
}

static int
check(struct ticket_book *b, const struct issued *t, uint64_t now)
{
	return check_as(b, t, client, worker, now);
}

static void
test_once(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 }, u = { 0 };

	issue(&coordinator, client, worker, &t);
	issue(&coordinator, client, worker, &u);
	assert_int_equal(check(*state, &t, NOW), 0);
	assert_int_equal(check(*state, &t, NOW), -EALREADY);
	assert_int_equal(check(*state, &t, NOW + TICKET_LIFE_MS + SKEW), -EALREADY);
	assert_int_equal(check(*state, &t, NOW + TICKET_LIFE_MS + SKEW + 1), -EKEYEXPIRED);
	assert_int_equal(check(*state, &u, NOW), 0);
}

static void
test_expiry_and_skew(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 };

	issue(&coordinator, client, worker, &t);
	assert_int_equal(check(*state, &t, NOW + TICKET_LIFE_MS + SKEW + 1), -EKEYEXPIRED);
	/* A worker whose clock is behind takes it, though not by more than the skew. */
	assert_int_equal(check(*state, &t, NOW - SKEW - 1), -EKEYEXPIRED);
	assert_int_equal(check(*state, &t, NOW - SKEW), 0);
}

/* A worker with a slow clock still remembers what it took for as long as it would take it again. */
static void
test_remembered_while_valid(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 };

	issue(&coordinator, client, worker, &t);
	assert_int_equal(check(*state, &t, NOW - SKEW), 0);
	for (uint64_t at = NOW - SKEW; at <= NOW + TICKET_LIFE_MS + SKEW; at += 1000)
		assert_int_equal(check(*state, &t, at), -EALREADY);
}

static void
test_for_somebody_else(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 };

	issue(&coordinator, client, worker, &t);
	assert_int_equal(check_as(*state, &t, other_client, worker, NOW), -EACCES);
	assert_int_equal(check_as(*state, &t, client, other_worker, NOW), -EACCES);
	/* Being refused does not use it up. */
	assert_int_equal(check(*state, &t, NOW), 0);
}

static void
test_ipc_has_no_keys(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 }, u = { 0 }, v = { 0 };

	issue(&coordinator, "", worker, &t);
	issue(&coordinator, client, worker, &u);
	issue(&coordinator, "", "", &v);
	assert_int_equal(check_as(*state, &t, client, worker, NOW), 0);
	assert_int_equal(check_as(*state, &u, "", worker, NOW), 0);
	assert_int_equal(check_as(*state, &v, "", "", NOW), 0);
}

static void
test_signature(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 }, forged = { 0 };
	char *job = NULL;
	struct ticket_terms terms;

	issue(&stranger, client, worker, &forged);
	assert_int_equal(check(*state, &forged, NOW), -EKEYREJECTED);
	issue(&coordinator, client, worker, &t);
	for (size_t i = 0; i < t.n; i++) {
		t.p[i] ^= 1;
		assert_int_equal(check(*state, &t, NOW), -EKEYREJECTED);
		t.p[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof(t.sig); i++) {
		t.sig[i] ^= 0x10;
		assert_int_equal(check(*state, &t, NOW), -EKEYREJECTED);
		t.sig[i] ^= 0x10;
	}
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, 63, coordinator.sign_public, client,
				 worker, NOW, &job, &terms),
		-EBADMSG);
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, 0, coordinator.sign_public, client,
				 worker, NOW, &job, &terms),
		-EBADMSG);
	assert_int_equal(ticket_check(*state, t.p, 0, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		-EBADMSG);
	assert_int_equal(ticket_check(*state, t.p, t.n - 1, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		-EKEYREJECTED);
	assert_null(job);
	assert_int_equal(check(*state, &t, NOW), 0);
}

/* What it is for is under the signature. */
static void
test_twin(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 };
	_cleanup_(freep) char *job = NULL;
	struct ticket_terms terms = { .twin = false };

	assert_int_equal(ticket_issue(&coordinator, JOB, client, worker,
				 &(struct ticket_terms){ .twin = true }, NOW, &t.p, &t.n, t.sig),
		0);
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		0);
	assert_true(terms.twin && !terms.sample);
}

static void
test_sample(void **state)
{
	static const struct ticket_terms given = { .sample = true, .namespace = "team" };
	_cleanup_(issued_done) struct issued t = { 0 };
	_cleanup_(freep) char *job = NULL;
	struct ticket_terms terms;

	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &given, NOW, &t.p, &t.n, t.sig), 0);
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		0);
	assert_true(terms.sample && !terms.twin && !terms.refill);
	assert_string_equal(terms.namespace, "team");
}

static void
test_refill(void **state)
{
	static const struct ticket_terms given = { .refill = true },
					 two = { .refill = true, .sample = true };
	_cleanup_(issued_done) struct issued t = { 0 }, odd = { 0 };
	_cleanup_(freep) char *job = NULL;
	struct ticket_terms terms;

	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &given, NOW, &t.p, &t.n, t.sig), 0);
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		0);
	assert_true(terms.refill && !terms.sample && !terms.twin);
	free(steal_ptr(job));
	/* it is one thing alone */
	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &two, NOW, &odd.p, &odd.n, odd.sig),
		0);
	assert_int_equal(ticket_check(*state, odd.p, odd.n, odd.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		-EBADMSG);
}

static void
test_push(void **state)
{
	static const struct ticket_terms given = { .push = true },
					 two = { .push = true, .refill = true },
					 stray = { .one = true },
					 one = { .push = true,
						 .one = true,
						 .toolchain = { { 7, 9 } } };
	_cleanup_(issued_done) struct issued t = { 0 }, odd = { 0 };
	_cleanup_(freep) char *job = NULL;
	_cleanup_(issued_done) struct issued of_one = { 0 }, of_none = { 0 };
	struct ticket_terms terms;
	char whose[CURVE_KEY_SIZE];

	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &given, NOW, &t.p, &t.n, t.sig), 0);
	assert_int_equal(ticket_check(*state, t.p, t.n, t.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		0);
	assert_true(terms.push && !terms.refill && !terms.sample && !terms.twin && !terms.one);
	free(steal_ptr(job));
	/* which toolchain it is for */
	assert_int_equal(ticket_issue(&coordinator, JOB, client, worker, &one, NOW, &of_one.p,
				 &of_one.n, of_one.sig),
		0);
	assert_int_equal(ticket_check(*state, of_one.p, of_one.n, of_one.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		0);
	assert_true(terms.push && terms.one);
	assert_memory_equal(terms.toolchain.b, one.toolchain.b, DIGEST_SIZE);
	free(steal_ptr(job));
	/* a job's names none */
	assert_int_equal(ticket_issue(&coordinator, JOB, client, worker, &stray, NOW, &of_none.p,
				 &of_none.n, of_none.sig),
		0);
	assert_int_equal(ticket_check(*state, of_none.p, of_none.n, of_none.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		-EBADMSG);
	/* nothing that was made is of it */
	assert_int_equal(ticket_read(t.p, t.n, t.sig, SIGNATURE_SIZE, coordinator.sign_public,
				 worker, NOW, whose),
		-EBADMSG);
	/* it is one thing alone */
	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &two, NOW, &odd.p, &odd.n, odd.sig),
		0);
	assert_int_equal(ticket_check(*state, odd.p, odd.n, odd.sig, SIGNATURE_SIZE,
				 coordinator.sign_public, client, worker, NOW, &job, &terms),
		-EBADMSG);
}

static int
check_blobs(const struct issued *t, const char *as_client, const char *as_worker, uint64_t now,
	char ret[CURVE_KEY_SIZE])
{
	return ticket_check_blobs(t->p, t->n, t->sig, SIGNATURE_SIZE, coordinator.sign_public,
		as_client, as_worker, now, ret);
}

/* One for blobs is for these two workers alone, for a while, and for nothing else. */
static void
test_blobs(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 }, of_job = { 0 }, forged = { 0 };
	struct ticket_terms given = { .blobs = true };
	char owner[CURVE_KEY_SIZE] = "";

	memcpy(given.owner, other_client, sizeof(other_client));
	assert_int_equal(
		ticket_issue(&coordinator, JOB, client, worker, &given, NOW, &t.p, &t.n, t.sig), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(check_blobs(&t, client, worker, NOW, owner), 0);
	assert_string_equal(owner, other_client);
	assert_int_equal(check_blobs(&t, other_client, worker, NOW, owner), -EACCES);
	assert_int_equal(check_blobs(&t, client, other_worker, NOW, owner), -EACCES);
	assert_int_equal(check_blobs(&t, "", worker, NOW, owner), -EACCES);
	assert_int_equal(check_blobs(&t, client, worker, NOW + TICKET_LIFE_MS + SKEW + 1, owner),
		-EKEYEXPIRED);
	assert_int_equal(check(*state, &t, NOW), -EACCES);
	issue(&coordinator, client, worker, &of_job);
	assert_int_equal(check_blobs(&of_job, client, worker, NOW, owner), -EACCES);
	assert_int_equal(ticket_issue(&stranger, JOB, client, worker, &given, NOW, &forged.p,
				 &forged.n, forged.sig),
		0);
	assert_int_equal(check_blobs(&forged, client, worker, NOW, owner), -EKEYREJECTED);
}

/* Signed as it should be, and yet no ticket: a coordinator of another make, or a broken one. */
static void
sign_fields(const char *job, size_t nonce_n, uint64_t expires, struct issued *ret)
{
	_cleanup_(freep) char *job_copy = strdup(job);
	uint8_t nonce[64] = { 1 };
	Dray__Ticket t;

	dray__ticket__init(&t);
	t.job = job_copy;
	t.client = client;
	t.worker = worker;
	t.expires_ms = expires;
	t.nonce.data = nonce;
	t.nonce.len = nonce_n;
	ret->n = dray__ticket__get_packed_size(&t);
	ret->p = malloc(ret->n);
	dray__ticket__pack(&t, ret->p);
	assert_int_equal(identity_sign(&coordinator, ret->p, ret->n, ret->sig), 0);
}

static void
test_signed_nonsense(void **state)
{
	static const struct {
		const char *job;
		size_t nonce_n;
		uint64_t expires;
		int r;
	} cases[] = {
		{ JOB, TICKET_NONCE_SIZE, NOW, 0 },
		{ JOB, 0, NOW, -EBADMSG },
		{ JOB, TICKET_NONCE_SIZE - 1, NOW, -EBADMSG },
		{ JOB, 64, NOW, -EBADMSG },
		{ "", TICKET_NONCE_SIZE, NOW, -EBADMSG },
		{ "../../etc/passwd", TICKET_NONCE_SIZE, NOW, -EBADMSG },
		{ JOB "0", TICKET_NONCE_SIZE, NOW, -EBADMSG },
		{ JOB, TICKET_NONCE_SIZE, 0, -EKEYEXPIRED },
		{ JOB, TICKET_NONCE_SIZE, UINT64_MAX, -EKEYEXPIRED },
		{ JOB, TICKET_NONCE_SIZE, UINT64_MAX - SKEW, -EKEYEXPIRED },
		{ JOB, TICKET_NONCE_SIZE, NOW + 10 * 60000, -EKEYEXPIRED },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(issued_done) struct issued t = { 0 };

		sign_fields(cases[i].job, cases[i].nonce_n, cases[i].expires, &t);
		assert_int_equal(check(*state, &t, NOW), cases[i].r);
	}
}

static void
test_signed_bytes_that_do_not_decode(void **state)
{
	struct issued t = { 0 };
	uint8_t bytes[] = { 0x0a, 0x7f, 'x' };

	t.p = bytes;
	t.n = sizeof(bytes);
	assert_int_equal(identity_sign(&coordinator, t.p, t.n, t.sig), 0);
	assert_int_equal(check(*state, &t, NOW), -EBADMSG);
}

static void
test_too_long(void **state)
{
	_cleanup_(freep) char *job = calloc(1, 5000);
	_cleanup_(issued_done) struct issued t = { 0 };

	memset(job, 'a', 4999);
	assert_int_equal(
		ticket_issue(&coordinator, job, client, worker, NULL, NOW, &t.p, &t.n, t.sig),
		-EINVAL);
	assert_null(t.p);
	sign_fields(job, TICKET_NONCE_SIZE, NOW, &t);
	assert_int_equal(check(*state, &t, NOW), -EBADMSG);
}

/* Fills the book to its bound: then tickets are refused, and taken again once old ones expired. */
static void
test_full_book(void **state)
{
	struct ticket_book *b = *state;
	_cleanup_(issued_done) struct issued first = { 0 }, extra = { 0 }, later = { 0 };
	uint64_t after = NOW + TICKET_LIFE_MS + SKEW + 1;

	ticket_book_limit(b, BOOK_MAX);
	issue(&coordinator, client, worker, &first);
	assert_int_equal(check(b, &first, NOW), 0);
	for (unsigned i = 1; i < BOOK_MAX; i++) {
		_cleanup_(issued_done) struct issued t = { 0 };

		issue(&coordinator, client, worker, &t);
		assert_int_equal(check(b, &t, NOW), 0);
	}
	issue(&coordinator, client, worker, &extra);
	assert_int_equal(check(b, &extra, NOW), -EBUSY);
	assert_int_equal(check(b, &first, NOW), -EALREADY);
	assert_int_equal(ticket_issue(&coordinator, JOB, client, worker, NULL, after, &later.p,
				 &later.n, later.sig),
		0);
	assert_int_equal(check(b, &later, after), 0);
	assert_int_equal(check(b, &later, after), -EALREADY);
}

/* The coordinator's time, counted on by another machine whose wall clock says anything. */
static void
test_clock(void **state)
{
	struct ticket_clock c = { .known = false };

	assert_int_equal(ticket_clock_get(&c, 5, NOW), NOW);
	ticket_clock_set(&c, 0, 5);
	ticket_clock_set(&c, UINT64_MAX, 5);
	assert_int_equal(ticket_clock_get(&c, 5, NOW), NOW);
	ticket_clock_set(&c, NOW, 1000);
	assert_int_equal(ticket_clock_get(&c, 1000, 0), NOW);
	assert_int_equal(ticket_clock_get(&c, 4500, 7 * NOW), NOW + 3500);
	/* one that was started again, with another clock */
	ticket_clock_set(&c, NOW - 3600000, 5000);
	assert_int_equal(ticket_clock_get(&c, 5001, NOW), NOW - 3600000 + 1);
}

/* When its job has ended it tells its worker's coordinator whose job that was. */
static void
test_read(void **state)
{
	_cleanup_(issued_done) struct issued t = { 0 }, sample = { 0 }, local = { 0 },
					     other = { 0 };
	const struct ticket_terms terms = { .sample = true };
	char who[CURVE_KEY_SIZE] = "";

	(void)state;
	issue(&coordinator, client, worker, &t);
	issue(&coordinator, "", worker, &local);
	issue(&stranger, client, worker, &other);
	assert_int_equal(ticket_issue(&coordinator, JOB, client, worker, &terms, NOW, &sample.p,
				 &sample.n, sample.sig),
		0);
#define READ(t, w, now) \
	ticket_read((t).p, (t).n, (t).sig, sizeof((t).sig), coordinator.sign_public, w, now, who)
	assert_int_equal(READ(t, other_worker, NOW), -EACCES);
	assert_int_equal(READ(t, "", NOW), -EACCES);
	assert_int_equal(READ(sample, worker, NOW), -EBADMSG);
	assert_int_equal(READ(local, worker, NOW), -EBADMSG);
	assert_int_equal(READ(other, worker, NOW), -EKEYREJECTED);
	assert_int_equal(READ(t, worker, NOW - SKEW - 1), -EKEYEXPIRED);
	assert_int_equal(READ(t, worker, NOW + TICKET_LIFE_MS + TICKET_READ_MS + 1), -EKEYEXPIRED);
	assert_int_equal(ticket_read(t.p, 0, t.sig, sizeof(t.sig), coordinator.sign_public, worker,
				 NOW, who),
		-EBADMSG);
	t.p[t.n / 2] ^= 1;
	assert_int_equal(READ(t, worker, NOW), -EKEYREJECTED);
	t.p[t.n / 2] ^= 1;
	assert_string_equal(who, "");
	/* as often as it is asked */
	assert_int_equal(READ(t, worker, NOW), 0);
	assert_int_equal(READ(t, worker, NOW + TICKET_READ_MS), 0);
	assert_string_equal(who, client);
}

/* By a ticket for one toolchain no other one is given. */
static void
test_for_one_toolchain(void **state)
{
	struct ticket_terms terms = { .push = true, .one = true, .toolchain = { { 1, 2 } } };
	struct digest other = terms.toolchain;

	(void)state;
	other.b[DIGEST_SIZE - 1] ^= 1;
	assert_true(ticket_is_for(&terms, terms.toolchain.b, DIGEST_SIZE));
	assert_false(ticket_is_for(&terms, other.b, DIGEST_SIZE));
	assert_false(ticket_is_for(&terms, terms.toolchain.b, DIGEST_SIZE - 1));
	assert_false(ticket_is_for(&terms, "", 0));
	/* an older coordinator's names none, nor does a job's */
	terms.one = false;
	assert_true(ticket_is_for(&terms, other.b, DIGEST_SIZE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for_one_toolchain),
		cmocka_unit_test_setup_teardown(test_once, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_expiry_and_skew, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_remembered_while_valid, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_for_somebody_else, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_ipc_has_no_keys, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_signature, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_signed_nonsense, book_up, book_down),
		cmocka_unit_test_setup_teardown(
			test_signed_bytes_that_do_not_decode, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_twin, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_sample, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_refill, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_push, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_blobs, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_too_long, book_up, book_down),
		cmocka_unit_test_setup_teardown(test_full_book, book_up, book_down),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, keys_up, NULL);
}
