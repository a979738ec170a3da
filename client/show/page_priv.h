/* What page.c (the page, its sums and timelines) and page_tables.c (its tables) share.
 * page_tables.c is below. */
#ifndef DRAY_CLIENT_SHOW_PAGE_PRIV_H
#define DRAY_CLIENT_SHOW_PAGE_PRIV_H

#include "client/show/page.h"
#include "client/show/stats.h"

struct page {
	struct html *h;
	const struct page_in *in;
	struct stats stats;
	const struct job_line **jobs; /* of all builds */
	size_t n_jobs;
	uint64_t wall_us, busy_us;
	unsigned lanes; /* of the build that had most */
};

/* ---- page_tables.c. Each adds one part; 0 or -ENOMEM. */

int page_add_slowest(struct page *p);
int page_add_critical(struct page *p);
int page_add_reasons(struct page *p);
void page_add_units(struct page *p);

#endif
