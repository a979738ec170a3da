/* Invariant: whatever ends this process, OUT_DIR is as it was, or all that the result says. */
#include "config.h"

#include "client/script/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/marks.h"
#include "client/script/packed.h"
#include "client/script/place.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "common/text/why.h"

#define FILES_MAX 100000
#define TEXT_MAX (1u << 20) /* of a text with marks in it */
#define NS INT64_C(1000000000)
#define HOLLOW_MIN (64 << 20) /* bytes */
#define EXTENTS_MAX 1000
#define BLOCK 512
#define INLINE_MAX 512	       /* a file that is kept in the entry itself, */
#define INLINE_ALL (64 * 1024) /* and all of these */

bool
tree_is_empty(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT;
	while ((e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			return false;
	return true;
}

/* The directory itself, and all below it: fn for each, directories before what is in them. Without
 * FTS_NOSTAT, by which fts believes the links of a directory: some file systems give each two. */
static int
walk(const char *dir, int (*fn)(const FTSENT *e, void *arg), void *arg)
{
	_cleanup_(freep) char *root = strdup(dir);
	char *const roots[] = { root, NULL };
	_cleanup_(fts_closep) FTS *f = NULL;
	int r = 0;

	f = root ? fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL) : NULL;
	if (!f)
		return -errno;
	while (r == 0) {
		FTSENT *e;

		errno = 0;
		e = fts_read(f);
		if (!e)
			return -errno;
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
			r = -e->fts_errno;
		else if (e->fts_info != FTS_DP)
			r = fn(e, arg);
	}
	return r;
}

/* ---- keeping */

struct names {
	struct strv v;
	size_t skip; /* bytes of the root, and its slash */
};

static int
add_name(const FTSENT *e, void *arg)
{
	struct names *n = arg;

	if (e->fts_level == 0)
		return 0;
	return n->v.n >= FILES_MAX ? -E2BIG : strv_add(&n->v, e->fts_path + n->skip);
}

/* What is in OUT_DIR, by the name without links or the other one; NULL: it is elsewhere. */
static const char *
name_in(const struct inputs_place *p, const char *path)
{
	const char *dirs[] = { p->out_dir, p->real_out_dir };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_is_below(path, dirs[i]) && path[strlen(dirs[i])])
			return path + strlen(dirs[i]) + 1;
	return NULL;
}

/* The path without links, but for what it names itself. NULL: it is gone, or no memory. */
static char *
without_links(const char *path)
{
	_cleanup_(freep) char *dir = path_dirname(path);
	_cleanup_(freep) char *real = dir ? realpath(dir, NULL) : NULL;
	struct stat st;

	return real && lstat(path, &st) == 0 ? path_join(real, path_basename(path)) : NULL;
}

/* Names of what was made. One that leads through a link in OUT_DIR is that of the file itself. */
static int
add_made(const struct inputs_place *p, const struct strv *made, struct strv *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < made->n; i++) {
		_cleanup_(freep) char *path = NULL;
		const char *name;

		if (!name_in(p, made->v[i]))
			continue;
		errno = 0;
		path = without_links(made->v[i]);
		name = path ? name_in(p, path) : NULL;
		if (errno == ENOMEM)
			return -ENOMEM;
		if (!name)
			continue;
		r = strv_add(ret, name);
		for (const char *s = strchr(name, '/'); r == 0 && s; s = strchr(s + 1, '/'))
			r = strv_addn(ret, name, (size_t)(s - name));
	}
	return r;
}

static bool
is_text(const struct buf *b)
{
	return b->n == 0 || !memchr(b->p, '\0', b->n);
}

/* Whether a path in it may have another length without harm to what else is there: what the tools
 * that read such files know is that it is a path. In source code it may be counted. These are what
 * configure, cmake and libtool leave, what describes a library, logs, and scripts. */
