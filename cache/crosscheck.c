/* Invariant: a file counts as recorded only if a change of its content would be seen. (Of what is
 * no regular file, /dev/null in a file's place, that it is one then.) */
#include "config.h"

#include "cache/crosscheck.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "cache/inputs_priv.h"
#include "common/fs.h"

static bool
is_device(const struct crosscheck *c, const struct input *in)
{
	_cleanup_(freep) char *path = NULL, *seen = NULL;
	const char *at;
	struct stat st;

	if (in->kind != INPUT_EXISTS)
		return false;
	path = inputs_real_path(c->place, in->name);
	at = path ? inputs_see(c->place, path, &seen) : NULL;
	return at && stat(at, &st) == 0 && S_ISCHR(st.st_mode);
}

static int
collect(const struct crosscheck *c, struct strv *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->inputs->n; i++) {
		const struct input *in = &c->inputs->v[i];

		if (in->kind == INPUT_FILE || in->kind == INPUT_METADATA || is_device(c, in))
			r = strv_take(ret, inputs_real_path(c->place, in->name));
	}
	strv_sort_unique(ret);
	return r;
}

static bool
is_known(const struct crosscheck *c, const char *path)
{
	struct stat st;

	if (path_is_below(path, "/dev") && lstat(path, &st) == 0 && S_ISCHR(st.st_mode))
		return true;
	for (size_t i = 0; i < c->known->n; i++)
		if (path_is_below(path, c->known->v[i]))
			return true;
	return false;
}

/* The same file may have another name: through a link, or by another name of the out-dir or of the
 * target directory. */
static bool
has_by_other_name(const struct crosscheck *c, const struct strv *names, const char *path)
{
	const char *base = path_basename(path);
	char real[PATH_MAX], other[PATH_MAX];

	/* a view has no links */
	if (c->place->view || !realpath(path, real))
		return false;
	for (size_t i = 0; i < names->n; i++)
		if (streq(path_basename(names->v[i]), base) && realpath(names->v[i], other) &&
			streq(other, real))
			return true;
	return false;
}

int
crosscheck_files(const struct crosscheck *c, const struct strv *files, char **ret_lacks)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int r = collect(c, &names);

	*ret_lacks = NULL;
	for (size_t i = 0; r == 0 && i < files->n; i++) {
		_cleanup_(freep) char *path = path_normalize(c->cwd, files->v[i]);
		_cleanup_(freep) char *written = NULL;

		if (!path)
			return -ENOMEM;
		if (strv_has_sorted(&names, path) || is_known(c, path))
			continue;
		/* ".." after a link leads elsewhere than the text says */
		written = *files->v[i] == '/' ? strdup(files->v[i])
					      : path_join(c->cwd, files->v[i]);
		if (!written)
			return -ENOMEM;
		if (has_by_other_name(c, &names, written))
			continue;
		*ret_lacks = steal_ptr(path);
		r = -ESTALE;
	}
	return r;
}
