/* Runs build scripts again, as a run was kept: the real program, with what cargo had set, and
 * another directory in OUT_DIR's place. Where bwrap works that is mounted there, so that the script
 * finds all around it as it was; else OUT_DIR names the other one. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/key.h"
#include "cache/marks.h"
#include "client/cmd/verify/verify_priv.h"
#include "client/script/place.h"
#include "client/script/tree.h"
#include "client/cached/cached.h"
#include "client/wrap/target_dir.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "trace/paths.h"

#define TEXT_MAX (256u << 20)

extern char **environ;

/* ---- which result */

static const char *
value_then(const struct again *a, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < a->res.env.n; i++)
		if (strncmp(a->res.env.v[i], name, n) == 0 && a->res.env.v[i][n] == '=')
			return a->res.env.v[i] + n + 1;
	return NULL;
}

static void
name_run(struct again *a)
{
	const char *name = value_then(a, "CARGO_PKG_NAME");
	const char *version = value_then(a, "CARGO_PKG_VERSION");
	struct verify_said *s = a->said;

	s->run = true;
	snprintf(s->crate, sizeof(s->crate), "%s", name ? name : "?");
	snprintf(s->kind, sizeof(s->kind), "script-run");
	snprintf(s->package, sizeof(s->package), "%s%s%s", name ? name : "?", version ? " " : "",
		version ? version : "");
}

int
verify_run_take(struct again *a)
{
	const char *out_dir = value_then(a, "OUT_DIR");
	int r;

	name_run(a);
	if (a->res.argv.n == 0 || !a->res.cwd || !out_dir || !path_is_normal(out_dir))
		return verify_skip(a, "it does not say how it was made");
	if (!fs_exists(a->res.argv.v[0]))
		return verify_skip(a, "its script's program is gone");
	a->out_dir = strdup(out_dir);
	if (!a->out_dir)
		return -ENOMEM;
	a->real_out_dir = realpath(out_dir, NULL);
	if (!a->real_out_dir)
		return verify_skip(a, "its OUT_DIR is gone");
	a->target_dir = target_dir_of(a->out_dir, a->res.cwd);
	a->real_target_dir = a->target_dir ? realpath(a->target_dir, NULL) : NULL;
	if (!a->target_dir || !a->real_target_dir)
		return -ENOMEM;
	r = verify_begin_environment(a);
	if (r < 0)
		return r;
	return chdir(a->res.cwd) < 0 ? verify_skip(a, "its directory is gone") : 0;
}

int
verify_run_check_inputs(struct again *a)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	a->sysroot = cached_run_sysroot();
	a->place = (struct inputs_place){ .out_dir = a->out_dir,
		.real_out_dir = a->real_out_dir,
		.target_dir = a->target_dir,
		.real_target_dir = a->real_target_dir,
		.workspace = a->workspace,
		.cargo_home = a->cargo_home,
		.home = a->cargo_home ? inputs_find_home() : NULL,
		.toolchain = a->cargo_home ? inputs_markable(a->sysroot) : NULL,
		.envp = environ,
		.umask = fs_umask(),
		.memo = a->in->memo };
	r = place_mark_env(&a->place, environ, &a->marked);
	if (r < 0)
		return r;
	a->place.marked = a->marked.v;
	r = inputs_check(&a->res.inputs, &a->place, &why);
	return r == -ESTALE ? verify_skip(a, why ? why : "an input changed") : r;
}

/* ---- whether it would be put back now */

static int
check_key(struct again *a)
{
	_cleanup_(unit_key_done) struct unit_key key = { .recipe = STRV_INIT };
	_cleanup_(strv_done) struct strv marked_maps = STRV_INIT;
	_cleanup_(freep) char *what = NULL;
	_cleanup_(freep) char *cwd = inputs_mark_path(&a->place, a->res.cwd);
	struct run_key_in in = { .namespace = verify_recipe_value(&a->entry, "namespace"),
		.args = a->res.argv.v + 1,
		.cwd = cwd,
		.env = a->marked.v };
	int r = memo_digest_file(a->in->memo, a->res.argv.v[0], &in.program, NULL);

	if (r == -ENOMEM || !cwd)
		return -ENOMEM;
	if (r < 0)
		return verify_skip(a, "its script's program is gone");
	if (verify_recipe_value(&a->entry, "name of a place"))
		r = place_maps(&a->place, &a->maps, &marked_maps);
	in.maps = marked_maps.v;
	if (r == 0)
		r = run_key_make(&in, &key);
	if (r < 0 || digest_eq(&key.id, &a->entry.key))
		return r;
	what = unit_key_difference(a->entry.recipe.v, a->entry.recipe.n, &key.recipe);
	return verify_skip(a, what ? what : "its key is another now");
}

static int
check_way(struct again *a)
{
	a->bound = a->in->bwrap != NULL;
	if (!a->bound && verify_is_bound(&a->res))
		return verify_skip(
			a, "its OUT_DIR is in its outputs, and bwrap does not work here");
	if (!a->bound && a->maps.n)
		return verify_skip(a,
			"its C compilers gave OUT_DIR another name, and bwrap does not work here");
	return verify_has_outputs(a);
}

/* ---- the run */

