/* What all places over HTTP do alike: a request, its answer, and what a status means.
 *
 * Invariant: an operation belongs to the web's open request, to its kind (waiting for keys or
 * directories), or to nobody once its function was called. */
#include "config.h"

#include "store/http/http_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/http/aws_answer.h"
#include "common/clock.h"
#include "common/process/environ.h"
#include "common/log/log.h"

/* Proxies by the variables that curl asks for, of whom we work for. */
static const char *
proxy_of(const char *root)
{
	static const char *const http[] = { "http_proxy", "all_proxy", "ALL_PROXY", NULL };
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
		NULL };
	const char *const *names = starts_with(root, "https:") ? https : http;
	const char *v = NULL;

	for (; *names && (!v || !*v); names++)
		v = environ_get(*names);
	return v && *v ? v : NULL;
}

static const char *
no_proxy(void)
{
	const char *v = environ_get("no_proxy");

	return v ? v : environ_get("NO_PROXY");
}

static void
free_op(struct op *op)
{
	if (op == NULL)
		return;
	LIST_REMOVE(op, link);
	incoming_free(op->to);
	object_done(&op->object);
	free(op->url);
	free(op);
}

static void
free_http(struct http *h)
{
	struct op *op;

	if (h == NULL)
		return;
	if (h->kind->close)
		h->kind->close(h);
	web_free(h->web);
	/* nobody is told of these */
	while ((op = LIST_FIRST(&h->ops)) != NULL)
		free_op(op);
	if (h->kind->renewals)
		h->kind->renewals->close(h);
	free(h->shown);
	free(h->root);
	free(h);
}

static void
free_httpp(struct http **h)
{
	free_http(*h);
}

void
http_close(struct store *s)
{
	free_http(http_of(s));
}

int
http_new(const struct store_in *in, const struct store_type *type, const struct http_kind *kind,
	char *root, const char *ca, struct http **ret)
{
	_cleanup_(free_httpp) struct http *h = calloc(1, sizeof(*h));
	const struct store_url *u = in->url;
	struct web_in web = {
		.connect_ms = (unsigned)store_url_number(u, STORE_PARAM_CONNECT_MS, in->connect_ms),
		.request_ms = (unsigned)MIN2(
			store_url_number(u, STORE_PARAM_REQUEST_S, 0) * 1000, (uint64_t)INT32_MAX),
		.rate = (unsigned)store_url_number(u, STORE_PARAM_RATE, 0),
		.low_speed_s = (unsigned)store_url_number(u, STORE_PARAM_LOW_SPEED_S, 0),
		.ca = ca,
		.ca_alone = store_url_get(u, STORE_PARAM_CA) != NULL,
		.cert = store_url_get(u, STORE_PARAM_CERT),
		.key = store_url_get(u, STORE_PARAM_KEY),
		.proxy = proxy_of(root),
		.no_proxy = no_proxy(),
	};
	int r;

	if (h == NULL) {
		free(root);
		return -ENOMEM;
	}
	outgoing_init(&h->base, type, in);
	LIST_INIT(&h->ops);
	h->gets.end = &h->gets.first;
	h->puts.end = &h->puts.first;
	h->kind = kind;
	h->root = root;
	h->host_n = (size_t)(strstr(root, "://") + 3 - root);
	h->host_n += strcspn(root + h->host_n, "/");
	h->shown = store_url_show(u);
	if (!h->shown)
		return -ENOMEM;
	if (web.request_ms == 0)
		web.request_ms = in->request_ms;
	h->request_ms = web.request_ms;
	r = web_new(&web, &h->web, in->ret_why);
	if (r < 0)
		return r;
	h->base.fd = web_fd(h->web);
	if (kind->renewals)
		kind->renewals->open(h, in);
	*ret = steal_ptr(h);
	return 0;
}

void
http_say_once(struct http *h, enum http_note note, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (h->said[note])
		return;
	h->said[note] = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s: %s", h->shown, text);
}

void
op_end(struct op *op, struct store_reply *reply)
{
	store_done_fn done = op->done;
	struct http *h = op->h;
	void *arg = op->arg;

	h->active--;
	h->active_puts -= op->what == OP_PUT;
	if (op->what == OP_PUT && reply->error == 0) {
		reply->name = op->name;
		reply->size = op->object.head.size;
	}
	free_op(op);
	done(arg, reply);
}

void
op_fail(struct op *op, int error)
{
	struct store_reply reply = { .error = error, .fd = -1 };

	log_debug("%s: %s", op->url, op->h->base.why);
	op_end(op, &reply);
}

/* Of a status that is no success. */
static const struct row {
	unsigned status;
	int read, write;
} STATUSES[] = {
	{ 404, -ENOENT, -ENOTDIR },
	{ 410, -ENOENT, -ENOTDIR },
	{ 401, -ENOENT, -EACCES },
	{ 403, -ENOENT, -EACCES },
	{ 405, -EREMOTEIO, -EROFS },
	{ 409, -EREMOTEIO, -EBUSY },
	{ 413, -EREMOTEIO, -EFBIG },
	{ 429, -EBUSY, -EBUSY },
	{ 501, -EREMOTEIO, -EROFS },
	{ 503, -EBUSY, -EBUSY },
	{ 507, -EREMOTEIO, -ENOSPC },
};