static bool
is_left_by_tools(const char *name)
{
	static const char *const endings[] = { ".cmake", ".d", ".internal", ".json", ".la", ".lai",
		".log", ".make", ".mk", ".ninja", ".pc", ".prl", ".pri", ".sh", ".status", ".txt",
		".xsl", ".yaml", "-config" };
	static const char *const names[] = { "Makefile", "Makefile2", "libtool" };

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends_with(name, endings[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(path_basename(name), names[i]))
			return true;
	return false;
}

static bool
takes_other_paths(const char *name, const struct buf *b)
{
	if (is_left_by_tools(name))
		return true;
	return b->n > 3 && (memcmp(b->p, "#!/", 3) == 0 || memcmp(b->p, "#! /", 4) == 0);
}

/* What tools leave for themselves may go back to the sources by the way that it is here: nobody
 * reads it in another place. */
static struct place_ways
ways_of(const struct tree *t, const char *name)
{
	struct place_ways w = { .n = 0 };

	if (t->ways)
		w = *t->ways;
	if (is_left_by_tools(name))
		w.n = w.n_there;
	return w;
}

/* What is left of the home where it is a part of another name. */
static void
note_home(struct tree *t, const struct buf *hidden)
{
	const char *home = t->place->home;

	if (home && hidden->n > 0 && memmem(hidden->p, hidden->n, home, strlen(home)))
		t->named |= INPUT_PLACE(INPUT_HOME_MARK);
}

/* 1: it is not one to be kept as a text. */
static int
keep_text(struct tree *t, struct output *o, const char *path, bool named, uint64_t size)
{
	const struct place_ways ways = ways_of(t, o->name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (size > (named ? TEXT_MAX : INLINE_MAX))
		return 1;
	r = fs_read_file(path, TEXT_MAX, &b);
	if (r < 0)
		return r;
	if (!named && marks_in(t->place, b.p, b.n))
		return 1;
	if (named && (!is_text(&b) || !takes_other_paths(o->name, &b)))
		return 1;
	r = named ? marks_hide(t->place, b.p, b.n, &o->text) : buf_add(&o->text, b.p, b.n);
	if (r == -EBADMSG || (r == 0 && named && place_ways_in(&ways, &o->text))) {
		buf_done(&o->text);
		return 1;
	}
	if (r == 0)
		note_home(t, &o->text);
	o->size = b.n;
	return r;
}

static const char *
root_of(const struct tree *t)
{
	return t->root ? t->root : t->place->out_dir;
}

static void
bind_by(struct tree *t, const char *name)
{
	t->bound = true;
	if (!t->bound_by)
		t->bound_by = strdup(name);
}

/* A crate's metadata has a hash of the directory in which it was compiled, and not its name. */
static bool
has_hash_of_place(const char *name)
{
	return ends_with(name, ".rmeta") || ends_with(name, ".rlib");
}

static int
keep_file(
	struct tree *t, struct output *o, const char *path, const struct stat *st, size_t *inlined)
{
	const struct place_ways ways = ways_of(t, o->name);
	/* the workspace is a part of what place_is_named looks for */
	unsigned others = inputs_places(t->place) & ~INPUT_PLACE(INPUT_WORKSPACE_MARK), moved;
	int r = marks_find_named(t->place, path, others, &moved);
	int told = place_is_told(t->place, &ways, path), named = 0;

	t->names_unit |= told == PLACE_TOLD_UNIT;
	if (told == 0 || told == PLACE_TOLD_UNIT)
		told = packed_file(path);
	else if (told > 0)
		named = place_is_named(t->place, path);
	if (told < 0 || named < 0 || r < 0)
		return MIN2(told, MIN2(named, r));
	r = 1;
	if (has_hash_of_place(o->name))
		t->named |= INPUT_PLACE(t->place->workspace ? INPUT_WORKSPACE_MARK
							    : INPUT_CARGO_HOME_MARK) &
			    inputs_places(t->place);
	if (told && !named)
		bind_by(t, o->name);
	o->mode = st->st_mode & 0777;
	if (named || moved || *inlined < INLINE_ALL)
		r = keep_text(t, o, path, named || moved, (uint64_t)st->st_size);
	if (r <= 0) {
		*inlined += o->text.n;
		return r;
	}
	if (named)
		bind_by(t, o->name);
	t->named |= moved;
	o->is_blob = true;
	return t->depot ? depot_add(t->depot, path, DEPOT_COPY, &o->digest, &o->size)
			: digest_file(path, &o->digest, &o->size);
}

/* Whether most of a large file is holes (an image of a disk, a database's map): it takes no time to
 * make, and minutes to be read and copied. */
static bool
is_hollow(const char *path, const struct stat *st)
{
	_cleanup_(closep) int fd = -1;
	off_t data = 0, at = 0;

	if (st->st_size < HOLLOW_MIN || st->st_blocks >= st->st_size / 2 / BLOCK)
		return false;
	/* on some file systems that are only few blocks since they are compressed */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	for (int i = 0; fd >= 0 && i < EXTENTS_MAX && at < st->st_size; i++) {
		off_t begin = lseek(fd, at, SEEK_DATA);

		if (begin < 0)
			return errno == ENXIO && data < st->st_size / 2;
		at = lseek(fd, begin, SEEK_HOLE);
		if (at < 0)
			return false;
		data += at - begin;
	}
	return fd >= 0 && data < st->st_size / 2;
}

static int
keep_link(struct tree *t, struct output *o, const char *path)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to));
	int r;

	if (n < 0)
		return -errno;
	to[MIN2(n, (ssize_t)sizeof(to) - 1)] = '\0';
	if (n == 0 || n == sizeof(to) || strpbrk(to, INPUT_MARKS))
		return -EBADMSG;
	o->kind = OUTPUT_LINK;
	r = marks_hide(t->place, to, (size_t)n, &o->text);
	if (r == 0)
		note_home(t, &o->text);
	if (r == 0 && t->ways && place_ways_in(t->ways, &o->text))
		bind_by(t, o->name);
	if (r != -EBADMSG)
		return r;
	buf_done(&o->text);
	bind_by(t, o->name);
	return buf_add(&o->text, to, (size_t)n);
}

