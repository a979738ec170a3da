/* A build's timeline as inline SVG: a bar for each unit, in lanes, coloured by place. Its colours
 * are classes of page.css. */
#ifndef DRAY_CLIENT_SHOW_TIMELINE_H
#define DRAY_CLIENT_SHOW_TIMELINE_H

#include "client/show/critical.h"
#include "client/show/html.h"
#include "client/show/jobs.h"

struct timeline_sums {
	uint64_t wall_us; /* from the first begin to the last end */
	uint64_t busy_us; /* at least one unit ran */
	unsigned lanes;	  /* at most so many at a time */
};

/* 0 or -ENOMEM; *ret_sums also without units. Units of the critical path are marked. */
int timeline_add(struct html *h, const struct job_line *jobs, size_t n, const struct critical *path,
	struct timeline_sums *ret_sums);

#endif
