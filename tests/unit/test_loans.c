/* What a worker can hand over of what it has shared: the record of each is there when the
 * coordinator asks for it, whatever other clients have compiled meanwhile. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/fs.h"
#include "worker/share/loans.h"

#define LIMIT_MS 20000
#define MIB (1u << 20)

struct room {
	struct loans *l;
	char *dir;
	unsigned samples;
};

static int
setup(void **state)
{
	struct room *r = calloc(1, sizeof(*r));
	struct loans_conf c = { .ctx = NULL };

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &r->dir), 0);
	c.tmp = r->dir;
	assert_int_equal(loans_open(&c, &r->l), 0);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct room *r = *state;

	loans_closep(&r->l);
	fs_rm_rf(r->dir);
	free(r->dir);
	free(r);
	return 0;
}

static struct digest
number(unsigned n)
{
	struct digest d = { { (uint8_t)n, (uint8_t)(n >> 8) } };

	return d;
}

/* A unit of that size, without blobs. */
static int
note(struct room *r, const char *client, unsigned key, size_t bytes, struct record **ret)
{
	_cleanup_(freep) char *crate = calloc(bytes + 1, 1);
	const struct strv none = STRV_INIT;
	Dray__Unit unit = DRAY__UNIT__INIT;
	struct loan *n;

	memset(crate, 'x', bytes);
	unit.crate = crate;
	n = loan_new(&unit, &none, NULL);
	assert_non_null(n);
	snprintf(n->client, sizeof(n->client), "%s", client);
	n->key = number(key);
	return loans_note(r->l, n, ret);
}

static void
shared(struct room *r, const char *client, unsigned key, size_t bytes)
{
	struct record *record;

	assert_int_equal(note(r, client, key, bytes, &record), 0);
	loans_release(r->l, record);
}

/* What it answers when it is to keep that one. */
static Dray__LendEnd
asked(struct room *r, unsigned key)
{
	struct digest d = number(key), zero = { { 0 } };
	Dray__WorkerLend m = DRAY__WORKER_LEND__INIT;
	struct loans_word w;
	char sample[33];

	snprintf(sample, sizeof(sample), "%032x", ++r->samples);
	m.sample = sample;
	m.what = DRAY__LEND_WHAT__LEND_KEEP;
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, d.b };
	m.inputs = m.made = (ProtobufCBinaryData){ DIGEST_SIZE, zero.b };
	loans_hear(r->l, &m);
	while (!loans_next(r->l, &w)) {
		struct pollfd p = { .fd = loans_fd(r->l), .events = POLLIN };

		assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	}
	assert_string_equal(w.sample, sample);
	return w.end;
}

/* One client that has much compiled pushes out what is its own. */
static void
test_each_its_own(void **state)
{
	struct room *r = *state;

	shared(r, "bob", 1, MIB);
	for (unsigned i = 0; i < 100; i++)
		shared(r, "ann", 10 + i, MIB);
	assert_int_equal(asked(r, 1), DRAY__LEND_END__LENT_KEPT);
	assert_int_equal(asked(r, 10), DRAY__LEND_END__LENT_LACKS);
	assert_int_equal(asked(r, 109), DRAY__LEND_END__LENT_KEPT);
}

/* Likewise by many small ones. */
static void
test_many(void **state)
{
	struct room *r = *state;

	shared(r, "bob", 1, 10);
	for (unsigned i = 0; i < LOANS_MAX + 100; i++)
		shared(r, "ann", 10 + i, 10);
	assert_int_equal(asked(r, 1), DRAY__LEND_END__LENT_KEPT);
	assert_int_equal(asked(r, 10), DRAY__LEND_END__LENT_LACKS);
	assert_int_equal(asked(r, LOANS_MAX + 109), DRAY__LEND_END__LENT_KEPT);
}

/* What is on its way stays, also if the coordinator is away for long; then it is the latest. */
static void
test_on_its_way(void **state)
{
	struct room *r = *state;
	struct record *record;

	assert_int_equal(note(r, "ann", 1, MIB, &record), 0);
	for (unsigned i = 0; i < 100; i++)
		shared(r, "ann", 10 + i, MIB);
	assert_int_equal(asked(r, 1), DRAY__LEND_END__LENT_KEPT);
	loans_release(r->l, record);
	for (unsigned i = 0; i < 20; i++)
		shared(r, "ann", 200 + i, MIB);
	assert_int_equal(asked(r, 1), DRAY__LEND_END__LENT_KEPT);
}

/* Too large a one is not shared; nor is what there is no room for: that is one client's alone. */
static void
test_bounds(void **state)
{
	struct room *r = *state;
	struct record *v[64], *other;
	unsigned n = 0;
	int e;

	assert_int_equal(note(r, "ann", 1, LOANS_LARGEST, &other), -EFBIG);
	assert_null(other);
	assert_int_equal(asked(r, 1), DRAY__LEND_END__LENT_LACKS);
	while ((e = note(r, "ann", 10 + n, MIB, &v[n])) == 0)
		assert_true(++n < ARRAY_LEN(v));
	assert_int_equal(e, -ENOBUFS);
	assert_int_equal(note(r, "bob", 2, MIB, &other), 0);
	loans_release(r->l, other);
	loans_release(r->l, v[--n]);
	assert_int_equal(note(r, "ann", 3, MIB - 100, &other), 0);
	loans_release(r->l, other);
	while (n > 0)
		loans_release(r->l, v[--n]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(test_each_its_own), T(test_many), T(test_on_its_way),
		T(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
