/* What of a mapped unit, or of a run that is found from other checkouts, tells of its own place:
 * it holds for that alone. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/amid.h"
#include "cache/keep/keep_priv.h"
#include "cache/marks.h"
#include "cache/text.h"
#include "cache/variables.h"
#include "common/fs.h"
#include "rustc/option_tables.h"

#ifdef __x86_64__
#define HOST_IS_X86_64 true
#else
#define HOST_IS_X86_64 false
#endif

int
keep_add_place(struct result *res, const char *name, const char *dir)
{
	struct digest d;
	int r = digest_bytes(dir, strlen(dir), &d);

	return r < 0 ? r : inputs_add(&res->inputs, INPUT_OUT_DIR, name, d.b, DIGEST_SIZE);
}

/* Of a mapped unit, or a run: a macro may have put the directory into what was made that the
 * workspace lies in, or one above that. What names the workspace itself says more; cargo's home and
 * the toolchain may lie there, too; and what many files have in common ("/home") says nothing.
 * path: a file; NULL: the text. 0 or -errno. */
static int
look_above(struct keep *keep, const char *path, const struct buf *text)
{
	_cleanup_(freep) char *above = path_dirname(keep->place->workspace);
	const char *but[6];
	size_t n = 0;
	int r = 0;

	if (!above)
		return -ENOMEM;
	but[n++] = keep->place->workspace;
	/* these have marks of their own, and are sought for themselves */
	but[n++] = keep->place->target_dir;
	but[n++] = keep->place->real_target_dir;
	if (keep->place->cargo_home)
		but[n++] = keep->place->cargo_home;
	if (keep->place->sysroot)
		but[n++] = keep->place->sysroot;
	if (keep->script_sysroot)
		but[n++] = keep->script_sysroot;
	while (r == 0 && !keep->names_above && above[1]) {
		r = path ? text_file_has_but(path, above, but, n)
			 : text_has_but(text->p, text->n, above, but, n);
		keep->names_above |= r > 0;
		*strrchr(above, '/') = '\0';
		if (!keep->has_macros || !strchr(above + 1, '/'))
			break;
	}
	return MIN2(r, 0);
}

int
keep_look_above(struct keep *keep, const char *path)
{
	return keep->place->workspace ? look_above(keep, path, NULL) : 0;
}

int
keep_look_above_text(struct keep *keep, const struct buf *text)
{
	return keep->place->workspace ? look_above(keep, NULL, text) : 0;
}

static bool
is_crate(const char *name)
{
	return ends_with(name, ".rlib") || ends_with(name, ".rmeta") || ends_with(name, ".so");
}

/* In which names of sources the home's stands, as "/root" in "src/roots.rs": by what was read, and
 * what the crates tell of theirs. Few ever need it. */
static int
learn_amid(struct keep *keep)
{
	int r = 0;

	for (size_t i = 0; keep->read && !keep->amid_known && r == 0 && i < keep->read->n; i++) {
		const struct input *in = &keep->read->v[i];
		_cleanup_(freep) char *path = NULL, *seen = NULL;
		const char *at;

		if (in->kind != INPUT_FILE)
			continue;
		r = amid_add_path(&keep->amid, in->name, keep->place->home);
		if (r < 0 || !is_crate(in->name))
			continue;
		path = inputs_real_path(keep->place, in->name);
		at = path ? inputs_see(keep->place, path, &seen) : NULL;
		r = at ? amid_add_file(&keep->amid, at, keep->place->home) : -ENOMEM;
	}
	keep->amid_known = true;
	return r;
}

void
keep_look_for_home(struct keep *keep, const struct buf *hidden)
{
	if (keep->place->home && hidden->n > 0 &&
		memmem(hidden->p, hidden->n, keep->place->home, strlen(keep->place->home)) &&
		(learn_amid(keep) < 0 ||
			amid_stands_free(&keep->amid, hidden->p, hidden->n, keep->place->home)))
		keep->named |= INPUT_PLACE(INPUT_HOME_MARK);
}

