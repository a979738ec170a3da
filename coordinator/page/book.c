/* Each kind of JSON is written once for a shot, however many ask for it; and the headers that all
 * answers have. */
#include "config.h"

#include "coordinator/page/page_priv.h"

void
page_add_headers(struct MHD_Response *r, const char *type)
{
	static const struct {
		const char *name, *value;
	} headers[] = {
		{ "Cache-Control", "no-store" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src "
			"'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
			"frame-ancestors 'none'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		MHD_add_response_header(r, headers[i].name, headers[i].value);
	MHD_add_response_header(r, "Content-Type", type);
}

static void
forget(struct page_book *b)
{
	/* connections that still send it hold it */
	if (b->response)
		MHD_destroy_response(b->response);
	buf_done(&b->text);
	*b = (struct page_book){ .shot = 0 };
}

bool
page_book(struct page *p, enum api_what what)
{
	struct page_book *b = &p->book[what];

	if (!p->shot)
		return false;
	if (b->shot == p->shots)
		return true;
	forget(b);
	if (api_write(what, p->shot, &p->series, &b->text) < 0)
		return false;
	b->shot = p->shots;
	return true;
}

struct MHD_Response *
page_book_response(struct page *p, enum api_what what)
{
	struct page_book *b = &p->book[what];

	if (!page_book(p, what))
		return NULL;
	if (!b->response) {
		b->response = MHD_create_response_from_buffer(
			b->text.n, b->text.p, MHD_RESPMEM_MUST_COPY);
		if (b->response)
			page_add_headers(b->response, "application/json");
	}
	return b->response;
}

void
page_book_done(struct page *p)
{
	for (int i = 0; i < API_N; i++)
		forget(&p->book[i]);
}
