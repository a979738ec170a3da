/* coordinator/cache/purged: what was purged is taken out of what comes, and nothing else; it is
 * known after a restart. */
#include "config.h"

#include <errno.h>

#include "common/fs.h"
#include "coordinator/cache/purged.h"
#include "tests/unit/shared_fixture.h"

static char *dir;

static int
up(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp", "dray-purged-", &dir);
}

static int
down(void **state)
{
	int r = fs_rm_rf(dir);

	(void)state;
	free(dir);
	return r;
}

/* Of an entry with one result of that time, how many go. */
static size_t
sifted(struct purged *p, const char *namespace, struct shared_by by, uint64_t time_s)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	size_t n;

	by.time_s = time_s;
	fill_result(&r, "source");
	seal(&by, &r, &sealed);
	entry_of(&sealed, &e);
	n = purged_sift(p, namespace, &e);
	assert_int_equal(e.n, 1 - n);
	return n;
}

static struct purged *
opened(void)
{
	struct purged *p = NULL;

	assert_int_equal(purged_open(dir, &p), 0);
	return p;
}

static void
test_what_is_meant(void **state)
{
	const struct vault_purge producer = { .producer = worker.sign_public },
				 of_key = { .key = &key }, other = { .key = &other_key },
				 old = { .before_s = SOME_TIME - 1000 }, all = { .producer = NULL };
	struct purged *p = opened();

	(void)state;
	assert_int_equal(sifted(p, "team", by_worker(), SOME_TIME), 0);
	assert_int_equal(purged_add(p, "team", &other, SOME_TIME), 0);
	assert_int_equal(purged_add(p, "team", &producer, SOME_TIME), 0);
	assert_int_equal(sifted(p, "team", by_worker(), SOME_TIME), 1);
	assert_int_equal(sifted(p, "team", by_publisher(), SOME_TIME), 0);
	assert_int_equal(sifted(p, "others", by_worker(), SOME_TIME), 0);
	/* of a clock that is ahead, and what it seals anew */
	assert_int_equal(sifted(p, "team", by_worker(), SOME_TIME + PURGED_SLACK_S - 1), 1);
	assert_int_equal(sifted(p, "team", by_worker(), SOME_TIME + PURGED_SLACK_S), 0);
	/* after a restart */
	purged_free(p);
	p = opened();
	assert_int_equal(sifted(p, "team", by_worker(), SOME_TIME), 1);
	assert_int_equal(purged_add(p, "others", &old, SOME_TIME), 0);
	assert_int_equal(sifted(p, "others", by_worker(), SOME_TIME - 1001), 1);
	assert_int_equal(sifted(p, "others", by_worker(), SOME_TIME - 1000), 0);
	assert_int_equal(purged_add(p, "team", &of_key, SOME_TIME), 0);
	assert_int_equal(sifted(p, "team", by_publisher(), SOME_TIME), 1);
	assert_int_equal(purged_add(p, "", &all, SOME_TIME), 0);
	assert_int_equal(sifted(p, "", by_publisher(), SOME_TIME), 1);
	assert_int_equal(sifted(p, "some", by_worker(), SOME_TIME), 0);
	assert_int_equal(purged_add(p, NULL, &producer, SOME_TIME), 0);
	purged_free(p);
	p = opened();
	assert_int_equal(sifted(p, "some", by_worker(), SOME_TIME), 1);
	assert_int_equal(sifted(p, "some", by_publisher(), SOME_TIME), 0);
	purged_free(p);
}

/* The same again and again is one record; an earlier one makes nothing less. */
static void
test_once(void **state)
{
	const struct vault_purge producer = { .producer = worker.sign_public };
	_cleanup_(buf_done) struct buf one = BUF_INIT, two = BUF_INIT;
	struct purged *p = opened();

	(void)state;
	assert_int_equal(purged_add(p, "team", &producer, SOME_TIME), 0);
	assert_int_equal(purged_print(p, &one), 0);
	assert_int_equal(purged_add(p, "team", &producer, SOME_TIME - 5000), 0);
	assert_int_equal(purged_print(p, &two), 0);
	assert_int_equal(one.n, two.n);
	assert_memory_equal(one.p, two.p, one.n);
	purged_free(p);
}

static int
parsed(const char *text)
{
	struct purged *p = NULL;
	int r = purged_parse(text, strlen(text), &p);

	purged_free(p);
	return r;
}

static void
test_form(void **state)
{
	static const char *const bad[] = { "x\n", "dray-purged 1\n1 - -\n",
		"dray-purged 1\n1 - - - -\n", "dray-purged 1\n-1 - - -\n",
		"dray-purged 1\n1 - x -\n", "dray-purged 1\n1 - - 00\n",
		"dray-purged 1\n1x - - -\n", "dray-purged 1\n99999999999999999999999 - - -\n",
		"dray-purged 1\n1 - - -", "dray-pins 1\n", "dray-purged 1\n1  - -\n" };

	(void)state;
	assert_int_equal(parsed("dray-purged 1\n"), 0);
	assert_int_equal(parsed("dray-purged 1\n1 - - -\n"), 0);
	assert_int_equal(parsed("dray-purged 2\n1 - - -\n"), -EPROTONOSUPPORT);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parsed(bad[i]), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_meant, up, down),
		cmocka_unit_test_setup_teardown(test_once, up, down),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
