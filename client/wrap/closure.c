/* Finds a unit's closure of artifacts. Invariant: every extern that the command line names is in
 * it, or the unit is compiled here; the walk visits each artifact once. */
#include "config.h"

#include "client/wrap/closure.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "toolchain/elf.h"
#include "common/fs.h"
#include "common/table.h"
#include "rustc/option_tables.h"

#define GUESS_MAX 20000 /* entries of the -L directories that are looked at */

/* What was visited: closures have up to some thousand members. */
struct seen {
	struct table_node node;
	char path[];
};

struct finder {
	const struct closure_in *in;
	struct closure *out;
	struct table
		seen; /* struct seen, by path without .rmeta or .rlib: both belong to one crate */
	struct strv todo;
	bool split; /* the metadata of a crate is not in its rlib */
};

/* 1: added; 0: was there; -ENOMEM. */
static int
seen_add(struct table *t, const char *path)
{
	uint64_t h = text_hash(path);
	struct table_node *n = table_find(t, h);
	size_t size = strlen(path) + 1;
	struct seen *s;

	for (; n; n = table_find_next(n))
		if (streq(table_entry(n, struct seen, node)->path, path))
			return 0;
	s = malloc(sizeof(*s) + size);
	if (!s)
		return -ENOMEM;
	memcpy(s->path, path, size);
	table_put(t, &s->node, h);
	return 1;
}

static void
seen_done(struct table *t)
{
	struct table_node *n = table_walk(t, NULL), *next;

	for (; n; n = next) {
		next = table_walk(t, n);
		free(table_entry(n, struct seen, node));
	}
	table_done(t);
}

enum artifact_type { ART_RMETA, ART_RLIB, ART_DSO, ART_UNKNOWN };

static enum artifact_type
type_of(const char *path)
{
	if (ends_with(path, ".rmeta"))
		return ART_RMETA;
	if (ends_with(path, ".rlib"))
		return ART_RLIB;
	return ends_with(path, ".so") ? ART_DSO : ART_UNKNOWN;
}

/* path with another ending. */
static char *
twin(const char *path, const char *ending)
{
	const char *dot = strrchr(path, '.');
	char *s = NULL;

	if (asprintf(&s, "%.*s%s", (int)(dot - path), path, ending) < 0)
		return NULL;
	return s;
}

static int
add_if_there(struct closure *out, const char *path, bool *ret_there)
{
	*ret_there = fs_exists(path);
	return *ret_there ? strv_add(&out->files, path) : 0;
}

/* Adds the file of this crate that the unit reads: the rlib, or only its metadata. */
static int
add_crate(struct finder *f, const char *path)
{
	bool whole = f->in->call->reads_rlibs, there = false, also = false;
	_cleanup_(freep) char *first = twin(path, whole ? ".rlib" : ".rmeta");
	_cleanup_(freep) char *second = twin(path, whole ? ".rmeta" : ".rlib");
	int r;

	if (!first || !second)
		return -ENOMEM;
	r = add_if_there(f->out, first, &there);
	if (r == 0 && (!there || (whole && f->split)))
		r = add_if_there(f->out, second, &also);
	if (r == 0 && !there && !also)
		f->out->guessed = true;
	return r;
}

/* -Z embed-metadata=no: an rlib holds a stub of the metadata, which is in the rmeta. A unit that
 * reads rlibs then gets both files of each extern, by one name. */
static bool
has_split_metadata(const struct rustc_call *c)
{
	if (call_splits_metadata(c))
		return true;
	for (size_t i = 0; i + 1 < c->n_externs; i++)
		if (c->externs[i].path && c->externs[i + 1].path &&
			streq(c->externs[i].name, c->externs[i + 1].name))
			return true;
	return false;
}

static int
known_externs(struct finder *f, const char *path, struct strv *ret)
{
	_cleanup_(freep) char *other = NULL;
	int r = memo_get_artifact(f->in->memo, path, ret);

	if (r != -ENOENT || type_of(path) == ART_DSO)
		return r;
	other = twin(path, type_of(path) == ART_RMETA ? ".rlib" : ".rmeta");
	if (!other)
		return -ENOMEM;
	return memo_get_artifact(f->in->memo, other, ret);
}

/* The compiler loads it. One made with -C instrument-coverage or profile-generate writes a file
 * into the working directory when the compiler ends. */
static void
note_dso(struct finder *f, const char *path)
{
	f->out->has_dso = true;
	if (!f->out->has_profiled && elf_has_section(path, "__llvm_prf_cnts") > 0)
		f->out->has_profiled = true;
}

