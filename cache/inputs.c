/* Invariant: inputs_check finds no difference only if a second run of the compile would get the
 * same answer to each of its questions. */
#include "config.h"

#include "cache/inputs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/attributes.h"
#include "cache/variables.h"
#include "cache/rlib.h"
#include "cache/text.h"
#include "common/fs.h"
#include "memo/git_index.h"
#include "common/why.h"

int
inputs_add(struct inputs *s, enum input_kind kind, const char *name, const void *value, size_t n)
{
	struct input in = { kind, strdup(name), BUF_INIT };

	if (!in.name)
		return -ENOMEM;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 256;
		struct input *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v) {
			free(in.name);
			return -ENOMEM;
		}
		s->v = v;
		s->cap = cap;
	}
	if (n > 0 && buf_add(&in.value, value, n) < 0) {
		free(in.name);
		return -ENOMEM;
	}
	s->v[s->n++] = in;
	return 0;
}

void
inputs_done(struct inputs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		buf_done(&s->v[i].value);
	}
	free(s->v);
	*s = (struct inputs)INPUTS_INIT;
}

static int
compare_inputs(const void *a, const void *b)
{
	const struct input *x = *(const struct input *const *)a;
	const struct input *y = *(const struct input *const *)b;
	int r = (int)x->kind - (int)y->kind;

	if (r == 0)
		r = strcmp(x->name, y->name);
	if (r == 0)
		r = x->value.n < y->value.n ? -1 : x->value.n > y->value.n;
	return r || x->value.n == 0 ? r : memcmp(x->value.p, y->value.p, x->value.n);
}

const struct input **
inputs_sorted(const struct inputs *s, int (*compare)(const void *a, const void *b))
{
	const struct input **v = calloc(s->n + 1, sizeof(*v));

	for (size_t i = 0; v && i < s->n; i++)
		v[i] = &s->v[i];
	if (v)
		qsort(v, s->n, sizeof(*v), compare);
	return v;
}

bool
inputs_equal(const struct inputs *a, const struct inputs *b)
{
	_cleanup_(freep) const struct input **x = NULL, **y = NULL;

	if (a->n != b->n)
		return false;
	x = inputs_sorted(a, compare_inputs);
	y = inputs_sorted(b, compare_inputs);
	if (!x || !y)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare_inputs(&x[i], &y[i]) != 0)
			return false;
	return true;
}

int
inputs_add_env(struct inputs *s, char *const *envp, const char *name)
{
	const char *value = variables_get(envp, name);
	struct digest d;
	int r;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == INPUT_ENV && streq(s->v[i].name, name))
			return 0;
	if (!value)
		return inputs_add(s, INPUT_ENV, name, NULL, 0);
	r = digest_bytes(value, strlen(value), &d);
	return r < 0 ? r : inputs_add(s, INPUT_ENV, name, d.b, DIGEST_SIZE);
}

char *const *
inputs_env(const struct inputs_place *place)
{
	return place->marked ? place->marked : place->envp;
}

const char *
inputs_see(const struct inputs_place *place, const char *path, char **keep)
{
	return place->view ? (*keep = place->view->find(place->view, path)) : path;
}

const char *
inputs_see_made(const struct inputs_place *place, const char *path, char **keep)
{
	return place->view ? (*keep = place->view->find_made(place->view, path)) : path;
}

int
inputs_stat_made(const struct inputs_place *place, const char *path, struct stat *ret)
{
	if (place->view)
		return place->view->stat_made(place->view, path, ret);
	return lstat(path, ret) < 0 ? -errno : 0;
}

int
inputs_listing(const char *path, struct digest *ret)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	if (!h)
		return -ENOMEM;
	while (r == 0 && (e = readdir(dir)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = strv_addf(&names, "%s/%u", e->d_name, e->d_type);
	if (r < 0)
		return r;
	strv_sort_unique(&names);
	for (size_t i = 0; i < names.n; i++)
		hasher_field(h, names.v[i], strlen(names.v[i]));
	hasher_final(h, ret);
	return 0;
}

int
inputs_find_program(const struct inputs_place *place, const char *name, struct buf *ret)
{
	const char *p = variables_get(place->envp, "PATH");
	char path[PATH_MAX];
	struct stat st;
	int r = 0;

	for (p = p ? p : ""; r == 0 && *p;) {
		size_t n = strcspn(p, ":");

		if (n > 0 && *p == '/' && n + strlen(name) + 2 < sizeof(path)) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)n, p, name);
			if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
				_cleanup_(freep) char *marked = inputs_mark_path(place, path);

				r = marked ? buf_addf(ret, "%s%s", ret->n ? ":" : "", marked)
					   : -ENOMEM;
			}
			if (fs_can_run(path))
				break;
		}
		p += n + (p[n] == ':');
	}
	return r;
}

