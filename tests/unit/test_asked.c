/* What the page reads of a request's headers, and its token. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/fs.h"
#include "coordinator/page/asked.h"
#include "coordinator/page/token.h"

static void
test_accept(void **state)
{
	static const struct {
		const char *accept;
		bool open_metrics;
	} rows[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "text/html,application/xhtml+xml,*/*;q=0.8", false },
		{ "application/openmetrics-text", true },
		{ "APPLICATION/OpenMetrics-Text ; Version=1.0.0 ;q=0.5", true },
		/* as Prometheus 2.42 asks */
		{ "application/openmetrics-text;version=1.0.0;q=0.75,application/"
		  "openmetrics-text;version=0.0.1;q=0.5,text/"
		  "plain;version=0.0.4;q=0.25,*/*;q=0.1",
			true },
		{ "text/plain;q=0.9, application/openmetrics-text;q=0.8", false },
		{ "text/plain;q=0.8, application/openmetrics-text;q=0.9", true },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text;version=2.0.0", false },
		{ "application/openmetrics-text;q=nonsense", false },
		{ "application/openmetrics-text;q=1.5", false },
		{ "application/openmetrics-text;q=0.12345", false },
		{ ",;,;;q=,", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (asked_open_metrics(rows[i].accept) != rows[i].open_metrics)
			fail_msg("\"%s\"", rows[i].accept ? rows[i].accept : "none");
}

static void
test_who(void **state)
{
	const char *p;
	size_t n;

	(void)state;
	assert_true(asked_bearer("Bearer abc ", &p, &n));
	assert_int_equal(n, 3);
	assert_memory_equal(p, "abc", 3);
	assert_true(asked_bearer("bEARER  abc", &p, &n));
	assert_int_equal(n, 3);
	assert_false(asked_bearer(NULL, &p, &n));
	assert_false(asked_bearer("Bearer", &p, &n));
	assert_false(asked_bearer("Bearer  ", &p, &n));
	assert_false(asked_bearer("Basic abc", &p, &n));
	assert_true(asked_cookie("a=b; x=1;y=; x=2", "x", &p, &n));
	assert_int_equal(n, 1);
	assert_int_equal(*p, '1');
	assert_true(asked_cookie("y=", "y", &p, &n));
	assert_int_equal(n, 0);
	assert_false(asked_cookie("xx=1; ax=2; x", "x", &p, &n));
	assert_false(asked_cookie("", "x", &p, &n));
	assert_false(asked_cookie(NULL, "x", &p, &n));
}

static void
test_host(void **state)
{
	(void)state;
	assert_true(asked_loopback("localhost"));
	assert_true(asked_loopback("LocalHost:80"));
	assert_true(asked_loopback("127.0.0.1:7421"));
	assert_true(asked_loopback("127.3.2.1"));
	assert_true(asked_loopback("[::1]"));
	assert_true(asked_loopback("[::1]:7421"));
	assert_false(asked_loopback(NULL));
	assert_false(asked_loopback(""));
	assert_false(asked_loopback("127.0.0.1.evil.example"));
	assert_false(asked_loopback("localhost.evil.example:80"));
	assert_false(asked_loopback("evil.example:127.0.0.1"));
	assert_false(asked_loopback("[::1"));
	assert_false(asked_loopback("[::1]evil.example"));
	assert_false(asked_loopback("[::1]evil.example:80"));
	assert_false(asked_loopback("localhost:evil"));
	assert_true(asked_loopback("localhost:"));
	assert_false(asked_loopback("[::2]"));
	assert_false(asked_loopback("0.0.0.0"));
	assert_false(asked_loopback("128.0.0.1"));
}

static void
test_address(void **state)
{
	static const char *const bad[] = { "", ":", ":80", "80", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:080000", "127.0.0.1:8a",
		"::1:80", "[::1:80", "[]:80", "[127.0.0.1]:80", "example.org:80", "127.0.0.1 :80" };
	struct page_address a;

	(void)state;
	assert_int_equal(asked_address("127.0.0.1:7421", &a), 0);
	assert_true(a.loopback);
	assert_int_equal(((struct sockaddr_in *)&a.sa)->sin_port, htons(7421));
	assert_int_equal(asked_address("localhost:*", &a), 0);
	assert_true(a.loopback);
	assert_int_equal(((struct sockaddr_in *)&a.sa)->sin_port, 0);
	assert_int_equal(asked_address("[::1]:1", &a), 0);
	assert_true(a.loopback);
	assert_int_equal(asked_address("0.0.0.0:7421", &a), 0);
	assert_false(a.loopback);
	assert_int_equal(asked_address("[::]:7421", &a), 0);
	assert_false(a.loopback);
	/* the kernel takes this for 127.0.0.1, too, but it is for others as well */
	assert_int_equal(asked_address("[::ffff:127.0.0.1]:7421", &a), 0);
	assert_false(a.loopback);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (asked_address(bad[i], &a) != -EINVAL)
			fail_msg("\"%s\"", bad[i]);
}

static void
test_token(void **state)
{
	static const char word[] = "0123456789abcdef";
	struct page_token t, again;
	_cleanup_(freep) char *dir = NULL, *path = NULL, *error = NULL;

	(void)state;
	assert_int_equal(page_token_set(word, 16, &t), 0);
	assert_true(page_token_is(&t, word, 16));
	assert_false(page_token_is(&t, word, 15));
	assert_false(page_token_is(&t, "0123456789abcdeF", 16));
	assert_false(page_token_is(&t, "", 0));
	assert_true(page_token_is_cookie(&t, t.cookie, strlen(t.cookie)));
	assert_false(page_token_is_cookie(&t, word, 16));
	assert_false(page_token_is(&t, t.cookie, strlen(t.cookie)));
	/* another process's cookie is another one */
	assert_int_equal(page_token_set(word, 16, &again), 0);
	assert_false(page_token_is_cookie(&again, t.cookie, strlen(t.cookie)));
	assert_int_equal(page_token_set(word, 15, &t), -EINVAL);
	assert_int_equal(page_token_set("0123456789abcd f", 16, &t), -EINVAL);
	assert_int_equal(page_token_set("0123456789abcde\xe4", 16, &t), -EINVAL);

	assert_int_equal(fs_make_temp_dir("/tmp", "test-asked-", &dir), 0);
	path = path_join(dir, "token");
	assert_int_equal(page_token_load(path, &t, &error), -ENOENT);
	assert_non_null(strstr(error, path));
	free(steal_ptr(error));
	assert_int_equal(fs_write_atomic(path, " 0123456789abcdef \nmore\n", 24, 0600), 0);
	assert_int_equal(page_token_load(path, &t, &error), 0);
	assert_true(page_token_is(&t, word, 16));
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(page_token_load(path, &t, &error), -EPERM);
	free(steal_ptr(error));
	assert_int_equal(fs_write_atomic(path, "", 0, 0600), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(page_token_load(path, &t, &error), -EINVAL);
	assert_int_equal(fs_rm_rf(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_accept),
		cmocka_unit_test(test_who), cmocka_unit_test(test_host),
		cmocka_unit_test(test_address), cmocka_unit_test(test_token) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