static int
status_error(unsigned status, enum op_what what)
{
	for (size_t i = 0; i < ARRAY_LEN(STATUSES); i++)
		if (STATUSES[i].status == status)
			return what == OP_PUT ? STATUSES[i].write : STATUSES[i].read;
	return -EREMOTEIO;
}

/* Of what came. */
static const char *
fault_of(int error)
{
	switch (error) {
	case -EBADMSG:
		return "what came is damaged";
	case -EFBIG:
		return "it is larger than what may come";
	default:
		return strerror(-error);
	}
}

void
op_set_why(struct op *op, const struct web_answer *a)
{
	static const char *const verbs[] = {
		[OP_HAS] = "HEAD", [OP_GET] = "GET", [OP_PUT] = "PUT", [OP_RENEW] = "copying"
	};
	struct http *h = op->h;
	char code[AWS_CODE_SIZE];

	if (a->error < 0) {
		snprintf(h->base.why, sizeof(h->base.why), "%s: %s", verbs[op->what],
			op->to && incoming_error(op->to) < 0 ? fault_of(a->error)
			: a->why[0]			     ? a->why
							     : strerror(-a->error));
		return;
	}
	aws_answer_code(a->text, a->text_n, code);
	snprintf(h->base.why, sizeof(h->base.why), "%s: it answers %u%s%s", verbs[op->what],
		a->status, code[0] ? " " : "", code);
}

/* What somebody should know, and would not be told by a miss. */
static void
say_status(struct op *op, unsigned status)
{
	struct http *h = op->h;

	if (status == 401 || status == 403)
		http_say_once(h, NOTE_FORBIDDEN, "%s%s", h->base.why,
			op->what == OP_PUT ? "" : ": what cannot be read counts as not there");
	if (status >= 300 && status < 400)
		http_say_once(h, NOTE_REDIRECT,
			"%s: it sends us to another place, where credentials do not go",
			h->base.why);
}

static bool
is_success(const struct op *op, unsigned status)
{
	if (op->what == OP_PUT)
		return status >= 200 && status < 300;
	return status == 200 || (op->what == OP_HAS && status == 204);
}

/* A damaged blob would stay for ever where blobs are put only if there is none: one that was met is
 * written over when it is put. */
static bool
is_damaged(const struct http *h, const struct op *op)
{
	for (size_t i = 0; i < DAMAGED_MAX; i++)
		if (digest_eq(&h->damaged[i], &op->name))
			return op->kind == STORE_BLOB;
	return false;
}

static void
note_damaged(struct op *op)
{
	struct http *h = op->h;

	if (op->kind == STORE_BLOB && op->what == OP_GET && !is_damaged(h, op))
		h->damaged[h->n_damaged++ % DAMAGED_MAX] = op->name;
}

static void
succeed(struct op *op)
{
	struct store_reply reply = { .fd = -1 };
	int fd;

	if (op->what == OP_GET) {
		fd = incoming_end(op->to, &reply.size);
		if (fd < 0) {
			snprintf(op->h->base.why, sizeof(op->h->base.why), "GET: %s", fault_of(fd));
			if (fd == -EBADMSG)
				note_damaged(op);
			op_fail(op, fd);
			return;
		}
		reply.fd = fd;
	}
	op_end(op, &reply);
}

static void
answered(void *arg, const struct web_answer *a)
{
	struct op *op = arg;
	bool was_conditional = op->conditional;
	struct store *s = &op->h->base;

	if (a->has_clock) {
		s->has_clock = true;
		s->clock_ahead_ms = a->clock_ahead_ms;
	}
	if (op->what == OP_RENEW) {
		op->h->kind->renewals->answered(op, a);
		return;
	}
	if (op->what != OP_PUT)
		s->forbidden = a->error == 0 && (a->status == 401 || a->status == 403);
	if (a->error == 0 && is_success(op, a->status)) {
		if (op->refused_condition)
			op->h->no_conditions = true;
		if (op->what == OP_PUT && op->h->kind->was_put)
			op->h->kind->was_put(op);
		if (op->h->kind->renewals)
			op->h->kind->renewals->note(op, a);
		succeed(op);
		return;
	}
	op_set_why(op, a);
	if (a->error == 0 && was_conditional && a->status == 412) {
		struct store_reply reply = { .was_there = true, .fd = -1 };

		op_end(op, &reply);
		return;
	}
	/* it knows no condition: then without one */
	if (a->error == 0 && was_conditional && (a->status == 400 || a->status == 501)) {
		op->refused_condition = true;
		op_send(op);
		return;
	}
	if (op->h->kind->take_on && op->h->kind->take_on(op, a))
		return;
	if (a->error < 0) {
		if (a->error == -EBADMSG)
			note_damaged(op);
		op_fail(op, a->error);
		return;
	}
	say_status(op, a->status);
	op_fail(op, status_error(a->status, op->what));
}

