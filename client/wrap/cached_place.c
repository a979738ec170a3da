/* Places in what is kept: texts are shown with those of this build; what of a mapped unit, or of a
 * run that is found from other checkouts, tells of its own holds for that alone. Below all other
 * parts. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/amid.h"
#include "cache/marks.h"
#include "cache/text.h"
#include "cache/variables.h"
#include "client/wrap/cached_priv.h"
#include "common/fs.h"
#include "rustc/option_tables.h"

#ifdef __x86_64__
#define HOST_IS_X86_64 true
#else
#define HOST_IS_X86_64 false
#endif

int
cached_show(const struct cached *c, const struct buf *text, struct buf *to)
{
	return c->in.mapping ? marks_show(&c->place, text->p, text->n, to)
			     : text_show(text->p, text->n, c->out_dir, to);
}

int
cached_add_place(struct result *res, const char *name, const char *dir)
{
	struct digest d;
	int r = digest_bytes(dir, strlen(dir), &d);

	return r < 0 ? r : inputs_add(&res->inputs, INPUT_OUT_DIR, name, d.b, DIGEST_SIZE);
}

char *
cached_cargo_home(void)
{
	const char *dir = getenv("CARGO_HOME"), *home = getenv("HOME");

	return dir && *dir ? strdup(dir) : home && *home ? path_join(home, ".cargo") : NULL;
}

char *
cached_run_sysroot(void)
{
	static const char program[] = "/bin/rustc";
	const char *rustc = getenv("RUSTC");
	_cleanup_(freep) char *dir = NULL, *libraries = NULL;

	if (!rustc || !path_is_normal(rustc) || !ends_with(rustc, program))
		return NULL;
	dir = strndup(rustc, strlen(rustc) - strlen(program));
	libraries = dir ? path_join(dir, "lib/rustlib") : NULL;
	/* not of a link, or a script, in ~/bin */
	return libraries && fs_exists(libraries) ? steal_ptr(dir) : NULL;
}

/* Of a mapped unit, or a run: a macro may have put the directory into what was made that the
 * workspace lies in, or one above that. What names the workspace itself says more; cargo's home and
 * the toolchain may lie there, too; and what many files have in common ("/home") says nothing.
 * path: a file; NULL: the text. 0 or -errno. */
static int
look_above(struct cached *c, const char *path, const struct buf *text)
{
	_cleanup_(freep) char *above = path_dirname(c->place.workspace);
	const char *but[6];
	size_t n = 0;
	int r = 0;

	if (!above)
		return -ENOMEM;
	but[n++] = c->place.workspace;
	/* these have marks of their own, and are sought for themselves */
	but[n++] = c->target_dir;
	but[n++] = c->real_target_dir;
	if (c->place.cargo_home)
		but[n++] = c->place.cargo_home;
	if (c->place.sysroot)
		but[n++] = c->place.sysroot;
	if (c->sysroot)
		but[n++] = c->sysroot;
	while (r == 0 && !c->names_above && above[1]) {
		r = path ? text_file_has_but(path, above, but, n)
			 : text_has_but(text->p, text->n, above, but, n);
		c->names_above |= r > 0;
		*strrchr(above, '/') = '\0';
		if (!c->has_macros || !strchr(above + 1, '/'))
			break;
	}
	return MIN2(r, 0);
}

int
cached_look_above(struct cached *c, const char *path)
{
	return c->place.workspace ? look_above(c, path, NULL) : 0;
}

int
cached_look_above_text(struct cached *c, const struct buf *text)
{
	return c->place.workspace ? look_above(c, NULL, text) : 0;
}

static bool
is_crate(const char *name)
{
	return ends_with(name, ".rlib") || ends_with(name, ".rmeta") || ends_with(name, ".so");
}

/* In which names of sources the home's stands, as "/root" in "src/roots.rs": by what was read, and
 * what the crates tell of theirs. Few ever need it. */
static int
learn_amid(struct cached *c)
{
	int r = 0;

	for (size_t i = 0; c->read && !c->amid_known && r == 0 && i < c->read->n; i++) {
		const struct input *in = &c->read->v[i];
		_cleanup_(freep) char *path = NULL;

		if (in->kind != INPUT_FILE)
			continue;
		r = amid_add_path(&c->amid, in->name, c->place.home);
		if (r < 0 || !is_crate(in->name))
			continue;
		path = inputs_real_path(&c->place, in->name);
		r = path ? amid_add_file(&c->amid, path, c->place.home) : -ENOMEM;
	}
	c->amid_known = true;
	return r;
}

void
cached_look_for_home(struct cached *c, const struct buf *hidden)
{
	if (c->place.home && hidden->n > 0 &&
		memmem(hidden->p, hidden->n, c->place.home, strlen(c->place.home)) &&
		(learn_amid(c) < 0 ||
			amid_stands_free(&c->amid, hidden->p, hidden->n, c->place.home)))
		c->named |= INPUT_PLACE(INPUT_HOME_MARK);
}

static int
look_for_named(struct cached *c, const char *path, unsigned places)
{
	unsigned named;
	int r = marks_find_named(&c->place, path, places & ~c->named, &named);

	if (r == 0 && (named & INPUT_PLACE(INPUT_HOME_MARK))) {
		r = learn_amid(c);
		if (r == 0)
			r = amid_file_stands_free(&c->amid, path, c->place.home);
		if (r == 0)
			named &= ~INPUT_PLACE(INPUT_HOME_MARK);
	}
	c->named |= named;
	return MIN2(r, 0);
}

int
cached_look_for_moved(struct cached *c, const char *path)
{
	return look_for_named(c, path, inputs_places(&c->place));
}