static int
find_in_dir(const struct inputs_place *place, const char *dir, const char *name, char **ret)
{
	_cleanup_(freep) char *path = path_join(dir, name), *seen = NULL;
	const char *at = path ? inputs_see(place, path, &seen) : NULL;
	struct stat st;

	if (!at)
		return -ENOMEM;
	if (stat(at, &st) == 0)
		*ret = steal_ptr(path);
	return 0;
}

static bool
is_below(const char *path, const char *dir)
{
	return dir && *dir && path_is_below(path, dir);
}

/* One of the toolchain's own by another name: a toolchain that rustup links. */
static bool
leads_below(const struct inputs_place *place, const char *dir, const char *sysroot)
{
	char real[PATH_MAX];

	return !place->view && realpath(dir, real) && is_below(real, sysroot);
}

int
inputs_find_library(const struct inputs_place *place, const char *name, char **ret)
{
	const char *p = variables_get(place->envp, "LD_LIBRARY_PATH"), *top = place->target_dir;
	bool own = place->sysroot && !streq(place->sysroot, "/usr") && !streq(place->sysroot, "/");
	_cleanup_(freep) char *found = NULL;
	int r = 0;

	while (r == 0 && !found && p && *p) {
		size_t n = strcspn(p, ":;");
		char dir[PATH_MAX];

		/* an empty one is the working directory */
		snprintf(dir, sizeof(dir), "%.*s", n > 0 ? (int)MIN2(n, sizeof(dir)) : 1,
			n > 0 ? p : ".");
		p += n + (p[n] != '\0');
		if (own && is_below(dir, place->sysroot))
			continue;
		/* glibc prefers the variants for this processor: their directory stands for what is
		 * in it. Cargo's own directories have none. */
		if (!is_below(dir, top))
			r = find_in_dir(place, dir, "glibc-hwcaps", &found);
		if (r == 0 && !found)
			r = find_in_dir(place, dir, name, &found);
		if (own && found && leads_below(place, dir, place->sysroot)) {
			free(found);
			found = NULL;
		}
	}
	*ret = NULL;
	if (r < 0 || !found)
		return r;
	if (!is_below(found, top)) {
		*ret = inputs_mark_path(place, found);
		return *ret ? 0 : -ENOMEM;
	}
	return asprintf(ret, "%c%s", INPUT_TARGET_DIR_MARK, found + strlen(top)) < 0 ? -ENOMEM : 0;
}

int
inputs_environ(const struct strv *cargo_env, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	for (size_t i = 0; cargo_env && i < cargo_env->n; i++)
		if (!starts_with(cargo_env->v[i], "LD_LIBRARY_PATH="))
			hasher_field(h, cargo_env->v[i], strlen(cargo_env->v[i]));
	hasher_final(h, ret);
	return 0;
}

void
inputs_umask(const struct inputs_place *place, char ret[8])
{
	snprintf(ret, 8, "%04o", place->umask & 0777);
}

const char *
inputs_place_dir(const struct inputs_place *place, char mark)
{
	switch (mark) {
	case INPUT_OUT_DIR_MARK:
		return place->out_dir;
	case INPUT_TARGET_DIR_MARK:
		return place->target_dir;
	case INPUT_WORKSPACE_MARK:
		return place->workspace;
	case INPUT_CARGO_HOME_MARK:
		return place->cargo_home;
	case INPUT_HOME_MARK:
		return place->home;
	case INPUT_TOOLCHAIN_MARK:
		return place->toolchain;
	default:
		return NULL;
	}
}

unsigned
inputs_places(const struct inputs_place *place)
{
	unsigned known = 0;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if (inputs_place_dir(place, *mark))
			known |= INPUT_PLACE(*mark);
	return known;
}

/* By which places a result may be tied, as inputs of the kind INPUT_OUT_DIR name them. */
static const struct tie {
	const char *name, *what;
	char mark; /* '\0': it has none of its own */
} ties[] = { { INPUT_OUT_DIR_NAME, "the out-dir", INPUT_OUT_DIR_MARK },
	{ INPUT_REAL_OUT_DIR_NAME, "the out-dir", '\0' },
	{ INPUT_UNIT_NAME, "the unit's directory", '\0' }, { INPUT_ABOVE_NAME, NULL, '\0' },
	{ INPUT_WORKSPACE_NAME, "the workspace", INPUT_WORKSPACE_MARK },
	{ "cargo's home", "cargo's home", INPUT_CARGO_HOME_MARK },
	{ INPUT_HOME_NAME, "the home directory", INPUT_HOME_MARK },
	{ "toolchain", "the toolchain's directory", INPUT_TOOLCHAIN_MARK } };

