/* What a unit's links need, as its client keeps it (client/dispatch/bundle.c makes the same of what
 * it is sent). Invariant: an input of a link that is shared is what lay in the capture when the
 * job's processes had ended, by its own digest. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/keep/keep.h"
#include "cache/rlib.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "proto/alias.h"
#include "rustc/artifact.h"
#include "store/disk.h"
#include "worker/job/capture.h"
#include "worker/share/shares_priv.h"

#define no(ret_why, ...) why_set(ret_why, -ENOTSUP, __VA_ARGS__)

void
shares_bundle_done(struct shares_bundle *b)
{
	strv_done(&b->files);
	strv_done(&b->dirs);
}

/* ---- which there are */

static int
by_length(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strlen(x), k = strlen(y);

	return n == k ? strcmp(x, y) : n < k ? 1 : -1;
}

/* The client's own are there already. */
static int
add_file(struct shares_bundle *b, const char *name)
{
	const struct shares_made *m = b->made;
	_cleanup_(freep) char *path = path_join(m->unit->out_dir, name);
	const char *slash = strchr(name, '/');
	int r;

	if (!path)
		return -ENOMEM;
	if (trace_was_given(m->trace, path))
		return 0;
	b->own &= keep_is_own_temporary(name);
	r = strv_add(&b->files, name);
	return r < 0 || !slash ? r : strv_addn(&b->dirs, name, (size_t)(slash - name));
}

static int
add_dir(struct shares_bundle *b, const char *name)
{
	const char *slash = strchr(name, '/');
	int r = strv_add(&b->dirs, name);

	b->own &= keep_is_own_temporary(name);
	return r < 0 || !slash ? r : strv_addn(&b->dirs, name, (size_t)(slash - name));
}

/* The names in these its client turns back, as it does those in arguments. */
static bool
has_response(const struct capture *c)
{
	for (size_t i = 1; i < c->argv.n; i++)
		if (c->argv.v[i][0] == '@')
			return true;
	return false;
}

int
shares_bundle_make(const struct shares_made *made, struct shares_bundle *ret, char **ret_why)
{
	const struct captures *c = made->captures;
	int r = 0;

	*ret = (struct shares_bundle){ .made = made, .own = true };
	if (c->n != made->result->n_link)
		return no(ret_why, "not all of its links are known");
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		if (has_response(&c->v[i]))
			return no(ret_why, "the arguments of its link are in a file");
		for (size_t k = 0; r == 0 && k < c->v[i].files.n; k++)
			r = add_file(ret, c->v[i].files.v[k]);
		for (size_t k = 0; r == 0 && k < c->v[i].dirs.n; k++)
			r = add_dir(ret, c->v[i].dirs.v[k]);
	}
	strv_sort_unique(&ret->files);
	strv_sort_unique(&ret->dirs);
	if (ret->dirs.n)
		qsort(ret->dirs.v, ret->dirs.n, sizeof(*ret->dirs.v), by_length);
	return r;
}

int
shares_bundle_record(
	const struct shares_bundle *b, int (*add)(void *arg, const char *name), void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->files.n; i++)
		r = add(arg, b->files.v[i]);
	for (size_t i = 0; r == 0 && i < b->dirs.n; i++)
		r = add(arg, b->dirs.v[i]);
	return r;
}

/* ---- one call of the linker */

static int
add_names(const struct shares_bundle *b, const struct strv *names, struct buf *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++)
		r = buf_addf(to, "%s/%s%c", b->made->unit->out_dir, names->v[i], '\0');
	return r;
}

