/* Writes HTML: dray's own text as it is, other text escaped. After a failure (no memory) all
 * functions do nothing; check `failed` at the end. */
#ifndef DRAY_CLIENT_SHOW_HTML_H
#define DRAY_CLIENT_SHOW_HTML_H

#include "common/buf.h"

struct html {
	struct buf b;
	int failed; /* 0 or -errno */
};

/* Our own text. */
void html_raw(struct html *h, const char *s);
/* Our own text and numbers. A %s may only be our own text. */
void html_rawf(struct html *h, const char *fmt, ...) _printf_(2, 3);
/* Foreign text, escaped by show_html. */
void html_text(struct html *h, const char *s);
/* The same, cut to so many characters, with "…" when it was. */
void html_text_cut(struct html *h, const char *s, size_t max);
void html_done(struct html *h);

#endif
