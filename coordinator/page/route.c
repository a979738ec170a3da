/* What is answered to whom: a table of paths. Only GET and HEAD; nothing that a request says
 * changes anything but its own answer. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/page/asked.h"
#include "coordinator/page/expose.h"
#include "coordinator/page/files.h"
#include "coordinator/page/follow.h"
#include "coordinator/page/page_priv.h"

static const char plain[] = "text/plain; charset=utf-8";

struct request {
	struct page *page;
	struct MHD_Connection *connection;
};

struct route_row {
	const char *path;
	bool open; /* to all: says no more than that it is alive */
	MHD_RESULT (*answer)(const struct request *q, const struct route_row *row);
	int what; /* which JSON */
};

/* ---- answers */

static const char *
header(const struct request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

/* Sends r and gives it up. */
static MHD_RESULT
send_response(const struct request *q, unsigned status, const char *type, struct MHD_Response *r)
{
	MHD_RESULT sent;

	if (!r)
		return MHD_NO;
	page_add_headers(r, type);
	sent = MHD_queue_response(q->connection, status, r);
	MHD_destroy_response(r);
	return sent;
}

static MHD_RESULT
send_text(const struct request *q, unsigned status, const char *text)
{
	return send_response(q, status, plain,
		MHD_create_response_from_buffer(
			strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY));
}

/* What b has is the response's from then on. */
static MHD_RESULT
send_buf(const struct request *q, const char *type, struct buf *b)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(b->n, b->p, MHD_RESPMEM_MUST_FREE);

	if (r)
		*b = (struct buf)BUF_INIT;
	return send_response(q, MHD_HTTP_OK, type, r);
}

static MHD_RESULT
refuse(const struct request *q, unsigned status, const char *name, const char *value,
	const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);

	q->page->counts.refused++;
	if (r && name)
		MHD_add_response_header(r, name, value);
	return send_response(q, status, plain, r);
}

/* ---- the token */

static bool
has_token(const struct request *q)
{
	const struct page_token *t = &q->page->token;
	const char *p;
	size_t n;

	if (asked_bearer(header(q, MHD_HTTP_HEADER_AUTHORIZATION), &p, &n))
		return page_token_is(t, p, n);
	return asked_cookie(header(q, MHD_HTTP_HEADER_COOKIE), PAGE_COOKIE, &p, &n) &&
	       page_token_is_cookie(t, p, n);
}

/* ---- the paths */

static bool
is_stale(const struct page *p)
{
	return !p->shot || clock_mono_ms() - p->shot->made_ms > PAGE_STALE_MS;
}

static MHD_RESULT
answer_healthz(const struct request *q, const struct route_row *row)
{
	(void)row;
	if (is_stale(q->page))
		return send_text(q, MHD_HTTP_SERVICE_UNAVAILABLE,
			"the coordinator's loop has not turned for some time\n");
	return send_text(q, MHD_HTTP_OK, "ok\n");
}

static MHD_RESULT
answer_readyz(const struct request *q, const struct route_row *row)
{
	const struct page_shot *s = q->page->shot;
	bool may_see = !q->page->has_token || has_token(q);
	char text[sizeof(s->not_ready) + 16];

	(void)row;
	if (is_stale(q->page) || !s->ready) {
		snprintf(text, sizeof(text), "not ready: %s\n",
			is_stale(q->page) ? "it does not turn"
			: may_see	  ? s->not_ready
					  : s->not_ready_open);
		return send_text(q, MHD_HTTP_SERVICE_UNAVAILABLE, text);
	}
	return send_text(q, MHD_HTTP_OK, "ready\n");
}

static MHD_RESULT
answer_metrics(const struct request *q, const struct route_row *row)
{
	bool open_metrics = asked_open_metrics(header(q, MHD_HTTP_HEADER_ACCEPT));
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)row;
	if (!q->page->shot)
		return send_text(q, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing is known yet\n");
	if (metrics_write(q->page->shot, &q->page->counts, open_metrics, &b) < 0)
		return MHD_NO;
	return send_buf(q, expose_content_type(open_metrics), &b);
}

/* The token becomes a cookie, and goes from the address. */
static MHD_RESULT
answer_login(const struct request *q, const struct route_row *row)
{
	const char *said = MHD_lookup_connection_value(
		q->connection, MHD_GET_ARGUMENT_KIND, "token");
	struct page *p = q->page;
	struct MHD_Response *r;
	char cookie[DIGEST_HEX_SIZE + 80];

	(void)row;
	if (p->has_token && (!said || !page_token_is(&p->token, said, strlen(said))))
		return refuse(q, MHD_HTTP_FORBIDDEN, NULL, NULL, "this is not the token\n");
	r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Location", "/");
	if (p->has_token) {
		snprintf(cookie, sizeof(cookie), "%s=%s; HttpOnly; SameSite=Strict; Path=/",
			PAGE_COOKIE, p->token.cookie);
		MHD_add_response_header(r, "Set-Cookie", cookie);
	}
	return send_response(q, MHD_HTTP_SEE_OTHER, plain, r);
}

