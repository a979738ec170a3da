/* Chunks that are sent again and again: what is kept is what was put at that place, within a bound.
 */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coordinator/cache/hot.h"

static struct digest
name_of(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

static void
put(struct hot *h, const struct hot_place *at, size_t n, uint8_t fill, bool zstd)
{
	zmq_msg_t m;

	assert_int_equal(zmq_msg_init_size(&m, n), 0);
	memset(zmq_msg_data(&m), fill, n);
	hot_put(h, at, &m, zstd);
	/* as it is sent */
	assert_int_equal(((uint8_t *)zmq_msg_data(&m))[n - 1], fill);
	zmq_msg_close(&m);
}

static void
put_twice(struct hot *h, const struct hot_place *at, size_t n, uint8_t fill, bool zstd)
{
	put(h, at, n, fill, zstd);
	put(h, at, n, fill, zstd);
}

/* What it is filled with; -1: it is not here. */
static int
got(struct hot *h, const struct hot_place *at, size_t n, bool zstd)
{
	zmq_msg_t m;
	bool is_zstd = !zstd;
	int fill;

	assert_int_equal(hot_has(h, at), hot_get(h, at, &m, &is_zstd));
	if (!hot_has(h, at))
		return -1;
	assert_int_equal(is_zstd, zstd);
	assert_int_equal(zmq_msg_size(&m), n);
	fill = ((uint8_t *)zmq_msg_data(&m))[0];
	assert_int_equal(((uint8_t *)zmq_msg_data(&m))[n - 1], fill);
	zmq_msg_close(&m);
	return fill;
}

static void
test_places(void **state)
{
	struct digest a = name_of(1), b = name_of(2);
	const struct hot_place place = { &a, 0, false }, later = { &a, 1000, false },
			       packed = { &a, 0, true }, other = { &b, 0, false };
	struct hot *h;

	(void)state;
	assert_int_equal(hot_new(1 << 20, &h), 0);
	assert_int_equal(got(h, &place, 1000, false), -1);
	/* what is asked for once is not kept */
	put(h, &place, 1000, 7, false);
	assert_int_equal(got(h, &place, 1000, false), -1);
	assert_int_equal(hot_bytes(h), 0);
	put(h, &place, 1000, 7, false);
	assert_int_equal(got(h, &place, 1000, false), 7);
	assert_int_equal(got(h, &later, 1000, false), -1);
	assert_int_equal(got(h, &packed, 10, true), -1);
	assert_int_equal(got(h, &other, 1000, false), -1);
	put_twice(h, &packed, 10, 8, true);
	put_twice(h, &later, 500, 9, false);
	put_twice(h, &other, 70, 10, false);
	assert_int_equal(got(h, &place, 1000, false), 7);
	assert_int_equal(got(h, &packed, 10, true), 8);
	assert_int_equal(got(h, &later, 500, false), 9);
	assert_int_equal(got(h, &other, 70, false), 10);
	hot_free(h);
}

/* A message that is on its way keeps what it has. */
static void
test_bound(void **state)
{
	enum { N = 200, SIZE = 10000, MAX = 10 * SIZE };
	struct digest names[N];
	struct hot *h;
	zmq_msg_t kept;
	bool zstd;

	(void)state;
	assert_int_equal(hot_new(MAX, &h), 0);
	for (unsigned i = 0; i < N; i++) {
		const struct hot_place at = { &names[i], 0, false },
				       first = { &names[0], 0, false };

		names[i] = name_of(i);
		put_twice(h, &at, SIZE, (uint8_t)i, false);
		assert_true(hot_bytes(h) <= MAX);
		/* the first is used again and again */
		assert_int_equal(got(h, &first, SIZE, false), 0);
		if (i == N - 1)
			assert_true(hot_get(h, &at, &kept, &zstd));
	}
	assert_true(hot_bytes(h) > MAX - 2 * SIZE);
	for (unsigned i = 1; i < N; i++) {
		const struct hot_place at = { &names[i], 0, false };

		assert_int_equal(got(h, &at, SIZE, false), i < N - 8 ? -1 : (int)i);
	}
	{
		const struct hot_place at = { &names[1], 5, false };

		put_twice(h, &at, MAX + 1, 1, false);
		assert_int_equal(got(h, &at, MAX + 1, false), -1);
	}
	hot_free(h);
	assert_int_equal(((uint8_t *)zmq_msg_data(&kept))[SIZE - 1], N - 1);
	zmq_msg_close(&kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
