/* The page's JSON: what api.schema.json says. Times are in seconds, sizes in bytes, moments in
 * milliseconds since 1970. Words that crates and peers chose are strings of any characters but
 * control characters: who shows them sees to that. */
#ifndef DRAY_COORDINATOR_PAGE_API_H
#define DRAY_COORDINATOR_PAGE_API_H

#include "common/buf.h"
#include "coordinator/page/series.h"
#include "coordinator/page/shot.h"

#define API_WORKERS_MAX 4000 /* that are listed; how many more there are is said */
#define API_JOBS_MAX 500

enum api_what {
	API_STATUS,
	API_WORKERS,
	API_QUEUE,
	API_JOBS,
	API_SLOWEST,
	API_FAULTS,
	API_HISTORY,
	API_N
};

/* *ret must be empty. 0 or -ENOMEM. */
int api_write(enum api_what what, const struct page_shot *s, const struct series *series,
	struct buf *ret);
/* One fault, as /faults has it. */
int api_write_fault(const struct tally_fault *f, struct buf *ret);

#endif
