/* Inside the places over HTTP: http.c asks and answers; what is of one kind only is behind the
 * table of its kind, in dav.c and s3.c. */
#ifndef DRAY_STORE_HTTP_HTTP_PRIV_H
#define DRAY_STORE_HTTP_HTTP_PRIV_H

#include <sys/queue.h>

#include "store/http/http.h"
#include "store/http/web.h"
#include "store/outgoing.h"
#include "store/url.h"

struct http;
struct op;

struct http_kind {
	/* Before each request: further headers, and what signs it. 0; -errno: the operation fails,
	 * h->base.why is set; -EINPROGRESS: op_send or op_fail is called for it later. */
	int (*prepare)(struct op *op, struct strv *headers, const struct web_auth **ret);
	/* Whether it takes the operation on: it will call op_send again, or op_fail. */
	bool (*take_on)(struct op *op, const struct web_answer *a);
	void (*was_put)(struct op *op); /* a put that succeeds; or NULL */
	/* Headers of a PUT without a body that has the server copy the object onto itself. 0 or
	 * -ENOMEM. NULL: it knows no such thing. */
	int (*renew)(struct op *op, struct strv *headers);
	const struct http_renewals *renewals; /* with that; or NULL */
	void (*close)(struct http *h);
};

/* renew.c */
struct http_renewals {
	void (*open)(struct http *h, const struct store_in *in);
	void (*close)(struct http *h);
	void (*note)(const struct op *op, const struct web_answer *a); /* it was there */
	void (*answered)(struct op *op, const struct web_answer *a);
	void (*step)(struct http *h); /* begins the next one, if it is time */
};
extern const struct http_renewals http_renewals;

/* What is said in the log once. */
enum http_note { NOTE_FORBIDDEN, NOTE_REDIRECT, NOTE_BUCKET, NOTE_N };

struct op_queue {
	struct op *first, **end;
};

#define DAMAGED_MAX 64u /* that are remembered */

/* renew.c: old blobs that were read. */
struct renewals {
	bool off;
	int64_t after_s;  /* of age */
	struct digest *v; /* that wait; NULL: there was none */
	unsigned n, begun;
	struct op *op; /* under way, or NULL */
};

struct http {
	struct store base;
	const struct http_kind *kind;
	void *of_kind;
	struct web *web;
	char *shown;		    /* the URL, for people */
	char *root;		    /* ROOT, with no '/' at its end; bytes are encoded */
	size_t host_n;		    /* of root: up to where its path begins */
	bool no_conditions;	    /* it refuses If-None-Match */
	unsigned request_ms;	    /* 0: as web.h says */
	LIST_HEAD(, op) ops;	    /* all that are open */
	struct op_queue gets, puts; /* of these what is not begun */
	unsigned active, active_puts;
	bool beginning;
	struct digest damaged[DAMAGED_MAX]; /* the latest ones */
	unsigned n_damaged;
	bool said[NOTE_N];
	struct renewals renew;
};

enum op_what { OP_HAS, OP_GET, OP_PUT, OP_RENEW };

/* One request of the store's; it may take several of the web's. */
struct op {
	struct http *h;
	LIST_ENTRY(op) link;
	enum op_what what;
	enum store_kind kind;
	struct digest name;
	struct incoming *to;	      /* get */
	struct object object;	      /* put */
	char sha256[DIGEST_HEX_SIZE]; /* put: of the object; for kinds that want it */
	char *url;
	uint64_t max;		/* get */
	uint64_t deadline;	/* clock_mono_ms; 0: none */
	bool conditional;	/* put: as it was sent */
	bool refused_condition; /* put: without, if that is what it takes */
	unsigned final;		/* as of struct web_ask */
	unsigned step;		/* of the kind; 0 at first */
	size_t at;		/* the same */
	store_done_fn done;
	void *arg;
	struct op *next; /* in its queue */
};

static inline struct http *
http_of(const struct store *s)
{
	return (struct http *)s;
}

/* What both kinds do when they are opened. root is taken over. */
int http_new(const struct store_in *in, const struct store_type *type, const struct http_kind *kind,
	char *root, const char *ca, struct http **ret);
void http_close(struct store *s);

/* One that is not begun. NULL: without memory, and done was called. o, unless NULL, is the
 * operation's. */
struct op *op_new(struct store *s, enum op_what what, enum store_kind kind,
	const struct digest *name, const struct object *o, store_done_fn done, void *arg);
/* Begins it, whatever waits. */
void op_begin(struct op *op);
/* Sends its request again, or at last. */
void op_send(struct op *op);
/* Sets h->base.why to what an answer says that is no success. */
void op_set_why(struct op *op, const struct web_answer *a);
/* Ends it; h->base.why is set. */
void op_fail(struct op *op, int error);
void op_end(struct op *op, struct store_reply *reply);
void http_say_once(struct http *h, enum http_note note, const char *fmt, ...) _printf_(3, 4);

/* The functions of both rows. */
void http_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg);
void http_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg);
void http_put(struct store *s, const struct object *o, store_done_fn done, void *arg);
void http_work(struct store *s, int ms);

#endif
