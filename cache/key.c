/* Invariant: two calls with the same key may give different outputs or diagnostics only if their
 * inputs differ. */
#include "config.h"

#include "cache/key.h"

#include <errno.h>
#include <stdio.h>

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/fs.h"
#include "rustc/mapping.h"
#include "rustc/option_tables.h"

#define FORMAT "5"
#define STD_SOURCE "std/src/lib.rs"
#define RUN_FORMAT "1"
#define VALUE_MAX 128
#define HASHED "sha256:"

static int
add_n(struct strv *to, const char *name, const char *value, size_t n)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	int r;

	if (n <= VALUE_MAX && !memchr(value, '\0', n) && !starts_with(value, HASHED))
		return strv_addf(to, "%s=%.*s", name, (int)n, value);
	r = digest_bytes(value, n, &d);
	if (r < 0)
		return r;
	digest_hex(&d, hex);
	return strv_addf(to, "%s=" HASHED "%s", name, hex);
}

static int
add(struct strv *to, const char *name, const char *value)
{
	return add_n(to, name, value, strlen(value));
}

static int
add_digest(struct strv *to, const char *name, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(d, hex);
	return strv_addf(to, "%s=%s", name, hex);
}

/* Options such as -C incremental say where something goes, not what is made. */
static bool
says_nothing(const struct call_option *o)
{
	return streq(o->row->name, "out-dir") || streq(o->row->name, "diagnostic-width") ||
	       (o->row->act == ACT_CODEGEN && starts_with(o->value, "incremental="));
}

/* The first n bytes of a path, with the mark for the place in which it lies. */
static int
hide_place(const struct key_in *in, const char *path, size_t n, struct buf *ret)
{
	const struct {
		const char *dir;
		char mark;
	} places[] = { { in->target_dir, INPUT_TARGET_DIR_MARK },
		{ in->workspace, INPUT_WORKSPACE_MARK },
		{ in->cargo_home, INPUT_CARGO_HOME_MARK } };

	size_t in_n = 0;
	char mark = '\0';
	int r = 0;

	/* of places that lie in each other the innermost */
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *dir = places[i].dir ? places[i].dir : "";
		size_t k = strlen(dir);

		if (k <= in_n || n < k || strncmp(path, dir, k) != 0 || (n != k && path[k] != '/'))
			continue;
		in_n = k;
		mark = places[i].mark;
	}
	if (in_n > 0)
		r = buf_add(ret, &mark, 1);
	return r < 0 ? r : buf_add(ret, path + in_n, n - in_n);
}

/* -L [KIND=]PATH */
static int
add_search(const struct key_in *in, struct strv *to, const char *option, const char *value)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *eq = strchr(value, '='), *slash = strchr(value, '/');
	const char *path = eq && (!slash || eq < slash) ? eq + 1 : value;
	int r = buf_add(&b, value, (size_t)(path - value));

	if (r == 0)
		r = hide_place(in, path, strlen(path), &b);
	return r < 0 ? r : add_n(to, option, (char *)b.p, b.n);
}

/* Adds the path of something, for a bundle's key: its linker calls name that path. */
static int
add_path(const struct key_in *in, struct strv *to, const char *name, const char *given)
{
	_cleanup_(freep) char *path = path_normalize(in->cwd, given);
	_cleanup_(freep) char *hidden = NULL;

	if (!path)
		return -ENOMEM;
	if (!path_is_below(path, in->bundle))
		return add_search(in, to, name, path);
	if (asprintf(&hidden, "%c%s", INPUT_OUT_DIR_MARK, path + strlen(in->bundle)) < 0) {
		hidden = NULL;
		return -ENOMEM;
	}
	return add(to, name, hidden);
}

