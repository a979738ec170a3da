/* What waits to be compiled again: its form, and how much there may be. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/far/refill.h"
#include "common/fs.h"

static struct digest
digest(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

static void
make(struct refill_call *c)
{
	*c = (struct refill_call){ .sought = digest(1), .umask = 022, .mapped = true };
	c->cwd = strdup("/w/app");
	assert_int_equal(strv_add(&c->argv, "rustc"), 0);
	assert_int_equal(strv_add(&c->argv, ""), 0);
	assert_int_equal(strv_add(&c->env, "CARGO_PKG_NAME=a"), 0);
	assert_int_equal(strv_add(&c->base, "PATH=/bin"), 0);
	assert_int_equal(strv_add(&c->base, "HOME="), 0);
}

static void
test_there_and_back(void **state)
{
	_cleanup_(refill_call_done) struct refill_call c = { .umask = 0 }, got = { .umask = 0 };
	_cleanup_(strv_done) struct strv words = STRV_INIT;

	(void)state;
	make(&c);
	assert_int_equal(refill_encode(&c, &words), 0);
	assert_int_equal(refill_decode(&words, &got), 0);
	assert_true(digest_eq(&got.sought, &c.sought));
	assert_int_equal(got.umask, 022);
	assert_true(got.mapped);
	assert_string_equal(got.cwd, "/w/app");
	assert_int_equal(got.argv.n, 2);
	assert_string_equal(got.argv.v[1], "");
	assert_int_equal(got.env.n, 1);
	assert_string_equal(got.env.v[0], "CARGO_PKG_NAME=a");
	assert_int_equal(got.base.n, 2);
	assert_string_equal(got.base.v[1], "HOME=");
}

/* The words of a good one, but that one, which is another; NULL: and all behind it is cut off. */
static void
refuse(size_t at, const char *word)
{
	_cleanup_(refill_call_done) struct refill_call c = { .umask = 0 }, got = { .umask = 0 };
	_cleanup_(strv_done) struct strv good = STRV_INIT, bad = STRV_INIT;

	make(&c);
	assert_int_equal(refill_encode(&c, &good), 0);
	for (size_t i = 0; i < good.n; i++) {
		if (i == at && !word)
			break;
		assert_int_equal(strv_add(&bad, i == at ? word : good.v[i]), 0);
	}
	assert_int_equal(refill_decode(&bad, &got), -EBADMSG);
	assert_null(got.cwd);
	assert_int_equal(got.argv.n, 0);
}

static void
test_malformed(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= 8; cut++)
		refuse(cut, NULL);
	refuse(0, "2");
	refuse(1, "00");
	refuse(2, "1000");
	refuse(2, "9");
	refuse(2, "022");
	refuse(2, "-1");
	refuse(3, "yes");
	refuse(4, "w/app");
	refuse(4, "/w/../app");
	refuse(5, "0");
	refuse(5, "18446744073709551616");
	refuse(5, "6");
	refuse(6, "5");
	refuse(6, "");
	refuse(9, "CARGO_PKG_NAME");
	refuse(10, "=x");
}

/* Those that wait, of a configuration of its own. */
static void
test_queue(void **state)
{
	_cleanup_(refill_call_done) struct refill_call c = { .umask = 0 };
	_cleanup_(freep) char *dir = NULL, *error = NULL, *large = NULL;
	_cleanup_(conf_freep) struct conf *conf = NULL;
	struct queue_item i = { digest(2), digest(3) };

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	assert_int_equal(conf_parse("", 0, "none", &conf, &error), 0);
	free(conf->client.cache_dir);
	conf->client.cache_dir = strdup(dir);
	make(&c);
	assert_int_equal(refill_count(conf), 0);
	assert_int_equal(refill_note(conf, &i, &c), 0);
	assert_int_equal(refill_note(conf, &i, &c), 0);
	assert_int_equal(refill_count(conf), 1);
	/* never more than so many, and the latest stays */
	for (unsigned n = 0; n < REFILLS_MAX_WAITING; n++) {
		i.key = digest(10 + n);
		assert_int_equal(refill_note(conf, &i, &c), 0);
	}
	for (unsigned n = 0; n < 256; n++) {
		i.key.b[DIGEST_SIZE - 1] = (uint8_t)n;
		assert_int_equal(refill_note(conf, &i, &c), 0);
	}
	/* a few more, until the next one looks */
	assert_in_range(refill_count(conf), REFILLS_MAX_WAITING, REFILLS_MAX_WAITING + 15);
	large = malloc(REFILL_BYTES_MAX + 1);
	assert_non_null(large);
	memset(large, 'x', REFILL_BYTES_MAX);
	large[REFILL_BYTES_MAX] = '\0';
	assert_int_equal(strv_add(&c.argv, large), 0);
	assert_int_equal(refill_note(conf, &i, &c), -E2BIG);
	fs_rm_rf(dir);
}

static void
test_wanted(void **state)
{
	static const char farm[] =
		"[client]\ncoordinator = tcp://127.0.0.1:1\ncache_dir = /nowhere/at/all\n";
	static const struct {
		const char *more;
		bool wanted;
	} cases[] = { { "", true }, { "refill = always\n", true }, { "refill = never\n", false },
		{ "offload = never\n", false }, { "farm_half = no\n", false },
		{ "remote_mode = off\n", false }, { "cache = read\n", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(conf_freep) struct conf *conf = NULL;
		_cleanup_(freep) char *error = NULL;
		char text[512];

		snprintf(text, sizeof(text), "%s%s", farm, cases[i].more);
		assert_int_equal(conf_parse(text, strlen(text), "test", &conf, &error), 0);
		if (!conf->client.cache_dir)
			conf->client.cache_dir = strdup("/nowhere/at/all");
		if (refill_is_wanted(conf) != cases[i].wanted)
			fail_msg("%s", cases[i].more);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
