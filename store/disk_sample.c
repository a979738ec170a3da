/* Keeping within the budget where there can be no index: LMDB does not work on a network file
 * system.
 *
 * One file, DIR/sums, says how many bytes each sub-directory had when somebody last looked into
 * it. A call looks where this process put something, and into a few more, in turn; so the sum of
 * all is nearly right, and a call costs the same however large the cache is. Over the budget, the
 * files that were used least recently *of those that were just seen* go: digests are as good as
 * random, so they are a fair sample.
 *
 * Invariant: nothing is evicted before every sub-directory was looked into once. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log/log.h"
#include "store/disk_priv.h"

#define SUMS_MAGIC 0x316d7573u /* changes with the layout */
#define LOOK 4		       /* sub-directories a call, beside those where something was put */
#define LOOK_NEW 32	       /* the same, while not all are known */
#define LOOK_FILES 256 /* fewer than these are no sample: over the budget, more are looked at */

struct sums {
	uint32_t magic;
	uint32_t next;	/* to be looked into */
	uint32_t known; /* how many were, up to DISK_SUBS */
	uint32_t unused;
	uint64_t bytes[DISK_SUBS];
};

static int
sums_path(const struct disk *d, char out[PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s/sums", d->dir) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static void
load(const struct disk *d, struct sums *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[PATH_MAX];

	if (sums_path(d, path) == 0 && fs_read_file(path, sizeof(*ret), &b) == 0 &&
		b.n == sizeof(*ret)) {
		memcpy(ret, b.p, sizeof(*ret));
		if (ret->magic == SUMS_MAGIC && ret->next < DISK_SUBS && ret->known <= DISK_SUBS)
			return;
	}
	memset(ret, 0, sizeof(*ret));
	ret->magic = SUMS_MAGIC;
}

static void
save(const struct disk *d, const struct sums *s)
{
	char path[PATH_MAX];

	if (sums_path(d, path) == 0)
		(void)fs_write_atomic(path, s, sizeof(*s), d->share.on ? SHARE_FILE_MODE : 0600);
}

void
disk_forget_sums(const struct disk *d)
{
	char path[PATH_MAX];

	if (sums_path(d, path) == 0)
		(void)unlink(path);
}

static uint64_t
total(const struct sums *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < DISK_SUBS; i++)
		n += s->bytes[i];
	return n;
}

/* Adds its files to *found, and its bytes in the place of those that were known. */
static int
look(const struct disk *d, struct sums *s, unsigned sub, struct disk_found *found)
{
	size_t before = found->n;
	int r = disk_look_into(d, sub, found);

	if (r < 0)
		return r;
	s->bytes[sub] = 0;
	for (size_t i = before; i < found->n; i++)
		s->bytes[sub] += found->v[i].bytes;
	return 0;
}

static int
look_at_next(struct disk *d, struct sums *s, uint8_t *seen, struct disk_found *found)
{
	unsigned sub = s->next;
	int r = seen[sub] ? 0 : look(d, s, sub, found);

	if (r < 0)
		return r;
	seen[sub] = 1;
	s->next = (sub + 1) % DISK_SUBS;
	s->known = MIN2(s->known + 1, (uint32_t)DISK_SUBS);
	return 0;
}

static int
look_around(struct disk *d, uint64_t max, struct sums *s, struct disk_found *found)
{
	unsigned n = s->known < DISK_SUBS ? LOOK_NEW : LOOK;
	uint8_t seen[DISK_SUBS] = { 0 };
	int r = 0;

	for (unsigned sub = 0; r == 0 && sub < DISK_SUBS; sub++)
		if (d->touched[sub / 8] >> sub % 8 & 1) {
			r = look(d, s, sub, found);
			seen[sub] = 1;
		}
	while (r == 0 && n-- > 0)
		r = look_at_next(d, s, seen, found);
	/* a small cache is looked at as a whole */
	for (n = 0; r == 0 && n < DISK_SUBS && found->n < LOOK_FILES && s->known == DISK_SUBS &&
		    total(s) > max;
		n++)
		r = look_at_next(d, s, seen, found);
	memset(d->touched, 0, sizeof(d->touched));
	return r;
}

void
disk_trim_sampled(struct disk *d, uint64_t max, unsigned max_files)
{
	_cleanup_(disk_found_done) struct disk_found found = { .v = NULL };
	struct sums s;
	uint64_t sum;
	unsigned gone = 0;
	char later[PATH_MAX];

	load(d, &s);
	if (look_around(d, max, &s, &found) < 0)
		return;
	sum = total(&s);
	if (s.known == DISK_SUBS && sum > max && found.n > 0) {
		qsort(found.v, found.n, sizeof(*found.v), disk_by_use);
		for (size_t i = 0; i < found.n && gone < max_files && sum > max; i++) {
			const struct disk_item *it = &found.v[i];

			if (!disk_remove_file(d, it, later))
				continue;
			disk_free(later);
			gone++;
			sum -= it->bytes;
			s.bytes[it->name.b[0]] -= it->bytes;
		}
		log_debug("cache: %u files were evicted, without an index", gone);
	}
	d->added = 0;
	d->evicted += gone;
	save(d, &s);
}