static int
add_extern(const struct key_in *in, struct strv *to, const char *value)
{
	const char *eq = strchr(value, '=');
	_cleanup_(freep) char *name = NULL;
	_cleanup_(freep) char *path = NULL;
	struct digest d;
	int r;

	if (!eq)
		return add(to, "--extern", value);
	r = in->digest(in->arg, eq + 1, &d);
	if (r < 0)
		return r;
	if (asprintf(&name, "--extern %.*s", (int)(eq - value), value) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	r = add_digest(to, name, &d);
	if (r < 0 || !in->bundle)
		return r;
	if (asprintf(&path, "path %.*s", (int)(eq - value), value) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return add_path(in, to, path, eq + 1);
}

/* --remap-path-prefix FROM=TO: what FROM matches is in no output, so it does not matter where it
 * is, nor the library's sources in which toolchain. TO comes after the last '='. */
static int
add_remap(const struct key_in *in, struct strv *to, const char *option, const char *value)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *eq = strrchr(value, '=');
	size_t skip = 0;
	int r;

	if (!eq)
		return add(to, option, value);
	if (!in->sources ||
		(strlen(in->sources) == (size_t)(eq - value) && starts_with(value, in->sources)))
		skip = mapping_of_sources(value, (size_t)(eq - value), eq + 1);
	r = hide_place(in, value + skip, (size_t)(eq - value) - skip, &b);
	if (r == 0)
		r = buf_adds(&b, eq);
	return r < 0 ? r : add_n(to, option, (char *)b.p, b.n);
}

/* Adds --json without the words that set a diagnostic's form: these are an input of a unit that has
 * diagnostics. */
static int
add_json(struct strv *sets, const char *value)
{
	int r = 0;

	while (r == 0 && *value) {
		size_t n = strcspn(value, ",");
		char word[64];

		if (n > 0 && !call_is_form(value, n)) {
			snprintf(word, sizeof(word), "%.*s", (int)MIN2(n, sizeof(word) - 1), value);
			r = add(sets, "--json", word);
		}
		value += n + (value[n] == ',');
	}
	return r;
}

static int
add_option(const struct key_in *in, const struct call_option *o, struct strv *ordered,
	struct strv *sets)
{
	const char *name = o->row->name;
	char option[64];

	if (says_nothing(o))
		return 0;
	if (o->row->act == ACT_EXTERN)
		return add_extern(in, sets, o->value);
	snprintf(option, sizeof(option), "%s%s", name[1] ? "--" : "-", name);
	if (streq(name, "cfg") || streq(name, "check-cfg"))
		return add(sets, option, o->value);
	if (o->row->act == ACT_JSON)
		return add_json(sets, o->value);
	if (streq(name, "remap-path-prefix"))
		return add_remap(in, ordered, option, o->value);
	/* the directory itself does not matter: what is found there is an input */
	if (o->row->act == ACT_SEARCH && starts_with(o->value, "dependency="))
		return in->bundle ? add_path(in, ordered, "-L dependency",
					    o->value + strlen("dependency="))
				  : 0;
	if (o->row->act == ACT_SEARCH)
		return add_search(in, ordered, option, o->value);
	return add(ordered, option, o->value ? o->value : "");
}

static int
add_options(const struct key_in *in, struct strv *to)
{
	_cleanup_(strv_done) struct strv sets = STRV_INIT;
	const struct rustc_call *c = in->call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_options; i++)
		r = add_option(in, &c->options[i], to, &sets);
	strv_sort_unique(&sets);
	for (size_t i = 0; r == 0 && i < sets.n; i++)
		r = strv_add(to, sets.v[i]);
	return r;
}

/* The variables that each run of the compiler asks for before it does anything else. All others are
 * inputs of the units that ask for them. */
static bool
is_always_asked(const struct rustc_call *c, const char *var)
{
	return starts_with(var, "RUSTC_BOOTSTRAP=") ||
	       starts_with(var, "RUSTC_FORCE_RUSTC_VERSION=") ||
	       (c->clippy &&
		       (starts_with(var, "CLIPPY_ARGS=") || starts_with(var, "CLIPPY_CONF_DIR=")));
}

static int
add_env(const struct key_in *in, struct strv *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->env->n; i++) {
		const char *var = in->env->v[i], *eq = strchr(var, '=');
		_cleanup_(freep) char *name = NULL;
		struct digest d;

		if (!eq || !is_always_asked(in->call, var))
			continue;
		if (asprintf(&name, "env %.*s", (int)(eq - var), var) < 0) {
			name = NULL;
			return -ENOMEM;
		}
		/* it may be a secret, and the recipe is kept */
		r = digest_bytes(eq + 1, strlen(eq + 1), &d);
		if (r == 0)
			r = add_digest(to, name, &d);
	}
	return r;
}

/* A path; of a mapped unit it may lie in the workspace, or in cargo's home. */
static int
add_moved(const struct key_in *in, struct strv *to, const char *name, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (!in->workspace && !in->cargo_home)
		return add(to, name, path);
	r = hide_place(in, path, strlen(path), &b);
	return r < 0 ? r : add_n(to, name, (const char *)b.p, b.n);
}

static int
make_recipe(const struct key_in *in, struct strv *to)
{
	int r = add(to, "format", FORMAT);

	if (r == 0)
		r = add(to, "namespace", in->namespace ? in->namespace : "");
	if (r == 0)
		r = add_digest(to, "toolchain", in->toolchain);
	if (r == 0 && in->sysroot)
		r = add(to, "sysroot", in->sysroot);
	if (r == 0)
		r = add(to, "driver", in->call->clippy ? "clippy-driver" : "rustc");
	if (r == 0 && (in->workspace || in->cargo_home))
		r = add(to, "paths", "shared");
	if (r == 0)
		r = add_moved(in, to, "cwd", in->cwd);
	if (r == 0)
		r = add_moved(in, to, "source", in->call->source);
	if (r == 0 && in->bundle)
		r = add(to, "bundle", "yes");
	if (r == 0 && in->linker)
		r = add(to, "linker", in->linker);
	if (r == 0)
		r = add_options(in, to);
	return r < 0 ? r : add_env(in, to);
}

int
unit_key_of_recipe(const struct strv *recipe, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < recipe->n; i++)
		hasher_field(h, recipe->v[i], strlen(recipe->v[i]));
	hasher_final(h, ret);
	return 0;
}

