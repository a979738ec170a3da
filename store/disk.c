/* The disk's row in the table of places. */
#include "config.h"

#include <errno.h>

#include "store/disk_priv.h"
#include "common/log/log.h"

static void
close_disk(struct store *s)
{
	struct disk *d = disk_of(s);

	d->index->close(d);
	free(d->dir);
	free(d);
}

static void
close_diskp(struct disk **d)
{
	if (*d != NULL)
		close_disk(&(*d)->base);
}

static int
open_disk(const struct store_in *in, struct store **ret)
{
	_cleanup_(close_diskp) struct disk *d = NULL;
	int r;

	if (!disk_fits(in->where))
		return -ENAMETOOLONG;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->base.type = &store_disk;
	d->max = in->max;
	d->index = in->disk->index;
	d->read_only = in->disk->read_only;
	d->memo = in->disk->memo;
	d->share = in->disk->share;
	d->dir = strdup(in->where);
	if (d->dir == NULL)
		return -ENOMEM;
	r = d->index->open(d);
	if (r < 0)
		return r;
	log_debug("%s: a store on %s, its index by %s", d->dir, store_disk.name, d->index->name);
	*ret = &steal_ptr(d)->base;
	return 0;
}

void
disk_set_max(struct store *s, uint64_t max)
{
	disk_of(s)->max = max;
}

const struct store_type store_disk = {
	.name = "disk",
	.open = open_disk,
	.close = close_disk,
	.has = disk_has,
	.get = disk_get,
	.write_begin = disk_write_begin,
	.write = disk_write,
	.write_commit = disk_write_commit,
	.write_abort = disk_write_abort,
	.put_fd = disk_put_fd,
	.put_entry = disk_put_entry,
	.trim = disk_trim,
	.get_stats = disk_get_stats,
};

void
disk_on_progress(struct store *s, disk_progress_fn fn, void *arg)
{
	struct disk *d = disk_of(s);

	d->progress = fn;
	d->progress_arg = arg;
}