static int
visit(struct finder *f, const char *path)
{
	enum artifact_type type = type_of(path);
	_cleanup_(strv_done) struct strv externs = STRV_INIT;
	_cleanup_(freep) char *key = NULL;
	bool there = false;
	int r;

	if (type == ART_UNKNOWN)
		return 0;
	key = type == ART_DSO ? strdup(path) : twin(path, "");
	r = key ? seen_add(&f->seen, key) : -ENOMEM;
	if (r <= 0)
		return r;
	if (type == ART_DSO) {
		r = add_if_there(f->out, path, &there);
		note_dso(f, path);
		if (!there)
			f->out->guessed = true;
	} else {
		r = add_crate(f, path);
	}
	if (r < 0)
		return r;
	r = known_externs(f, path, &externs);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		f->out->guessed = true;
		return 0;
	}
	return externs.n ? strv_add_all(&f->todo, externs.v) : 0;
}

static int
add_direct(struct finder *f, const char *given, char **ret_home)
{
	_cleanup_(freep) char *path = path_normalize(f->in->cwd, given);
	const char *problem = NULL;
	int r;

	if (!path)
		return -ENOMEM;
	if (type_of(path) == ART_UNKNOWN)
		problem = "an extern of an unknown kind";
	else if (!fs_exists(path))
		problem = "an extern that is not there";
	if (problem) {
		if (asprintf(ret_home, "%s: %s", problem, path_basename(path)) < 0) {
			*ret_home = NULL;
			return -ENOMEM;
		}
		return -ENOTSUP;
	}
	/* Named, so it must be there under this name, whichever form is enough otherwise. */
	r = strv_add(&f->out->direct, path);
	if (r == 0)
		r = strv_add(&f->out->files, path);
	if (r == 0)
		r = strv_add(&f->todo, path);
	return r;
}

/* Every crate of a directory. */
static int
guess_dir(struct finder *f, const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;
	int r = 0;

	while (d && r == 0 && n++ < GUESS_MAX && (e = readdir(d)) != NULL) {
		_cleanup_(freep) char *path = NULL;
		enum artifact_type type = type_of(e->d_name);

		if (!starts_with(e->d_name, "lib") || type == ART_UNKNOWN)
			continue;
		path = path_join(dir, e->d_name);
		if (!path)
			return -ENOMEM;
		if (type == ART_DSO) {
			note_dso(f, path);
			r = strv_add(&f->out->files, path);
		} else {
			r = add_crate(f, path);
		}
	}
	return r;
}

static bool
lib_kind_is(const struct call_lib *l, const char *kind)
{
	return !l->kind || streq(l->kind, "") || streq(l->kind, "all") || streq(l->kind, kind);
}

static int
guess_all(struct finder *f)
{
	const struct rustc_call *c = f->in->call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_libs; i++) {
		_cleanup_(freep) char *dir = NULL;

		if (!lib_kind_is(&c->libs[i], "dependency") && !lib_kind_is(&c->libs[i], "crate"))
			continue;
		dir = path_normalize(f->in->cwd, c->libs[i].path);
		if (!dir)
			return -ENOMEM;
		if (!path_is_below(dir, f->in->sysroot))
			r = guess_dir(f, dir);
	}
	return r;
}

/* Whether a file's name is one that `-l [KIND[:MODIFIERS]=]NAME[:RENAME]` can mean. */
static bool
native_matches(const char *l, const char *file)
{
	const char *eq = strchr(l, '=');
	const char *name = eq ? eq + 1 : l;
	size_t n = strcspn(name, ":");

	if (n == 0)
		return false;
	if (strlen(file) == n && memcmp(file, name, n) == 0)
		return true; /* +verbatim */
	if (!starts_with(file, "lib") || strncmp(file + 3, name, n) != 0)
		return false;
	return streq(file + 3 + n, ".a") || starts_with(file + 3 + n, ".so");
}

static int
add_native_dir(struct finder *f, const char *dir)
{
	bool made_here = path_is_below(dir, f->in->target_dir);
	const struct strv *names = &f->in->call->native;
	_cleanup_(closedirp) DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;
	int r = 0;

	while (d && r == 0 && n++ < GUESS_MAX && (e = readdir(d)) != NULL) {
		/* #[link] attributes name archives that no -l does */
		bool wanted = made_here && ends_with(e->d_name, ".a");

		for (size_t i = 0; !wanted && i < names->n; i++)
			wanted = native_matches(names->v[i], e->d_name);
		if (wanted) {
			_cleanup_(freep) char *path = path_join(dir, e->d_name);

			r = path ? strv_add(&f->out->files, path) : -ENOMEM;
		}
	}
	return r;
}

/* The system's own library directories are the worker's own in a job. */
static bool
is_system_dir(const char *dir)
{
	static const char *const v[] = { "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32",
		"/usr/lib64" };

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (path_is_below(dir, v[i]))
			return true;
	return false;
}

static int
add_native(struct finder *f)
{
	const struct rustc_call *c = f->in->call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_libs; i++) {
		_cleanup_(freep) char *dir = NULL;

		if (!lib_kind_is(&c->libs[i], "native"))
			continue;
		dir = path_normalize(f->in->cwd, c->libs[i].path);
		if (!dir)
			return -ENOMEM;
		if (!is_system_dir(dir) && !path_is_below(dir, f->in->sysroot))
			r = add_native_dir(f, dir);
	}
	return r;
}