bool
key_sees_sources(const char *sysroot)
{
	_cleanup_(freep) char *std = path_join(sysroot, MAPPING_SOURCES "/" STD_SOURCE);

	return std && fs_exists(std);
}

int
unit_key_make(const struct key_in *in, struct unit_key *ret)
{
	int r;

	*ret = (struct unit_key){ .recipe = STRV_INIT };
	r = make_recipe(in, &ret->recipe);
	if (r == 0)
		r = unit_key_of_recipe(&ret->recipe, &ret->id);
	if (r < 0)
		unit_key_done(ret);
	return r;
}

/* ---- of a build script's run */

/* What a package, its configuration and its dependencies are to a script
 * (doc.rust-lang.org/cargo/reference/environment-variables.html). */
static bool
is_of_run(const char *var)
{
	static const char *const names[] = { "CARGO_CFG_", "CARGO_FEATURE_",
		"CARGO_MANIFEST_LINKS=", "CARGO_PKG_", "DEBUG=", "DEP_",
		"HOST=", "OPT_LEVEL=", "PROFILE=", "TARGET=" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (starts_with(var, names[i]))
			return true;
	return false;
}

static int
add_run_env(char *const *env, struct strv *to)
{
	_cleanup_(strv_done) struct strv vars = STRV_INIT;
	int r = 0;

	for (; r == 0 && *env; env++)
		if (is_of_run(*env))
			r = strv_add(&vars, *env);
	strv_sort_unique(&vars);
	for (size_t i = 0; r == 0 && i < vars.n; i++) {
		const char *eq = strchr(vars.v[i], '=');
		_cleanup_(freep) char *name = NULL;

		if (asprintf(&name, "env %.*s", (int)(eq ? eq - vars.v[i] : 0), vars.v[i]) < 0) {
			name = NULL;
			return -ENOMEM;
		}
		r = add(to, name, eq ? eq + 1 : "");
	}
	return r;
}

int
run_key_make(const struct run_key_in *in, struct unit_key *ret)
{
	struct strv *to = &ret->recipe;
	int r;

	*ret = (struct unit_key){ .recipe = STRV_INIT };
	r = add(to, "format", RUN_FORMAT);
	if (r == 0)
		r = add(to, "what", "a build script's run");
	if (r == 0)
		r = add(to, "namespace", in->namespace ? in->namespace : "");
	if (r == 0)
		r = add_digest(to, "build script", &in->program);
	for (char *const *v = in->args; r == 0 && *v; v++)
		r = add(to, "argument", *v);
	if (r == 0)
		r = add(to, "cwd", in->cwd);
	if (r == 0)
		r = add_run_env(in->env, to);
	for (char *const *v = in->maps; v && r == 0 && *v; v++)
		r = add(to, "name of a place", *v);
	if (r == 0)
		r = unit_key_of_recipe(&ret->recipe, &ret->id);
	if (r < 0)
		unit_key_done(ret);
	return r;
}

void
unit_key_done(struct unit_key *k)
{
	strv_done(&k->recipe);
}

static bool
has_part(char *const *v, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i], part))
			return true;
	return false;
}

static unsigned
count_named(char *const *v, size_t n, const char *part)
{
	size_t name = strcspn(part, "=") + 1;
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += strncmp(v[i], part, name) == 0;
	return count;
}

/* Whether cargo derives the part from other ones. */
static bool
is_derived(const char *part)
{
	return starts_with(part, "-C=metadata=") || starts_with(part, "-C=extra-filename=");
}

/* The first part of `a` that `b` lacks, and whether `b` has another in its place. Parts that cargo
 * derives from others come last: they explain least. */
static const char *
first_missing(char *const *a, size_t n_a, char *const *b, size_t n_b, bool *ret_changed)
{
	const char *found = NULL;

	for (size_t i = 0; i < n_a && (!found || is_derived(found)); i++)
		if (!has_part(b, n_b, a[i]) && (!found || !is_derived(a[i])))
			found = a[i];
	if (found)
		*ret_changed = count_named(a, n_a, found) == 1 && count_named(b, n_b, found) == 1;
	return found;
}

/* A digest says nothing to a reader. */
static char *
in_words(const char *part, const char *what)
{
	int name = (int)strcspn(part, "=");
	const char *value = part[name] ? part + name + 1 : "";
	bool plain = *value && strlen(value) < 64 && !starts_with(value, HASHED);
	char *text;

	/* a mark for a directory */
	value += input_is_marked(value);
	if (asprintf(&text, "%.*s%s%s %s", name, part, plain ? " " : "", plain ? value : "", what) <
		0)
		return NULL;
	return text;
}

char *
unit_key_difference(char *const *before, size_t n_before, const struct strv *now)
{
	bool changed = false;
	const char *part = first_missing(now->v, now->n, before, n_before, &changed);
	bool unused;
	const char *gone = first_missing(before, n_before, now->v, now->n, &unused);

	if (part && (!is_derived(part) || !gone || is_derived(gone)))
		return in_words(part, changed ? "changed" : "is new");
	return gone ? in_words(gone, "is gone") : NULL;
}
