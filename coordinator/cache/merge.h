/* Two that write one entry lose nothing of each other: what comes is put together with what is
 * there, result by result (cache/shared.h). Its readers look at who signed them. */
#ifndef DRAY_COORDINATOR_CACHE_MERGE_H
#define DRAY_COORDINATOR_CACHE_MERGE_H

#include "common/buf.h"
#include "common/digest.h"

/* old: what is there; empty: nothing. 1: put p as it is (there is nothing that it would have to be
 * put together with, or it is no entry of sealed results, as the list of keys); 0: put *ret;
 * -EBADMSG: it is damaged, or another key's, or results under the name of the list of keys;
 * -EEXIST: one of the two is of a later version, or the old one alone is of sealed results: that is
 * not written over; -ENOMEM. */
int merge_entry(
	const struct digest *name, const struct buf *old, const void *p, size_t n, struct buf *ret);

#endif
