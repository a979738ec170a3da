/* Metadata first: while a library's rlib is on its way from a store, cargo begins with what depends
 * on it.
 *
 * Invariant: what cargo is told is written into the ledger before, and is neither told again nor
 * touched: who depends on that file goes by its times. If the rest does not come, the compiler has
 * to make the very same metadata (rmeta.h). A producer that has sealed metadata and a library of
 * two compiles as one result is believed no more. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cache/rlib.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/distrust.h"
#include "client/wrap/ledger.h"
#include "client/wrap/local_only.h"
#include "client/wrap/rmeta.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/digest.h"
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

/* Whether the file is what the result says. */
static bool
is_as_said(const struct result *res, const char *name, const char *path)
{
	struct digest d;

	if (digest_file(path, &d, NULL) < 0)
		return false;
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob && streq(res->outputs[i].name, name))
			return digest_eq(&res->outputs[i].digest, &d);
	return false;
}

/* No file was changed on the way: they do not belong together by the producer's own word. */
static void
distrust_producer(const struct cached *c, const struct result *res)
{
	const char *dir = c->in.conf->client.cache_dir, *crate = c->in.call->crate_name;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char text[DISTRUST_REASON_MAX];

	if (!res->producer)
		return;
	snprintf(text, sizeof(text), "it sealed a library of %.100s with other metadata beside it",
		crate);
	distrust_add(dir, res->producer, "", DISTRUST_EVER, text);
	if (buf_addf(&b,
		    "warning: dray: the key %s has sealed a library of %s with other metadata "
		    "beside it: nothing that it made is taken any more (%s/" DISTRUST_FILE ")\n",
		    res->producer, crate, dir) == 0)
		child_write(STDERR_FILENO, b.p, b.n);
}

bool
cached_first_agrees(const struct cached *c, const struct result *res)
{
	const char *rmeta = c->first.rmeta;
	_cleanup_(freep) char *name = NULL, *rlib = NULL, *path = NULL;
	int r;

	if (!rmeta || call_splits_metadata(c->in.call))
		return true;
	if (asprintf(&name, "%.*srlib", (int)(strlen(rmeta) - strlen("rmeta")), rmeta) < 0) {
		name = NULL;
		return false;
	}
	rlib = path_join(c->out_dir, name);
	path = path_join(c->out_dir, rmeta);
	r = rlib && path ? rlib_agrees(rlib, path) : -ENOMEM;
	if (r == -EBADMSG && is_as_said(res, rmeta, path) && is_as_said(res, name, rlib))
		distrust_producer(c, res);
	/* archives for other systems have other forms */
	if (r == -ENOTSUP && c->in.call->target && !strstr(c->in.call->target, "-linux-"))
		r = 0;
	if (r < 0 && r != -ENOENT && rlib)
		unlink(rlib);
	return r == 0 || r == -ENOENT;
}