static int
ask(struct op *op)
{
	static const enum web_method methods[] = {
		[OP_HAS] = WEB_HEAD, [OP_GET] = WEB_GET, [OP_PUT] = WEB_PUT, [OP_RENEW] = WEB_PUT
	};
	_cleanup_(strv_done) struct strv headers = STRV_INIT;
	struct http *h = op->h;
	struct web_ask ask = { .method = methods[op->what],
		.url = op->url,
		.headers = &headers,
		.fd = op->object.fd,
		.length = op->object.length,
		.to = op->to,
		.final = op->final,
		.deadline = op->deadline,
		.done = answered,
		.arg = op };
	int r = h->kind->prepare(op, &headers, &ask.auth);

	if (r < 0)
		return r;
	op->conditional = op->what == OP_PUT && op->kind == STORE_BLOB && !h->no_conditions &&
			  !op->refused_condition && !is_damaged(h, op);
	if (op->conditional)
		r = strv_add(&headers, "If-None-Match: *");
	if (op->what == OP_RENEW)
		r = h->kind->renew(op, &headers);
	if (r == 0 && op->to)
		r = incoming_restart(op->to);
	if (r == 0)
		r = web_ask(h->web, &ask);
	if (r < 0)
		snprintf(h->base.why, sizeof(h->base.why), "%s", strerror(-r));
	return r;
}

void
op_send(struct op *op)
{
	int r = ask(op);

	if (r < 0 && r != -EINPROGRESS)
		op_fail(op, r);
}

/* What is begun holds descriptors and buffers; what waits, little. Questions and downloads go
 * first, since a build may wait for them, and leave uploads some room. */
#define ACTIVE_MAX 16u
#define ACTIVE_PUTS_MAX 8u

static struct op *
take_waiting(struct http *h)
{
	struct op_queue *q = &h->gets;
	struct op *op;

	if (h->active >= ACTIVE_MAX)
		return NULL;
	if (!q->first && h->active_puts < ACTIVE_PUTS_MAX)
		q = &h->puts;
	op = q->first;
	if (!op)
		return NULL;
	q->first = op->next;
	if (!q->first)
		q->end = &q->first;
	op->next = NULL;
	return op;
}

void
op_begin(struct op *op)
{
	struct http *h = op->h;
	int r = 0;

	h->active++;
	h->active_puts += op->what == OP_PUT;
	if (op->what == OP_GET)
		r = incoming_new(h->base.tmp, op->kind, &op->name, op->max, &op->to);
	if (r < 0) {
		snprintf(h->base.why, sizeof(h->base.why), "GET: %s", strerror(-r));
		op_fail(op, r);
		return;
	}
	op_send(op);
}

/* An answer may come at once, and its function may ask for more: the loop that is under way begins
 * it. */
static void
begin_waiting(struct http *h)
{
	struct op *op;

	if (h->beginning)
		return;
	h->beginning = true;
	while ((op = take_waiting(h)))
		op_begin(op);
	if (h->kind->renewals)
		h->kind->renewals->step(h);
	h->beginning = false;
}

static void
submit(struct op *op)
{
	struct op_queue *q = op->what == OP_PUT ? &op->h->puts : &op->h->gets;

	*q->end = op;
	q->end = &op->next;
	begin_waiting(op->h);
}

struct op *
op_new(struct store *s, enum op_what what, enum store_kind kind, const struct digest *name,
	const struct object *o, store_done_fn done, void *arg)
{
	struct http *h = http_of(s);
	struct object object = o ? *o : (struct object){ .fd = -1 };
	struct op *op = calloc(1, sizeof(*op));
	char path[OBJECT_PATH_SIZE];

	object_path(kind, name, path);
	if (op && asprintf(&op->url, "%s/%s", h->root, path) < 0) {
		free(op);
		op = NULL;
	}
	if (!op) {
		object_done(&object);
		store_answer_error(done, arg, -ENOMEM);
		return NULL;
	}
	op->h = h;
	LIST_INSERT_HEAD(&h->ops, op, link);
	op->what = what;
	op->kind = kind;
	op->name = *name;
	op->object = object;
	op->deadline = h->request_ms > 0 ? clock_mono_ms() + h->request_ms : 0;
	op->done = done;
	op->arg = arg;
	return op;
}

void
http_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	struct op *op = op_new(s, OP_HAS, kind, name, NULL, done, arg);

	if (op)
		submit(op);
}

void
http_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	struct op *op = op_new(s, OP_GET, kind, name, NULL, done, arg);

	if (!op)
		return;
	op->max = max;
	submit(op);
}

void
http_put(struct store *s, const struct object *o, store_done_fn done, void *arg)
{
	struct op *op = op_new(s, OP_PUT, o->head.kind, &o->head.name, o, done, arg);

	if (op)
		submit(op);
}

void
http_work(struct store *s, int ms)
{
	struct http *h = http_of(s);

	web_work(h->web, ms);
	/* what was answered has made room */
	begin_waiting(h);
}
