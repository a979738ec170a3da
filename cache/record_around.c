/* What a mapped unit, or a run that is found from other checkouts, looked at outside of all places:
 * a relative path may have led there, and from another checkout it leads elsewhere. Such a result
 * holds for workspaces in the same directory, with two exceptions: a search through all directories
 * above, which found nothing, can be made again from anywhere; and git's settings lie in the user's
 * home. Of a package in cargo's home only such a search leads out of that, mostly, and what it
 * finds. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "cache/record_priv.h"
#include "cache/variables.h"
#include "common/fs.h"

#define AROUND_MAX 1024 /* of more no search is found out */

/* Whether the path lies in a directory that a workspace is not moved with, nor out of. */
static bool
is_fixed(const struct recorder *r, const char *path, const char *dir)
{
	return dir && path_is_below(path, dir) && !path_is_below(r->in->place->workspace, dir);
}

static bool
is_systems(const char *path)
{
	static const char *const names[] = { "bin", "cargo", "dev", "etc", "lib", "lib32", "lib64",
		"nix", "opt", "proc", "run", "rustc", "sbin", "sys", "tmp", "usr", "var" };
	size_t n = strcspn(path + 1, "/");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == n && strncmp(path + 1, names[i], n) == 0)
			return true;
	return false;
}

/* Whether a relative path from the workspace may have led there: from a workspace that lies
 * elsewhere it leads to another place. What they have in common is the whole tree for what is the
 * system's, the toolchain's, or in cargo's home; "/rustc" is the library's own name for its
 * sources, and "/cargo" that of mapped ones. */
static bool
may_be_relative(const struct recorder *r, enum input_kind kind, const char *path)
{
	const struct inputs_place *p = r->in->place;
	size_t n = strcspn(path + 1, "/");

	if (!p->workspace || is_fixed(r, path, p->sysroot) ||
		(kind == INPUT_EXISTS && path_is_below(p->workspace, path)))
		return false;
	if (strncmp(path, p->workspace, n + 1) == 0 && p->workspace[n + 1] == '/')
		return true;
	return !is_systems(path);
}

/* By HOME or XDG_CONFIG_HOME, whose values are inputs. */
static bool
is_git_setting(const struct recorder *r, const char *path)
{
	char *const *envp = r->in->place->envp;
	const char *home = variables_get(envp, "HOME");
	const char *config = variables_get(envp, "XDG_CONFIG_HOME");
	size_t n = home ? strlen(home) : 0, k = config ? strlen(config) : 0;

	if (!strv_has(&r->variables, "git"))
		return false;
	if (k > 0 && strncmp(path, config, k) == 0 && starts_with(path + k, "/git/"))
		return true;
	return n > 0 && strncmp(path, home, n) == 0 &&
	       (streq(path + n, "/.gitconfig") || starts_with(path + n, "/.config/git/"));
}

/* Cargo's home, where the package lies in it, and is none of a workspace; NULL: it is not so. */
static const char *
cargo_home(const struct recorder *r)
{
	const struct inputs_place *p = r->in->place;

	return !p->workspace && p->cargo_home && path_is_below(r->in->cwd, p->cargo_home)
		       ? p->cargo_home
		       : NULL;
}

/* How many names two paths begin with in common. */
static unsigned
count_common(const char *a, const char *b)
{
	unsigned n = 0;

	for (size_t i = 1;; i++) {
		bool ends = !a[i] || a[i] == '/';

		if (ends && (!b[i] || b[i] == '/'))
			n++;
		if (!a[i] || a[i] != b[i])
			return n;
	}
}

/* Of a package in cargo's home. What lies in the user's home is found by the way from there
 * (INPUT_WAYS_NAME); and what has nothing in common with cargo's home but a system's directory is
 * not reached from it. */
static bool
is_near_cargo_home(const struct recorder *r, const char *path)
{
	const char *home = r->in->place->home;

	return !(home && path_is_below(path, home)) &&
	       count_common(path, cargo_home(r)) > is_systems(path);
}

static int
note_around_home(struct recorder *r, enum input_kind kind, const char *path)
{
	const char *from = cargo_home(r);
	bool of_search = kind == INPUT_ABSENT && (!is_systems(path) || count_common(path, from));

	if (kind == INPUT_EXISTS && path_is_below(from, path))
		return 0;
	if (of_search && r->around.n < AROUND_MAX)
		return strv_add(&r->around, path);
	r->above |= of_search || is_near_cargo_home(r, path);
	return 0;
}

int
record_note_around(struct recorder *r, enum input_kind kind, const char *path)
{
	if (cargo_home(r))
		return is_git_setting(r, path) ? 0 : note_around_home(r, kind, path);
	if (!may_be_relative(r, kind, path) || is_git_setting(r, path))
		return 0;
	if (kind == INPUT_ABSENT && r->around.n < AROUND_MAX)
		return strv_add(&r->around, path);
	r->above = true;
	return 0;
}

/* ---- searches */

/* The next directory above, "" for the root; NULL: there is none. Changes dir. */
static char *
next_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (!slash)
		return NULL;
	*slash = '\0';
	return dir;
}

/* The path's part below the deepest directory that the workspace (or cargo's home) lies in, too.
 * NULL: no memory. */
static char *
name_below(const struct recorder *r, const char *path)
{
	_cleanup_(freep) char *dir = strdup(inputs_moves_with(r->in->place));

	for (char *up = dir; up && (up = next_up(up));) {
		size_t n = strlen(up);

		if (strncmp(path, up, n) == 0 && path[n] == '/')
			return strdup(path + n + 1);
	}
	return NULL;
}

/* Whether the name was looked for in all directories above the workspace. 1, 0 or -ENOMEM. */
static int
is_search(const struct recorder *r, const char *name)
{
	_cleanup_(freep) char *dir = strdup(inputs_moves_with(r->in->place));

	if (!dir)
		return -ENOMEM;
	for (char *up = dir; (up = next_up(up));) {
		_cleanup_(freep) char *path = path_join(*up ? up : "/", name);

		if (!path)
			return -ENOMEM;
		if (!strv_has_sorted(&r->around, path))
			return 0;
	}
	return 1;
}

static int
find_searches(struct recorder *r)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int k = 0;

	strv_sort_unique(&r->around);
	for (size_t i = 0; k >= 0 && i < r->around.n; i++) {
		_cleanup_(freep) char *name = name_below(r, r->around.v[i]);

		if (!name)
			return -ENOMEM;
		if (strv_has(&names, name))
			continue;
		k = is_search(r, name);
		if (k == 0)
			r->above |= !cargo_home(r) || is_near_cargo_home(r, r->around.v[i]);
		else if (k > 0)
			k = strv_add(&names, name);
	}
	/* beside the questions themselves: a directory that was searched may be the home, which is
	 * asked from everywhere (rustfmt looks there in the end) */
	for (size_t i = 0; k >= 0 && i < names.n; i++)
		k = inputs_add(r->inputs, INPUT_NOT_ABOVE, names.v[i], NULL, 0);
	return MIN2(k, 0);
}

int
record_add_around(struct recorder *r)
{
	_cleanup_(freep) char *dir = NULL;
	struct digest d;
	int k = r->around.n > 0 ? find_searches(r) : 0;

	if (k < 0 || !r->above)
		return k;
	dir = path_dirname(inputs_moves_with(r->in->place));
	k = dir ? digest_bytes(dir, strlen(dir), &d) : -ENOMEM;
	return k < 0 ? k : inputs_add(r->inputs, INPUT_OUT_DIR, INPUT_ABOVE_NAME, d.b, DIGEST_SIZE);
}
