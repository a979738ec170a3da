/* The loop of all requests of one store.
 *
 * Invariant: a transfer is in exactly one place: waiting to be begun, waiting for its next try, or
 * with curl (then it is counted in `running`). Functions of requests are called with no transfer
 * half moved, and outside of curl's own calls, so that they may ask for more. */
#include "config.h"

#include <errno.h>

#include "store/http/web_priv.h"
#include "store/waiter.h"
#include "common/clock.h"

/* As many as keep a fast link busy at some 20 ms; a store's server has them from each client. */
#define RUNNING_MAX 16
#define CONNECTIONS_KEPT 32L
#define EVENTS_MAX 32

struct web {
	const struct curl_lib *lib;
	CURLM *multi;
	struct waiter waiter;
	struct web_limits limits;
	struct transfer *queue, **queue_end; /* not begun */
	struct transfer *paused;	     /* each has its again_at */
	struct transfer *with_curl;
	unsigned running;    /* these */
	uint64_t curl_alarm; /* when curl wants to be called; 0: not */
};

/* curl says what it waits for. A descriptor stands for itself, one higher, since what waiter.h
 * hands back is not NULL. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct web *w = arg;
	void *tag = (void *)((intptr_t)fd + 1);
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
			  (what & CURL_POLL_OUT ? EPOLLOUT : 0);

	(void)easy, (void)socket_arg;
	if (what == CURL_POLL_REMOVE)
		waiter_remove(&w->waiter, fd);
	else if (waiter_change(&w->waiter, fd, events, tag) < 0)
		(void)waiter_add(&w->waiter, fd, events, tag);
	return 0;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct web *w = arg;

	(void)multi;
	w->curl_alarm = ms < 0 ? 0 : clock_mono_ms() + (uint64_t)ms;
	return 0;
}

static int
set_multi(struct web *w)
{
	const struct curl_lib *lib = w->lib;

	if (lib->curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
		lib->curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w) != CURLM_OK ||
		lib->curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
		lib->curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w) != CURLM_OK ||
		lib->curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) !=
			CURLM_OK)
		return -ENOMEM;
	return 0;
}

static int
set_limits(struct web *w, const struct web_in *in)
{
	int r;

	w->limits.connect_ms = in->connect_ms ? in->connect_ms : 2000;
	w->limits.request_ms = in->request_ms;
	w->limits.rate = in->rate ? in->rate : 16 << 10;
	w->limits.low_speed_s = in->low_speed_s ? in->low_speed_s : 5;
	w->limits.ca_alone = in->ca_alone;
	r = str_copy(in->ca, &w->limits.ca);
	if (r == 0)
		r = str_copy(in->cert, &w->limits.cert);
	if (r == 0)
		r = str_copy(in->key, &w->limits.key);
	if (r == 0)
		r = str_copy(in->proxy, &w->limits.proxy);
	return r < 0 ? r : str_copy(in->no_proxy, &w->limits.no_proxy);
}

static void
free_list(struct web *w, struct transfer *t)
{
	while (t) {
		struct transfer *next = t->next;

		/* of one that curl does not have this does nothing */
		(void)w->lib->curl_multi_remove_handle(w->multi, t->easy);
		transfer_free(t);
		t = next;
	}
}

void
web_free(struct web *w)
{
	if (w == NULL)
		return;
	free_list(w, w->queue);
	free_list(w, w->paused);
	free_list(w, w->with_curl);
	if (w->multi)
		(void)w->lib->curl_multi_cleanup(w->multi);
	waiter_done(&w->waiter);
	free(w->limits.ca);
	free(w->limits.cert);
	free(w->limits.key);
	free(w->limits.proxy);
	free(w->limits.no_proxy);
	free(w);
}

static void
web_freep(struct web **w)
{
	web_free(*w);
}

int
web_new(const struct web_in *in, struct web **ret, char **ret_why)
{
	_cleanup_(web_freep) struct web *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	w->waiter = (struct waiter)WAITER_INIT;
	w->queue_end = &w->queue;
	r = curl_load(&w->lib, ret_why);
	if (r == 0)
		r = waiter_init(&w->waiter);
	if (r == 0)
		r = set_limits(w, in);
	if (r < 0)
		return r;
	w->multi = w->lib->curl_multi_init();
	r = w->multi ? set_multi(w) : -ENOMEM;
	if (r < 0)
		return r;
	*ret = steal_ptr(w);
	return 0;
}

