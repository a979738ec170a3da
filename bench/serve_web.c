/* What many clients get at once of a web server over TLS 1.3, for bench/serve:
 *
 *     serve_web CLIENTS TIMES URL CERTIFICATE SHA256
 *
 * Each client has a connection of its own, which is made before the clock starts, gets that file so
 * often, and makes a digest of it. All are in one process. Prints MiB per second. */
#include "config.h"

#include <curl/curl.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/digest.h"

#define MANY 1024
#define BUFFER_SIZE (256 * 1024) /* as large as one of dray's chunks */

struct client {
	CURL *curl;
	struct hasher *hasher;
	unsigned left;
	uint64_t bytes;
	bool warm, wrong;
	char error[CURL_ERROR_SIZE];
};

static struct client clients[MANY];
static struct digest name;
static int poll_fd;
static uint64_t due; /* 0: never */

static size_t
on_content(char *p, size_t one, size_t n, void *arg)
{
	struct client *c = arg;

	hasher_update(c->hasher, p, one * n);
	c->bytes += one * n;
	return one * n;
}

static int
on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event e = { .data.fd = fd };

	(void)curl;
	if (what == CURL_POLL_REMOVE)
		return epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
	e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (!known)
		curl_multi_assign(arg, fd, clients);
	return epoll_ctl(poll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	(void)arg;
	due = ms < 0 ? 0 : clock_mono_ms() + (uint64_t)ms;
	return 0;
}

static void
on_end(CURLM *multi, struct client *c, CURLcode code)
{
	struct digest found;
	long status = 0, made = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->curl, CURLINFO_NUM_CONNECTS, &made);
	hasher_final(c->hasher, &found);
	if (code != CURLE_OK || status != 200) {
		fprintf(stderr, "serve_web: %ld %s\n", status, c->error);
		c->wrong = true;
	} else if (c->warm && (made > 0 || !digest_eq(&found, &name))) {
		fprintf(stderr, "serve_web: %s\n",
			made > 0 ? "a second connection" : "another file");
		c->wrong = true;
	}
	curl_multi_remove_handle(multi, c->curl);
	if (--c->left > 0 && !c->wrong)
		curl_multi_add_handle(multi, c->curl);
	else
		c->left = 0;
}

static void
run(CURLM *multi, unsigned n)
{
	static struct epoll_event events[MANY];
	struct client *c;
	CURLMsg *m;
	int open = (int)n, rest;

	for (unsigned i = 0; i < n; i++)
		curl_multi_add_handle(multi, clients[i].curl);
	while (open > 0) {
		uint64_t now = clock_mono_ms();
		int wait = !due ? 1000 : due > now ? (int)MIN2(due - now, (uint64_t)1000) : 0;
		int ready = epoll_wait(poll_fd, events, MANY, wait);

		for (int i = 0; i < ready; i++)
			curl_multi_socket_action(multi, events[i].data.fd,
				(events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
					(events[i].events & ~(unsigned)EPOLLOUT ? CURL_CSELECT_IN
										: 0),
				&rest);
		if (due && clock_mono_ms() >= due) {
			due = 0;
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &rest);
		}
		while ((m = curl_multi_info_read(multi, &rest)) != NULL) {
			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
			on_end(multi, c, m->data.result);
		}
		open = 0;
		for (unsigned i = 0; i < n; i++)
			open += clients[i].left > 0;
	}
}

static bool
set_up(struct client *c, const char *url, const char *certificate)
{
	c->curl = curl_easy_init();
	c->hasher = hasher_new();
	c->left = 1;
	return c->curl && c->hasher && !curl_easy_setopt(c->curl, CURLOPT_PRIVATE, c) &&
	       !curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error) &&
	       !curl_easy_setopt(c->curl, CURLOPT_URL, url) &&
	       !curl_easy_setopt(c->curl, CURLOPT_CAINFO, certificate) &&
	       !curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) &&
	       !curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(c->curl, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, (long)BUFFER_SIZE) &&
	       !curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_content) &&
	       !curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c) &&
	       /* the first time: it connects */
	       !curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
}

int
main(int argc, char **argv)
{
	CURLM *multi;
	uint64_t begun, bytes = 0;
	unsigned n, times;
	bool wrong = false;
	double s;

	if (argc != 6 || (n = (unsigned)atoi(argv[1])) < 1 || n > MANY ||
		(times = (unsigned)atoi(argv[2])) < 1 || digest_parse(argv[5], &name) < 0)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)n);
	for (unsigned i = 0; i < n; i++)
		if (!set_up(&clients[i], argv[3], argv[4]))
			return 1;
	run(multi, n);
	for (unsigned i = 0; i < n; i++) {
		wrong |= clients[i].wrong;
		clients[i].left = times;
		clients[i].warm = true;
		curl_easy_setopt(clients[i].curl, CURLOPT_HTTPGET, 1L);
	}
	if (wrong)
		return 1;
	begun = clock_mono_us();
	run(multi, n);
	s = (double)(clock_mono_us() - begun) / 1e6;
	for (unsigned i = 0; i < n; i++) {
		bytes += clients[i].bytes;
		wrong |= clients[i].wrong;
		curl_easy_cleanup(clients[i].curl);
		hasher_free(clients[i].hasher);
	}
	curl_multi_cleanup(multi);
	curl_global_cleanup();
	if (wrong)
		return 1;
	printf("%.1f MiB/s (%.1f MiB in %.2f s)\n", (double)bytes / 1048576 / s,
		(double)bytes / 1048576, s);
	return 0;
}
