/* What has become of a toolchain that was given: its record, and when it may be given again. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/give/gift.h"
#include "common/fs.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-test-", (char **)state);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(*state);

	free(*state);
	return r;
}

static void
count(void *arg, const struct gift *g)
{
	assert_string_equal(g->id, ID);
	(*(unsigned *)arg)++;
}

static void
test_written_and_read(void **state)
{
	const char *dir = *state;
	struct gift g = { .id = ID,
		.state = GIFT_FAILED,
		.at_s = 10,
		.begun_s = 7,
		.failures = 2,
		.given = 1,
		.done = 3,
		.of = 4,
		.worker = "w1",
		.release = "1.95.0",
		.why = "it\tdoes\nnot run" };
	struct gift back;
	unsigned n = 0;

	assert_int_equal(gift_read(dir, ID, &back), -ENOENT);
	assert_int_equal(gift_each(dir, count, &n), 0);
	assert_int_equal(gift_write(dir, &g), 0);
	assert_int_equal(gift_read(dir, ID, &back), 0);
	assert_int_equal(back.state, GIFT_FAILED);
	assert_true(back.at_s == 10 && back.begun_s == 7 && back.failures == 2 && back.given == 1 &&
		    back.done == 3 && back.of == 4);
	assert_string_equal(back.worker, "w1");
	assert_string_equal(back.release, "1.95.0");
	assert_string_equal(back.why, "it does not run");
	assert_int_equal(gift_each(dir, count, &n), 0);
	assert_int_equal(n, 1);
	/* nothing is read from anywhere else */
	assert_true(gift_read(dir, "../x", &back) < 0);
}

static void
test_what_makes_no_sense(void **state)
{
	static const char *const lines[] = { "", "given", "lost\t1\t1\t0\t0\t0\t0\ta\tb\tc",
		"given\t-1\t1\t0\t0\t0\t0\ta\tb\tc", "given\t1\t1\t99999\t0\t0\t0\ta\tb\tc",
		"given\t1\t1\t0\t0\t0\t0\ta\tb",
		"given\t1\t99999999999999999999\t0\t0\t0\t0\ta\tb\tc" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char line[128];
		struct gift g;

		snprintf(line, sizeof(line), "%s", lines[i]);
		assert_false(gift_parse(line, &g));
	}
}

static void
test_when_again(void **state)
{
	struct gift g = { .state = GIFT_FAILED, .at_s = 1000, .failures = 1 };

	(void)state;
	assert_int_equal(gift_due_s(&g, 1000), 1000 + GIFT_AGAIN_S);
	assert_int_equal(gift_due_s(&g, 1000 + GIFT_AGAIN_S), 0);
	g.failures = 3;
	assert_int_equal(gift_due_s(&g, 1001), 1000 + 4 * GIFT_AGAIN_S);
	g.failures = 1000;
	assert_int_equal(gift_due_s(&g, 1001), 1000 + GIFT_AGAIN_MAX_S);
	/* a clock that was set back */
	assert_int_equal(gift_due_s(&g, 999), 0);
	g.state = GIFT_GIVEN;
	assert_int_equal(gift_due_s(&g, 1001), 1000 + GIFT_GIVEN_S);
	g.state = GIFT_GIVING;
	assert_int_equal(gift_due_s(&g, 1001), 0);
}

static void
test_one_at_a_time(void **state)
{
	int fd;

	assert_false(gift_is_going(*state));
	fd = gift_lock(*state);
	assert_true(fd >= 0);
	assert_true(gift_is_going(*state));
	assert_int_equal(gift_lock(*state), -EWOULDBLOCK);
	close(fd);
	assert_false(gift_is_going(*state));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_and_read, setup, teardown),
		cmocka_unit_test(test_what_makes_no_sense),
		cmocka_unit_test(test_when_again),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