unsigned
web_curl_version(const struct web *w)
{
	return w->lib->curl_version_info(CURLVERSION_NOW)->version_num;
}

static void
rearm(struct web *w)
{
	uint64_t at = w->curl_alarm;

	for (const struct transfer *t = w->paused; t; t = t->next)
		if (at == 0 || t->again_at < at)
			at = t->again_at;
	/* what is queued is begun by web_work, and comes late */
	if (w->queue && (w->running < RUNNING_MAX || at == 0))
		at = clock_mono_ms();
	waiter_alarm(&w->waiter, at);
}

int
web_ask(struct web *w, const struct web_ask *ask)
{
	struct transfer *t;
	int r = transfer_new(w->lib, &w->limits, ask, &t);

	if (r < 0)
		return r;
	*w->queue_end = t;
	w->queue_end = &t->next;
	rearm(w);
	return 0;
}

static void
end(struct transfer *t, CURLcode code)
{
	transfer_answer(t, code);
	transfer_free(t);
}

static void
begin(struct web *w, struct transfer *t)
{
	if (!transfer_begin(t, &w->limits, clock_mono_ms())) {
		end(t, CURLE_OPERATION_TIMEDOUT);
	} else if (w->lib->curl_multi_add_handle(w->multi, t->easy) != CURLM_OK) {
		end(t, CURLE_OUT_OF_MEMORY);
	} else {
		t->next = w->with_curl;
		w->with_curl = t;
		w->running++;
	}
}

static void
take_back(struct web *w, struct transfer *t)
{
	struct transfer **at = &w->with_curl;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->next = NULL;
	(void)w->lib->curl_multi_remove_handle(w->multi, t->easy);
	w->running--;
}

static void
begin_queued(struct web *w)
{
	while (w->queue && w->running < RUNNING_MAX) {
		struct transfer *t = w->queue;

		w->queue = t->next;
		if (!w->queue)
			w->queue_end = &w->queue;
		t->next = NULL;
		begin(w, t);
	}
}

static void
begin_paused(struct web *w)
{
	uint64_t now = clock_mono_ms();
	struct transfer **at = &w->paused, *due = NULL;

	while (*at) {
		struct transfer *t = *at;

		if (t->again_at > now) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		t->next = due;
		due = t;
	}
	while (due) {
		struct transfer *t = due;

		due = t->next;
		t->next = NULL;
		begin(w, t);
	}
}

static void
finish(struct web *w)
{
	int left;
	CURLMsg *m;

	while ((m = w->lib->curl_multi_info_read(w->multi, &left))) {
		CURL *easy = m->easy_handle;
		CURLcode code = m->data.result;
		struct transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)w->lib->curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
		take_back(w, t);
		if (transfer_try_again(t, code, clock_mono_ms())) {
			t->next = w->paused;
			w->paused = t;
		} else {
			end(t, code);
		}
	}
}

static void
act(struct web *w, curl_socket_t fd, int what)
{
	int running;

	(void)w->lib->curl_multi_socket_action(w->multi, fd, what, &running);
}

bool
web_is_idle(const struct web *w)
{
	return w->running == 0 && !w->queue && !w->paused;
}

int
web_fd(const struct web *w)
{
	return w->waiter.fd;
}

void
web_work(struct web *w, int ms)
{
	struct epoll_event events[EVENTS_MAX];
	size_t n;

	if (web_is_idle(w))
		ms = 0;
	begin_queued(w);
	rearm(w);
	n = waiter_wait(&w->waiter, ms, events, ARRAY_LEN(events));
	for (size_t i = 0; i < n; i++) {
		uint32_t e = events[i].events;

		act(w, (curl_socket_t)((intptr_t)events[i].data.ptr - 1),
			(e & EPOLLIN ? CURL_CSELECT_IN : 0) |
				(e & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				(e & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
	}
	if (w->curl_alarm != 0 && w->curl_alarm <= clock_mono_ms()) {
		w->curl_alarm = 0;
		act(w, CURL_SOCKET_TIMEOUT, 0);
	}
	finish(w);
	begin_paused(w);
	begin_queued(w);
	rearm(w);
}