/* A source may name another file by its whole path: from another checkout it still leads here.
 * Crates are no such files: what they hold is a matter of their own units. Nor is what lies in
 * cargo's home: it was made elsewhere. */
int
cached_look_at_inputs(struct cached *c, const struct inputs *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		const struct input *in = &s->v[i];
		bool of_target = *in->name == INPUT_TARGET_DIR_MARK;
		const char *dir = of_target ? c->target_dir : c->place.workspace;
		unsigned before = c->named;
		_cleanup_(freep) char *path = NULL;

		if (in->kind != INPUT_FILE || (!of_target && *in->name != INPUT_WORKSPACE_MARK) ||
			!c->place.cargo_home || !dir || (of_target && is_crate(in->name)))
			continue;
		path = path_join(dir, in->name + 1);
		r = path ? cached_look_for_moved(c, path) : -ENOMEM;
		if (((c->named & ~before) & INPUT_PLACE(INPUT_WORKSPACE_MARK)) && !*c->bound)
			snprintf(c->bound, sizeof(c->bound), "%s", in->name + 1);
	}
	return r;
}

/* Whether a place of this build is shown where the mark stands: in what was said, or in a text that
 * is kept. In a .d file it is where the sources lie; cached_look_at_inputs looks at those. */
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
cached_look_for_names(struct cached *c, const struct result *res, const char *program)
{
	unsigned shown = 0;
	int r = 0;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if (is_shown(res, *mark))
			shown |= INPUT_PLACE(*mark);
	shown &= inputs_places(&c->place);
	if (program && (shown & ~c->named))
		r = look_for_named(c, program, shown);
	for (size_t i = 0; (shown & ~c->named) && r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		_cleanup_(freep) char *path = NULL;

		if (in->kind != INPUT_FILE && in->kind != INPUT_METADATA)
			continue;
		path = inputs_real_path(&c->place, in->name);
		if (!path)
			return -ENOMEM;
		if (!is_systems(path))
			r = look_for_named(c, path, shown);
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
find_pieces(struct cached *c, const struct strv *names, const char *value, const char *marked,
	bool *bound)
{
	static const char others[] = { INPUT_OUT_DIR_MARK, INPUT_TARGET_DIR_MARK,
		INPUT_WORKSPACE_MARK, '\0' };
	const char *target = c->in.call->target;
	bool known = target ? starts_with(target, "x86_64-") : HOST_IS_X86_64;
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		_cleanup_(freep) char *path = path_normalize(c->out_dir, names->v[i]);

		if (!path)
			return -ENOMEM;
		if (!ends_with(path, ".d") && !ends_with(path, ".rmeta"))
			r = known ? text_file_has_pieces(path, value) : 1;
		if (r > 0 && strpbrk(marked, others) && !*c->bound)
			snprintf(c->bound, sizeof(c->bound), "%s", path_basename(path));
	}
	if (r <= 0)
		return r;
	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++)
		if (strchr(marked, *mark))
			c->named |= INPUT_PLACE(*mark);
	/* the workspace is above the out-dir, mostly */
	if (strpbrk(marked, others)) {
		*bound = true;
		c->named |= INPUT_PLACE(INPUT_WORKSPACE_MARK) & inputs_places(&c->place);
	}
	return 0;
}

/* What of cargo's environment has a mark in it, where the unit took all of that. */
static int
find_pieces_of_all(struct cached *c, const struct strv *names, bool *bound)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->env.n; i++) {
		const char *eq = strchr(c->env.v[i], '=');

		if (eq && !streq(c->env.v[i], c->marked_env.v[i]))
			r = find_pieces(c, names, eq + 1, c->marked_env.v[i], bound);
	}
	return r;
}

/* The places that it asked for, which are compared by their marks. */
int
cached_look_for_pieces(
	struct cached *c, const struct strv *names, const struct result *res, bool *bound)
{
	int r = 0;

	if (c->place.cargo_env != &c->marked_env || !is_optimized(c->in.call))
		return 0;
	for (size_t i = 0; r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		const char *real = in->kind == INPUT_ENV && c->place.marked
					   ? variables_get(c->place.envp, in->name)
					   : NULL;
		const char *marked = real ? variables_get(c->place.marked, in->name) : NULL;

		if (in->kind == INPUT_ENVIRON)
			r = find_pieces_of_all(c, names, bound);
		if (r == 0 && marked && !streq(real, marked))
			r = find_pieces(c, names, real, marked, bound);
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
add_ways(const struct cached *c, struct result *res)
{
	_cleanup_(freep) char *ways = NULL;

	if (!c->place.home || !asks_for_home(&res->inputs))
		return 0;
	ways = inputs_ways_from_home(&c->place);
	return ways ? cached_add_place(res, INPUT_WAYS_NAME, ways) : -ENOMEM;
}

/* Variables were compared with marks, and the outputs hold the place itself. */
int
cached_add_places(const struct cached *c, struct result *res)
{
	_cleanup_(freep) char *above = c->names_above ? path_dirname(c->place.workspace) : NULL;
	int r = 0;

	for (const char *mark = INPUT_MOVED_MARKS; r == 0 && *mark; mark++)
		if (c->named & INPUT_PLACE(*mark))
			r = cached_add_place(
				res, inputs_place_name(*mark), inputs_place_dir(&c->place, *mark));
	if (r == 0)
		r = add_ways(c, res);
	if (r < 0 || !c->names_above)
		return r;
	return above ? cached_add_place(res, INPUT_ABOVE_NAME, above) : -ENOMEM;
}
