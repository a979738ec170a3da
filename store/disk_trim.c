/* Keeping within the budget, in small steps.
 *
 * Invariants: where processes share a store, one at a time evicts or scans (but for one that is
 * stopped), and nobody waits for it. Nothing is evicted by an index that has not seen every file:
 * what it does not know may be older. */
#include "config.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#include "store/disk_priv.h"
#include "common/outdir/left.h"

#define MAX_DEFAULT (UINT64_C(20) << 30)
#define SCAN_EVERY_S (24 * 3600)
/* Sub-directories a call: while the index is whole; while it is not; and when nothing can be
 * evicted for that. The last divides their number. */
#define SCAN_STEP 2
#define SCAN_STEP_NEW 4
#define SCAN_STEP_OVER 32
/* How long a call may evict beyond as many bytes as it has added, while others wait for its end: a
 * step that nobody notices. An owner evicts when a job is done, and nobody waits. */
#define EVICT_MS 10

uint64_t
disk_budget(const struct disk *d)
{
	struct statvfs v;

	if (d->max > 0)
		return d->max;
	if (!d->index->shared)
		return UINT64_MAX;
	if (statvfs(d->dir, &v) < 0)
		return MAX_DEFAULT;
	return MIN2((uint64_t)v.f_blocks * v.f_frsize / 10, MAX_DEFAULT);
}

void
disk_progress(const struct disk *d, const char *what, uint64_t done, uint64_t of)
{
	if (d->progress)
		d->progress(d->progress_arg, what, done, of);
}

/* Scanning. */

int
disk_scan_subs(struct disk *d, unsigned from, unsigned to, struct disk_found *ret)
{
	_cleanup_(disk_found_done) struct disk_found f = { .v = NULL };
	uint64_t begun = (uint64_t)time(NULL);
	unsigned sub;
	size_t i;
	int r = 0;

	for (sub = from; r == 0 && sub < to; sub++) {
		r = disk_look_into(d, sub, &f);
		disk_progress(d, "directories read", sub + 1, DISK_SUBS);
	}
	if (r < 0)
		return r;
	d->index->lock(d);
	r = d->index->scanned(d, from, to, f.v, f.n, begun);
	d->index->unlock(d);
	if (ret == NULL)
		return r;
	for (i = 0, r = 0; r == 0 && i < f.n; i++)
		r = disk_found_add(ret, &f.v[i]);
	return r;
}

static bool
scan_is_due(const struct disk *d, const struct disk_state *s)
{
	uint64_t now = (uint64_t)time(NULL);

	if (!d->index->shared)
		return false;
	return s->scanned == 0 || (s->next_sub > 0 && s->next_sub < DISK_SUBS) ||
	       now > s->scanned + SCAN_EVERY_S || now + SCAN_EVERY_S < s->scanned;
}

/* A part of a scan. Leaves the state as it then is. */
static int
scan_some(struct disk *d, uint64_t max, struct disk_state *s)
{
	unsigned from = (unsigned)(s->next_sub % DISK_SUBS), steps;
	int r;

	steps = s->scanned > 0 ? SCAN_STEP : s->bytes > max ? SCAN_STEP_OVER : SCAN_STEP_NEW;
	r = disk_scan_subs(d, from, MIN2(from + steps, (unsigned)DISK_SUBS), NULL);
	return r < 0 ? r : disk_state(d, s);
}

/* One that was stopped in the middle goes on some day by what it knew then. That costs an entry
 * which came since, at worst. */
static bool
take_turn(struct disk *d, int *ret_lock)
{
	return !d->index->shared || disk_lock(&d->base, DISK_EVICT_LOCK, 0, false, ret_lock) == 0 ||
	       disk_is_held_in_vain(&d->base, DISK_EVICT_LOCK, 0);
}

/* Where files cannot be locked either, two may be at it: what one has removed is gone for the
 * other. */
static void
trim_without_index(struct disk *d, uint64_t max, unsigned max_files)
{
	_cleanup_(closep) int lock = -1;
	int r = disk_lock(&d->base, DISK_EVICT_LOCK, 0, false, &lock);

	if (r != -EWOULDBLOCK || disk_is_held_in_vain(&d->base, DISK_EVICT_LOCK, 0))
		disk_trim_sampled(d, max, max_files);
}

void
disk_trim(struct store *store, unsigned max_files)
{
	_cleanup_(closep) int lock = -1;
	struct disk *d = disk_of(store);
	struct disk_state s;
	char tmp[PATH_MAX];
	uint64_t max;

	if (d->read_only)
		return;
	if (d->index->shared) {
		disk_tmp_dir(d, tmp);
		left_sweep_shared(&d->share, d->dir, tmp);
	}
	max = disk_budget(d);
	if (disk_state(d, &s) < 0) {
		trim_without_index(d, max, max_files);
		return;
	}
	if ((s.bytes <= max && !scan_is_due(d, &s)) || !take_turn(d, &lock))
		return;
	if (scan_is_due(d, &s) && scan_some(d, max, &s) < 0)
		return;
	if (s.scanned == 0)
		return;
	disk_evict(d, max, max_files, d->index->shared ? EVICT_MS : 0);
	if (d->index->shared)
		d->added = 0;
}
