/* coordinators: lists of the configuration, and which key is whose. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/conf/conf.h"
#include "common/conf/coordinators.h"

static void
test_split(void **state)
{
	static const struct {
		const char *v;
		bool paths;
		const char *items[4];
	} rows[] = {
		{ NULL, false, { NULL } },
		{ "", false, { NULL } },
		{ " \t", false, { NULL } },
		{ "tcp://a:1", false, { "tcp://a:1" } },
		{ "tcp://a:1,tcp://b:2", false, { "tcp://a:1", "tcp://b:2" } },
		{ "  tcp://a:1 ,\tipc:///x/y , tcp://c:3 ", false,
			{ "tcp://a:1", "ipc:///x/y", "tcp://c:3" } },
		/* one path with a comma is what it was before there were lists */
		{ "ipc:///x,y", false, { "ipc:///x,y" } },
		{ "tcp://a:1,", false, { "tcp://a:1," } },
		{ "tcp://a:1,,tcp://b:2", false, { "tcp://a:1,", "tcp://b:2" } },
		{ "/a,b/c.pub", true, { "/a,b/c.pub" } },
		{ "/a.pub, ~/b.pub,./c.pub", true, { "/a.pub", "~/b.pub", "./c.pub" } },
		{ "a.pub, b.pub", true, { "a.pub, b.pub" } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(strv_done) struct strv got = STRV_INIT;
		size_t n = 0;

		while (n < 4 && rows[i].items[n])
			n++;
		assert_int_equal(coordinators_split(rows[i].v, rows[i].paths, &got), 0);
		assert_int_equal(got.n, n);
		for (size_t k = 0; k < n; k++)
			assert_string_equal(got.v[k], rows[i].items[k]);
	}
}

static void
test_pairs(void **state)
{
	_cleanup_(coordinators_done) struct coordinators c = COORDINATORS_INIT;
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(coordinators_parse("client", NULL, "/a", &c, &why), 0);
	assert_int_equal(c.n, 0);
	assert_int_equal(coordinators_parse("client", "tcp://a:1", NULL, &c, &why), 0);
	assert_int_equal(c.n, 1);
	assert_null(c.v[0].key);
	coordinators_done(&c);
	assert_int_equal(c.n, 0);
	assert_int_equal(
		coordinators_parse("client", "tcp://a:1, tcp://b:2", "/a, /b", &c, &why), 0);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.v[0].endpoint, "tcp://a:1");
	assert_string_equal(c.v[0].key, "/a");
	assert_string_equal(c.v[1].endpoint, "tcp://b:2");
	assert_string_equal(c.v[1].key, "/b");
	assert_null(why);
}

/* A variable names one of this machine, while a file has two keys: `dray up`. */
static void
test_local_needs_no_keys(void **state)
{
	_cleanup_(coordinators_done) struct coordinators c = COORDINATORS_INIT;
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(coordinators_parse("client", "ipc:///x", "/a, /b", &c, &why), 0);
	assert_int_equal(c.n, 1);
	assert_null(c.v[0].key);
}

static void
test_wrong_numbers(void **state)
{
	static const char nine[] = "tcp://a:1,tcp://a:2,tcp://a:3,tcp://a:4,tcp://a:5,tcp://a:6,"
				   "tcp://a:7,tcp://a:8,tcp://a:9";
	_cleanup_(coordinators_done) struct coordinators c = COORDINATORS_INIT;
	_cleanup_(freep) char *why = NULL;

	assert_int_equal(
		coordinators_parse("client", "tcp://a:1, tcp://b:2", "/a", &c, &why), -EINVAL);
	assert_string_equal(why,
		"[client] coordinator names 2 coordinators, coordinator_key 1 key file: name one "
		"file for each, in the same order, with commas between them.");
	free(steal_ptr(why));
	assert_int_equal(coordinators_parse("worker", "tcp://a:1", "/a,/b", &c, &why), -EINVAL);
	assert_non_null(strstr(why, "[worker] coordinator names 1 coordinator,"));
	free(steal_ptr(why));
	assert_int_equal(coordinators_parse("worker", nine, NULL, &c, &why), -EINVAL);
	assert_non_null(strstr(why, "9 coordinators; 8 are the most"));
	assert_int_equal(c.n, 0);
}

static int
set(struct conf *c, const char *assignment, char **ret_error)
{
	free(steal_ptr(*ret_error));
	return conf_set(c, assignment, ret_error);
}

/* As the configuration takes it: each item is checked, and there once. */
static void
test_conf_values(void **state)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	_cleanup_(freep) char *error = NULL;
	static const char text[] = "[client]\n"
				   "coordinator = tcp://a:1 ,tcp://b:2\n"
				   "coordinator_key = /x/../a.pub,/b.pub\n";

	assert_int_equal(conf_parse(text, strlen(text), "test", &c, &error), 0);
	assert_string_equal(c->client.coordinator, "tcp://a:1, tcp://b:2");
	assert_string_equal(c->client.coordinator_key, "/a.pub, /b.pub");
	assert_int_equal(set(c, "client.coordinator=tcp://a:1,tcp://a:1", &error), -EINVAL);
	assert_int_equal(set(c, "client.coordinator=tcp://a:1,tcp://b", &error), -EINVAL);
	assert_non_null(strstr(error, "up to 8 different ones with commas between them"));
	assert_int_equal(set(c, "worker.coordinator=tcp://a:1,tcp://b:*", &error), -EINVAL);
	assert_int_equal(set(c, "worker.coordinator=ipc:///a,tcp://b:1", &error), 0);
	assert_string_equal(c->worker.coordinator, "ipc:///a, tcp://b:1");
	assert_string_equal(c->client.coordinator, "tcp://a:1, tcp://b:2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_local_needs_no_keys),
		cmocka_unit_test(test_wrong_numbers),
		cmocka_unit_test(test_conf_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
