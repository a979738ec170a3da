/* chunk.c: content comes back as it went, and nothing else does. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zstd.h>

#include <cmocka.h>

#include "proto/chunk.h"
#include "proto/wire.h"

static int
coder_up(void **state)
{
	struct chunk_coder *c;
	int r = chunk_coder_new(&c);

	*state = c;
	return r;
}

static int
coder_down(void **state)
{
	chunk_coder_free(*state);
	return 0;
}

static void
fill(uint8_t *p, size_t n, bool random)
{
	unsigned seed = 7;

	for (size_t i = 0; i < n; i++)
		p[i] = random ? (uint8_t)(rand_r(&seed) >> 7) : (uint8_t)(i / 100);
}

static void
test_round_trips(void **state)
{
	static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000, 65536, WIRE_CHUNK_MAX - 1,
		WIRE_CHUNK_MAX };
	struct chunk_coder *c = *state;
	_cleanup_(freep) uint8_t *content = malloc(WIRE_CHUNK_MAX);

	for (unsigned kind = 0; kind < 4; kind++) {
		bool random = kind & 1, compress = kind & 2;

		fill(content, WIRE_CHUNK_MAX, random);
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			const uint8_t *back = NULL;
			zmq_msg_t m;
			bool zstd;

			assert_int_equal(
				chunk_encode(c, content, sizes[i], compress, &m, &zstd), 0);
			assert_true(zmq_msg_size(&m) <= sizes[i]);
			if (!compress || random)
				assert_false(zstd);
			else if (sizes[i] >= 1000)
				assert_true(zstd && zmq_msg_size(&m) < sizes[i] / 4);
			assert_int_equal(chunk_decode(c, &m, zstd, sizes[i], &back), 0);
			assert_memory_equal(back, content, sizes[i]);
			zmq_msg_close(&m);
		}
	}
}

static void
test_too_large_to_encode(void **state)
{
	_cleanup_(freep) uint8_t *content = calloc(1, WIRE_CHUNK_MAX + 1);
	zmq_msg_t m;
	bool zstd;

	assert_int_equal(
		chunk_encode(*state, content, WIRE_CHUNK_MAX + 1, true, &m, &zstd), -EINVAL);
}

static void
make(zmq_msg_t *m, const void *p, size_t n)
{
	assert_int_equal(zmq_msg_init_size(m, n), 0);
	if (n)
		memcpy(zmq_msg_data(m), p, n);
}

static int
decode(struct chunk_coder *c, const void *p, size_t n, bool zstd, size_t size)
{
	const uint8_t *back;
	zmq_msg_t m;
	int r;

	make(&m, p, n);
	r = chunk_decode(c, &m, zstd, size, &back);
	zmq_msg_close(&m);
	return r;
}

static void
test_wrong_size(void **state)
{
	struct chunk_coder *c = *state;
	_cleanup_(freep) uint8_t *content = calloc(1, 2 * WIRE_CHUNK_MAX);
	uint8_t packed[4096];
	size_t n = ZSTD_compress(packed, sizeof(packed), content, 10000, 1);

	assert_false(ZSTD_isError(n));
	assert_int_equal(decode(c, packed, n, true, 10000), 0);
	assert_int_equal(decode(c, packed, n, true, 9999), -EBADMSG);
	assert_int_equal(decode(c, packed, n, true, 10001), -EBADMSG);
	assert_int_equal(decode(c, packed, n, true, 0), -EBADMSG);
	assert_int_equal(decode(c, packed, n, true, SIZE_MAX), -EBADMSG);
	assert_int_equal(decode(c, packed, n, false, 10000), -EBADMSG);
	assert_int_equal(decode(c, content, 100, false, 99), -EBADMSG);
	assert_int_equal(
		decode(c, content, WIRE_CHUNK_MAX + 1, false, WIRE_CHUNK_MAX + 1), -EBADMSG);

	/* A bomb: half a megabyte in some fifty bytes, claimed honestly or not. */
	n = ZSTD_compress(packed, sizeof(packed), content, 2 * WIRE_CHUNK_MAX, 1);
	assert_false(ZSTD_isError(n));
	assert_int_equal(decode(c, packed, n, true, WIRE_CHUNK_MAX), -EBADMSG);
	assert_int_equal(decode(c, packed, n, true, 2 * WIRE_CHUNK_MAX), -EBADMSG);
}

static void
test_malformed_frames(void **state)
{
	struct chunk_coder *c = *state;
	uint8_t content[2000], packed[8192], skippable[12] = { 0x50, 0x2a, 0x4d, 0x18, 4 };
	size_t n;

	fill(content, sizeof(content), false);
	n = ZSTD_compress(packed, sizeof(packed) / 2, content, sizeof(content), 1);
	assert_false(ZSTD_isError(n));
	assert_int_equal(decode(c, "", 0, true, 0), -EBADMSG);
	assert_int_equal(decode(c, "not zstd at all", 15, true, 15), -EBADMSG);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(decode(c, packed, cut, true, sizeof(content)), -EBADMSG);
	/* Bytes behind the frame; a second frame; a frame without content before it. */
	assert_int_equal(decode(c, packed, n + 1, true, sizeof(content)), -EBADMSG);
	memcpy(packed + n, packed, n);
	assert_int_equal(decode(c, packed, 2 * n, true, 2 * sizeof(content)), -EBADMSG);
	memmove(packed + sizeof(skippable), packed, n);
	memcpy(packed, skippable, sizeof(skippable));
	assert_int_equal(decode(c, packed, n + sizeof(skippable), true, sizeof(content)), -EBADMSG);
	/* A failure leaves the coder usable. */
	memmove(packed, packed + sizeof(skippable), n);
	assert_int_equal(decode(c, packed, n, true, sizeof(content)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trips, coder_up, coder_down),
		cmocka_unit_test_setup_teardown(test_too_large_to_encode, coder_up, coder_down),
		cmocka_unit_test_setup_teardown(test_wrong_size, coder_up, coder_down),
		cmocka_unit_test_setup_teardown(test_malformed_frames, coder_up, coder_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