static int
look_for_named(struct keep *keep, const char *path, unsigned places)
{
	unsigned named;
	int r = marks_find_named(keep->place, path, places & ~keep->named, &named);

	if (r == 0 && (named & INPUT_PLACE(INPUT_HOME_MARK))) {
		r = learn_amid(keep);
		if (r == 0)
			r = amid_file_stands_free(&keep->amid, path, keep->place->home);
		if (r == 0)
			named &= ~INPUT_PLACE(INPUT_HOME_MARK);
	}
	keep->named |= named;
	return MIN2(r, 0);
}

int
keep_look_for_moved(struct keep *keep, const char *path)
{
	return look_for_named(keep, path, inputs_places(keep->place));
}

/* A source may name another file by its whole path: from another checkout it still leads here.
 * Crates are no such files: what they hold is a matter of their own units. Nor is what lies in
 * cargo's home: it was made elsewhere. */
int
keep_look_at_inputs(struct keep *keep, const struct inputs *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		const struct input *in = &s->v[i];
		bool of_target = *in->name == INPUT_TARGET_DIR_MARK;
		const char *dir = of_target ? keep->place->target_dir : keep->place->workspace;
		unsigned before = keep->named;
		_cleanup_(freep) char *path = NULL, *seen = NULL;
		const char *at;

		if (in->kind != INPUT_FILE || (!of_target && *in->name != INPUT_WORKSPACE_MARK) ||
			!keep->place->cargo_home || !dir || (of_target && is_crate(in->name)))
			continue;
		path = path_join(dir, in->name + 1);
		at = path ? inputs_see(keep->place, path, &seen) : NULL;
		r = at ? keep_look_for_moved(keep, at) : -ENOMEM;
		if (((keep->named & ~before) & INPUT_PLACE(INPUT_WORKSPACE_MARK)) && !*keep->bound)
			snprintf(keep->bound, sizeof(keep->bound), "%s", in->name + 1);
	}
	return r;
}

/* Whether a place of this build is shown where the mark stands: in what was said, or in a text that
 * is kept. In a .d file it is where the sources lie; keep_look_at_inputs looks at those. */
static bool
is_shown(const struct result *res, char mark)
{
	const struct buf *said[] = { &res->out, &res->err, &res->tail };

	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (said[i]->n > 0 && memchr(said[i]->p, mark, said[i]->n))
			return true;
	for (size_t i = 0; i < res->n_outputs; i++) {
		const struct output *o = &res->outputs[i];

		if (o->text.n > 0 && memchr(o->text.p, mark, o->text.n) &&
			!ends_with(o->name, ".d"))
			return true;
	}
	return false;
}

/* The system's own files name nobody's home. */
static bool
is_systems(const char *path)
{
	static const char *const dirs[] = { "/bin", "/lib", "/lib64", "/sbin", "/usr" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_is_below(path, dirs[i]))
			return !path_is_below(path, "/usr/local");
	return false;
}

int
keep_look_for_names(struct keep *keep, const struct result *res, const char *program)
{
	unsigned shown = 0;
	int r = 0;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if (is_shown(res, *mark))
			shown |= INPUT_PLACE(*mark);
	shown &= inputs_places(keep->place);
	if (program && (shown & ~keep->named))
		r = look_for_named(keep, program, shown);
	for (size_t i = 0; (shown & ~keep->named) && r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		_cleanup_(freep) char *path = NULL, *seen = NULL;
		const char *at;

		if (in->kind != INPUT_FILE && in->kind != INPUT_METADATA)
			continue;
		path = inputs_real_path(keep->place, in->name);
		at = path ? inputs_see(keep->place, path, &seen) : NULL;
		if (!at)
			return -ENOMEM;
		if (!is_systems(path))
			r = look_for_named(keep, at, shown);
	}
	return r;
}

static bool
is_optimized(const struct rustc_call *call)
{
	for (size_t i = 0; i < call->n_options; i++) {
		const struct call_option *o = &call->options[i];

		if (streq(o->row->name, "O") ||
			(o->row->act == ACT_CODEGEN && starts_with(o->value, "opt") &&
				!ends_with(o->value, "=0")))
			return true;
	}
	return false;
}

/* An optimised program may have a text in the numbers of its instructions. marked: the value with
 * marks for the places that it names. */
