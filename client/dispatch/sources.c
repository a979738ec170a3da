/* Walks a package's tree. Invariant: the walk ends, with any links and loops in the tree (depth,
 * files and bytes are bounded, a directory is never entered below itself), and only regular files
 * are listed. */
#include "config.h"

#include "client/dispatch/sources.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "rustc/depinfo.h"
#include "client/dispatch/files.h"
#include "client/wrap/target_dir.h"
#include "common/fs.h"

#define DEPTH_MAX 64
/* A tree may have few files and many directories, so these are bounded too. */
#define DIRS_PER_FILE 4

struct source_walk {
	const struct sources_in *in;
	struct sources *out;
	size_t files, dirs;
	char *home;	   /* the reason, once a limit was exceeded */
	struct stat cache; /* st_ino 0: it is not there */
	struct {
		dev_t dev;
		ino_t ino;
	} above[DEPTH_MAX];
	unsigned depth;
};

static int
too_large(struct source_walk *w, const char *what)
{
	if (!w->home && asprintf(&w->home, "the unit's files are %s", what) < 0) {
		w->home = NULL;
		return -ENOMEM;
	}
	return -E2BIG;
}

static int
add_file(struct source_walk *w, const char *path, const struct stat *st)
{
	size_t max_files = w->in->max_files ? w->in->max_files : SOURCES_FILES_MAX;

	if (++w->files > max_files)
		return too_large(w, "too many");
	w->out->bytes += (uint64_t)st->st_size;
	if (w->in->max_bytes && w->out->bytes > w->in->max_bytes)
		return too_large(w, "too large (max_unit)");
	if (ends_with(path, ".rs"))
		w->out->rust_bytes += (uint64_t)st->st_size;
	return strv_add(&w->out->files, path);
}

static int
withhold(struct source_walk *w, const char *path)
{
	if (w->out->withheld.n >= SOURCES_FILES_MAX)
		return too_large(w, "too many that are not sent");
	return strv_add(&w->out->withheld, path);
}

static bool
has_entry(const char *dir, const char *name)
{
	_cleanup_(freep) char *p = path_join(dir, name);

	return p && fs_exists(p);
}

/* Whether the source lies in dir. OUT_DIR is walked on its own: the target directory above it holds
 * artifacts and temporaries of all other units. */
static bool
holds_source(const struct sources_in *in, const char *dir)
{
	return path_is_below(in->source, dir) &&
	       !(in->gen_dir && path_is_below(in->source, in->gen_dir));
}

/* By any path. The cache's databases are sparse files, larger than any unit may be. */
static bool
is_cache(const struct source_walk *w, const struct stat *st)
{
	return w->cache.st_ino && w->cache.st_ino == st->st_ino && w->cache.st_dev == st->st_dev;
}

static bool
is_left_out(const struct source_walk *w, const char *parent, const char *name, const char *dir,
	const struct stat *st)
{
	static const char *const vcs[] = { ".git", ".hg", ".svn", ".jj", ".bzr" };

	for (size_t i = 0; i < ARRAY_LEN(vcs); i++)
		if (streq(name, vcs[i]))
			return true;
	if (streq(dir, w->in->out_dir) || is_cache(w, st))
		return true;
	if (holds_source(w->in, dir))
		return false;
	return has_entry(dir, "CACHEDIR.TAG") || has_entry(dir, "Cargo.toml") ||
	       target_dir_is_profile(dir) ||
	       (streq(name, "target") && has_entry(parent, "Cargo.toml"));
}

static bool
is_above(const struct source_walk *w, const struct stat *st)
{
	for (unsigned i = 0; i < w->depth; i++)
		if (w->above[i].dev == st->st_dev && w->above[i].ino == st->st_ino)
			return true;
	return false;
}

static int walk_dir(struct source_walk *w, const char *dir, const struct stat *st);

