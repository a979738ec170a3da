/* buf: the NUL behind the bytes, sizes that overflow, and consuming more than there is. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"

/* One test wants an allocation to fail; the sanitizer would end the program. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
test_add(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	assert_int_equal(buf_adds(&b, "cd"), 0);
	assert_int_equal(buf_addf(&b, "-%05d", 42), 0);
	assert_int_equal(b.n, 11);
	assert_memory_equal(b.p, "a\0bcd-00042", 12);
}

static void
test_nothing_added_is_still_text(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_int_equal(b.n, 0);
	assert_string_equal((char *)b.p, "");
}

static void
test_grows(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (int i = 0; i < 5000; i++) {
		assert_int_equal(buf_addf(&b, "%04d", i), 0);
		assert_int_equal(b.p[b.n], 0);
		assert_true(b.n < b.cap);
	}
	assert_int_equal(b.n, 20000);
	assert_memory_equal(b.p + 4 * 4321, "4321", 4);
}

static void
test_overflow(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(buf_adds(&b, "keep"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 4), -ENOMEM);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2 + 1), -ENOMEM);
	assert_int_equal(buf_add(&b, "x", SIZE_MAX), -ENOMEM);
	assert_string_equal((char *)b.p, "keep");
	assert_int_equal(b.n, 4);
}

static void
test_consume(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_consume(&b, 3);
	assert_null(b.p);
	assert_int_equal(buf_adds(&b, "hello"), 0);
	buf_consume(&b, 0);
	buf_consume(&b, 2);
	assert_string_equal((char *)b.p, "llo");
	buf_consume(&b, 100);
	assert_int_equal(b.n, 0);
	assert_string_equal((char *)b.p, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_nothing_added_is_still_text),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_consume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
