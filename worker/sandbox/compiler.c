/* How the compiler is called in a job, and what of its toolchain it sees.
 *
 * Invariant: of the toolchain's targets a job sees only those that are in the toolchain id of the
 * unit, so it finds what it would find on the client; and no linker of the toolchain is run in
 * dray-ld's place. */
#include "config.h"

#include "worker/sandbox/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "common/fs.h"

/* As rustc reads it: one argument a line. unit_check refuses paths of a client below /.dray. */
#define ARG_FILE "/.dray/args"

static size_t
args_bytes(const Dray__Unit *u)
{
	size_t sum = 0;

	for (size_t i = 0; i < u->n_argv; i++)
		sum += strlen(u->argv[i]) + 1 + sizeof(char *);
	return sum;
}

bool
compiler_needs_arg_file(const Dray__Unit *u)
{
	for (size_t i = 0; i < u->n_argv; i++)
		if (strlen(u->argv[i]) > COMPILER_STRING_MAX)
			return true;
	return args_bytes(u) > COMPILER_ARGS_MAX;
}

static int
write_arg_file(const Dray__Unit *u, const char *root, size_t first)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[PATH_MAX];
	int r = 0;

	if (snprintf(path, sizeof(path), "%s" ARG_FILE, root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (size_t i = first; r == 0 && i < u->n_argv; i++)
		r = buf_addf(&b, "%s\n", u->argv[i]);
	return r < 0 ? r : fs_write_atomic(path, b.p, b.n, 0644);
}

int
compiler_argv(const Dray__Unit *u, const char *root, struct strv *argv)
{
	/* clippy-driver looks for rustc's path, its first argument, before it reads the file */
	size_t n = u->n_argv,
	       first = streq(u->driver, "clippy-driver") && n && u->argv[0][0] == '/';
	int r = strv_addf(argv, "%s/bin/%s", u->sysroot, u->driver);

	if (!compiler_needs_arg_file(u)) {
		for (size_t i = 0; r == 0 && i < n; i++)
			r = strv_add(argv, u->argv[i]);
		return r;
	}
	if (r == 0 && first)
		r = strv_add(argv, u->argv[0]);
	if (r == 0)
		r = write_arg_file(u, root, first);
	return r < 0 ? r : strv_add(argv, "@" ARG_FILE);
}

struct mounts {
	struct strv *keep;
	struct sandbox_mount **v;
	size_t *n;
};

static int
add_mount(struct mounts *m, char *from, char *to)
{
	struct sandbox_mount *v;
	int r = strv_take(m->keep, from);

	if (r < 0) {
		free(to);
		return r;
	}
	r = strv_take(m->keep, to);
	if (r < 0)
		return r;
	v = reallocarray(*m->v, *m->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	*m->v = v;
	v[(*m->n)++] = (struct sandbox_mount){ from, to, false };
	return 0;
}

/* An empty directory over what the toolchain has for a target that is not in its id. */
static int
hide_targets(struct mounts *m, const struct compiler *c)
{
	_cleanup_(strv_done) struct strv targets = STRV_INIT;
	int r = toolchain_list_targets(c->sysroot->view, &targets);

	for (size_t i = 0; r == 0 && i < targets.n; i++) {
		char *to = NULL;

		if (streq(targets.v[i], c->toolchain->host) ||
			streq(targets.v[i], c->toolchain->target))
			continue;
		if (asprintf(&to, "%s/lib/rustlib/%s", c->unit->sysroot, targets.v[i]) < 0)
			return -ENOMEM;
		r = add_mount(m, path_join(c->root, "dev"), to);
	}
	return r;
}

/* Where the toolchain would have a linker of that name. NULL: nowhere. */
static int
own_linker(const Dray__Unit *u, const struct toolchain *t, char **ret)
{
	*ret = NULL;
	if (!*u->linker || !path_is_name(u->linker))
		return 0;
	if (asprintf(ret, "lib/rustlib/%s/bin/%s", t->host, u->linker) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

bool
compiler_covers_linker(const Dray__Unit *u, const struct toolchain *t, const char *view)
{
	_cleanup_(freep) char *below = NULL, *there = NULL;

	if (own_linker(u, t, &below) < 0)
		return true;
	if (!below)
		return false;
	there = path_join(view, below);
	return !there || fs_exists(there);
}

/* rustc puts its own tools before PATH: a linker of that name there would be run. */
static int
cover_linker(struct mounts *m, const struct compiler *c)
{
	const char *linker = c->unit->linker;
	_cleanup_(freep) char *below = NULL, *there = NULL;
	char *from, *to;
	int r = own_linker(c->unit, c->toolchain, &below);

	if (r < 0 || !below)
		return r;
	there = path_join(c->sysroot->view, below);
	if (!there)
		return -ENOMEM;
	if (!fs_exists(there))
		return 0;
	from = path_join(c->bin, linker);
	to = path_join(c->unit->sysroot, below);
	return add_mount(m, from, to);
}

int
compiler_mounts(const struct compiler *c, struct strv *keep, struct sandbox_mount **v, size_t *n)
{
	struct mounts m = { keep, v, n };
	int r = hide_targets(&m, c);

	return r < 0 ? r : cover_linker(&m, c);
}