static int
keep_one(struct tree *t, const char *name, struct result *res, size_t *inlined, char **ret_why)
{
	_cleanup_(freep) char *path = path_join(root_of(t), name);
	struct output *o = path ? result_add_output(res, name) : NULL;
	struct stat st;
	int r;

	if (!o)
		return -ENOMEM;
	if (lstat(path, &st) < 0)
		return -errno;
	if (t->started && st.st_mtim.tv_sec >= 0 && clock_is_before(&st.st_mtim, t->started))
		o->mtime = (int64_t)st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec + 1;
	/* a directory has such bits from the one above it */
	if ((st.st_mode & 07000) && !S_ISDIR(st.st_mode))
		return why_set(ret_why, -ENOTSUP, "it left %s, with a special mode", path);
	if (S_ISDIR(st.st_mode)) {
		o->kind = OUTPUT_DIR;
		o->mode = st.st_mode & 0777;
		return 0;
	}
	if (S_ISREG(st.st_mode) && is_hollow(path, &st))
		return why_set(
			ret_why, -ENOTSUP, "it left %s, which is large and mostly empty", path);
	if (S_ISREG(st.st_mode))
		r = keep_file(t, o, path, &st, inlined);
	else if (S_ISLNK(st.st_mode))
		r = keep_link(t, o, path);
	else
		return why_set(ret_why, -ENOTSUP, "it left %s, which is no file", path);
	t->bytes += o->size;
	return r == 0 || r == -ENOMEM
		       ? r
		       : why_set(ret_why, -ENOTSUP, "%s cannot be kept: %s", path, strerror(-r));
}

int
tree_keep(struct tree *t, const struct strv *made, struct result *res, char **ret_why)
{
	struct names n = { STRV_INIT, strlen(root_of(t)) + 1 };
	size_t inlined = 0;
	int r;

	*ret_why = NULL;
	if (made)
		r = add_made(t->place, made, &n.v);
	else
		r = walk(root_of(t), add_name, &n);
	if (r == -E2BIG)
		r = why_set(ret_why, -ENOTSUP, "it left more than %d files", FILES_MAX);
	strv_sort_unique(&n.v);
	for (size_t i = 0; r == 0 && i < n.v.n; i++)
		r = keep_one(t, n.v.v[i], res, &inlined, ret_why);
	strv_done(&n.v);
	return r;
}

/* ---- putting back */

static int
open_up(const FTSENT *e, void *arg)
{
	struct stat st;

	(void)arg;
	if (lstat(e->fts_path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0700) != 0700)
		chmod(e->fts_path, (st.st_mode & 0777) | 0700);
	return 0;
}

static int
remove_all(const char *path)
{
	int r = fs_rm_rf(path);

	if (r != -EACCES)
		return r;
	walk(path, open_up, NULL);
	return fs_rm_rf(path);
}