/* In the form of a staged link (client/link/link.h). */
static int
make_call(const struct shares_bundle *b, size_t i, struct buf *to)
{
	const Dray__LinkCall *c = b->made->result->link[i];
	const char *out_dir = b->made->unit->out_dir;
	int r = alias_undo(c->path_prefix.data, c->path_prefix.len, out_dir, "", to);

	if (r == 0)
		r = buf_addf(to, "%c%zu%c", '\0', c->n_argv, '\0');
	for (size_t k = 0; r == 0 && k < c->n_argv; k++) {
		r = alias_undo(c->argv[k].data, c->argv[k].len, out_dir, "", to);
		if (r == 0)
			r = buf_add(to, "", 1);
	}
	/* the last one removes them all */
	if (r == 0 && i + 1 == b->made->result->n_link)
		r = add_names(b, &b->files, to);
	if (r == 0 && i + 1 == b->made->result->n_link)
		r = add_names(b, &b->dirs, to);
	return r;
}

/* Where the capture has it. */
static char *
find_captured(const struct captures *all, const char *name)
{
	char *path;

	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0; k < all->v[i].files.n; k++) {
			if (!streq(all->v[i].files.v[k], name))
				continue;
			return asprintf(&path, "/proc/self/fd/%d/%zu", all->v[i].fd, k) < 0 ? NULL
											    : path;
		}
	return NULL;
}

static int
add_temporary(const struct shares_bundle *b, struct keep *keep, const char *name,
	struct result *res, struct strv *objects, bool *bound)
{
	_cleanup_(freep) char *path = find_captured(b->made->captures, name);
	size_t n = res->n_temporaries;
	int r = path ? keep_add_temporary(keep, res, name, path, objects, bound) : -ENOMEM;

	/* as its client has it, whatever the job's user could do to it */
	if (r == 0 && res->n_temporaries > n)
		res->temporaries[n].mode = 0666;
	return r;
}

int
shares_bundle_add(
	struct keep *keep, const void *arg, struct result *res, struct strv *objects, bool *bound)
{
	const struct shares_bundle *b = arg;
	size_t n = b->made->result->n_link;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_(buf_done) struct buf call = BUF_INIT;
		struct buf *to = result_add_link(res);

		r = to ? make_call(b, i, &call) : -ENOMEM;
		for (size_t k = 0; r == 0 && i + 1 == n && k < b->files.n; k++)
			r = add_temporary(b, keep, b->files.v[k], res, objects, bound);
		if (r == 0)
			r = keep_hide_link(keep, &call, to, bound);
	}
	return r;
}

int
shares_bundle_take(
	const struct shares_bundle *b, const char *path, struct digest *ret, uint64_t *ret_size)
{
	struct store *store = b->made->store;
	_cleanup_(closep) int fd = -1;
	int r = disk_adopt(store, path, ret, ret_size);

	/* what the keeping looks at stays */
	if (r >= 0)
		return disk_link(store, ret, path);
	fd = fs_open_regular(path, NULL);
	if (fd < 0)
		return fd;
	return MIN2(store_put_fd_now(store, fd, ret, ret_size), 0);
}

/* ---- what it said */

/* Where what is said after the link begins: as its client tells it (client/dispatch/relay.c). */
size_t
shares_bundle_split(const struct rustc_call *call, const struct buf *err)
{
	const char *p = (const char *)err->p, *begin = p, *end = p + err->n;

	while (call->json && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct artifact a = ARTIFACT_INIT;
		bool links = artifact_parse_any(p, (size_t)((nl ? nl : end) - p), &a) == 0 &&
			     a.emit == EMIT_LINK && !ends_with(a.path, ".rmeta");

		artifact_done(&a);
		if (links)
			return (size_t)(p - begin);
		p = nl ? nl + 1 : end;
	}
	return err->n;
}

/* ---- its key */

int
shares_bundle_digest(void *arg, const char *path, struct digest *ret)
{
	const struct shares_bundle_key *k = arg;
	const struct inputs_view *view = k->view;
	_cleanup_(freep) char *own = path_normalize(k->unit->cwd, path);
	_cleanup_(freep) char *at = own && ends_with(own, ".rlib") ? view->find(view, own) : NULL;

	if (at && rlib_metadata_digest(NULL, at, ret) == 0)
		return 0;
	return k->whole.digest(k->whole.arg, path, ret);
}
