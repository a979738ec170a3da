/* What was used least recently goes: the one place where that is decided, whatever the index.
 *
 * Invariant: a file goes before its record does, so that a killed evictor leaves a record of
 * nothing, never a file that nobody counts. */
#include "config.h"

#include <errno.h>

#include "store/disk_priv.h"
#include "common/clock.h"
#include "common/log/log.h"

#define EVICT_BATCH 32
/* What a full disk evicts at once: room for a few ordinary blobs, without a long pause. */
#define FULL_EVICT_BYTES (UINT64_C(64) << 20)
#define FULL_EVICT_FILES 256u

int
disk_state(struct disk *d, struct disk_state *ret)
{
	int r;

	d->index->lock(d);
	r = d->index->state(d, ret);
	d->index->unlock(d);
	return r;
}

/* Up to max_files of them, so that `excess` bytes are free. *ret_n: how many went. Threads of an
 * owner wait for the lock: it is held for one file at a time. */
static int
evict_batch(struct disk *d, uint64_t excess, unsigned max_files, unsigned *ret_n)
{
	unsigned max = MIN2(d->index->shared ? (unsigned)EVICT_BATCH : 1, max_files);
	struct disk_item items[EVICT_BATCH];
	char later[PATH_MAX] = "";
	uint64_t freed = 0;
	size_t n, i, gone = 0;
	int r;

	*ret_n = 0;
	d->index->lock(d);
	r = d->index->oldest(d, items, max, &n);
	for (i = 0; r == 0 && i < n && freed < excess; i++) {
		if (!disk_remove_file(d, &items[i], later))
			continue;
		freed += items[i].bytes;
		items[gone++] = items[i];
	}
	if (gone > 0)
		r = d->index->forget(d, items, gone);
	d->evicted += gone;
	d->index->unlock(d);
	disk_free(later);
	*ret_n = (unsigned)gone;
	return r;
}

unsigned
disk_evict(struct disk *d, uint64_t max, unsigned max_files, unsigned limit_ms)
{
	uint64_t until = clock_mono_ms() + limit_ms, first = 0;
	struct disk_state s;
	unsigned n = 1, all = 0;

	while (max_files > 0 && n > 0 && disk_state(d, &s) == 0 && s.bytes > max) {
		first = MAX2(first, s.bytes);
		if (limit_ms > 0 && first - s.bytes >= d->added && all > 0 &&
			clock_mono_ms() >= until)
			break;
		if (evict_batch(d, s.bytes - max, max_files, &n) < 0)
			break;
		max_files -= n;
		all += n;
	}
	if (all > 0)
		log_debug("%s: %u files were evicted", d->dir, all);
	return all;
}

int
disk_after_error(struct disk *d, int r, uint64_t wanted)
{
	struct disk_state s;

	if (r != -ENOSPC && r != -EDQUOT)
		return r;
	if (!d->index->shared && disk_state(d, &s) == 0)
		disk_evict(d, s.bytes - MIN2(s.bytes, MAX2(wanted, FULL_EVICT_BYTES)),
			FULL_EVICT_FILES, 0);
	return -ENOSPC;
}
