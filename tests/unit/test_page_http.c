/* The page's thread, with shots that are made by hand: what it says before there is one, and of one
 * that is too old; that it ends while visitors are there. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "coordinator/page/page.h"
#include "coordinator/server_priv.h"

static int
connect_to(const struct page *p)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	unsigned port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sscanf(page_url(p), "http://127.0.0.1:%u/", &port), 1);
	in.sin_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* The whole answer, in a buffer that the next call uses. */
static const char *
get(const struct page *p, const char *path)
{
	static char answer[65536];
	char request[256];
	size_t n = 0;
	int fd = connect_to(p);

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	for (;;) {
		struct pollfd poll_fd = { fd, POLLIN, 0 };
		ssize_t k;

		assert_int_equal(poll(&poll_fd, 1, 20000), 1);
		k = read(fd, answer + n, sizeof(answer) - 1 - n);
		assert_true(k >= 0);
		if (k == 0)
			break;
		n += (size_t)k;
	}
	answer[n] = '\0';
	close(fd);
	return answer;
}

static void
publish(struct page *p, uint64_t age_ms, bool ready)
{
	struct server s = { .conf = NULL };
	struct sched_conf c;
	struct page_shot *shot;

	sched_conf_default(&c);
	assert_int_equal(sched_new(&c, &s.sched), 0);
	assert_int_equal(page_shot_new(&shot), 0);
	assert_int_equal(view_new(&s, 0, &shot->view), 0);
	sched_free(s.sched);
	shot->made_ms = clock_mono_ms() - age_ms;
	shot->ready = ready;
	snprintf(shot->not_ready, sizeof(shot->not_ready), "it is early");
	page_publish(p, shot);
}

static void
test_health(void **state)
{
	struct page *p = NULL;
	char *error = NULL;

	(void)state;
	assert_int_equal(page_start("127.0.0.1:*", NULL, &p, &error), 0);
	assert_non_null(strstr(get(p, "/healthz"), " 503 "));
	assert_non_null(strstr(get(p, "/readyz"), " 503 "));
	assert_non_null(strstr(get(p, "/metrics"), " 503 "));
	publish(p, 0, false);
	assert_non_null(strstr(get(p, "/healthz"), " 200 "));
	assert_non_null(strstr(get(p, "/readyz"), "not ready: it is early"));
	publish(p, 0, true);
	assert_non_null(strstr(get(p, "/readyz"), " 200 "));
	assert_non_null(strstr(get(p, "/metrics"), "\ndray_ready 1\n"));
	publish(p, PAGE_STALE_MS + 1000, true);
	assert_non_null(strstr(get(p, "/healthz"), " 503 "));
	assert_non_null(strstr(get(p, "/readyz"), " 503 "));
	page_end(p);
}

/* More than are let in; none says a word, and the end does not wait for them. */
static void
test_end(void **state)
{
	struct page *p = NULL;
	char *error = NULL;
	int fd[PAGE_CONNECTIONS + 10];
	uint64_t began;

	(void)state;
	assert_int_equal(page_start("localhost:*", NULL, &p, &error), 0);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = connect_to(p);
	for (int i = 0; i < 100; i++)
		publish(p, 0, true);
	began = clock_mono_ms();
	page_end(p);
	assert_true(clock_mono_ms() - began < PAGE_ASK_MS / 2);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
}

static void
test_refused(void **state)
{
	struct page *p = NULL, *other = NULL;
	char *error = NULL;
	const char *address;

	(void)state;
	assert_int_equal(page_start("0.0.0.0:*", NULL, &p, &error), -EPERM);
	assert_non_null(strstr(error, "page_token"));
	free(steal_ptr(error));
	assert_int_equal(page_start("example.org:80", NULL, &p, &error), -EINVAL);
	free(steal_ptr(error));
	assert_null(p);
	assert_int_equal(page_start("127.0.0.1:*", NULL, &p, &error), 0);
	address = page_url(p) + strlen("http://");
	assert_int_equal(page_start(strndupa(address, strlen(address) - 1), NULL, &other, &error),
		-EADDRINUSE);
	free(steal_ptr(error));
	assert_null(other);
	page_end(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_health),
		cmocka_unit_test(test_end), cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
