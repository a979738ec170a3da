/* Invariant: the record is whole (its last item is there) only when the worker's trace was. */
#include "config.h"

#include "client/dispatch/farm_record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/told.h"
#include "client/wrap/ledger.h"
#include "client/cached/stranger.h"
#include "common/fs.h"

static bool
may_be_asked(char kind, const char *name)
{
	if (kind == 'm' || kind == 'r' || kind == 'w')
		return true;
	return kind == 'f' ? stranger_may_read(name) : path_is_normal(name);
}

/* Its place here. */
static int
add_path(struct buf *ret, char kind, const char *before, const char *path, const char *out_dir)
{
	_cleanup_(freep) char *item = NULL;
	_cleanup_(freep) char *own = unit_own_path(out_dir, path);

	if (!own || asprintf(&item, "%s%s", before, own) < 0) {
		item = NULL;
		return -ENOMEM;
	}
	return told_add_item(ret, kind, item, "");
}

/* What the worker made of the unit by itself, for the cache to compare: digests of files, and the
 * unit's key. A worker that says none is an older one. */
static int
add_word(struct buf *ret, const Dray__JobResult *m, const char *out_dir)
{
	char hex[DIGEST_HEX_SIZE + 1];
	struct digest d;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->trace->n_read; i++) {
		const Dray__FileRead *f = m->trace->read[i];

		if (f->digest.len != DIGEST_SIZE || !stranger_may_read(f->path))
			return told_add_item(ret, '!', "the worker's digests make no sense", "");
		memcpy(d.b, f->digest.data, DIGEST_SIZE);
		digest_hex(&d, hex);
		hex[DIGEST_HEX_SIZE - 1] = ' ';
		hex[DIGEST_HEX_SIZE] = '\0';
		r = add_path(ret, 'h', hex, f->path, out_dir);
	}
	if (r < 0)
		return r;
	if (m->key.len != DIGEST_SIZE)
		return told_add_item(
			ret, '!', "the worker does not say which unit it compiled", "");
	memcpy(d.b, m->key.data, DIGEST_SIZE);
	digest_hex(&d, hex);
	return told_add_item(ret, 'j', hex, "");
}

int
farm_record_make(
	const struct unit *u, const struct outputs *o, const Dray__JobResult *m, struct buf *ret)
{
	const Dray__Trace *t = m->trace;
	_cleanup_(strv_done) struct strv made = STRV_INIT;
	int r = outputs_list(o, &made);

	strv_sort_unique(&made);
	if (r == 0 && made.n)
		r = told_add_names(ret, 'w', made.v, made.n, "", may_be_asked);
	if (r == 0 && t)
		r = told_add_trace(ret, t, unit_out_dir(u), may_be_asked);
	if (r == 0 && t)
		r = add_word(ret, m, unit_out_dir(u));
	return r < 0 ? r : told_end(ret, t);
}

int
farm_record_write(const struct unit *u, const struct outputs *o, const Dray__JobResult *m,
	const struct say *say)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const struct buf *out = say_kept(say, true), *err = say_kept(say, false);
	int r;

	if (!out || !err)
		return -EFBIG;
	r = farm_record_make(u, o, m, &b);
	if (r == 0)
		r = outputs_write_staged(
			o, FARM_RECORD_OUT, out->p ? out->p : (uint8_t *)"", out->n);
	if (r == 0)
		r = outputs_write_staged(
			o, FARM_RECORD_ERR, err->p ? err->p : (uint8_t *)"", err->n);
	return r < 0 ? r : outputs_write_staged(o, FARM_RECORD, b.p, b.n);
}