const char *
inputs_place_name(char mark)
{
	for (size_t i = 0; i < ARRAY_LEN(ties); i++)
		if (ties[i].mark == mark)
			return ties[i].name;
	return NULL;
}

char *
inputs_mark_path(const struct inputs_place *place, const char *path)
{
	char *marked;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++) {
		const char *dir = inputs_place_dir(place, *mark);

		if (dir && path_is_below(path, dir))
			return asprintf(&marked, "%c%s", *mark, path + strlen(dir)) < 0 ? NULL
											: marked;
	}
	return strdup(path);
}

const char *
inputs_find_home(void)
{
	const char *home = getenv("HOME");

	return home && path_is_normal(home) && home[1] && text_can_hide(home) ? home : NULL;
}

const char *
inputs_markable(const char *sysroot)
{
	static const char *const shared[] = { "/", "/opt", "/usr", "/usr/local" };

	for (size_t i = 0; sysroot && i < ARRAY_LEN(shared); i++)
		if (streq(sysroot, shared[i]))
			return NULL;
	return sysroot && path_is_normal(sysroot) && text_can_hide(sysroot) ? sysroot : NULL;
}

/* ---- looking again */

bool
input_is_marked(const char *name)
{
	return *name && strchr(INPUT_MARKS, *name);
}

char *
inputs_real_path(const struct inputs_place *place, const char *name)
{
	const char *dir = inputs_place_dir(place, *name);

	if (!input_is_marked(name))
		return strdup(name);
	/* no file has the name then */
	if (!dir)
		return strdup("");
	return name[1] ? path_join(dir, name + 1) : strdup(dir);
}

static int
differs(char **ret, const char *what, const char *how)
{
	return why_set(ret, -ESTALE, "%s %s", input_is_marked(what) ? what + 1 : what, how);
}

static bool
has_digest(const struct input *in, const struct digest *d)
{
	return in->value.n == DIGEST_SIZE && memcmp(in->value.p, d->b, DIGEST_SIZE) == 0;
}

static bool
has_text(const struct input *in, const char *text)
{
	return in->value.n == strlen(text) &&
	       (in->value.n == 0 || memcmp(in->value.p, text, in->value.n) == 0);
}

static int
check_path(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	struct stat st;
	int r;

	if (!path)
		return -ENOMEM;
	switch (in->kind) {
	case INPUT_FILE:
	case INPUT_METADATA:
		r = in->kind == INPUT_FILE ? memo_digest_file(place->memo, path, &d, NULL)
					   : rlib_metadata_digest(place->memo, path, &d);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && (in->kind == INPUT_FILE || !fs_exists(path)))
			return differs(ret_differs, in->name, "is gone");
		return r == 0 && has_digest(in, &d) ? 0 : differs(ret_differs, in->name, "changed");
	case INPUT_ABSENT:
		return stat(path, &st) < 0 ? 0 : differs(ret_differs, in->name, "is new");
	case INPUT_EXISTS:
		if (stat(path, &st) < 0)
			return differs(ret_differs, in->name, "is gone");
		return S_ISREG(st.st_mode) ? differs(ret_differs, in->name, "is a file now") : 0;
	default:
		r = inputs_listing(path, &d);
		if (r == -ENOMEM)
			return r;
		return r == 0 && has_digest(in, &d)
			       ? 0
			       : differs(ret_differs, in->name, "has other files");
	}
}

static int
check_link(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	char to[PATH_MAX];
	ssize_t n;

	if (!path)
		return -ENOMEM;
	n = readlink(path, to, sizeof(to));
	if (n < 0)
		return differs(ret_differs, in->name, "is no symbolic link now");
	return (size_t)n == in->value.n && memcmp(to, in->value.p, (size_t)n) == 0
		       ? 0
		       : differs(ret_differs, in->name, "leads elsewhere");
}

static int
check_real(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	_cleanup_(freep) char *real = path ? realpath(path, NULL) : NULL;

	_cleanup_(freep) char *marked = real ? inputs_mark_path(place, real) : NULL;

	if (!path || (real && !marked))
		return -ENOMEM;
	return real && has_text(in, marked) ? 0 : differs(ret_differs, in->name, "leads elsewhere");
}

