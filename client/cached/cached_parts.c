/* What is kept of a result beside its outputs: texts without the place where they were made, a
 * bundle and its key. Below cached_keep.c and cached_bundle.c, which keep by it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cached/cached_priv.h"
#include "client/wrap/ledger.h"
#include "client/link/link.h"
#include "common/fs.h"

#define TEXT_MAX (64u << 20)

int
cached_read_staged(const struct ledger *said, const char *name, struct buf *to)
{
	_cleanup_(freep) char *path = path_join(said->staging, name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = path ? fs_read_file(path, TEXT_MAX, &b) : -ENOMEM;

	return r < 0 ? r : buf_add(to, b.p ? b.p : (uint8_t *)"", b.n);
}

int
cached_bundle_key(struct cached *c)
{
	struct cached_key_in k = { .memo = c->in.memo,
		.bundle = c->out_dir,
		.call = c->in.call,
		.toolchain = &c->tc,
		.namespace = c->in.conf->client.namespace,
		.cwd = c->cwd,
		.target_dir = c->target_dir,
		.workspace = c->place.workspace,
		.cargo_home = c->place.cargo_home,
		.env = &c->env };

	return c->bundle_key.recipe.n > 0 ? 0 : cached_key(&k, &c->bundle_key);
}

static int
add_link(struct keep *keep, const struct ledger *staged, unsigned i, struct result *res,
	struct strv *objects, bool *bound)
{
	const char *out_dir = keep->place->out_dir;
	_cleanup_(link_call_done) struct link_call l = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct buf *to = result_add_link(res);
	char name[32];
	int r;

	snprintf(name, sizeof(name), "link-%u", i);
	r = to ? cached_read_staged(staged, name, &b) : -ENOMEM;
	if (r == 0)
		r = link_call_parse(b.p, b.n, out_dir, keep->call, &l);
	for (size_t k = 0; r == 0 && k < l.temporaries.n; k++) {
		_cleanup_(freep) char *path = link_set_aside(staged, i, k);
		const char *rel = l.temporaries.v[k] + strlen(out_dir) + 1;

		r = path ? keep_add_temporary(keep, res, rel, path, objects, bound) : -ENOMEM;
	}
	return r < 0 ? r : keep_hide_link(keep, &b, to, bound);
}

int
cached_add_links(
	struct keep *keep, const void *arg, struct result *res, struct strv *objects, bool *bound)
{
	const struct ledger *staged = arg;
	int r = staged->n_links > 0 ? 0 : -EINVAL;

	for (unsigned i = 0; r == 0 && i < staged->n_links; i++)
		r = add_link(keep, staged, i, res, objects, bound);
	return r;
}
