/* HTTP requests, against a small server of the test's own: connections that stay open, what is
 * tried again and what is not, redirects, and a loop that is left with requests open. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/clock.h"
#include "store/http/web.h"

/* ---- the server */

static int listener;
static uint16_t port;
static atomic_uint n_connections, n_requests, n_authorized, n_expect;

static void
send_text(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define MODIFIED "last-modified:"

static const struct {
	const char *headers;
	int64_t age_s;
} aged[] = {
	{ DATE MODIFIED " Sat, 05 Nov 1994 08:49:36 GMT\r\n", 86401 },
	{ MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT\r\n" DATE, 0 },
	/* of a time that is yet to come, of none, and not by words that are no time */
	{ DATE MODIFIED " Sun, 06 Nov 1994 08:49:38 GMT\r\n", -1 },
	{ MODIFIED " Sat, 05 Nov 1994 08:49:37 GMT\r\n", -1 },
	{ DATE, -1 },
	{ DATE MODIFIED " yesterday\r\n", -1 },
	{ DATE MODIFIED "\r\n", -1 },
};

static void
send_aged(int fd, size_t i)
{
	send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
	send_text(fd, i < ARRAY_LEN(aged) ? aged[i].headers : "");
	send_text(fd, "\r\nok");
}

/* Answers by the path. False: the connection ends. */
static bool
answer(int fd, const char *head)
{
	char text[256];
	unsigned n = atomic_fetch_add(&n_requests, 1) + 1;

	if (strcasestr(head, "\r\nauthorization:"))
		atomic_fetch_add(&n_authorized, 1);
	if (strcasestr(head, "\r\nexpect:"))
		atomic_fetch_add(&n_expect, 1);
	if (strstr(head, " /ok "))
		send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	else if (strstr(head, " /busy "))
		send_text(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
	else if (strstr(head, " /busy-once "))
		send_text(fd, n == 1 ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
				     : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	else if (strstr(head, " /busy-long "))
		send_text(fd, "HTTP/1.1 429 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n");
	else if (strstr(head, " /region "))
		send_text(fd, "HTTP/1.1 301 Moved\r\nX-Amz-Bucket-Region:  eu-x-1 \r\n"
			      "Content-Length: 0\r\n\r\n");
	else if (strstr(head, " /regions "))
		send_text(fd, "HTTP/1.1 301 Moved\r\nX-Amz-Bucket-Region: Eu x\r\n"
			      "Content-Length: 0\r\n\r\n");
	else if (strstr(head, " /aged-"))
		send_aged(fd, strtoul(strstr(head, " /aged-") + strlen(" /aged-"), NULL, 10));
	else if (strstr(head, " /breaks-once ") && n == 1)
		return false;
	else if (strstr(head, " /breaks-once "))
		send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	else if (strstr(head, " /moved ")) {
		snprintf(text, sizeof(text),
			"HTTP/1.1 302 Moved\r\nLocation: http://localhost:%u/ok\r\n"
			"Content-Length: 0\r\n\r\n",
			port);
		send_text(fd, text);
	} else if (strstr(head, " /hang "))
		return true;
	else
		return false;
	return true;
}

static void *
serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	size_t n = 0;
	ssize_t k;

	while (n < sizeof(buf) - 1 && (k = recv(fd, buf + n, sizeof(buf) - 1 - n, 0)) > 0) {
		n += (size_t)k;
		buf[n] = '\0';
		/* no body is longer than what comes with its head */
		if (!strstr(buf, "\r\n\r\n"))
			continue;
		if (!answer(fd, buf))
			break;
		n = 0;
	}
	close(fd);
	return NULL;
}

static void *
serve(void *arg)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pthread_t t;

		atomic_fetch_add(&n_connections, 1);
		if (pthread_create(&t, NULL, serve_one, (void *)(intptr_t)fd) == 0)
			pthread_detach(t);
	}
	return arg;
}

static int
setup(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	pthread_t t;

	(void)state;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 16) < 0 ||
		getsockname(listener, (struct sockaddr *)&a, &n) < 0)
		return -1;
	port = ntohs(a.sin_port);
	return pthread_create(&t, NULL, serve, NULL);
}

/* ---- requests */

struct got {
	unsigned n, status;
	int error;
	int64_t age_s;
	char text[64], region[64], why[256];
};

static void
take(void *arg, const struct web_answer *a)
{
	struct got *g = arg;

	g->n++;
	g->status = a->status;
	g->error = a->error;
	g->age_s = a->age_s;
	snprintf(g->text, sizeof(g->text), "%.*s", (int)a->text_n, (const char *)a->text);
	snprintf(g->region, sizeof(g->region), "%s", a->region);
	snprintf(g->why, sizeof(g->why), "%s", a->why);
}

static struct web *
new_web(unsigned request_ms)
{
	const struct web_in in = { .request_ms = request_ms };
	_cleanup_(freep) char *why = NULL;
	struct web *w = NULL;

	if (web_new(&in, &w, &why) < 0)
		fail_msg("%s", why);
	n_connections = n_requests = n_authorized = n_expect = 0;
	return w;
}

static void
begin(struct web *w, const char *path, const struct web_auth *auth, enum web_method method,
	struct got *ret)
{
	char url[64];
	struct web_ask ask = {
		.method = method, .url = url, .auth = auth, .fd = -1, .done = take, .arg = ret
	};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	*ret = (struct got){ .n = 0 };
	assert_int_equal(web_ask(w, &ask), 0);
	assert_int_equal(ret->n, 0);
}

