/* The page's thread, with shots that are made by hand, and a clock that the test moves: what it
 * says before there is a shot, and of one that is too old; to whom it names what; when a connection
 * is ended; that it ends while visitors are there, and what it does without memory. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <jansson.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "coordinator/page/api.h"
#include "coordinator/page/page_priv.h"
#include "coordinator/server_priv.h"

static _Atomic uint64_t ahead_ms; /* of the real clock */
uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

/* Of the page's objects as well (tests/local.am). */
uint64_t
__wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + atomic_load(&ahead_ms);
}

static int
connect_with(const struct page *p, int receive_bytes)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	unsigned port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	assert_int_equal(sscanf(page_url(p), "http://127.0.0.1:%u/", &port), 1);
	in.sin_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static int
connect_to(const struct page *p)
{
	return connect_with(p, 0);
}

static void
ask(int fd, const char *path, const char *header)
{
	char request[512];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path,
		header);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
}

/* What there is to read next; "" at the end. In a buffer that the next call uses. */
static const char *
read_some(int fd)
{
	static char some[4096];
	struct pollfd poll_fd = { fd, POLLIN, 0 };
	ssize_t n;

	assert_int_equal(poll(&poll_fd, 1, 20000), 1);
	n = read(fd, some, sizeof(some) - 1);
	assert_true(n >= 0);
	some[n] = '\0';
	return some;
}

/* The whole answer, in a buffer that the next call uses. */
static const char *
get_with(const struct page *p, const char *path, const char *header)
{
	static char answer[65536];
	char headers[256];
	const char *some;
	size_t n = 0;
	int fd = connect_to(p);

	snprintf(headers, sizeof(headers), "Connection: close\r\n%s", header);
	ask(fd, path, headers);
	while (*(some = read_some(fd))) {
		assert_true(n + strlen(some) < sizeof(answer));
		memcpy(answer + n, some, strlen(some));
		n += strlen(some);
	}
	answer[n] = '\0';
	close(fd);
	return answer;
}

static const char *
get(const struct page *p, const char *path)
{
	return get_with(p, path, "");
}

static struct page_shot *
make_shot(uint64_t age_ms, bool ready)
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
	snprintf(shot->not_ready, sizeof(shot->not_ready), "it is early for \"secrets\"");
	shot->not_ready_open = "it is early";
	return shot;
}

static void
publish(struct page *p, uint64_t age_ms, bool ready)
{
	page_publish(p, make_shot(age_ms, ready));
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
	assert_non_null(strstr(get(p, "/readyz"), "not ready: it is early for \"secrets\""));
	publish(p, 0, true);
	assert_non_null(strstr(get(p, "/readyz"), " 200 "));
	assert_non_null(strstr(get(p, "/metrics"), "\ndray_ready 1\n"));
	publish(p, PAGE_STALE_MS + 1000, true);
	assert_non_null(strstr(get(p, "/healthz"), " 503 "));
	assert_non_null(strstr(get(p, "/readyz"), " 503 "));
	page_end(p);
}

/* A visitor without the token is told no name. */
static void
test_names_by_token(void **state)
{
	struct page *p = NULL;
	char *error = NULL, *dir = NULL;
	_cleanup_(freep) char *token = NULL;
	const char *said;

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	token = path_join(dir, "token");
	assert_int_equal(fs_write_atomic(token, "0123456789abcdef0123456789abcdef", 32, 0600), 0);
	assert_int_equal(page_start("127.0.0.1:*", token, &p, &error), 0);
	publish(p, 0, false);
	said = get(p, "/readyz");
	assert_non_null(strstr(said, "not ready: it is early"));
	assert_null(strstr(said, "secrets"));
	said = get_with(p, "/readyz", "Authorization: Bearer 0123456789abcdef0123456789abcdeX\r\n");
	assert_null(strstr(said, "secrets"));
	said = get_with(p, "/readyz", "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n");
	assert_non_null(strstr(said, "secrets"));
	page_end(p);
	fs_rm_rf(dir);
	free(dir);
}

