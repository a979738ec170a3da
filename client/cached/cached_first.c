/* Metadata first: while a library's rlib is on its way from a store, cargo begins with what depends
 * on it.
 *
 * Invariant: what cargo is told is written into the ledger before, and is neither told again nor
 * touched: who depends on that file goes by its times. If the rest does not come, the compiler has
 * to make the very same metadata (rmeta.h). */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cache/rlib.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/closure.h"
#include "client/wrap/ledger.h"
#include "client/wrap/local_only.h"
#include "client/wrap/rmeta.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"

static const struct output *
find_metadata(const struct result *res)
{
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob && ends_with(res->outputs[i].name, ".rmeta"))
			return &res->outputs[i];
	return NULL;
}

/* How far the text goes up to the end of the line that announces that file; 0: it does not. */
static size_t
told_until(const struct buf *text, const char *name)
{
	size_t n = rmeta_announced_end(text->p, text->n), line = n ? n - 1 : 0;
	_cleanup_(freep) char *quoted = NULL;

	while (line > 0 && text->p[line - 1] != '\n')
		line--;
	if (asprintf(&quoted, "/%s\"", name) < 0)
		quoted = NULL;
	if (n == 0 || !quoted)
		return 0;
	return memmem(text->p + line, n - line, quoted, strlen(quoted)) ? n : 0;
}

/* A crate whose metadata came out differently before would only break its promise again. */
static bool
is_to_be_told(const struct cached *c, const struct result *res, const struct ledger *promise)
{
	char reason[LOCAL_ONLY_REASON_MAX];

	return promise && !c->first.rmeta && c->in.call && c->in.call->json && res->status == 0 &&
	       !local_only_find(c->in.conf->client.cache_dir, c->in.call->crate_name,
		       (uint64_t)time(NULL), reason);
}

static int
promise_it(struct ledger *l, const char *path, const struct output *o, const struct buf *text,
	size_t n, const char *store)
{
	int r = digest_bytes(text->p, n, &l->text_digest);

	if (r < 0)
		return r;
	l->text_bytes = l->text_sure_bytes = n;
	l->text_sure_digest = l->text_digest;
	l->rmeta_digest = o->digest;
	l->rmeta_stored = 1;
	l->rmeta_us = clock_mono_us();
	snprintf(l->rmeta_worker, sizeof(l->rmeta_worker), "%s", *store ? store : "store");
	snprintf(l->rmeta, sizeof(l->rmeta), "%s", path);
	return 0;
}

void
cached_say_first(
	struct cached *c, const struct result *res, const char *store, struct ledger *promise)
{
	const struct output *o = find_metadata(res);
	_cleanup_(freep) char *path = o ? path_join(c->out_dir, o->name) : NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	size_t n;

	if (!path || strlen(path) >= sizeof(promise->rmeta) || !is_to_be_told(c, res, promise) ||
		cached_show(c, &res->err, &text) < 0)
		return;
	n = told_until(&text, o->name);
	if (n == 0 || !depot_has(c->depot, &o->digest, o->size) ||
		depot_restore(c->depot, &o->digest, o->size, cached_way(c, o->name),
			output_mode_here(o->mode, c->mask), path) < 0)
		return;
	c->first.rmeta = strdup(o->name);
	if (!c->first.rmeta || promise_it(promise, path, o, &text, n, store) < 0)
		return;
	c->first.text = n;
	child_write(STDERR_FILENO, text.p, n);
}

bool
cached_first_agrees(const struct cached *c)
{
	const char *rmeta = c->first.rmeta;
	_cleanup_(freep) char *name = NULL, *rlib = NULL, *path = NULL;
	int r;

	if (!rmeta || closure_splits_metadata(c->in.call))
		return true;
	if (asprintf(&name, "%.*srlib", (int)(strlen(rmeta) - strlen("rmeta")), rmeta) < 0) {
		name = NULL;
		return false;
	}
	rlib = path_join(c->out_dir, name);
	path = path_join(c->out_dir, rmeta);
	r = rlib && path ? rlib_agrees(rlib, path) : -ENOMEM;
	/* archives for other systems have other forms */
	if (r == -ENOTSUP && c->in.call->target && !strstr(c->in.call->target, "-linux-"))
		r = 0;
	if (r < 0 && r != -ENOENT && rlib)
		unlink(rlib);
	return r == 0 || r == -ENOENT;
}
