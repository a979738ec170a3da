/* Inside the engine: web.c has the loop, transfer.c one request. */
#ifndef DRAY_STORE_HTTP_WEB_PRIV_H
#define DRAY_STORE_HTTP_WEB_PRIV_H

#include "store/http/curl.h"
#include "store/http/web.h"

#define TEXT_MAX ((size_t)64 << 10)
#define REGION_MAX 64

struct transfer {
	struct transfer *next; /* in the list that it is in */
	const struct curl_lib *lib;
	CURL *easy;
	struct curl_slist *headers;
	int fd;
	uint64_t length, sent;
	struct incoming *to;
	bool direct;
	unsigned final;
	web_done_fn done;
	void *arg;

	unsigned tries;	   /* that were begun */
	uint64_t deadline; /* clock_mono_ms; 0: not set yet */
	uint64_t again_at; /* the next try */
	size_t headers_n;  /* bytes that came */
	struct buf text;
	char region[REGION_MAX];
	bool has_clock; /* of the answer's Date */
	int64_t clock_ahead_ms;
	int64_t date_s, modified_s; /* since 1970; 0: it is not told */
	char error_text[CURL_ERROR_SIZE];
};

/* The limits, as they are. */
struct web_limits {
	unsigned connect_ms, request_ms, rate, low_speed_s;
	bool ca_alone;
	char *ca, *cert, *key, *proxy, *no_proxy;
};

int transfer_new(const struct curl_lib *lib, const struct web_limits *limits,
	const struct web_ask *ask, struct transfer **ret);
void transfer_free(struct transfer *t); /* NULL is fine; it is in no multi handle */
/* Before it is given to the multi handle. False: there is no time left. */
bool transfer_begin(struct transfer *t, const struct web_limits *limits, uint64_t now);
/* After it: whether there is another try, at t->again_at. */
bool transfer_try_again(struct transfer *t, CURLcode code, uint64_t now);
/* Calls done. code: CURLE_OPERATION_TIMEDOUT where it was not begun. */
void transfer_answer(struct transfer *t, CURLcode code);

#endif
