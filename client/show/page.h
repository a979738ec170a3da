/* The page of `dray report`: one HTML file that needs nothing else, neither a network nor
 * JavaScript. Its style and script are client/show/page.css and client/show/page.js; a policy in it
 * lets no other run, and nothing be loaded. */
#ifndef DRAY_CLIENT_SHOW_PAGE_H
#define DRAY_CLIENT_SHOW_PAGE_H

#include "client/show/builds.h"
#include "client/show/html.h"

struct page_in {
	const struct build *const *builds; /* oldest first; at least one */
	size_t n;
	uint64_t now_ms;
};

/* 0 or -ENOMEM. */
int page_write(const struct page_in *in, struct html *ret);

#endif
