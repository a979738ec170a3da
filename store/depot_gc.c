/* Keeping within the budget.
 *
 * Invariants: one process at a time evicts or scans (but for one that is stopped), and nobody waits
 * for it. A file goes before
 * its record does, so that a killed evictor leaves a record of nothing, never a file that nobody
 * counts. Nothing is evicted by an index that has not seen every file: what it does not know may be
 * older. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "store/depot_priv.h"
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
#define JUNK_OLD_S 3600

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

struct found {
	struct depot_item *v;
	size_t n, cap;
};

static void
found_done(struct found *f)
{
	free(f->v);
}

static int
found_add(struct found *f, const struct depot_item *i)
{
	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? f->cap * 2 : 256;
		struct depot_item *v = reallocarray(f->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *i;
	return 0;
}

/* What is no blob and no entry, and stays none. */
static bool
is_junk(enum depot_kind kind, bool named, const struct digest *name, const struct stat *st)
{
	struct digest empty;

	if (named && S_ISREG(st->st_mode))
		/* the usual remains of a power loss */
		return st->st_size == 0 && kind == DEPOT_BLOB &&
		       (digest_bytes("", 0, &empty) < 0 || !digest_eq(name, &empty));
	return time(NULL) - st->st_ctime > JUNK_OLD_S;
}

static uint64_t
seconds(const struct timespec *t)
{
	return t->tv_sec > 0 ? (uint64_t)t->tv_sec : 0;
}

/* All files of one kind in one sub-directory. */
static int
look_into(const struct depot *d, enum depot_kind kind, unsigned sub, struct found *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *e;
	int r = 0;

	snprintf(path, sizeof(path), "%s/%s/%02x", d->dir, depot_dirs[kind], sub);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (r == 0 && (e = readdir(dir)) != NULL) {
		struct depot_item i = { .kind = kind };
		struct stat st;
		bool named;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		named = digest_parse(e->d_name, &i.name) == 0 && i.name.b[0] == sub;
		if (is_junk(kind, named, &i.name, &st)) {
			if (!d->read_only)
				(void)unlinkat(dirfd(dir), e->d_name, 0);
			continue;
		}
		if (!named || !S_ISREG(st.st_mode))
			continue;
		i.bytes = depot_bytes(&st);
		i.used = MAX2(seconds(&st.st_atim), seconds(&st.st_mtim));
		r = found_add(ret, &i);
	}
	return r;
}

/* Both kinds; the index takes them in, as far as there is one. Adds to *ret, unless NULL. */
static int
scan_subs(struct depot *d, unsigned from, unsigned to, struct found *ret)
{
	_cleanup_(found_done) struct found f = { .v = NULL };
	uint64_t begun = (uint64_t)time(NULL);
	unsigned sub;
	size_t i;
	int r = 0;

	for (sub = from; r == 0 && sub < to; sub++) {
		r = look_into(d, DEPOT_BLOB, sub, &f);
		if (r == 0)
			r = look_into(d, DEPOT_ENTRY, sub, &f);
	}
	if (r < 0)
		return r;
	r = depot_index_scanned(d, from, to, f.v, f.n, begun);
	if (ret == NULL)
		return r;
	for (i = 0, r = 0; r == 0 && i < f.n; i++)
		r = found_add(ret, &f.v[i]);
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

/* Whether it is gone. */
static bool
remove_file(const struct depot *d, const struct depot_item *i)
{
	char path[PATH_MAX];

	depot_path(d, i->kind, &i->name, path);
	return unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR;
}

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
		if (!remove_file(d, &items[i]))
			continue;
		freed += items[i].bytes;
		items[gone++] = items[i];
	}
	*ret_n = (unsigned)gone;
	return gone > 0 ? depot_index_remove(d, items, gone) : 0;
}

static void
evict(struct depot *d, uint64_t max, unsigned max_files)
{
	struct depot_state s;
	unsigned n = 1, all = 0;

	while (max_files > 0 && n > 0 && depot_index_state(d, &s) == 0 && s.bytes > max) {
		if (evict_batch(d, s.bytes - max, max_files, &n) < 0)
			break;
		max_files -= n;
		all += n;
	}
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
	if (depot_index_state(d, &s) < 0)
		return;
	depot_tmp_dir(d, tmp);
	left_sweep(d->dir, tmp);
	max = budget(d);
	if ((s.bytes <= max && !scan_is_due(&s)) || !take_turn(d, &lock))
		return;
	if (scan_is_due(&s) && scan_some(d, max, &s) < 0)
		return;
	if (s.scanned > 0)
		evict(d, max, max_files);
}

/* All of it. */

static void
sum_up(const struct found *f, uint64_t max, struct depot_stats *ret)
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
scan_all(struct depot *d, struct found *ret)
{
	unsigned from;

	for (from = 0; from < DEPOT_SUBS; from += SCAN_STEP_OVER)
		(void)scan_subs(d, from, from + SCAN_STEP_OVER, ret);
}

static int
by_use(const void *a, const void *b)
{
	const struct depot_item *x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}

/* Removes the oldest until the rest is within max, or all; what is left stays in *f. */
static int
remove_oldest(struct depot *d, struct found *f, uint64_t max, bool all)
{
	struct depot_stats s;
	size_t i, gone = 0, kept = 0;
	int r = 0;

	sum_up(f, max, &s);
	if (f->n > 0)
		qsort(f->v, f->n, sizeof(*f->v), by_use);
	for (i = 0; i < f->n; i++) {
		struct depot_item it = f->v[i];

		if (!all && s.bytes <= max)
			break;
		if (remove_file(d, &it)) {
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
	_cleanup_(found_done) struct found f = { .v = NULL };
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
	_cleanup_(found_done) struct found f = { .v = NULL };
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
		r = look_into(d, DEPOT_BLOB, sub, &f);
		if (r == 0)
			r = look_into(d, DEPOT_ENTRY, sub, &f);
		if (r < 0)
			return r;
	}
	sum_up(&f, budget(d), ret);
	return 0;
}
