/* Many HTTP requests at once, over connections that stay open: what places over HTTP are made of.
 * One curl multi handle; HTTP/1.1, which all of them speak.
 *
 * A request is answered once, from web_work, and always in the end: each has a limit for the whole,
 * one for the connection, and a slowest rate. What looks like a bad moment (500, 502, 503, 504,
 * 429, a connection that broke) is tried again, a few times, after a pause that is drawn at random;
 * Retry-After counts, up to a bound. Nothing waits for 100 Continue. Where a request has
 * credentials no redirect is followed.
 *
 * Nothing of a request's headers or credentials is in a sentence or a log. */
#ifndef DRAY_STORE_HTTP_WEB_H
#define DRAY_STORE_HTTP_WEB_H

#include "common/strv.h"
#include "store/incoming.h"

struct web;

struct web_in {
	unsigned connect_ms;	    /* 0: 2 s */
	unsigned request_ms;	    /* with all tries, from web_ask on; 0: 60 s from its begin, and
				     * the time that its body takes at the slowest rate;
				     * where `to` is set 10 min */
	unsigned rate, low_speed_s; /* given up when slower (bytes a second) for so long; 0: 16 KiB,
				     * 5 s */
	const char *ca;		/* a file: whose certificates are believed; NULL: the system's */
	bool ca_alone;		/* and nobody else's; false: the system's directory as well */
	const char *cert, *key; /* files: who we are, where a server asks; NULL: nobody */
	const char *proxy, *no_proxy; /* as curl takes them; NULL: none */
};

/* 0; -ENOPKG: no libcurl; -errno; *ret_why as of curl_load. The strings are copied. */
int web_new(const struct web_in *in, struct web **ret, char **ret_why);
/* Requests that are open are dropped and not answered. NULL is fine. */
void web_free(struct web *w);

/* libcurl's version, 0x075801 for 7.88.1. */
unsigned web_curl_version(const struct web *w);

enum web_method { WEB_GET, WEB_HEAD, WEB_PUT, WEB_POST, WEB_MKCOL };

enum web_auth_kind { WEB_ANONYMOUS, WEB_BASIC, WEB_BEARER, WEB_AWS };

struct web_auth {
	enum web_auth_kind kind;
	const char *user;     /* basic; AWS: the key's id */
	const char *password; /* basic; AWS: the secret; bearer: the token */
	const char *aws;      /* AWS: what libcurl's CURLOPT_AWS_SIGV4 takes */
};

struct web_answer {
	int error;		/* 0: there is an answer. -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT,
				 * -ECONNRESET, -EKEYREJECTED (TLS), -EPROTO; of `to`: incoming.h */
	unsigned status;	/* of the answer: 200 */
	const char *why;	/* of an error: what went wrong, without a secret; else "" */
	bool has_clock;		/* it has a Date */
	int64_t clock_ahead_ms; /* by which the server's clock is ahead of ours, to half a second */
	int64_t age_s;		/* of what was asked for, by its Last-Modified and the Date; -1: it
				 * is not told */
	const char *region;	/* of x-amz-bucket-region, if it is a plain name; else "" */
	const void *text;	/* the body, up to 64 KiB, unless it went to `to` */
	size_t text_n;
};
typedef void (*web_done_fn)(void *arg, const struct web_answer *a);

struct web_ask {
	enum web_method method;
	const char *url;
	const struct web_auth *auth; /* NULL: anonymous */
	const struct strv *headers;  /* "Name: value"; NULL: none */
	int fd;			     /* PUT: the body, from its begin; it stays open until done */
	uint64_t length;	     /* of it */
	const char *form;	     /* POST: the body */
	struct incoming *to;	     /* GET: takes the body of a 200; NULL: it is text */
	bool direct;		     /* by no proxy, once, 1 s for the connection and 2 s for all:
				      * what this machine's surroundings serve */
	uint64_t deadline;	     /* clock_mono_ms, with all tries; 0: by request_ms */
	unsigned final;		     /* a status that is not tried again; 0: none */
	web_done_fn done;
	void *arg;
};

/* What is pointed to is copied, but for `to`, which stays until done. 0; or -ENOMEM, and done is
 * never called. */
int web_ask(struct web *w, const struct web_ask *ask);

/* As of store.h. web_is_idle: no request is open. */
int web_fd(const struct web *w);
void web_work(struct web *w, int ms);
bool web_is_idle(const struct web *w);

#endif
