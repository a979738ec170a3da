/* Writes HTML. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "client/show/html.h"
#include "common/text/show.h"

void
html_raw(struct html *h, const char *s)
{
	if (h->failed == 0)
		h->failed = buf_adds(&h->b, s);
}

void
html_rawf(struct html *h, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	html_raw(h, text);
}

void
html_text(struct html *h, const char *s)
{
	if (h->failed == 0)
		h->failed = show_html(&h->b, s);
}

/* Whether a character begins at s (UTF-8). */
static bool
is_begin(const char *s)
{
	return ((unsigned char)*s & 0xc0) != 0x80;
}

void
html_text_cut(struct html *h, const char *s, size_t max)
{
	_cleanup_(freep) char *head = NULL;
	size_t n = 0, chars = 0, keep = 0;

	for (; s[n]; n++) {
		if (!is_begin(s + n))
			continue;
		if (chars + 1 == max)
			keep = n;
		chars++;
	}
	if (chars <= max) {
		html_text(h, s);
		return;
	}
	head = strndup(s, keep);
	html_text(h, head ? head : "");
	html_raw(h, "\xe2\x80\xa6");
}

void
html_done(struct html *h)
{
	buf_done(&h->b);
}
