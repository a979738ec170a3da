#include "config.h"

#include "client/script/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "common/fs.h"
#include "common/outdir/layout.h"
#include "common/process/session.h"
#include "rustc/mapping.h"

int
place_is_named(const struct inputs_place *p, const char *path)
{
	int r = text_file_has(path, p->target_dir);

	/* that of a build lies below the target directory */
	if (r == 0 && !path_is_below(p->out_dir, p->target_dir))
		r = text_file_has(path, p->out_dir);
	if (r == 0 && !streq(p->target_dir, p->real_target_dir))
		r = text_file_has(path, p->real_target_dir);
	if (r == 0 && p->workspace && !path_is_below(p->workspace, p->target_dir))
		r = text_file_has(path, p->workspace);
	return r;
}

/* ---- relative paths */

#define STEPS_MIN 3 /* so few steps up stand in many a text */

/* The way from one directory to another: NULL: out of memory. */
static char *
way(const char *from, const char *to, unsigned *ret_up)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t same = 0, i = 0;

	for (; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			same = i;
	if ((!from[i] || from[i] == '/') && (!to[i] || to[i] == '/'))
		same = i;
	*ret_up = 0;
	for (const char *s = from + same; *s; s++)
		if (*s == '/') {
			if (buf_adds(&b, *ret_up ? "/.." : "..") < 0)
				return NULL;
			++*ret_up;
		}
	if (to[same] && buf_adds(&b, to + same + !*ret_up) < 0)
		return NULL;
	return b.n ? strdup((const char *)b.p) : strdup("");
}

/* Takes the text. */
static int
add_way(struct place_ways *w, char *text)
{
	if (!text)
		return -ENOMEM;
	if (*text)
		w->v[w->n++] = text;
	else
		free(text);
	return 0;
}

int
place_ways_find(const struct inputs_place *p, const char *cwd, struct place_ways *ret)
{
	_cleanup_(freep) char *profile = NULL, *own = path_dirname(p->out_dir);
	size_t n = 0;
	unsigned up;
	int r;

	*ret = (struct place_ways){ .n = 0 };
	if (!own)
		return -ENOMEM;
	if (layout_find(p->out_dir, &n) == LAYOUT_NONE || n == 0)
		return 0;
	profile = strndup(p->out_dir, n);
	if (!profile)
		return -ENOMEM;
	/* "/debug/build/NAME-HASH" */
	r = add_way(ret, strdup(own + (path_basename(profile) - 1 - profile)));
	if (r == 0) {
		char *there = way(cwd, profile, &up);

		/* steps alone lead anywhere */
		if (there && ends_with(there, ".."))
			*there = '\0';
		r = add_way(ret, there);
	}
	ret->n_there = ret->n;
	if (r == 0) {
		_cleanup_(freep) char *back = way(p->out_dir, cwd, &up);

		r = !back ? -ENOMEM : up < STEPS_MIN ? 0 : add_way(ret, steal_ptr(back));
	}
	if (r < 0)
		place_ways_done(ret);
	return r;
}

void
place_ways_done(struct place_ways *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	w->n = 0;
}

bool
place_ways_in(const struct place_ways *w, const struct buf *hidden)
{
	const uint8_t *end = hidden->p + hidden->n;

	for (size_t i = 0; hidden->n && i < w->n; i++) {
		size_t k = strlen(w->v[i]);
		const uint8_t *at = hidden->p;

		for (; (at = memmem(at, (size_t)(end - at), w->v[i], k)); at++)
			if (at == hidden->p || at[-1] != INPUT_TARGET_DIR_MARK)
				return true;
	}
	return false;
}

/* What stands before the first way in the names of place_maps. NULL: no memory. */
static char *
before_way(const struct inputs_place *p, const char *first)
{
	size_t k = strlen(p->target_dir);
	const char *rest = path_is_below(p->out_dir, p->target_dir) ? p->out_dir + k : "";
	const char *at = strstr(rest, first);
	char *s;

	/* a target's directory may lie between */
	return asprintf(&s, MAPPING_TARGET_DIR "%.*s", at ? (int)(at - rest) : 0, rest) < 0 ? NULL
											    : s;
}

int
place_is_told(const struct inputs_place *p, const struct place_ways *w, const char *path)
{
	const char *what[5 + ARRAY_LEN(w->v)] = { p->target_dir, p->out_dir, p->real_target_dir };
	_cleanup_(freep) char *before = NULL;
	size_t n = 3, sure;
	int r;

	if (p->workspace)
		what[n++] = p->workspace;
	for (size_t i = 1; i < w->n; i++)
		what[n++] = w->v[i];
	sure = n;
	if (w->n > 0)
		what[n++] = w->v[0];
	if (w->mapped)
		what[n++] = MAPPING_TARGET_DIR;
	r = text_file_has_any(path, what, n);
	if (r <= 0 || !w->mapped)
		return r;
	r = text_file_has_any(path, what, sure);
	if (r == 0 && w->n > 0) {
		before = before_way(p, w->v[0]);
		r = before ? text_file_has_not_after(path, w->v[0], before) : -ENOMEM;
	}
	return r == 0 ? PLACE_TOLD_UNIT : r;
}

