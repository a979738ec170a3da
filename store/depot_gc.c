/* Keeping within the budget.
 *
 * Invariants: one process at a time evicts or scans (but for one that is stopped), and nobody waits
 * for it. A file goes before
 * its record does, so that a killed evictor leaves a record of nothing, never a file that nobody
 * counts. Nothing is evicted by an index that has not seen every file: what it does not know may be
 * older. */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "store/depot_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/left.h"
#include "common/log.h"

#define MAX_DEFAULT (UINT64_C(20) << 30)
#define SCAN_EVERY_S (24 * 3600)
/* Sub-directories a call: while the index is whole; while it is not; and when nothing can be
 * evicted for that. The last divides their number. */
#define SCAN_STEP 2
#define SCAN_STEP_NEW 4
#define SCAN_STEP_OVER 32
#define EVICT_BATCH 32
#define PROGRESS_FILES 256
/* How long a call may evict beyond as many bytes as it has added, while others wait for its end: a
 * step that nobody notices. */
#define EVICT_MS 10

/* No sub-directory has this name, so no key's lock is in this file. */
#define EVICT_LOCK "evict"

static uint64_t
budget(const struct depot *d)
{
	struct statvfs v;

	if (d->max > 0)
		return d->max;
	if (statvfs(d->dir, &v) < 0)
		return MAX_DEFAULT;
	return MIN2((uint64_t)v.f_blocks * v.f_frsize / 10, MAX_DEFAULT);
}

/* Scanning. */

static void
progress(const struct depot *d, const char *what, uint64_t done, uint64_t of)
{
	if (d->progress)
		d->progress(d->progress_arg, what, done, of);
}

/* Both kinds; the index takes them in, as far as there is one. Adds to *ret, unless NULL. */
static int
scan_subs(struct depot *d, unsigned from, unsigned to, struct depot_found *ret)
{
	_cleanup_(depot_found_done) struct depot_found f = { .v = NULL };
	uint64_t begun = (uint64_t)time(NULL);
	unsigned sub;
	size_t i;
	int r = 0;

	for (sub = from; r == 0 && sub < to; sub++) {
		r = depot_look_into(d, DEPOT_BLOB, sub, &f);
		if (r == 0)
			r = depot_look_into(d, DEPOT_ENTRY, sub, &f);
		progress(d, "directories read", sub + 1, DEPOT_SUBS);
	}
	if (r < 0)
		return r;
	r = depot_index_scanned(d, from, to, f.v, f.n, begun);
	if (ret == NULL)
		return r;
	for (i = 0, r = 0; r == 0 && i < f.n; i++)
		r = depot_found_add(ret, &f.v[i]);
	return r;
}

static bool
scan_is_due(const struct depot_state *s)
{
	uint64_t now = (uint64_t)time(NULL);

	return s->scanned == 0 || (s->next_sub > 0 && s->next_sub < DEPOT_SUBS) ||
	       now > s->scanned + SCAN_EVERY_S || now + SCAN_EVERY_S < s->scanned;
}

/* A part of a scan. Leaves the state as it then is. */
static int
scan_some(struct depot *d, uint64_t max, struct depot_state *s)
{
	unsigned from = (unsigned)(s->next_sub % DEPOT_SUBS), steps;
	int r;

	steps = s->scanned > 0 ? SCAN_STEP : s->bytes > max ? SCAN_STEP_OVER : SCAN_STEP_NEW;
	r = scan_subs(d, from, MIN2(from + steps, (unsigned)DEPOT_SUBS), NULL);
	return r < 0 ? r : depot_index_state(d, s);
}

/* Evicting. */

/* Up to max_files of them, so that `excess` bytes are free. *ret_n: how many went. */
static int
evict_batch(struct depot *d, uint64_t excess, unsigned max_files, unsigned *ret_n)
{
	struct depot_item items[EVICT_BATCH];
	uint64_t freed = 0;
	size_t n, i, gone = 0;
	int r;

	*ret_n = 0;
	r = depot_index_oldest(d, items, MIN2(ARRAY_LEN(items), max_files), &n);
	if (r < 0)
		return r;
	for (i = 0; i < n && freed < excess; i++) {
		if (!depot_remove_file(d, &items[i]))
			continue;
		freed += items[i].bytes;
		items[gone++] = items[i];
	}
	*ret_n = (unsigned)gone;
	return gone > 0 ? depot_index_remove(d, items, gone) : 0;
}

/* At least what was added goes, so the cache does not grow; beyond that there is a limit of time.
 */
static void
evict(struct depot *d, uint64_t max, unsigned max_files)
{
	uint64_t until = clock_mono_ms() + EVICT_MS, first = 0;
	struct depot_state s;
	unsigned n = 1, all = 0;

	while (max_files > 0 && n > 0 && depot_index_state(d, &s) == 0 && s.bytes > max) {
		first = MAX2(first, s.bytes);
		if (first - s.bytes >= d->added && all > 0 && clock_mono_ms() >= until)
			break;
		if (evict_batch(d, s.bytes - max, max_files, &n) < 0)
			break;
		max_files -= n;
		all += n;
	}
	d->added = 0;
	if (all > 0)
		log_debug("cache: %u files were evicted", all);
}

/* One that was stopped in the middle goes on some day by what it knew then. That costs an entry
 * which came since, at worst. */
