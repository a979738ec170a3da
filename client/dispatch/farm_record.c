/* Invariant: the record is whole (its last item is there) only when the worker's trace was. */
#include "config.h"

#include "client/dispatch/farm_record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/wrap/ledger.h"
#include "client/wrap/stranger.h"
#include "common/fs.h"

static int
add_item(struct buf *ret, char kind, const char *a, const char *b)
{
	int r = buf_add(ret, &kind, 1);

	if (r == 0)
		r = buf_adds(ret, a);
	return r < 0 ? r : buf_add(ret, b, strlen(b) + 1);
}

static const char odd_name[] = "the worker's trace names what no unit has";

static bool
may_be_asked(char kind, const char *name)
{
	if (kind == 'm' || kind == 'r' || kind == 'w')
		return true;
	return kind == 'f' ? stranger_may_read(name) : path_is_normal(name);
}

/* Adds names of one kind. Paths below the job's alias become those of the out-dir. */
static int
add_names(struct buf *ret, char kind, char *const *v, size_t n, const char *out_dir)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t k = strlen(JOB_ALIAS);
		bool aliased = starts_with(v[i], JOB_ALIAS) && (!v[i][k] || v[i][k] == '/');

		if (*v[i] && !may_be_asked(kind, v[i]))
			return add_item(ret, '!', odd_name, "");
		if (*v[i])
			r = aliased ? add_item(ret, kind, out_dir, v[i] + k)
				    : add_item(ret, kind, "", v[i]);
	}
	return r;
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
	return add_item(ret, kind, item, "");
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
			return add_item(ret, '!', "the worker's digests make no sense", "");
		memcpy(d.b, f->digest.data, DIGEST_SIZE);
		digest_hex(&d, hex);
		hex[DIGEST_HEX_SIZE - 1] = ' ';
		hex[DIGEST_HEX_SIZE] = '\0';
		r = add_path(ret, 'h', hex, f->path, out_dir);
	}
	if (r < 0)
		return r;
	if (m->key.len != DIGEST_SIZE)
		return add_item(ret, '!', "the worker does not say which unit it compiled", "");
	memcpy(d.b, m->key.data, DIGEST_SIZE);
	digest_hex(&d, hex);
	return add_item(ret, 'j', hex, "");
}

static int
add_trace(struct buf *ret, const Dray__Trace *t, const char *out_dir)
{
	int r = add_names(ret, 'f', t->files, t->n_files, out_dir);

	if (r == 0)
		r = add_names(ret, 'a', t->absent, t->n_absent, out_dir);
	if (r == 0)
		r = add_names(ret, 'd', t->dirs, t->n_dirs, out_dir);
	if (r == 0)
		r = add_names(ret, 's', t->stats, t->n_stats, out_dir);
	if (r == 0)
		r = add_names(ret, 'l', t->link_stats, t->n_link_stats, out_dir);
	if (r == 0 && t->umask)
		r = add_item(ret, 'u', "umask", "");
	if (r == 0)
		r = add_names(ret, 'm', t->env, t->n_env, out_dir);
	return r < 0 ? r : add_names(ret, 'r', t->rustc_env, t->n_rustc_env, out_dir);
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
		r = add_names(ret, 'w', made.v, made.n, "");
	if (r == 0 && t)
		r = add_trace(ret, t, unit_out_dir(u));
	if (r == 0 && t)
		r = add_word(ret, m, unit_out_dir(u));
	if (r == 0 && !t)
		r = add_item(ret, '!', "the worker does not trace", "");
	else if (r == 0 && !t->whole)
		r = add_item(ret, '!', "the worker's trace is not whole", "");
	return r < 0 ? r : add_item(ret, 'e', "", "0");
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