/* A connection that was kept, and silent for nearly as long as it may: its next request has the
 * whole time again. */
static void
test_kept_connection(void **state)
{
	struct page *p = NULL;
	char *error = NULL;
	struct page_shot *shot;
	const char *some;
	size_t n, whole;
	int fd, listens, bytes = 4096;

	(void)state;
	assert_int_equal(page_start("127.0.0.1:*", NULL, &p, &error), 0);
	/* an answer of much more than the sockets hold */
	shot = make_shot(0, true);
	shot->view->n_workers = API_WORKERS_MAX;
	shot->view->workers = calloc(API_WORKERS_MAX, sizeof(*shot->view->workers));
	page_publish(p, shot);
	listens = MHD_get_daemon_info(p->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
	assert_int_equal(setsockopt(listens, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	fd = connect_with(p, bytes);
	ask(fd, "/healthz", "");
	while (!strstr(read_some(fd), "ok\n"))
		;
	atomic_fetch_add(&ahead_ms, PAGE_ASK_MS - 500);
	ask(fd, "/api/v1/workers", "Connection: close\r\n");
	some = read_some(fd);
	assert_non_null(strstr(some, " 200 "));
	n = strlen(some);
	whole = (size_t)strtoul(strstr(some, "Content-Length:") + 15, NULL, 10);
	assert_true(whole > 0);
	/* the slow ones are looked at after this turn */
	atomic_fetch_add(&ahead_ms, 1500);
	(void)get(p, "/healthz");
	(void)get(p, "/healthz");
	while (*(some = read_some(fd)))
		n += strlen(some);
	assert_true(n > whole);
	close(fd);
	page_end(p);
}

/* ---- no memory */

static size_t left; /* so many are given yet */

static void *
scarce_malloc(size_t n)
{
	return left > 0 && left-- ? malloc(n) : NULL;
}

/* What is used after it was given back is seen. */
static void
spoiling_free(void *p)
{
	if (p)
		memset(p, 0xa5, malloc_usable_size(p));
	free(p);
}

static void
test_no_memory(void **state)
{
	_cleanup_(page_shot_freep) struct page_shot *shot = NULL;
	struct tally_job job = { .crate = "a", .kind = "lib", .namespace = "team", .wall_us = 5 };
	struct series *series = calloc(1, sizeof(*series));
	struct buf text = BUF_INIT;

	(void)state;
	shot = make_shot(0, true);
	shot->view->workers = calloc(1, sizeof(*shot->view->workers));
	shot->view->n_workers = 1;
	shot->view->jobs = calloc(2, sizeof(*shot->view->jobs));
	shot->view->jobs[1].state = SCHED_JOB_STARTED;
	shot->view->n_jobs = 2;
	shot->view->clients = calloc(1, sizeof(*shot->view->clients));
	shot->view->clients[0].jobs = 1;
	shot->view->n_clients = 1;
	shot->view->caches = calloc(1, sizeof(*shot->view->caches));
	shot->view->n_caches = 1;
	tally_ended(&shot->tally, &job);
	tally_failed(&shot->tally, TALLY_LIMIT, &(struct tally_words){ .text = "t" }, 1);
	series_add(series, &(struct series_point){ .at_ms = 1 });
	json_set_alloc_funcs(scarce_malloc, spoiling_free);
	for (int what = 0; what < API_N; what++) {
		size_t n = 0;
		int r;

		do {
			left = n++;
			r = api_write((enum api_what)what, shot, series, &text);
			assert_true(r == 0 || r == -ENOMEM);
		} while (r < 0);
		assert_true(n > 10);
		buf_done(&text);
	}
	json_set_alloc_funcs(malloc, free);
	free(series);
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
		cmocka_unit_test(test_names_by_token), cmocka_unit_test(test_kept_connection),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_end),
		cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
