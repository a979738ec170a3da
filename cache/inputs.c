/* What compiles ask for, and where it is looked for. */
#include "config.h"

#include "cache/inputs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/variables.h"
#include "cache/text.h"
#include "common/fs.h"

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
