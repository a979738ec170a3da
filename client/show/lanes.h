/* When each unit of a build ran, and side by side with which: every unit gets a lane in which
 * nothing else runs meanwhile. And how each unit's time was spent. */
#ifndef DRAY_CLIENT_SHOW_LANES_H
#define DRAY_CLIENT_SHOW_LANES_H

#include "client/show/jobs.h"

struct lane_unit {
	const struct job_line *job;
	uint64_t from_us, to_us; /* since the build's first unit began */
	uint64_t alone_us;	 /* of it, nothing else ran */
	unsigned lane;
};

struct lanes {
	struct lane_unit *units; /* in the order in which they began */
	size_t n;
	unsigned n_lanes;
	uint64_t end_us;
	uint64_t busy_us; /* at least one unit ran */
};

enum span_way {
	SPAN_WAIT,    /* for a slot, a worker; and what is not known */
	SPAN_MOVE,    /* sending, receiving, restoring */
	SPAN_COMPILE, /* also of a hit, as a whole */
	SPAN_LINK,
	SPAN_RUN /* of a build script; also of one that was put back, as a whole */
};

struct span {
	enum span_way way;
	uint64_t from_us, to_us; /* since the unit's begin */
};

#define SPANS_MAX 16

/* gap_us: how far apart two units of a lane must be at least. 0 or -ENOMEM. */
int lanes_make(const struct job_line *jobs, size_t n, uint64_t gap_us, struct lanes *ret);
void lanes_done(struct lanes *l);

/* A unit's time from its begin to its end, without holes and overlaps; how many spans. (The log has
 * how long each part took, and when the compile began; parts that overlap are cut.) */
size_t lanes_spans(const struct job_line *j, struct span ret[SPANS_MAX]);

#endif