static int
check_attributes(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct attributes kept, now;
	const char *what;
	int r = path ? attributes_decode(&in->value, &kept) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? r : differs(ret_differs, in->name, "is not known any more");
	if (attributes_read(path, in->kind == INPUT_STAT, &now) < 0)
		return differs(ret_differs, in->name, "is gone");
	what = attributes_difference(&kept, &now);
	return what ? why_set(ret_differs, -ESTALE, "%s of %s changed", what,
			      input_is_marked(in->name) ? in->name + 1 : in->name)
		    : 0;
}

static int
check_extended(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	int r = path ? attributes_extended(path, &d) : -ENOMEM;

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	return why_set(ret_differs, -ESTALE, "extended attributes of %s changed",
		input_is_marked(in->name) ? in->name + 1 : in->name);
}

static int
check_env(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *what = NULL;
	const char *now = variables_get(inputs_env(place), in->name);
	struct digest d;
	int r;

	if (!now && in->value.n == 0)
		return 0;
	if (now) {
		r = digest_bytes(now, strlen(now), &d);
		if (r < 0 || has_digest(in, &d))
			return r;
	}
	if (asprintf(&what, "variable %s", in->name) < 0) {
		what = NULL;
		return -ENOMEM;
	}
	return differs(ret_differs, what,
		!now		   ? "is not set now"
		: in->value.n == 0 ? "is set now"
				   : "changed");
}

static int
check_variables(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	struct digest d;
	int r = variables_digest(in->name, inputs_env(place), &d);
	const char *what = variables_machine(in->name);

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	if (what)
		return differs(ret_differs, what, "changed");
	return why_set(ret_differs, -ESTALE, "what %s takes from the environment changed",
		streq(in->name, "all")					  ? "a program that it runs"
		: streq(in->name, "loader") || streq(in->name, "compile") ? "the loader"
									  : in->name);
}

static int
check_git_index(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	int r = path ? git_index_digest_memo(place->memo, path, &d) : -ENOMEM;

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	return differs(ret_differs, in->name, "changed");
}

static int
check_program(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(buf_done) struct buf now = BUF_INIT;
	int r = inputs_find_program(place, in->name, &now);

	if (r < 0 || (now.n == in->value.n && (!now.n || memcmp(now.p, in->value.p, now.n) == 0)))
		return r;
	return differs(ret_differs, in->name, "is another one in PATH");
}

static int
check_runs(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);

	if (!path)
		return -ENOMEM;
	if (has_text(in, fs_can_run(path) ? INPUT_RUNS_YES : ""))
		return 0;
	return differs(
		ret_differs, in->name, in->value.n ? "can be run no more" : "can be run now");
}

static int
check_library(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *now = NULL;
	int r = inputs_find_library(place, in->name, &now);

	if (r < 0 || has_text(in, now ? now : ""))
		return r;
	return differs(ret_differs, in->name, "is another one in LD_LIBRARY_PATH");
}

static int
check_environ(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	struct digest d;
	int r = inputs_environ(place->cargo_env, &d);

	if (r < 0 || has_digest(in, &d))
		return r;
	return differs(ret_differs, "cargo's environment", "changed");
}

const char *
inputs_unit_way(const struct inputs_place *place)
{
	const char *dir = place->target_dir;

	return dir && path_is_below(place->out_dir, dir) ? place->out_dir + strlen(dir)
							 : place->out_dir;
}

char *
inputs_ways_from_home(const struct inputs_place *place)
{
	const char *dirs[] = { place->cargo_home, place->toolchain };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		const char *way = "no"; /* a way begins with a slash */

		if (dirs[i] && place->home && path_is_below(dirs[i], place->home))
			way = dirs[i] + strlen(place->home);
		if (buf_addf(&b, "%s\n", way) < 0)
			return NULL;
	}
	return strndup((const char *)b.p, b.n);
}

const char *
inputs_moves_with(const struct inputs_place *place)
{
	return place->workspace ? place->workspace : place->cargo_home;
}

static int
check_not_above(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *dir = path_dirname(from ? from : "");
	struct stat st;

	if (!dir)
		return -ENOMEM;
	for (;;) {
		_cleanup_(freep) char *path = path_join(dir, in->name);
		char *up;

		if (!path)
			return -ENOMEM;
		if (!from || stat(path, &st) == 0)
			return differs(ret_differs, in->name,
				place->workspace ? "is above the workspace now"
						 : "is above cargo's home now");
		if (!dir[1])
			return 0;
		up = path_dirname(dir);
		if (!up)
			return -ENOMEM;
		free(dir);
		dir = up;
	}
}

/* Neither is a link there that leads to nothing, nor a file in a directory's place. */
static bool
is_nothing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

