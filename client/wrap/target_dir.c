#include "config.h"

#include "client/wrap/target_dir.h"

#include "common/fs.h"

#define DEPTH 8

static bool
has(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	return path && fs_exists(path);
}

bool
target_dir_is_profile(const char *dir)
{
	/* cargo 1.97 has the second with a build directory of its own */
	return has(dir, ".cargo-lock") || has(dir, ".cargo-build-lock");
}

static bool
is_tagged(const char *dir)
{
	return has(dir, "CACHEDIR.TAG");
}

/* Beside the directory of a triple is the host's of the same profile. */
static char *
above_profile(const char *profile)
{
	char *dir = path_dirname(profile);
	_cleanup_(freep) char *up = dir ? path_dirname(dir) : NULL;
	_cleanup_(freep) char *host = up ? path_join(up, path_basename(profile)) : NULL;

	if (!host || !target_dir_is_profile(host))
		return dir;
	free(dir);
	return steal_ptr(up);
}

char *
target_dir_of(const char *out_dir, const char *cwd)
{
	_cleanup_(freep) char *profile = fs_find_up(out_dir, target_dir_is_profile, DEPTH);
	_cleanup_(freep) char *dir = profile ? above_profile(profile) : NULL;
	char *tagged;

	if (dir && !streq(dir, "/") && (is_tagged(dir) || !path_is_below(cwd, dir)))
		return steal_ptr(dir);
	tagged = fs_find_up(out_dir, is_tagged, DEPTH);
	return tagged ? tagged : strdup(out_dir);
}
