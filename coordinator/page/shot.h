/* All that the page shows, at one moment: made in the coordinator's loop, not changed after that,
 * and read by the page's thread. */
#ifndef DRAY_COORDINATOR_PAGE_SHOT_H
#define DRAY_COORDINATOR_PAGE_SHOT_H

#include "coordinator/page/tally.h"
#include "coordinator/view.h"

struct page_shot {
	struct view *view; /* owned: workers, jobs, clients and caches are in it */
	struct tally tally;
	uint64_t made_ms;     /* monotonic */
	uint64_t taken_bytes; /* of messages that came */
	uint64_t cpu_us, rss; /* of this process */
	bool ready;
	char not_ready[128];	    /* why; "" when it is */
	const char *not_ready_open; /* the same, for those without a token: no name is in it */
};

/* *ret has a tally of zeros and no view. 0 or -ENOMEM. */
int page_shot_new(struct page_shot **ret);
void page_shot_free(struct page_shot *s); /* NULL is fine */
void page_shot_freep(struct page_shot **s);

#endif
