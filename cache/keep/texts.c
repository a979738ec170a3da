/* Texts of what is kept, without the place where they were made; and what of the outputs names it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/keep/keep_priv.h"
#include "cache/marks.h"
#include "cache/text.h"
#include "common/fs.h"

bool
keep_is_behind_link(const struct keep *keep)
{
	return !streq(keep->place->target_dir, keep->place->real_target_dir);
}

void
keep_note_real(struct keep *keep, const struct buf *text)
{
	if (keep_is_behind_link(keep) && text->n > 0 &&
		memmem(text->p, text->n, keep->place->real_target_dir,
			strlen(keep->place->real_target_dir)))
		keep->names_real = true;
}

/* Whether the file's bytes contain the path of any place: most do not, and are read once. */
static int
names_any_place(const struct keep *keep, const char *path)
{
	const char *what[2 + sizeof(INPUT_MOVED_MARKS)] = { keep->place->target_dir,
		keep->place->real_target_dir };
	size_t n = 2;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if ((what[n] = inputs_place_dir(keep->place, *mark)))
			n++;
	return text_file_has_any(path, what, n);
}

int
keep_names_place(struct keep *keep, const char *path)
{
	const char *workspace = keep->place->workspace;
	int r = keep->mapped ? names_any_place(keep, path) : 1, real = 0;
	bool named;

	if (r >= 0 && keep_look_above(keep, path) < 0)
		return -EIO;
	if (r <= 0)
		return r;
	if (keep_look_for_moved(keep, path) < 0)
		return -EIO;
	r = workspace ? text_file_has(path, workspace) : 0;
	named = r > 0;
	/* the out-dirs are below the target directory, and that is below the workspace, mostly */
	if (r > 0 || (r == 0 && !(workspace && path_is_below(keep->place->target_dir, workspace))))
		r = text_file_has(path, keep->place->target_dir);

	if (r >= 0 && keep_is_behind_link(keep))
		real = text_file_has(path, keep->place->real_target_dir);
	keep->names_real |= real > 0;
	named |= r > 0 || real > 0;
	if (keep->mapped && named && !*keep->bound)
		snprintf(keep->bound, sizeof(keep->bound), "%s", path_basename(path));
	return r < 0 || real < 0 ? MIN2(r, real) : r || real;
}

/* -EBADMSG: it cannot be hidden that it was made in this target directory. */
int
keep_hide_place(struct keep *keep, const struct buf *text, struct buf *ret)
{
	const char *dirs[] = { keep->place->target_dir, keep->place->real_target_dir };
	int r;

	if (keep->mapped) {
		r = keep_look_above_text(keep, text);
		if (r == 0)
			r = marks_hide(keep->place, text->p, text->n, ret);
		keep_look_for_home(keep, ret);
		return r;
	}
	r = text_hide(text->p, text->n, keep->place->out_dir, ret);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(dirs); i++)
		if (ret->n > 0 && memmem(ret->p, ret->n, dirs[i], strlen(dirs[i])))
			r = -EBADMSG;
	return r;
}

bool
keep_has_mark(const struct keep *keep, const struct buf *text)
{
	if (!keep->call || keep->mapped)
		return marks_in(keep->place, text->p, text->n);
	return text->n > 0 && memchr(text->p, INPUT_OUT_DIR_MARK, text->n);
}

int
keep_as_is(struct keep *keep, const struct buf *text, struct buf *to)
{
	keep->named |= inputs_places(keep->place);
	return keep_has_mark(keep, text) ? -EBADMSG : buf_add(to, text->p, text->n);
}

int
keep_hide(struct keep *keep, const struct buf *text, struct buf *to, bool *bound)
{
	int r;

	if (text->n == 0)
		return 0;
	if (keep_has_mark(keep, text))
		return -EBADMSG;
	keep_note_real(keep, text);
	r = *bound ? -EBADMSG : keep_hide_place(keep, text, to);
	if (r != -EBADMSG)
		return r;
	*bound = true;
	buf_done(to);
	if (keep->mapped && !*keep->bound)
		snprintf(keep->bound, sizeof(keep->bound), "its text");
	return keep_as_is(keep, text, to);
}

/* An object of a bundle is added to *objects. */
int
keep_add_temporary(struct keep *keep, struct result *res, const char *name, const char *path,
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
	o->mode = output_mode_kept(st.st_mode & 0777, keep->mask, name);
	o->is_blob = true;
	if (!*bound || keep_is_behind_link(keep) || keep->mapped)
		r = keep_names_place(keep, path);
	*bound |= r > 0;
	if (r >= 0)
		r = strv_add(objects, path);
	return r < 0 ? r : keep->add_blob(keep->arg, NULL, path, &o->digest, &o->size);
}

bool
keep_is_own_temporary(const char *name)
{
	static const char *const names[] = { "symbols.o", "rmeta.o", "list", "linker-arguments",
		"raw-dylibs" };
	const char *inner = strchr(name, '/');

	if (!inner)
		return ends_with(name, ".o") || strlen(name) == strlen("rustcXXXXXX");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i], inner + 1))
			return true;
	return false;
}

/* A link's arguments name crates and objects by their paths: in the newer of cargo's layouts they
 * are in other units' out-dirs. Those of a mapped unit may name archives in the workspace. */
int
keep_hide_link(struct keep *keep, const struct buf *link, struct buf *to, bool *bound)
{
	_cleanup_(buf_done) struct buf own = BUF_INIT;
	int r;

	if (link->n > 0 && memchr(link->p, INPUT_TARGET_DIR_MARK, link->n))
		return -EBADMSG;
	if (*bound || keep->mapped)
		return keep_hide(keep, link, to, bound);
	r = text_hide(link->p, link->n, keep->place->out_dir, &own);
	if (r == 0)
		r = text_hide_as(INPUT_TARGET_DIR_MARK, own.p, own.n, keep->place->target_dir, to);
	if (r == 0 && (streq(keep->place->target_dir, keep->place->real_target_dir) ||
			      !memmem(to->p, to->n, keep->place->real_target_dir,
				      strlen(keep->place->real_target_dir))))
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	buf_done(to);
	*bound = true;
	return keep_hide(keep, link, to, bound);
}
