/* The check sums of a seed: there and back; no damaged, cut or foreign text is taken. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/incremental/sums.h"

static const struct digest digest = { "0123456789abcdef0123456789abcde" };

static void
add(struct sums *s, const char *name, uint64_t size)
{
	assert_int_equal(sums_add(s, name, size, &digest), 0);
}

static void
fill(struct sums *s)
{
	add(s, "a-1/s-a-b.lock", 0);
	add(s, "a-1/s-a-b-c/0.o", UINT64_MAX);
	add(s, "a-1/s-a-b-c/a file", 7);
	add(s, "a-1-2/s-a-b.lock", 0);
}

/* Behind `text` stands its digest. */
static int
decode_lines(const char *text, struct sums *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	digest_hex(&d, hex);
	assert_int_equal(buf_addf(&b, "%s%s\n", text, hex), 0);
	return sums_decode(b.p, b.n, ret);
}

static void
test_there_and_back(void **state)
{
	_cleanup_(sums_done) struct sums s = SUMS_INIT, back = SUMS_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT, again = BUF_INIT;

	(void)state;
	fill(&s);
	assert_int_equal(sums_encode(&s, &b), 0);
	assert_int_equal(sums_decode(b.p, b.n, &back), 0);
	assert_int_equal(back.n, 4);
	assert_string_equal(back.v[0].name, "a-1-2/s-a-b.lock");
	assert_string_equal(back.v[1].name, "a-1/s-a-b-c/0.o");
	assert_true(back.v[1].size == UINT64_MAX);
	assert_true(digest_eq(&back.v[1].digest, &digest));
	assert_int_equal(sums_encode(&back, &again), 0);
	assert_int_equal(again.n, b.n);
	assert_memory_equal(again.p, b.p, b.n);
}

static void
test_any_bit_and_any_cut(void **state)
{
	_cleanup_(sums_done) struct sums s = SUMS_INIT, none = SUMS_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	fill(&s);
	assert_int_equal(sums_encode(&s, &b), 0);
	for (size_t i = 0; i < b.n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			b.p[i] ^= (uint8_t)(1u << bit);
			assert_int_equal(sums_decode(b.p, b.n, &none), -EBADMSG);
			b.p[i] ^= (uint8_t)(1u << bit);
		}
		assert_int_equal(sums_decode(b.p, i, &none), -EBADMSG);
	}
	assert_int_equal(buf_adds(&b, "\n"), 0);
	assert_int_equal(sums_decode(b.p, b.n, &none), -EBADMSG);
	assert_null(none.v);
}

static void
test_names(void **state)
{
	static const char *const bad[] = { "", "a", "a/", "/a", "a//b", "a/b/c/d", "../a", "a/..",
		"a/.", "./a", "a/b\nc", "a/b/" };
	_cleanup_(sums_done) struct sums s = SUMS_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(sums_add(&s, bad[i], 0, &digest), -EINVAL);
	add(&s, "a/...", 0);
	add(&s, "a/.b/..c", 0);
	assert_int_equal(s.n, 2);
}

static void
test_twice(void **state)
{
	_cleanup_(sums_done) struct sums s = SUMS_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	add(&s, "a/b", 0);
	add(&s, "a/c", 0);
	add(&s, "a/b", 1);
	assert_int_equal(sums_encode(&s, &b), -EEXIST);
	assert_int_equal(b.n, 0);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MAGIC "dray-seed 1\n"

static void
test_foreign(void **state)
{
	static const char *const bad[] = { "", "dray-seed 2\n", MAGIC "x", MAGIC "\n",
		MAGIC HEX "\n", MAGIC HEX " \n", MAGIC HEX " 1\n", MAGIC HEX " 1 \n",
		MAGIC HEX " 1 a\n", MAGIC HEX " 1 ../b\n", MAGIC HEX " 01 a/b\n",
		MAGIC HEX " -1 a/b\n", MAGIC HEX " +1 a/b\n", MAGIC HEX "  1 a/b\n",
		MAGIC HEX " 18446744073709551616 a/b\n", MAGIC HEX " 1 a/b",
		MAGIC HEX " 1 a/c\n" HEX " 1 a/b\n", MAGIC HEX " 1 a/b\n" HEX " 1 a/b\n",
		MAGIC "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef 1 a/b\n" };
	_cleanup_(sums_done) struct sums s = SUMS_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(decode_lines(bad[i], &s), -EBADMSG);
	assert_int_equal(decode_lines(MAGIC, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(decode_lines(MAGIC HEX " 18446744073709551615 a/b\n", &s), 0);
	assert_int_equal(s.n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_any_bit_and_any_cut), cmocka_unit_test(test_names),
		cmocka_unit_test(test_twice), cmocka_unit_test(test_foreign) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
