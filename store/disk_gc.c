/* All of a store at once: what there is, and removal by the files themselves. */
#include "config.h"

#include <errno.h>

#include "store/disk_priv.h"
#include "common/fs.h"
#include "common/outdir/left.h"

#define STEP 32 /* sub-directories; divides their number */
#define FORGET_BATCH 32
#define PROGRESS_FILES 256

static void
sum_up(const struct disk_found *f, uint64_t max, struct store_stats *ret)
{
	size_t i;

	*ret = (struct store_stats){ .max = max };
	for (i = 0; i < f->n; i++) {
		*(f->v[i].kind == STORE_BLOB ? &ret->blobs : &ret->entries) += 1;
		ret->bytes += f->v[i].bytes;
	}
}

/* What cannot be read is left out. */
static void
scan_all(struct disk *d, struct disk_found *ret)
{
	unsigned from;

	for (from = 0; from < DISK_SUBS; from += STEP)
		(void)disk_scan_subs(d, from, from + STEP, ret);
}

static void
forget(struct disk *d, const struct disk_item *items, size_t n)
{
	d->index->lock(d);
	for (size_t i = 0; i < n; i += FORGET_BATCH)
		(void)d->index->forget(d, items + i, MIN2((size_t)FORGET_BATCH, n - i));
	d->index->unlock(d);
}

/* Removes the oldest until the goal is reached; what is left stays in *f. */
static int
remove_oldest(struct disk *d, struct disk_found *f, const struct disk_goal *goal, uint64_t max)
{
	struct store_stats s;
	size_t i, gone = 0, kept = 0;
	char later[PATH_MAX];
	int r = 0;

	sum_up(f, max, &s);
	if (f->n > 0)
		qsort(f->v, f->n, sizeof(*f->v), disk_by_use);
	for (i = 0; i < f->n; i++) {
		struct disk_item it = f->v[i];

		if (!goal->all && s.bytes <= max && it.used + DISK_USED_S >= goal->unused_since)
			break;
		if (i % PROGRESS_FILES == 0)
			disk_progress(d, "files removed", i, f->n);
		if (disk_remove_file(d, &it, later)) {
			s.bytes -= it.bytes;
			/* those that went come first */
			f->v[i] = f->v[gone];
			f->v[gone++] = it;
		} else {
			r = -EACCES;
		}
		disk_free(later);
	}
	forget(d, f->v, gone);
	for (i = gone; i < f->n; i++)
		f->v[kept++] = f->v[i];
	f->n = kept;
	return r;
}

int
disk_gc(struct store *store, const struct disk_goal *goal, struct store_stats *ret_before,
	struct store_stats *ret_after)
{
	_cleanup_(closep) int lock = -1;
	_cleanup_(disk_found_done) struct disk_found f = { .v = NULL };
	struct disk *d = disk_of(store);
	struct store_stats before, after;
	struct disk_state state;
	uint64_t max = goal->max;
	char tmp[PATH_MAX];
	int r;

	if (d->read_only)
		return -EROFS;
	if (max == 0)
		max = disk_budget(d);
	r = disk_lock(store, DISK_EVICT_LOCK, 0, true, &lock);
	if (r < 0 && r != -EBUSY)
		return r;
	disk_tmp_dir(d, tmp);
	left_sweep_shared(&d->share, NULL, tmp);
	scan_all(d, &f);
	sum_up(&f, max, &before);
	r = remove_oldest(d, &f, goal, max);
	sum_up(&f, max, &after);
	if (disk_state(d, &state) == 0)
		disk_forget_sums(d);
	if (ret_before != NULL)
		*ret_before = before;
	if (ret_after != NULL)
		*ret_after = after;
	return r;
}

int
disk_get_stats(struct store *store, struct store_stats *ret)
{
	_cleanup_(disk_found_done) struct disk_found f = { .v = NULL };
	struct disk *d = disk_of(store);
	struct disk_state s = { .scanned = 0 };
	unsigned sub;
	int r;

	/* a question makes no cache */
	if (!d->index->shared || (fs_exists(d->dir) && !d->read_only)) {
		d->index->lock(d);
		r = d->index->state(d, &s);
		*ret = (struct store_stats){ .blobs = s.files[STORE_BLOB],
			.entries = s.files[STORE_ENTRY],
			.bytes = s.bytes,
			.max = d->index->shared ? disk_budget(d) : d->max,
			.evicted = d->evicted };
		d->index->unlock(d);
		if (r == 0 && s.scanned > 0)
			return 0;
	}
	for (sub = 0; sub < DISK_SUBS; sub++) {
		r = disk_look_into(d, sub, &f);
		if (r < 0)
			return r;
		disk_progress(d, "directories read", sub + 1, DISK_SUBS);
	}
	sum_up(&f, disk_budget(d), ret);
	ret->evicted = d->evicted;
	return 0;
}
