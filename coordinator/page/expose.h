/* Writes metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0. A family is
 * begun, then its samples are added. Units are base units (seconds, bytes); a counter's name is
 * given without "_total", which is added here.
 *
 * After a failure (no memory) all functions do nothing; look at `failed` at the end. */
#ifndef DRAY_COORDINATOR_PAGE_EXPOSE_H
#define DRAY_COORDINATOR_PAGE_EXPOSE_H

#include "common/buf.h"
#include "coordinator/page/tally.h"

enum expose_kind { EXPOSE_GAUGE, EXPOSE_COUNTER, EXPOSE_HISTOGRAM };

struct expose {
	struct buf b;
	bool open_metrics;
	int failed; /* 0 or -errno */
	const char *name;
	enum expose_kind kind;
};

/* name and help are literals, help without a line's end. */
void expose_family(struct expose *e, const char *name, enum expose_kind kind, const char *help);
/* label: NULL, or the name of the only label; the label's value may be any bytes. */
void expose_count(struct expose *e, const char *label, const char *value, uint64_t n);
/* Of so many microseconds, in seconds. */
void expose_us(struct expose *e, const char *label, const char *value, uint64_t us);
/* The samples of a histogram, in seconds. */
void expose_times(
	struct expose *e, const char *label, const char *value, const struct tally_times *t);
/* The end of all. */
void expose_end(struct expose *e);

/* What goes with it in the answer. */
const char *expose_content_type(bool open_metrics);

#endif
