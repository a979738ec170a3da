/* What is kept of a result beside its outputs: texts without the place where they were made, a
 * bundle and its key. Below cached_keep.c and cached_bundle.c, which keep by it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/wrap/cached_priv.h"
#include "client/wrap/ledger.h"
#include "client/wrap/link.h"
#include "common/fs.h"

#define TEXT_MAX (64u << 20)

bool
cached_is_behind_link(const struct cached *c)
{
	return !streq(c->target_dir, c->real_target_dir);
}

void
cached_note_real(struct cached *c, const struct buf *text)
{
	if (cached_is_behind_link(c) && text->n > 0 &&
		memmem(text->p, text->n, c->real_target_dir, strlen(c->real_target_dir)))
		c->names_real = true;
}

/* Whether the file's bytes contain the path of any place: most do not, and are read once. */
static int
names_any_place(const struct cached *c, const char *path)
{
	const char *what[2 + sizeof(INPUT_MOVED_MARKS)] = { c->target_dir, c->real_target_dir };
	size_t n = 2;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if ((what[n] = inputs_place_dir(&c->place, *mark)))
			n++;
	return text_file_has_any(path, what, n);
}

int
cached_names_place(struct cached *c, const char *path)
{
	const char *workspace = c->place.workspace;
	int r = c->in.mapping ? names_any_place(c, path) : 1, real = 0;
	bool named;

	if (r >= 0 && cached_look_above(c, path) < 0)
		return -EIO;
	if (r <= 0)
		return r;
	if (cached_look_for_moved(c, path) < 0)
		return -EIO;
	r = workspace ? text_file_has(path, workspace) : 0;
	named = r > 0;
	/* the out-dirs are below the target directory, and that is below the workspace, mostly */
	if (r > 0 || (r == 0 && !(workspace && path_is_below(c->target_dir, workspace))))
		r = text_file_has(path, c->target_dir);

	if (r >= 0 && cached_is_behind_link(c))
		real = text_file_has(path, c->real_target_dir);
	c->names_real |= real > 0;
	named |= r > 0 || real > 0;
	if (c->in.mapping && named && !*c->bound)
		snprintf(c->bound, sizeof(c->bound), "%s", path_basename(path));
	return r < 0 || real < 0 ? MIN2(r, real) : r || real;
}

/* -EBADMSG: it cannot be hidden that it was made in this target directory. */
int
cached_hide_place(struct cached *c, const struct buf *text, struct buf *ret)
{
	const char *dirs[] = { c->target_dir, c->real_target_dir };
	int r;

	if (c->in.mapping) {
		r = cached_look_above_text(c, text);
		if (r == 0)
			r = marks_hide(&c->place, text->p, text->n, ret);
		cached_look_for_home(c, ret);
		return r;
	}
	r = text_hide(text->p, text->n, c->out_dir, ret);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(dirs); i++)
		if (ret->n > 0 && memmem(ret->p, ret->n, dirs[i], strlen(dirs[i])))
			r = -EBADMSG;
	return r;
}

bool
cached_has_mark(const struct cached *c, const struct buf *text)
{
	if (!c->in.call || c->in.mapping)
		return marks_in(&c->place, text->p, text->n);
	return text->n > 0 && memchr(text->p, INPUT_OUT_DIR_MARK, text->n);
}

int
cached_keep_as_is(struct cached *c, const struct buf *text, struct buf *to)
{
	c->named |= inputs_places(&c->place);
	return cached_has_mark(c, text) ? -EBADMSG : buf_add(to, text->p, text->n);
}

int
cached_hide(struct cached *c, const struct buf *text, struct buf *to, bool *bound)
{
	int r;

	if (text->n == 0)
		return 0;
	if (cached_has_mark(c, text))
		return -EBADMSG;
	cached_note_real(c, text);
	r = *bound ? -EBADMSG : cached_hide_place(c, text, to);
	if (r != -EBADMSG)
		return r;
	*bound = true;
	buf_done(to);
	if (c->in.mapping && !*c->bound)
		snprintf(c->bound, sizeof(c->bound), "its text");
	return cached_keep_as_is(c, text, to);
}

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

/* An object of a bundle is added to *objects. */
static int
add_temporary(struct cached *c, struct result *res, const char *name, const char *path,
	struct strv *objects, bool *bound)
{
	struct output *o;
	struct stat st;
	int r = 0;

	if (lstat(path, &st) < 0)
		return -errno;
	/* it is made anew */
	if (S_ISDIR(st.st_mode))
		return 0;
	o = result_add_temporary(res, name);
	if (!o)
		return -ENOMEM;
	o->mode = output_mode_kept(st.st_mode & 0777, c->mask, name);
	o->is_blob = true;
	if (!*bound || cached_is_behind_link(c) || c->in.mapping)
		r = cached_names_place(c, path);
	*bound |= r > 0;
	if (r >= 0)
		r = strv_add(objects, path);
	return r < 0 ? r : depot_add(c->depot, path, DEPOT_SHARE, &o->digest, &o->size);
}

/* A link's arguments name crates and objects by their paths: in the newer of cargo's layouts they
 * are in other units' out-dirs. Those of a mapped unit may name archives in the workspace. */
static int
hide_link(struct cached *c, const struct buf *link, struct buf *to, bool *bound)
{
	_cleanup_(buf_done) struct buf own = BUF_INIT;
	int r;

	if (link->n > 0 && memchr(link->p, INPUT_TARGET_DIR_MARK, link->n))
		return -EBADMSG;
	if (*bound || c->in.mapping)
		return cached_hide(c, link, to, bound);
	r = text_hide(link->p, link->n, c->out_dir, &own);
	if (r == 0)
		r = text_hide_as(INPUT_TARGET_DIR_MARK, own.p, own.n, c->target_dir, to);
	if (r == 0 &&
		(streq(c->target_dir, c->real_target_dir) ||
			!memmem(to->p, to->n, c->real_target_dir, strlen(c->real_target_dir))))
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	buf_done(to);
	*bound = true;
	return cached_hide(c, link, to, bound);
}

static int
add_link(struct cached *c, const struct ledger *staged, unsigned i, struct result *res,
	struct strv *objects, bool *bound)
{
	_cleanup_(link_call_done) struct link_call l = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct buf *to = result_add_link(res);
	char name[32];
	int r;

	snprintf(name, sizeof(name), "link-%u", i);
	r = to ? cached_read_staged(staged, name, &b) : -ENOMEM;
	if (r == 0)
		r = link_call_parse(b.p, b.n, c->out_dir, c->in.call, &l);
	for (size_t k = 0; r == 0 && k < l.temporaries.n; k++) {
		_cleanup_(freep) char *path = link_set_aside(staged, i, k);
		const char *rel = l.temporaries.v[k] + strlen(c->out_dir) + 1;

		r = path ? add_temporary(c, res, rel, path, objects, bound) : -ENOMEM;
	}
	return r < 0 ? r : hide_link(c, &b, to, bound);
}

int
cached_add_bundle(struct cached *c, const struct cached_made *made, struct result *res, bool *bound)
{
	_cleanup_(strv_done) struct strv objects = STRV_INIT;
	int r = made->staged->n_links > 0 ? 0 : -EINVAL;

	for (unsigned i = 0; r == 0 && i < made->staged->n_links; i++)
		r = add_link(c, made->staged, i, res, &objects, bound);
	/* the crate's code is in these, and in no output yet */
	return r < 0 ? r : cached_look_for_pieces(c, &objects, res, bound);
}