static bool
is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* A link on the way to a directory concerns each path below it. */
static int
add_links_above(struct source_walk *w, const char *dir)
{
	_cleanup_(freep) char *at = dir ? strdup(dir) : NULL;
	char *slash;
	int r = dir && !at ? -ENOMEM : 0;

	while (r == 0 && at && *at) {
		if (is_link(at))
			r = strv_add(&w->out->links, at);
		slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return r;
}

/* *ret_seen: whether the entry makes its directory one that exists because of its files. */
static int
walk_entry(
	struct source_walk *w, const char *dir, const char *name, bool may_be_link, bool *ret_seen)
{
	_cleanup_(freep) char *path = path_join(dir, name);
	struct stat st;
	int r;

	if (!path)
		return -ENOMEM;
	/* A file that cannot be looked at could not be read by a compile here, either. A dangling
	 * link is absent for the compiler. */
	if (strlen(path) >= PATH_MAX)
		return 0;
	if (may_be_link && is_link(path) && (r = strv_add(&w->out->links, path)) < 0)
		return r;
	if (stat(path, &st) < 0)
		return withhold(w, path);
	if (S_ISREG(st.st_mode) && !files_is_secret(name)) {
		*ret_seen = true;
		return add_file(w, path, &st);
	}
	if (!S_ISDIR(st.st_mode) || is_left_out(w, dir, name, path, &st))
		return withhold(w, path);
	*ret_seen = true;
	return walk_dir(w, path, &st);
}

static int
walk_dir(struct source_walk *w, const char *dir, const struct stat *st)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	bool seen = false;
	int r = 0;

	if (w->depth == DEPTH_MAX || is_above(w, st))
		return withhold(w, dir);
	if (++w->dirs > (size_t)DIRS_PER_FILE * SOURCES_FILES_MAX)
		return too_large(w, "in too many directories");
	d = opendir(dir);
	if (!d)
		return withhold(w, dir);
	w->above[w->depth].dev = st->st_dev;
	w->above[w->depth].ino = st->st_ino;
	w->depth++;
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = walk_entry(w, dir, e->d_name,
				e->d_type == DT_LNK || e->d_type == DT_UNKNOWN, &seen);
	}
	if (r == 0 && !e && errno)
		r = -errno;
	w->depth--;
	if (r == 0 && !seen)
		r = strv_add(&w->out->dirs, dir);
	return r;
}

static int
walk_root(struct source_walk *w, const char *dir)
{
	struct stat st;
	int r;

	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	r = walk_dir(w, dir, &st);
	if (r == 0)
		r = add_links_above(w, dir);
	return r < 0 ? r : strv_add(&w->out->walked, dir);
}

static int
add_if_regular(struct source_walk *w, const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = add_links_above(w, path);
	return r < 0 ? r : add_file(w, path, &st);
}

/* clippy reads clippy.toml from the package's directory or the nearest one above that has it. */
static int
add_clippy_config(struct source_walk *w, const char *from)
{
	static const char *const names[] = { "clippy.toml", ".clippy.toml", "Cargo.toml" };
	_cleanup_(freep) char *dir = strdup(from);

	while (dir) {
		char *up;

		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			_cleanup_(freep) char *p = path_join(dir, names[i]);
			int r = p ? add_if_regular(w, p) : -ENOMEM;

			if (r < 0)
				return r;
		}
		if (streq(dir, "/"))
			return 0;
		up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	return -ENOMEM;
}

static int
add_last_inputs(struct source_walk *w)
{
	struct buf b = BUF_INIT;
	struct depinfo d = DEPINFO_INIT;
	int r = 0;

	if (fs_read_file(w->in->last_depinfo, DEPINFO_MAX, &b) == 0 &&
		depinfo_parse(b.p, b.n, &d) == 0) {
		for (size_t i = 0; r == 0 && i < d.files.n; i++) {
			char *p = path_normalize(w->in->cwd, d.files.v[i]);

			r = p ? add_if_regular(w, p) : -ENOMEM;
			free(p);
		}
		depinfo_done(&d);
	}
	buf_done(&b);
	return r;
}

static int
collect(struct source_walk *w)
{
	const struct sources_in *in = w->in;
	_cleanup_(freep) char *source_dir = path_dirname(in->source);
	const char *root = in->manifest_dir ? in->manifest_dir : source_dir;
	int r;

	if (!source_dir)
		return -ENOMEM;
	r = walk_root(w, root);
	if (r == 0 && in->gen_dir && !streq(in->gen_dir, in->out_dir))
		r = walk_root(w, in->gen_dir);
	if (r == 0 && !path_is_below(in->source, root) &&
		!(in->gen_dir && path_is_below(in->source, in->gen_dir)))
		r = walk_root(w, source_dir);
	if (r == 0)
		r = add_if_regular(w, in->source);
	if (r == 0 && in->clippy)
		r = add_clippy_config(w, root);
	if (r == 0 && in->last_depinfo)
		r = add_last_inputs(w);
	if (r == 0)
		r = add_links_above(w, in->out_dir);
	return r;
}

int
sources_collect(const struct sources_in *in, struct sources *ret, char **ret_home)
{
	struct source_walk w = { .in = in, .out = ret };
	int r;

	if (in->cache_dir && stat(in->cache_dir, &w.cache) < 0)
		w.cache.st_ino = 0;
	r = collect(&w);
	*ret_home = r == -E2BIG ? steal_ptr(w.home) : NULL;
	free(w.home);
	strv_sort_unique(&ret->files);
	strv_sort_unique(&ret->dirs);
	strv_sort_unique(&ret->walked);
	strv_sort_unique(&ret->withheld);
	strv_sort_unique(&ret->links);
	return r;
}

void
sources_done(struct sources *s)
{
	strv_done(&s->files);
	strv_done(&s->dirs);
	strv_done(&s->walked);
	strv_done(&s->withheld);
	strv_done(&s->links);
}
