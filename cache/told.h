/* The record (trace/watch.h) of a compile that a worker traced, from what it says of it: a client's
 * and the worker's own. Paths below the job's alias become those of the out-dir. */
#ifndef DRAY_CACHE_TOLD_H
#define DRAY_CACHE_TOLD_H

#include "common/buf.h"
#include "proto/job.pb-c.h"

/* Adds an item: its kind, and a and b as one text. 0 or -ENOMEM. */
int told_add_item(struct buf *ret, char kind, const char *a, const char *b);
/* Adds items of one kind. may: whether one of this name may be there, by its kind; else what is
 * added instead says that the record is of no use. NULL: each may. 0 or -ENOMEM. */
typedef bool (*told_may_fn)(char kind, const char *name);
int told_add_names(
	struct buf *ret, char kind, char *const *v, size_t n, const char *out_dir, told_may_fn may);
/* What the compile asked for. 0 or -ENOMEM. */
int told_add_trace(struct buf *ret, const Dray__Trace *t, const char *out_dir, told_may_fn may);
/* The end of a record, without which it is not whole. t: NULL: the worker does not trace. 0 or
 * -ENOMEM. */
int told_end(struct buf *ret, const Dray__Trace *t);

#endif