static int
find_pieces(struct keep *keep, const struct strv *names, const char *value, const char *marked,
	bool *bound)
{
	static const char others[] = { INPUT_OUT_DIR_MARK, INPUT_TARGET_DIR_MARK,
		INPUT_WORKSPACE_MARK, '\0' };
	const char *target = keep->call->target;
	bool known = target ? starts_with(target, "x86_64-") : HOST_IS_X86_64;
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		_cleanup_(freep) char *own = path_normalize(keep->place->out_dir, names->v[i]);
		_cleanup_(freep) char *seen = NULL;
		const char *path = own ? inputs_see_made(keep->place, own, &seen) : NULL;

		if (!path)
			return -ENOMEM;
		if (!ends_with(path, ".d") && !ends_with(path, ".rmeta"))
			r = known ? text_file_has_pieces(path, value) : 1;
		if (r > 0 && strpbrk(marked, others) && !*keep->bound)
			snprintf(keep->bound, sizeof(keep->bound), "%s", path_basename(path));
	}
	if (r <= 0)
		return r;
	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if (strchr(marked, *mark))
			keep->named |= INPUT_PLACE(*mark);
	/* the workspace is above the out-dir, mostly */
	if (strpbrk(marked, others)) {
		*bound = true;
		keep->named |= INPUT_PLACE(INPUT_WORKSPACE_MARK) & inputs_places(keep->place);
	}
	return 0;
}

/* What of cargo's environment has a mark in it, where the unit took all of that. */
static int
find_pieces_of_all(struct keep *keep, const struct strv *names, bool *bound)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < keep->env->n; i++) {
		const char *eq = strchr(keep->env->v[i], '=');

		if (eq && !streq(keep->env->v[i], keep->marked_env->v[i]))
			r = find_pieces(keep, names, eq + 1, keep->marked_env->v[i], bound);
	}
	return r;
}

/* The places that it asked for, which are compared by their marks. */
int
keep_look_for_pieces(
	struct keep *keep, const struct strv *names, const struct result *res, bool *bound)
{
	int r = 0;

	if (keep->place->cargo_env != keep->marked_env || !is_optimized(keep->call))
		return 0;
	for (size_t i = 0; r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		const char *real = in->kind == INPUT_ENV && keep->place->marked
					   ? variables_get(keep->place->envp, in->name)
					   : NULL;
		const char *marked = real ? variables_get(keep->place->marked, in->name) : NULL;

		if (in->kind == INPUT_ENVIRON)
			r = find_pieces_of_all(keep, names, bound);
		if (r == 0 && marked && !streq(real, marked))
			r = find_pieces(keep, names, real, marked, bound);
	}
	return r;
}

/* Whether what was read may have been found by HOME. */
static bool
asks_for_home(const struct inputs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct input *in = &s->v[i];

		/* of these two each compiler depends */
		if (in->kind == INPUT_VARIABLES &&
			(streq(in->name, "loader") || streq(in->name, "compile")))
			continue;
		if (*in->name == INPUT_HOME_MARK || in->kind == INPUT_VARIABLES ||
			in->kind == INPUT_ENVIRON ||
			(in->kind == INPUT_ENV && streq(in->name, "HOME")))
			return true;
	}
	return false;
}

/* A file in cargo's home may have been reached by the user's. */
static int
add_ways(const struct keep *keep, struct result *res)
{
	_cleanup_(freep) char *ways = NULL;

	if (!keep->place->home || !asks_for_home(&res->inputs))
		return 0;
	ways = inputs_ways_from_home(keep->place);
	return ways ? keep_add_place(res, INPUT_WAYS_NAME, ways) : -ENOMEM;
}

/* Variables were compared with marks, and the outputs hold the place itself. */
int
keep_add_places(const struct keep *keep, struct result *res)
{
	_cleanup_(freep) char *above = keep->names_above ? path_dirname(keep->place->workspace)
							 : NULL;
	int r = 0;

	for (const char *mark = INPUT_MOVED_MARKS; r == 0 && *mark; mark++)
		if (keep->named & INPUT_PLACE(*mark))
			r = keep_add_place(res, inputs_place_name(*mark),
				inputs_place_dir(keep->place, *mark));
	if (r == 0)
		r = add_ways(keep, res);
	if (r < 0 || !keep->names_above)
		return r;
	return above ? keep_add_place(res, INPUT_ABOVE_NAME, above) : -ENOMEM;
}