static bool
take_turn(const struct depot *d, int *ret_lock)
{
	return depot_lock_byte(d, EVICT_LOCK, 0, false, ret_lock) == 0 ||
	       depot_byte_is_held_in_vain(d, EVICT_LOCK, 0);
}

/* Where files cannot be locked either, two may be at it: what one has removed is gone for the
 * other. */
static void
trim_without_index(struct depot *d, uint64_t max, unsigned max_files)
{
	_cleanup_(closep) int lock = -1;
	int r = depot_lock_byte(d, EVICT_LOCK, 0, false, &lock);

	if (r != -EWOULDBLOCK || depot_byte_is_held_in_vain(d, EVICT_LOCK, 0))
		depot_trim_sampled(d, max, max_files);
}

void
depot_trim(struct depot *d, unsigned max_files)
{
	_cleanup_(closep) int lock = -1;
	struct depot_state s;
	char tmp[PATH_MAX];
	uint64_t max;

	if (d->read_only)
		return;
	depot_index_flush(d);
	depot_tmp_dir(d, tmp);
	left_sweep(d->dir, tmp);
	max = budget(d);
	if (depot_index_state(d, &s) < 0) {
		trim_without_index(d, max, max_files);
		return;
	}
	if ((s.bytes <= max && !scan_is_due(&s)) || !take_turn(d, &lock))
		return;
	if (scan_is_due(&s) && scan_some(d, max, &s) < 0)
		return;
	if (s.scanned > 0)
		evict(d, max, max_files);
}

/* All of it. */

static void
sum_up(const struct depot_found *f, uint64_t max, struct depot_stats *ret)
{
	size_t i;

	*ret = (struct depot_stats){ .max = max };
	for (i = 0; i < f->n; i++) {
		*(f->v[i].kind == DEPOT_BLOB ? &ret->blobs : &ret->entries) += 1;
		ret->bytes += f->v[i].bytes;
	}
}

/* What cannot be read is left out. */
static void
scan_all(struct depot *d, struct depot_found *ret)
{
	unsigned from;

	for (from = 0; from < DEPOT_SUBS; from += SCAN_STEP_OVER)
		(void)scan_subs(d, from, from + SCAN_STEP_OVER, ret);
}

/* Removes the oldest until the rest is within max, or all; what is left stays in *f. */
static int
remove_oldest(struct depot *d, struct depot_found *f, uint64_t max, bool all)
{
	struct depot_stats s;
	size_t i, gone = 0, kept = 0;
	int r = 0;

	sum_up(f, max, &s);
	if (f->n > 0)
		qsort(f->v, f->n, sizeof(*f->v), depot_by_use);
	for (i = 0; i < f->n; i++) {
		struct depot_item it = f->v[i];

		if (!all && s.bytes <= max)
			break;
		if (i % PROGRESS_FILES == 0)
			progress(d, "files removed", i, f->n);
		if (depot_remove_file(d, &it)) {
			s.bytes -= it.bytes;
			/* those that went come first */
			f->v[i] = f->v[gone];
			f->v[gone++] = it;
		} else {
			r = -EACCES;
		}
	}
	for (i = 0; i < gone; i += EVICT_BATCH)
		(void)depot_index_remove(d, f->v + i, MIN2((size_t)EVICT_BATCH, gone - i));
	for (i = gone; i < f->n; i++)
		f->v[kept++] = f->v[i];
	f->n = kept;
	return r;
}

int
depot_gc(struct depot *d, uint64_t max, bool all, struct depot_stats *ret_before,
	struct depot_stats *ret_after)
{
	_cleanup_(closep) int lock = -1;
	_cleanup_(depot_found_done) struct depot_found f = { .v = NULL };
	struct depot_stats before, after;
	char tmp[PATH_MAX];
	int r;

	if (d->read_only)
		return -EROFS;
	if (max == 0)
		max = budget(d);
	r = depot_lock_byte(d, EVICT_LOCK, 0, true, &lock);
	if (r < 0 && r != -EBUSY)
		return r;
	depot_index_flush(d);
	depot_tmp_dir(d, tmp);
	left_sweep(NULL, tmp);
	scan_all(d, &f);
	sum_up(&f, max, &before);
	r = remove_oldest(d, &f, max, all);
	sum_up(&f, max, &after);
	if (ret_before != NULL)
		*ret_before = before;
	if (ret_after != NULL)
		*ret_after = after;
	return r;
}

int
depot_get_stats(struct depot *d, struct depot_stats *ret)
{
	_cleanup_(depot_found_done) struct depot_found f = { .v = NULL };
	struct depot_state s;
	unsigned sub;
	int r;

	/* a question makes no cache */
	if (fs_exists(d->dir) && !d->read_only) {
		depot_index_flush(d);
		if (depot_index_state(d, &s) == 0 && s.scanned > 0) {
			*ret = (struct depot_stats){ .blobs = s.files[DEPOT_BLOB],
				.entries = s.files[DEPOT_ENTRY],
				.bytes = s.bytes,
				.max = budget(d) };
			return 0;
		}
	}
	for (sub = 0; sub < DEPOT_SUBS; sub++) {
		r = depot_look_into(d, DEPOT_BLOB, sub, &f);
		if (r == 0)
			r = depot_look_into(d, DEPOT_ENTRY, sub, &f);
		if (r < 0)
			return r;
		progress(d, "directories read", sub + 1, DEPOT_SUBS);
	}
	sum_up(&f, budget(d), ret);
	return 0;
}
