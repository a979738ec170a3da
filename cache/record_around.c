/* What a mapped unit, or a run that is found from other checkouts, looked at outside of all places:
 * a relative path may have led there, and from another checkout it leads elsewhere. Such a result
 * holds for workspaces in the same directory, with two exceptions: a search through all directories
 * above, which found nothing, can be made again from anywhere; and git's settings lie in the user's
 * home. */
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

/* Whether a relative path from the workspace may have led there: from a workspace that lies
 * elsewhere it leads to another place. What they have in common is the whole tree for what is the
 * system's, the toolchain's, or in cargo's home; "/rustc" is the library's own name for its
 * sources, and "/cargo" that of mapped ones. */
static bool
may_be_relative(const struct recorder *r, enum input_kind kind, const char *path)
{
	static const char *const system[] = { "bin", "cargo", "dev", "etc", "lib", "lib32", "lib64",
		"nix", "opt", "proc", "run", "rustc", "sbin", "sys", "tmp", "usr", "var" };
	const struct inputs_place *p = r->in->place;
	size_t n = strcspn(path + 1, "/");

	if (!p->workspace || is_fixed(r, path, p->sysroot) ||
		(kind == INPUT_EXISTS && path_is_below(p->workspace, path)))
		return false;
	if (strncmp(path, p->workspace, n + 1) == 0 && p->workspace[n + 1] == '/')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (strlen(system[i]) == n && strncmp(path + 1, system[i], n) == 0)
			return false;
	return true;
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

int
record_note_around(struct recorder *r, enum input_kind kind, const char *path)
{
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

/* The path's part below the deepest directory that the workspace, too, lies in. NULL: no memory. */
static char *
name_below(const struct recorder *r, const char *path)
{
	_cleanup_(freep) char *dir = strdup(r->in->place->workspace);

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
	_cleanup_(freep) char *dir = strdup(r->in->place->workspace);

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
			r->above = true;
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
	dir = path_dirname(r->in->place->workspace);
	k = dir ? digest_bytes(dir, strlen(dir), &d) : -ENOMEM;
	return k < 0 ? k : inputs_add(r->inputs, INPUT_OUT_DIR, INPUT_ABOVE_NAME, d.b, DIGEST_SIZE);
}
