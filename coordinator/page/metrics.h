/* /metrics: the farm for Prometheus. Names and meanings are in doc/page.md. No label holds what a
 * crate or a client chose; namespaces are bounded (tally.h). */
#ifndef DRAY_COORDINATOR_PAGE_METRICS_H
#define DRAY_COORDINATOR_PAGE_METRICS_H

#include "common/buf.h"
#include "coordinator/page/shot.h"

/* What the page counts of itself. */
struct page_counts {
	uint64_t requests, refused; /* refused: with 4xx */
	uint64_t followers, followers_dropped;
};

/* 0 or -ENOMEM. */
int metrics_write(const struct page_shot *s, const struct page_counts *own, bool open_metrics,
	struct buf *ret);

#endif
