/* What a mapped unit, or a run that is found from other checkouts, looked at outside of all places:
 * a relative path may have led there, and from another checkout it leads elsewhere. Such a result
 * holds for workspaces in the same directory, with three exceptions: a search through all
 * directories above, which found nothing, can be made again from anywhere; so can a single look for
 * what was not there; and git's settings lie in the user's home. Of a package in cargo's home only
 * such a search leads out of that, mostly, and what it finds. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
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

/* rustup's own, where it keeps the toolchain: it finds that by RUSTUP_HOME or HOME, whose values
 * are inputs. So is the way to the home itself. */
static bool
is_rustups(const struct recorder *r, enum input_kind kind, const char *path)
{
	const struct inputs_place *p = r->in->place;
	const char *toolchain = p->toolchain ? p->toolchain : p->sysroot;
	_cleanup_(freep) char *all = toolchain ? path_dirname(toolchain) : NULL;
	_cleanup_(freep) char *home = all ? path_dirname(all) : NULL;

	/* the workspace may lie in the same directories: what is in them, or their modes, may have
	 * been asked for from there */
	if (p->home && path_is_below(p->home, path))
		return kind != INPUT_LISTING && kind != INPUT_STAT && kind != INPUT_EXTENDED;
	return home && streq(path_basename(all), "toolchains") && home[1] &&
	       is_fixed(r, path, home);
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
	if (!may_be_relative(r, kind, path) || is_git_setting(r, path) || is_rustups(r, kind, path))
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
 * *ret_up: how many directories up that is. NULL: no memory. */
static char *
name_below(const struct recorder *r, const char *path, unsigned *ret_up)
{
	_cleanup_(freep) char *dir = strdup(inputs_moves_with(r->in->place));

	*ret_up = 0;
	for (char *up = dir; up && (up = next_up(up));) {
		size_t n = strlen(up);

		++*ret_up;
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

/* ---- single looks */

/* Whether it is a directory of the workspace, by a name without links, and not of the target
 * directory, which moves by itself. */
static bool
is_of_workspace(const struct recorder *r, const char *dir)
{
	const struct inputs_place *p = r->in->place;
	char real[PATH_MAX];

	return p->workspace && path_is_below(dir, p->workspace) &&
	       !(p->target_dir && path_is_below(dir, p->target_dir)) &&
	       !(p->real_target_dir && path_is_below(dir, p->real_target_dir)) &&
	       !path_is_below(dir, p->out_dir) && realpath(dir, real) && streq(dir, real);
}

int
record_note_way(struct recorder *r, const char *item)
{
	_cleanup_(freep) char *text = NULL, *dir = NULL;
	char *from;
	size_t n = strtoull(item, &from, 10);

	if (*from != ' ' || strlen(++from) <= n || from[n] != '/')
		return -EBADMSG;
	if (n == 0)
		return strv_add(&r->other_ways, from);
	text = strndup(from, n);
	dir = text ? path_normalize("/", text) : NULL;
	if (!dir)
		return -ENOMEM;
	return is_of_workspace(r, dir) ? strv_add(&r->ways, from + n) : 0;
}

/* Whether the path, which lies in the workspace, was not asked for. 1, 0 or -ENOMEM. */
static int
was_not_asked(const struct recorder *r, const char *path)
{
	for (size_t i = 0; i < r->inputs->n; i++) {
		const struct input *in = &r->inputs->v[i];
		_cleanup_(freep) char *real = NULL;

		if (!input_is_marked(in->name) || !ends_with(in->name, path_basename(path)))
			continue;
		real = inputs_real_path(r->in->place, in->name);
		if (!real)
			return -ENOMEM;
		if (streq(real, path))
			return 0;
	}
	return 1;
}

/* The name in the directory so many levels above, or this itself; at the root it stays. NULL: no
 * memory. */
static char *
name_above(const char *dir, unsigned up, const char *name)
{
	_cleanup_(freep) char *at = strdup(dir);

	for (unsigned i = 0; at && i < up; i++)
		next_up(at);
	return at && name ? path_join(*at ? at : "/", name) : steal_ptr(at);
}

/* Whether another place that moves lies in the directory, or the target directory, without links,
 * outside of the workspace: what is asked for there may have been reached from that. Nor does the
 * way up from a workspace behind a link lead there. */
static bool
has_other_place(const struct recorder *r, const char *dir)
{
	const struct inputs_place *p = r->in->place;

	for (const char *mark = INPUT_MOVED_MARKS; *mark; mark++) {
		const char *other = inputs_place_dir(p, *mark);

		if (*mark != INPUT_WORKSPACE_MARK && other && path_is_below(other, dir))
			return true;
	}
	return !p->real_target_dir || !path_is_below(p->real_target_dir, p->workspace);
}

/* Whether the path, the name in the directory `up` levels above the workspace, was looked for by
 * ".." from the workspace, and neither in the directory below nor in the one above that. A search
 * that ended there would ask others elsewhere; so would what goes by the names of the directories
 * above, or up from the target directory. 1, 0 or -ENOMEM. */
static int
is_single(const struct recorder *r, const char *path, const char *name, unsigned up)
{
	const char *from = r->in->place->workspace;
	_cleanup_(freep) char *dir = from ? name_above(from, up, NULL) : NULL;
	_cleanup_(freep) char *below = from ? name_above(from, up - 1, name) : NULL;
	_cleanup_(freep) char *above = from ? name_above(from, up + 1, name) : NULL;
	struct stat st;

	if (from && (!dir || !below || !above))
		return -ENOMEM;
	if (!from || lstat(path, &st) == 0 || errno != ENOENT || !strv_has_sorted(&r->ways, path) ||
		strv_has(&r->other_ways, path) || has_other_place(r, dir) ||
		strv_has_sorted(&r->around, above))
		return 0;
	if (up > 1)
		return !strv_has_sorted(&r->around, below);
	return was_not_asked(r, below);
}

/* Its way from the workspace: beside the question itself, since a whole path may have led there. */
static int
add_single(struct recorder *r, const char *name, unsigned up)
{
	_cleanup_(buf_done) struct buf way = BUF_INIT;
	int k = 0;

	for (unsigned i = 0; k >= 0 && i < up; i++)
		k = buf_addf(&way, "../");
	if (k >= 0)
		k = buf_add(&way, name, strlen(name) + 1);
	return k < 0 ? k : inputs_add(r->inputs, INPUT_NOT_FROM, (const char *)way.p, NULL, 0);
}

static int
find_searches(struct recorder *r)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int k = 0;

	strv_sort_unique(&r->around);
	strv_sort_unique(&r->ways);
	for (size_t i = 0; k >= 0 && i < r->around.n; i++) {
		unsigned up;
		_cleanup_(freep) char *name = name_below(r, r->around.v[i], &up);

		if (!name)
			return -ENOMEM;
		if (strv_has(&names, name))
			continue;
		k = is_search(r, name);
		if (k > 0) {
			k = strv_add(&names, name);
			continue;
		}
		if (k == 0)
			k = is_single(r, r->around.v[i], name, up);
		if (k == 0)
			r->above |= !cargo_home(r) || is_near_cargo_home(r, r->around.v[i]);
		else if (k > 0)
			k = add_single(r, name, up);
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