static bool
is_no_input(const char *var)
{
	static const char *const names[] = { "CARGO_MAKEFLAGS=", "NUM_JOBS=" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (starts_with(var, names[i]))
			return true;
	return false;
}

/* Without the directories in the target directory, which cargo adds. *ret: NULL where nothing is
 * left. 0 or -ENOMEM. */
static int
library_path(const struct inputs_place *p, const char *var, char **ret)
{
	static const char name[] = "LD_LIBRARY_PATH=";
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool any = false;

	*ret = NULL;
	if (buf_adds(&b, name) < 0)
		return -ENOMEM;
	for (const char *at = var + strlen(name); *at;) {
		size_t n = strcspn(at, ":");
		_cleanup_(freep) char *dir = strndup(at, n);

		if (!dir)
			return -ENOMEM;
		if (n > 0 && !path_is_below(dir, p->target_dir) &&
			!path_is_below(dir, p->real_target_dir)) {
			if ((any && buf_adds(&b, ":") < 0) || buf_adds(&b, dir) < 0)
				return -ENOMEM;
			any = true;
		}
		at += n + (at[n] == ':');
	}
	if (any)
		*ret = strdup((const char *)b.p);
	return any && !*ret ? -ENOMEM : 0;
}

/* What is left of a variable that differs in part from run to run: *ret, the caller's to free;
 * NULL: nothing. 1: it is none of these. */
static int
lasting_part(const struct inputs_place *p, const char *var, char **ret)
{
	if (starts_with(var, "LD_LIBRARY_PATH="))
		return library_path(p, var, ret);
	if (starts_with(var, "MAKEFLAGS=") || starts_with(var, "MFLAGS="))
		return session_make_flags(var, ret);
	return 1;
}

int
place_mark_env(const struct inputs_place *p, char *const *envp, struct strv *ret)
{
	int r = 0;

	for (; r == 0 && *envp; envp++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(freep) char *part = NULL;
		const char *var = *envp;

		if (is_no_input(var))
			continue;
		r = lasting_part(p, var, &part);
		if (r < 0)
			return r;
		if (r == 0 && !part)
			continue;
		if (r == 0)
			var = part;
		r = marks_hide(p, var, strlen(var), &b);
		if (r == -EBADMSG)
			r = strv_add(ret, var);
		else if (r == 0)
			r = strv_addn(ret, (const char *)b.p, b.n);
	}
	return r;
}

static int
add_map(const char *from, const char *to, struct strv *maps)
{
	return strpbrk(from, "=\n") ? 0 : strv_addf(maps, "%s=%s", from, to);
}

/* Of two that fit the last one counts. */
int
place_maps(const struct inputs_place *p, struct strv *maps, struct strv *marked)
{
	static const char *const of_home[] = { MAPPING_REGISTRY, MAPPING_CHECKOUTS };
	size_t before, mapped;
	int r = 0;

	for (size_t i = 0; r == 0 && p->cargo_home && i < ARRAY_LEN(of_home); i++) {
		_cleanup_(freep) char *from = NULL, *to = NULL;

		before = maps->n;
		if (asprintf(&from, "%s%s", p->cargo_home, of_home[i]) < 0)
			return from = NULL, -ENOMEM;
		if (asprintf(&to, MAPPING_HOME "%s", of_home[i]) < 0)
			return to = NULL, -ENOMEM;
		r = add_map(from, to, maps);
		if (r == 0 && maps->n > before)
			r = strv_addf(marked, "%c%s=%s", INPUT_CARGO_HOME_MARK, of_home[i], to);
	}
	before = maps->n;
	if (r == 0 && p->workspace)
		r = add_map(p->workspace, MAPPING_WORKSPACE, maps);
	if (r == 0 && maps->n > before)
		r = strv_addf(marked, "%c=%s", INPUT_WORKSPACE_MARK, MAPPING_WORKSPACE);
	mapped = maps->n;
	if (r == 0 && !streq(p->target_dir, p->real_target_dir))
		r = add_map(p->real_target_dir, MAPPING_TARGET_DIR, maps);
	if (r == 0)
		r = add_map(p->target_dir, MAPPING_TARGET_DIR, maps);
	if (r == 0 && maps->n > mapped)
		r = strv_addf(marked, "%c=%s", INPUT_TARGET_DIR_MARK, MAPPING_TARGET_DIR);
	return r;
}

int
place_cargo_env(char *const *envp, struct strv *ret)
{
	/* not all that begins with CARGO_: a registry's token does, too */
	static const char *const names[] = { "CARGO=", "CARGO_CFG_",
		"CARGO_ENCODED_RUSTFLAGS=", "CARGO_FEATURE_", "CARGO_HOME=", "CARGO_MANIFEST_",
		"CARGO_PKG_", "DEBUG=", "DEP_", "HOST=", "LD_LIBRARY_PATH=", "NUM_JOBS=",
		"OPT_LEVEL=", "OUT_DIR=", "PATH=", "PROFILE=", "RUSTC=", "RUSTC_LINKER=",
		"RUSTC_WORKSPACE_WRAPPER=", "RUSTC_WRAPPER=", "RUSTDOC=", "RUSTUP_",
		"RUST_RECURSION_COUNT=", "TARGET=" };
	int r = 0;

	for (; r == 0 && *envp; envp++)
		for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
			if (starts_with(*envp, names[i]))
				r = strv_add(ret, *envp);
	return r;
}
