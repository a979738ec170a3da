/* Writes HTML: what is ours as it is, what is not ours escaped. A failure (memory) is kept, and
 * makes all that follows do nothing: ask for it at the end. */
#ifndef DRAY_CLIENT_SHOW_HTML_H
#define DRAY_CLIENT_SHOW_HTML_H

#include "common/buf.h"

struct html {
	struct buf b;
	int failed; /* 0 or -errno */
};

/* Our own text. */
void html_raw(struct html *h, const char *s);
/* Our own text and numbers; no %s of what is not ours. */
void html_rawf(struct html *h, const char *fmt, ...) _printf_(2, 3);
/* Anybody's text: show_html. */
void html_text(struct html *h, const char *s);
/* The same, cut to so many characters, with "…" when it was. */
void html_text_cut(struct html *h, const char *s, size_t max);
void html_done(struct html *h);

#endif