/* Nothing is there by the names of the directories above, nor where they are links. */
static int
check_not_from(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *way = path_join(from ? from : "", in->name);
	_cleanup_(freep) char *path = path_normalize("/", way ? way : "");

	if (!way || !path)
		return -ENOMEM;
	if (from && is_nothing(way) && is_nothing(path))
		return 0;
	return differs(ret_differs, in->name, "is new");
}

/* The directory that a tie is about; above: that of what the unit moves with. */
static const char *
tie_dir(const struct tie *t, const struct inputs_place *place, const char *above)
{
	if (t->mark)
		return inputs_place_dir(place, t->mark);
	if (!t->what)
		return above;
	return streq(t->name, INPUT_UNIT_NAME) ? inputs_unit_way(place) : place->real_out_dir;
}

static int
check_ways(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *ways = inputs_ways_from_home(place);
	struct digest d;
	int r = ways ? digest_bytes(ways, strlen(ways), &d) : -ENOMEM;

	return r < 0 || has_digest(in, &d)
		       ? r
		       : differs(ret_differs, "cargo's home, or the toolchain,",
				 "lies elsewhere in the home directory, or not there");
}

/* What the outputs hold, or what else makes them hold for one place alone. */
static int
check_place(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *above = path_dirname(from ? from : "");
	struct digest d;

	if (streq(in->name, INPUT_WAYS_NAME))
		return check_ways(in, place, ret_differs);
	for (size_t i = 0; i < ARRAY_LEN(ties); i++) {
		const char *dir = tie_dir(&ties[i], place, above);
		int r;

		if (!streq(in->name, ties[i].name))
			continue;
		r = digest_bytes(dir ? dir : "", dir ? strlen(dir) : 0, &d);
		if (r < 0 || has_digest(in, &d))
			return r;
		return ties[i].what ? differs(ret_differs, ties[i].what,
					      "is in the outputs, and is another")
				    : differs(ret_differs,
					      place->workspace ? "the directory above the workspace"
							       : "the directory above cargo's home",
					      "counts, since it looked there, and is another");
	}
	return differs(ret_differs, "an input", "is of a kind that is not known");
}

static int
check_one(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	char mask[8];

	switch (in->kind) {
	case INPUT_FILE:
	case INPUT_ABSENT:
	case INPUT_EXISTS:
	case INPUT_LISTING:
	case INPUT_METADATA:
		return check_path(in, place, ret_differs);
	case INPUT_LINK:
		return check_link(in, place, ret_differs);
	case INPUT_REAL:
		return check_real(in, place, ret_differs);
	case INPUT_STAT:
	case INPUT_LSTAT:
		return check_attributes(in, place, ret_differs);
	case INPUT_EXTENDED:
		return check_extended(in, place, ret_differs);
	case INPUT_ENV:
		return check_env(in, place, ret_differs);
	case INPUT_VARIABLES:
		return check_variables(in, place, ret_differs);
	case INPUT_GIT_INDEX:
		return check_git_index(in, place, ret_differs);
	case INPUT_PROGRAM:
		return check_program(in, place, ret_differs);
	case INPUT_NOT_ABOVE:
		return check_not_above(in, place, ret_differs);
	case INPUT_NOT_FROM:
		return check_not_from(in, place, ret_differs);
	case INPUT_RUNS:
		return check_runs(in, place, ret_differs);
	case INPUT_WIDTH:
		return has_text(in, place->width ? place->width : "")
			       ? 0
			       : differs(ret_differs, "the width of diagnostics", "changed");
	case INPUT_FORM:
		return has_text(in, place->form ? place->form : "")
			       ? 0
			       : differs(ret_differs, "the form of diagnostics", "changed");
	case INPUT_UMASK:
		inputs_umask(place, mask);
		return has_text(in, mask) ? 0 : differs(ret_differs, "the umask", "changed");
	case INPUT_LIBRARY:
		return check_library(in, place, ret_differs);
	case INPUT_ENVIRON:
		return check_environ(in, place, ret_differs);
	default:
		return differs(ret_differs, "an input", "is of a kind that is not known");
	}
}

int
inputs_check(const struct inputs *s, const struct inputs_place *place, char **ret_differs)
{
	int r = 0;

	*ret_differs = NULL;
	/* of results that hold for one place an entry may have many */
	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (s->v[i].kind == INPUT_OUT_DIR)
			r = check_place(&s->v[i], place, ret_differs);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (s->v[i].kind != INPUT_OUT_DIR)
			r = check_one(&s->v[i], place, ret_differs);
	return r;
}