/* As where it was traced: trace/preload/run_map.c. *preload: NULL where nothing is named. */
static int
name_places(const struct again *a, struct buf *maps, char **preload)
{
	_cleanup_(freep) char *library = a->maps.n ? spawn_find_program("dray-run.so") : NULL;
	int r = 0;

	if (a->maps.n == 0)
		return 0;
	if (!library)
		return -ENOENT;
	for (size_t i = 0; r == 0 && i < a->maps.n; i++)
		r = buf_addf(maps, "%s%s", i ? "\n" : TRACE_PREFIX_MAP, a->maps.v[i]);
	if (r == 0 && asprintf(preload, "LD_PRELOAD=%s", library) < 0) {
		*preload = NULL;
		r = -ENOMEM;
	}
	return r;
}

static int
run_again(struct again *a)
{
	/* what it compiles itself is to come of the compiler */
	static const char disable[] = "DRAY_DISABLE=yes";
	_cleanup_(freep) char *out_dir = NULL, *preload = NULL;
	_cleanup_(buf_done) struct buf maps = BUF_INIT;
	size_t n = 0;
	int r = verify_make_dirs(a);

	if (r == 0 && a->bound)
		r = verify_add_mounts(a);
	if (r == 0)
		r = strv_add_all(&a->argv, a->res.argv.v);
	if (r == 0 && asprintf(&out_dir, "OUT_DIR=%s", a->made) < 0) {
		out_dir = NULL;
		r = -ENOMEM;
	}
	if (r < 0)
		return r;
	r = name_places(a, &maps, &preload);
	if (r < 0)
		return r;
	a->set[n++] = disable;
	if (preload) {
		a->set[n++] = preload;
		a->set[n++] = (const char *)maps.p;
	}
	if (!a->bound)
		a->set[n++] = out_dir;
	r = verify_compile(a);
	memset(a->set, 0, sizeof(a->set));
	return r;
}

/* ---- the comparison */

/* Where what was made now is, as that of then was there. */
static struct inputs_place
place_made(const struct again *a)
{
	struct inputs_place p = a->place;

	if (!a->bound)
		p.out_dir = p.real_out_dir = a->made;
	return p;
}

static int
compare_output(struct again *a, const struct output *then, const struct output *now)
{
	_cleanup_(freep) char *path = path_join(a->made, then->name);

	if (!path)
		return -ENOMEM;
	if (then->kind != now->kind)
		return verify_differs(a, then->name, "it is of another kind");
	if (then->mode != now->mode)
		return verify_differs(a, then->name, "another mode");
	if (then->is_blob && now->is_blob)
		return verify_compare_blob(a, then, path);
	if (then->is_blob || now->is_blob || then->text.n != now->text.n ||
		(then->text.n > 0 && memcmp(then->text.p, now->text.p, then->text.n) != 0))
		return verify_differs(a, then->name, "other bytes");
	a->said->bytes += now->text.n;
	return 0;
}

/* Both are sorted by name. */
static int
compare_outputs(struct again *a, const struct result *made)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < a->res.n_outputs || k < made->n_outputs)) {
		const struct output *then = i < a->res.n_outputs ? &a->res.outputs[i] : NULL;
		const struct output *now = k < made->n_outputs ? &made->outputs[k] : NULL;
		int c = !then ? 1 : !now ? -1 : strcmp(then->name, now->name);

		if (c < 0)
			return verify_differs(a, then->name, "it was not made");
		if (c > 0)
			return verify_differs(a, now->name, "it was not made before");
		r = compare_output(a, then, now);
		a->said->outputs += r == 0;
		i++;
		k++;
	}
	return r;
}

/* What it said; a text in which places cannot be marked was kept as it was. */
static int
compare_said(struct again *a, const char *name, const struct buf *then)
{
	const struct inputs_place place = place_made(a);
	_cleanup_(freep) char *path = path_join(a->dir, name);
	_cleanup_(buf_done) struct buf now = BUF_INIT, hidden = BUF_INIT;
	const struct buf *b = &hidden;
	int r = path ? fs_read_file(path, TEXT_MAX, &now) : -ENOMEM;

	if (r == 0)
		r = marks_hide(&place, now.p, now.n, &hidden);
	if (r == -EBADMSG) {
		b = &now;
		r = 0;
	}
	if (r < 0)
		return r;
	a->said->bytes += now.n;
	if (b->n != then->n || (b->n > 0 && memcmp(b->p, then->p, b->n) != 0))
		return verify_differs(a, name, "other bytes");
	return 0;
}

static int
compare(struct again *a)
{
	_cleanup_(result_done) struct result made = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	const struct inputs_place place = place_made(a);
	struct tree t = { .place = &place, .root = a->made };
	int r = tree_keep(&t, NULL, &made, &why);

	free(t.bound_by);
	if (r == -ENOTSUP && why)
		return verify_differs(a, "OUT_DIR", why);
	if (r == 0)
		r = compare_outputs(a, &made);
	if (r == 0)
		r = compare_said(a, "stdout", &a->res.out);
	return r < 0 ? r : compare_said(a, "stderr", &a->res.err);
}

int
verify_run(struct again *a)
{
	int r = check_way(a);

	if (r == 0)
		r = check_key(a);
	if (r == 0)
		r = run_again(a);
	return r < 0 ? r : compare(a);
}
