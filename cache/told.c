/* Invariant: the record is whole (its last item is there) only when the worker's trace was. */
#include "config.h"

#include "cache/told.h"

#include <errno.h>
#include <string.h>

#include "proto/alias.h"

static const char odd_name[] = "the worker's trace names what no unit has";

int
told_add_item(struct buf *ret, char kind, const char *a, const char *b)
{
	int r = buf_add(ret, &kind, 1);

	if (r == 0)
		r = buf_adds(ret, a);
	return r < 0 ? r : buf_add(ret, b, strlen(b) + 1);
}

int
told_add_names(
	struct buf *ret, char kind, char *const *v, size_t n, const char *out_dir, told_may_fn may)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t k = strlen(JOB_ALIAS);
		bool aliased = starts_with(v[i], JOB_ALIAS) && (!v[i][k] || v[i][k] == '/');

		if (*v[i] && may && !may(kind, v[i]))
			return told_add_item(ret, '!', odd_name, "");
		if (*v[i])
			r = aliased ? told_add_item(ret, kind, out_dir, v[i] + k)
				    : told_add_item(ret, kind, "", v[i]);
	}
	return r;
}

int
told_add_trace(struct buf *ret, const Dray__Trace *t, const char *out_dir, told_may_fn may)
{
	const struct {
		char kind;
		char **v;
		size_t n;
	} lists[] = { { 'f', t->files, t->n_files }, { 'a', t->absent, t->n_absent },
		{ 'd', t->dirs, t->n_dirs }, { 's', t->stats, t->n_stats },
		{ 'l', t->link_stats, t->n_link_stats }, { 'm', t->env, t->n_env },
		{ 'r', t->rustc_env, t->n_rustc_env } };
	int r = t->umask ? told_add_item(ret, 'u', "umask", "") : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++)
		r = told_add_names(ret, lists[i].kind, lists[i].v, lists[i].n, out_dir, may);
	return r;
}

int
told_end(struct buf *ret, const Dray__Trace *t)
{
	int r = 0;

	if (!t)
		r = told_add_item(ret, '!', "the worker does not trace", "");
	else if (!t->whole)
		r = told_add_item(ret, '!', "the worker's trace is not whole", "");
	return r < 0 ? r : told_add_item(ret, 'e', "", "0");
}
