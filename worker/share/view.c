/* Invariant: what a path had in it for the job is told by what the worker put there, and is not
 * read again. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/attributes.h"
#include "common/fs.h"
#include "proto/alias.h"
#include "worker/job/unit_key.h"
#include "worker/share/shares_priv.h"

static const struct shares_view *
view_of(const struct inputs_view *v)
{
	return (const struct shares_view *)v;
}

static char *
join(const char *a, const char *b, const char *c)
{
	char *path;

	return asprintf(&path, "%s%s%s", a, b, c) < 0 ? NULL : path;
}

static const char *
behind(const char *path, const char *dir)
{
	return path_is_below(path, dir) ? path + strlen(dir) : NULL;
}

/* As the job saw it: what lay in the client's out-dir has the alias there, unless it came on
 * demand. */
static char *
job_path(const struct shares_view *v, const char *path)
{
	const char *rest = behind(path, v->made->unit->out_dir);

	return rest ? join(JOB_ALIAS, rest, "") : strdup(path);
}

static char *
find_made(const struct inputs_view *view, const char *path)
{
	const struct shares_view *v = view_of(view);
	const char *rest = behind(path, v->made->unit->out_dir);

	return rest ? join(v->made->stage->out, rest, "") : strdup("");
}

static char *
find_in_out_dir(const struct shares_view *v, const char *path, const char *rest)
{
	char *given = join(v->made->stage->root, JOB_ALIAS, rest);

	/* all that is not the job's was put there for it (trace_was_given) */
	if (given && !fs_exists(given) && trace_was_given(v->made->trace, path)) {
		free(given);
		given = join(v->made->stage->out, rest, "");
	}
	return given;
}

static char *
find(const struct inputs_view *view, const char *path)
{
	const struct shares_view *v = view_of(view);
	const struct shares_made *m = v->made;
	const struct sysroot *s = m->sysroot;
	const char *rest = behind(path, m->unit->out_dir);

	if (rest)
		return find_in_out_dir(v, path, rest);
	rest = behind(path, m->unit->sysroot);
	if (rest)
		return join(s->view, rest, "");
	for (size_t i = 0; i < s->lib_dirs.n; i++)
		if (path_is_below(path, s->lib_dirs.v[i]))
			return join(s->lib_root, path, "");
	/* each job has the machine's own */
	return path_is_below(path, "/dev") ? strdup(path) : join(m->stage->root, path, "");
}

static int
compare_reads(const void *a, const void *b)
{
	const Dray__FileRead *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

static int
digest(const struct inputs_view *view, const char *path, struct digest *ret)
{
	const struct shares_view *v = view_of(view);
	_cleanup_(freep) char *aliased = job_path(v, path);
	const char *const names[] = { aliased, path };

	if (!aliased)
		return -ENOMEM;
	for (size_t i = 0; v->n_read > 0 && i < ARRAY_LEN(names); i++) {
		Dray__FileRead key = { .path = (char *)names[i] };
		const Dray__FileRead *what = &key, **found;

		found = bsearch(&what, v->read, v->n_read, sizeof(*v->read), compare_reads);
		if (found && (*found)->digest.len == DIGEST_SIZE) {
			memcpy(ret->b, (*found)->digest.data, DIGEST_SIZE);
			return 0;
		}
	}
	return -ENOENT;
}

static const Dray__FileTimes *
times_of(const struct shares_view *v, const char *path)
{
	_cleanup_(freep) char *aliased = job_path(v, path);
	const Dray__FileTimes *t = aliased ? trace_told(v->made->trace, aliased) : NULL;

	return t ? t : trace_told(v->made->trace, path);
}

static bool
is_link(const struct inputs_view *view, const char *path)
{
	const struct shares_view *v = view_of(view);
	const Dray__FileTimes *t = times_of(v, path);
	const Dray__Unit *u = v->made->unit;
	bool is = t && t->link;

	for (size_t i = 0; !is && i < u->n_links; i++)
		is = streq(u->links[i], path);
	return is;
}

static int
attributes(const struct inputs_view *view, const char *path, bool follow, struct attributes *ret)
{
	const struct shares_view *v = view_of(view);
	const Dray__FileTimes *t = times_of(v, path);
	_cleanup_(freep) char *at = find(view, path);
	struct stat st;

	if (!at)
		return -ENOMEM;
	if (!t || !t->mode || (!follow && is_link(view, path)) || stat(at, &st) < 0 ||
		(st.st_mode & S_IFMT) != (t->mode & S_IFMT))
		return -ENOENT;
	*ret = (struct attributes){ .v = { [ATTRIBUTE_KIND] = t->mode & S_IFMT,
					    [ATTRIBUTE_MODE] = t->mode & 07777,
					    [ATTRIBUTE_UID] = t->uid,
					    [ATTRIBUTE_GID] = t->gid,
					    [ATTRIBUTE_MODIFIED] = t->modified,
					    [ATTRIBUTE_CHANGED] = t->changed,
					    [ATTRIBUTE_CREATED] = t->created } };
	if (!S_ISDIR(t->mode))
		ret->v[ATTRIBUTE_SIZE] = (int64_t)st.st_size;
	return 0;
}

static int
stat_made(const struct inputs_view *view, const char *path, struct stat *ret)
{
	const struct shares_view *v = view_of(view);
	const char *rest = behind(path, v->made->unit->out_dir);
	_cleanup_(freep) char *at = find_made(view, path);

	if (!at)
		return -ENOMEM;
	if (lstat(at, ret) < 0)
		return -errno;
	/* a blob has another one */
	for (size_t i = 0; rest && *rest && i < v->job->n; i++)
		if (streq(v->job->v[i].name, rest + 1))
			ret->st_mode = (ret->st_mode & S_IFMT) | (v->job->v[i].mode & 07777);
	return 0;
}

int
shares_view_init(
	struct shares_view *ret, const struct shares_made *made, const struct shares_job *job)
{
	const Dray__Trace *t = made->result->trace;

	*ret = (struct shares_view){ .view = { find, find_made, stat_made, digest, attributes,
					     is_link },
		.made = made,
		.job = job,
		.n_read = t->n_read,
		.read = calloc(t->n_read + 1, sizeof(*ret->read)) };
	if (!ret->read)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_read; i++)
		ret->read[i] = t->read[i];
	qsort(ret->read, ret->n_read, sizeof(*ret->read), compare_reads);
	return 0;
}

void
shares_view_done(struct shares_view *v)
{
	free(v->read);
}