/* Removes what is in the directory. */
static int
clear(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? fs_mkdir_p(dir, 0777) : -errno;
	while (r == 0 && (e = readdir(d))) {
		_cleanup_(freep) char *path = path_join(dir, e->d_name);

		if (!path)
			return -ENOMEM;
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = remove_all(path);
	}
	return r;
}

static int
put_one(struct tree *t, const struct output *o, const char *path)
{
	mode_t mode = o->mode & 0777;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = 0;

	if (o->kind == OUTPUT_DIR)
		return mkdir(path, mode | 0700) < 0 ? -errno : 0;
	t->bytes += o->size;
	if (o->is_blob)
		return depot_restore(t->depot, &o->digest, o->size, DEPOT_COPY, mode, path);
	if (o->text.n > 0)
		r = marks_show(t->place, o->text.p, o->text.n, &b);
	if (r < 0)
		return r;
	if (o->kind == OUTPUT_FILE)
		return depot_put_text(b.p ? b.p : (uint8_t *)"", b.n, mode, path);
	r = buf_add(&b, "", 1);
	if (r < 0)
		return r;
	return symlink((const char *)b.p, path) < 0 ? -errno : 0;
}

/* What is older than the run, a copy that has its source's time, is so for cargo, too: a script may
 * declare it. */
static int
set_time(const struct output *o, const char *path)
{
	int64_t ns = o->mtime - 1;
	const struct timespec times[] = { { .tv_nsec = UTIME_NOW },
		{ .tv_sec = (time_t)(ns / NS), .tv_nsec = (long)(ns % NS) } };

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Of directories whose own mode would have been in the way. */
static int
set_mode(const struct output *o, const char *path)
{
	mode_t mode = o->mode & 0777;
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if ((st.st_mode & 0777) == mode)
		return 0;
	return chmod(path, mode) < 0 ? -errno : 0;
}

static int
fill(struct tree *t, const struct result *res, const char *dir)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->n_outputs; i++) {
		_cleanup_(freep) char *path = path_join(dir, res->outputs[i].name);

		r = path ? put_one(t, &res->outputs[i], path) : -ENOMEM;
	}
	/* the innermost first */
	for (size_t i = res->n_outputs; r == 0 && i-- > 0;) {
		_cleanup_(freep) char *path = path_join(dir, res->outputs[i].name);

		if (!path)
			r = -ENOMEM;
		else if (res->outputs[i].kind == OUTPUT_DIR)
			r = set_mode(&res->outputs[i], path);
		if (r == 0 && res->outputs[i].mtime)
			r = set_time(&res->outputs[i], path);
	}
	return r;
}

/* Mostly OUT_DIR is empty, as cargo makes it. A file system may be unable to exchange two
 * directories, or to move one of a lower layer. */
static int
take_place(const char *fresh, const char *dir)
{
	int r;

	if (rename(fresh, dir) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, dir, RENAME_EXCHANGE) == 0) {
		remove_all(fresh);
		return 0;
	}
	r = clear(dir);
	return r == 0 && rename(fresh, dir) < 0 ? -errno : r;
}

int
tree_put(struct tree *t, const struct result *res)
{
	_cleanup_(freep) char *dir = NULL, *parent = NULL, *fresh = NULL;
	struct stat st;
	int r;

	t->bytes = 0;
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob &&
			!depot_has(t->depot, &res->outputs[i].digest, res->outputs[i].size))
			return -ENOENT;
	r = fs_mkdir_p(t->place->out_dir, 0777);
	if (r < 0)
		return r;
	/* a link stays one */
	dir = realpath(t->place->out_dir, NULL);
	if (!dir || stat(dir, &st) < 0 || access(dir, W_OK) < 0)
		return errno == ENOENT ? -ENOTDIR : -errno;
	parent = path_dirname(dir);
	if (!parent)
		return -ENOMEM;
	left_sweep(NULL, parent);
	if (res->n_outputs == 0 && tree_is_empty(dir))
		return 0;
	r = left_make_dir(parent, getpid(), &fresh);
	if (r < 0)
		return r;
	r = fill(t, res, fresh);
	if (r == 0 && chmod(fresh, st.st_mode & 07777) < 0)
		r = -errno;
	if (r == 0)
		r = take_place(fresh, dir);
	if (r < 0)
		remove_all(fresh);
	return r;
}
