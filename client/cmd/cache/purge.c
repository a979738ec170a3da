#include "config.h"

#include "client/cmd/cache/purge.h"

#include <errno.h>

#include "cache/entry.h"
#include "client/cmd/cmd.h"
#include "common/clock.h"

/* One that is damaged is no entry, and one that has gone meanwhile has gone. */
static int
purge_entry(struct depot *d, const struct digest *key, const char *producer, uint64_t before_s,
	struct purged *ret)
{
	_cleanup_(closep) int lock = depot_lock_entry(d, key);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t dropped;
	int r = depot_read_entry(d, key, &b);

	(void)lock; /* held to the end */
	if (r == 0)
		r = entry_decode(b.p, b.n, key, &e);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	dropped = entry_drop_made(&e, producer, before_s);
	if (dropped == 0)
		return 0;
	buf_done(&b);
	if (e.n_results == 0) {
		r = depot_drop_entry(d, key);
	} else {
		r = entry_encode(&e, &b);
		if (r == 0)
			r = depot_write_entry(d, key, b.p, b.n);
	}
	if (r == 0) {
		ret->entries++;
		ret->results += dropped;
	}
	return r;
}

int
purge_depot(struct depot *d, const char *producer, uint64_t before_s, struct purged *ret)
{
	struct cmd_progress progress = { .begun_ms = clock_mono_ms() };
	_cleanup_(freep) struct digest *keys = NULL;
	size_t n = 0;
	int r = depot_list_entries(d, &keys, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		cmd_progress(&progress, "entries", i, n);
		r = purge_entry(d, &keys[i], producer, before_s, ret);
	}
	cmd_progress_done(&progress);
	return r;
}