/* By the descriptor alone, as a program's loop does. */
static void
wait_for(struct web *w, const struct got *g)
{
	while (g->n == 0) {
		struct pollfd p = { .fd = web_fd(w), .events = POLLIN };

		assert_true(poll(&p, 1, 20000) == 1);
		web_work(w, 0);
	}
	assert_int_equal(g->n, 1);
}

static struct got
get(struct web *w, const char *path)
{
	struct got g;

	begin(w, path, NULL, WEB_GET, &g);
	wait_for(w, &g);
	return g;
}

static void
test_stays_open(void **state)
{
	struct web *w = new_web(0);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct got g = get(w, "/ok");

		assert_int_equal(g.error, 0);
		assert_int_equal(g.status, 200);
		assert_string_equal(g.text, "ok");
	}
	assert_true(web_is_idle(w));
	assert_int_equal(n_requests, 20);
	assert_int_equal(n_connections, 1);
	web_free(w);
}

static void
test_many(void **state)
{
	struct web *w = new_web(0);
	struct got g[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		begin(w, "/ok", NULL, WEB_GET, &g[i]);
	assert_false(web_is_idle(w));
	while (!web_is_idle(w))
		web_work(w, -1);
	for (size_t i = 0; i < ARRAY_LEN(g); i++) {
		assert_int_equal(g[i].n, 1);
		assert_int_equal(g[i].status, 200);
	}
	assert_int_equal(n_requests, ARRAY_LEN(g));
	assert_true(n_connections <= 16);
	web_free(w);
}

static void
test_tried_again(void **state)
{
	struct web *w = new_web(0);
	struct got g = get(w, "/busy-once");

	(void)state;
	assert_int_equal(g.status, 200);
	assert_int_equal(n_requests, 2);
	n_requests = 0;
	g = get(w, "/breaks-once");
	assert_int_equal(g.status, 200);
	assert_int_equal(n_requests, 2);
	n_requests = 0;
	g = get(w, "/busy");
	assert_int_equal(g.error, 0);
	assert_int_equal(g.status, 503);
	assert_int_equal(n_requests, 3);
	n_requests = 0;
	g = get(w, "/busy-long");
	assert_int_equal(g.status, 429);
	assert_int_equal(n_requests, 1);
	web_free(w);
}

static void
test_errors(void **state)
{
	struct web *w = new_web(300);
	uint64_t begun = clock_mono_ms();
	struct got g = get(w, "/hang");
	struct web_ask ask = { .url = "http://127.0.0.1:1/", .fd = -1, .done = take, .arg = &g };

	(void)state;
	assert_int_equal(g.error, -ETIMEDOUT);
	assert_true(clock_mono_ms() - begun >= 300);
	assert_true(g.why[0] != '\0');
	g.n = 0;
	assert_int_equal(web_ask(w, &ask), 0);
	wait_for(w, &g);
	assert_int_equal(g.error, -ECONNREFUSED);
	g.n = 0;
	ask.url = "ftp://127.0.0.1/";
	assert_int_equal(web_ask(w, &ask), 0);
	wait_for(w, &g);
	assert_int_equal(g.error, -EPROTO);
	web_free(w);
}

static void
test_redirects(void **state)
{
	const struct web_auth basic = { .kind = WEB_BASIC, .user = "u", .password = "p" };
	struct web *w = new_web(0);
	struct got g = get(w, "/moved");

	(void)state;
	assert_int_equal(g.status, 200);
	assert_int_equal(n_authorized, 0);
	n_requests = 0;
	begin(w, "/moved", &basic, WEB_GET, &g);
	wait_for(w, &g);
	assert_int_equal(g.status, 302);
	assert_int_equal(n_requests, 1);
	assert_int_equal(n_authorized, 1);
	/* nothing of the last one's stays */
	g = get(w, "/ok");
	assert_int_equal(n_authorized, 1);
	web_free(w);
}

static void
test_regions(void **state)
{
	struct web *w = new_web(0);
	struct got g = get(w, "/region");

	(void)state;
	assert_string_equal(g.region, "eu-x-1");
	g = get(w, "/regions");
	assert_string_equal(g.region, "");
	web_free(w);
}

/* How old a thing is, as far as the server tells: of each answer anew. */
static void
test_ages(void **state)
{
	struct web *w = new_web(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(aged); i++) {
		char path[32];
		struct got g;

		snprintf(path, sizeof(path), "/aged-%zu", i);
		g = get(w, path);
		assert_int_equal(g.status, 200);
		if (g.age_s != aged[i].age_s)
			fail_msg("%s: %lld", aged[i].headers, (long long)g.age_s);
	}
	web_free(w);
}

/* Neither waits for a word of the server's, nor asks for it. */
static void
test_no_expect(void **state)
{
	struct web *w = new_web(0);
	struct got g;

	(void)state;
	begin(w, "/ok", NULL, WEB_PUT, &g);
	wait_for(w, &g);
	assert_int_equal(g.status, 200);
	assert_int_equal(n_expect, 0);
	web_free(w);
}

static void
test_left_open(void **state)
{
	struct web *w = new_web(0);
	struct got g[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		begin(w, i % 2 ? "/hang" : "/busy", NULL, WEB_GET, &g[i]);
	while (n_requests < 20)
		web_work(w, 100);
	web_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stays_open),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_tried_again),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_no_expect),
		cmocka_unit_test(test_left_open),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