/* A proc-macro that has libc's `environ` may take all variables from it, and nobody sees which. */
static int
note_macro(struct finder *f, const char *path)
{
	/* few have it, so most are read once */
	if (f->out->environ_of || type_of(path) != ART_DSO ||
		elf_uses_symbol(path, "environ") == 0 ||
		elf_has_dynamic_part(path, "rustc_proc_macro_decls") <= 0)
		return 0;
	f->out->environ_of = strdup(path_basename(path));
	return f->out->environ_of ? 0 : -ENOMEM;
}

/* Those that the unit names, and those that a library which it names hands on: it may call them.
 * While such a library is being compiled nobody knows what it hands on, and all are taken. */
static int
note_macros(struct finder *f)
{
	const struct strv *direct = &f->out->direct, *all = &f->out->files;
	bool unknown = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < direct->n; i++) {
		_cleanup_(strv_done) struct strv externs = STRV_INIT;

		r = note_macro(f, direct->v[i]);
		if (r < 0 || type_of(direct->v[i]) == ART_DSO)
			continue;
		r = known_externs(f, direct->v[i], &externs);
		if (r < 0 && r != -ENOMEM) {
			unknown = true;
			r = 0;
		}
		for (size_t k = 0; r == 0 && k < externs.n; k++)
			r = note_macro(f, externs.v[k]);
	}
	for (size_t i = 0; r == 0 && unknown && i < all->n; i++)
		r = note_macro(f, all->v[i]);
	return r;
}

static int
collect(struct finder *f, char **ret_home)
{
	const struct rustc_call *c = f->in->call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_externs; i++)
		if (c->externs[i].path)
			r = add_direct(f, c->externs[i].path, ret_home);
	while (r == 0 && f->todo.n > 0) {
		_cleanup_(freep) char *path = f->todo.v[--f->todo.n];

		f->todo.v[f->todo.n] = NULL;
		r = visit(f, path);
	}
	if (r == 0 && f->out->guessed)
		r = guess_all(f);
	if (r == 0)
		r = note_macros(f);
	if (r == 0)
		r = add_native(f);
	return r;
}

int
closure_collect(const struct closure_in *in, struct closure *ret, char **ret_home)
{
	struct finder f = { .in = in, .out = ret, .split = has_split_metadata(in->call) };
	int r = table_init(&f.seen);

	*ret_home = NULL;
	if (r == 0)
		r = collect(&f, ret_home);
	seen_done(&f.seen);
	strv_done(&f.todo);
	strv_sort_unique(&ret->files);
	strv_sort_unique(&ret->direct);
	return r;
}

void
closure_done(struct closure *c)
{
	strv_done(&c->files);
	strv_done(&c->direct);
	free(c->environ_of);
	c->environ_of = NULL;
}

int
closure_remember_file(
	struct memo *m, const struct rustc_call *call, const char *cwd, const char *path)
{
	_cleanup_(strv_done) struct strv externs = STRV_INIT;

	/* A proc-macro's dependencies are inside it: recorded as having none. */
	for (size_t i = 0; !strv_has(&call->crate_types, "proc-macro") && i < call->n_externs;
		i++) {
		int r;

		if (!call->externs[i].path)
			continue;
		r = strv_take(&externs, path_normalize(cwd, call->externs[i].path));
		if (r < 0)
			return r;
	}
	return memo_set_artifact(m, path, &externs);
}

bool
closure_makes_artifacts(const struct rustc_call *call)
{
	if (call->test || !call->out_dir || !call->crate_name || !*call->crate_name)
		return false;
	for (size_t i = 0; i < call->crate_types.n; i++)
		if (!streq(call->crate_types.v[i], "bin"))
			return true;
	return false;
}

int
closure_remember(struct memo *m, const struct rustc_call *call)
{
	static const char *const endings[] = { ".rmeta", ".rlib", ".so" };
	_cleanup_(freep) char *cwd = getcwd(NULL, 0), *dir = NULL;
	int r = 0;

	if (!cwd)
		return -errno;
	if (!m || !closure_makes_artifacts(call))
		return 0;
	dir = path_normalize(cwd, call->out_dir);
	if (!dir)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(endings); i++) {
		_cleanup_(freep) char *path = NULL;

		/* cargo check leaves an older rlib alone: it is not this call's */
		if (!call->emits_link && i > 0)
			break;
		if (asprintf(&path, "%s/lib%s%s%s", dir, call->crate_name,
			    call->extra_filename ? call->extra_filename : "", endings[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (fs_exists(path))
			r = closure_remember_file(m, call, cwd, path);
	}
	return r < 0 ? r : memo_flush(m);
}