static MHD_RESULT
send_book(const struct request *q, enum api_what what)
{
	struct MHD_Response *r = page_book_response(q->page, what);

	if (!r)
		return send_text(q, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing is known yet\n");
	return MHD_queue_response(q->connection, MHD_HTTP_OK, r);
}

static MHD_RESULT
answer_api(const struct request *q, const struct route_row *row)
{
	return send_book(q, (enum api_what)row->what);
}

static MHD_RESULT
answer_events(const struct request *q, const struct route_row *row)
{
	struct MHD_Response *r;

	(void)row;
	if (!follow_begin(q->page, q->connection, &r))
		return refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "10",
			"too many follow already\n");
	return send_response(q, MHD_HTTP_OK, "text/event-stream", r);
}

static MHD_RESULT
send_file(const struct request *q, const struct page_file *f)
{
	return send_response(q, MHD_HTTP_OK, f->type,
		MHD_create_response_from_buffer(
			f->n, (void *)(uintptr_t)f->text, MHD_RESPMEM_PERSISTENT));
}

static const struct route_row rows[] = {
	{ "/healthz", true, answer_healthz, 0 },
	{ "/readyz", true, answer_readyz, 0 },
	{ "/login", true, answer_login, 0 },
	{ "/metrics", false, answer_metrics, 0 },
	{ "/api/v1/status", false, answer_api, API_STATUS },
	{ "/api/v1/workers", false, answer_api, API_WORKERS },
	{ "/api/v1/queue", false, answer_api, API_QUEUE },
	{ "/api/v1/jobs", false, answer_api, API_JOBS },
	{ "/api/v1/slowest", false, answer_api, API_SLOWEST },
	{ "/api/v1/faults", false, answer_api, API_FAULTS },
	{ "/api/v1/history", false, answer_api, API_HISTORY },
	{ "/api/v1/events", false, answer_events, 0 },
};

/* ---- who may */

/* A request that has a body, or may have. */
static bool
has_body(const struct request *q)
{
	const char *length = header(q, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return header(q, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && !streq(length, "0"));
}

static MHD_RESULT
answer(const struct request *q, const char *path)
{
	const struct route_row *row = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows) && !row; i++)
		if (streq(rows[i].path, path))
			row = &rows[i];
	/* A page of the web can have its own name lead to 127.0.0.1, and would then read what is
	 * here without a token; but it names itself. */
	if (!q->page->has_token && !asked_loopback(header(q, MHD_HTTP_HEADER_HOST)))
		return refuse(q, MHD_HTTP_MISDIRECTED_REQUEST, NULL, NULL,
			"without a token only localhost is answered by name\n");
	if (q->page->has_token && !(row && row->open) && !has_token(q))
		return refuse(q, MHD_HTTP_UNAUTHORIZED, "WWW-Authenticate", "Bearer",
			"a token is needed: Authorization: Bearer TOKEN, or /login?token=TOKEN "
			"in a browser\n");
	if (!row && page_file_find(path))
		return send_file(q, page_file_find(path));
	if (!row)
		return refuse(q, MHD_HTTP_NOT_FOUND, NULL, NULL, "there is nothing here\n");
	return row->answer(q, row);
}

MHD_RESULT
route_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_n, void **state)
{
	static char seen[] = "seen";
	struct page *p = cls;
	const struct request q = { p, c };

	(void)version;
	(void)upload;
	/* libmicrohttpd calls once with the headers, and again when the request is whole; what is
	 * answered at once ends the connection */
	if (!*state) {
		*state = seen;
		p->counts.requests++;
		if (!streq(method, MHD_HTTP_METHOD_GET) && !streq(method, MHD_HTTP_METHOD_HEAD))
			return refuse(&q, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "GET, HEAD",
				"this page can only be read\n");
		if (has_body(&q))
			return refuse(&q, MHD_HTTP_CONTENT_TOO_LARGE, NULL, NULL,
				"a request has no body here\n");
		return MHD_YES;
	}
	if (*upload_n > 0) {
		*upload_n = 0;
		return MHD_NO;
	}
	return answer(&q, url);
}
