#include "config.h"

#include "client/wrap/mapped.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/text.h"
#include "client/cached/cached.h"
#include "client/wrap/target_dir.h"
#include "common/fs.h"
#include "toolchain/toolchain.h"

/* Such as the sources of std. */
static bool
is_of_toolchain(const char *cwd)
{
	return strstr(cwd, "/lib/rustlib/") != NULL;
}

static bool
has_lock(const char *dir)
{
	_cleanup_(freep) char *lock = path_join(dir, "Cargo.lock");

	return lock && fs_exists(lock);
}

char *
mapped_find_lock(const char *from)
{
	return fs_find_up(from, has_lock, UINT_MAX);
}

/* What a package that is vendored is moved with: the nearest directory above its own that has a
 * Cargo.lock. NULL: there is none, or no memory. The caller frees it. */
static char *
find_vendor(const char *cwd, const char *home)
{
	_cleanup_(freep) char *checksum = path_join(cwd, ".cargo-checksum.json");
	_cleanup_(freep) char *above = path_dirname(cwd);

	if (path_is_below(cwd, home) || !checksum || !fs_exists(checksum) || !above)
		return NULL;
	return mapped_find_lock(above);
}

/* Whether cargo builds another workspace than the one in which that is vendored, by where its
 * target directory lies, or where it was started. In the diagnostics of that one's members no other
 * workspace's names can be turned back. */
static bool
is_of_another(const char *vendor, const char *target_dir)
{
	_cleanup_(freep) char *beside = path_dirname(target_dir);
	_cleanup_(freep) char *started = NULL;
	char link[64], cwd[PATH_MAX];
	ssize_t n;

	if (beside && has_lock(beside) && !streq(beside, vendor))
		return true;
	snprintf(link, sizeof(link), "/proc/%ld/cwd", (long)getppid());
	n = readlink(link, cwd, sizeof(cwd) - 1);
	if (n <= 0)
		return false;
	cwd[n] = '\0';
	started = mapped_find_lock(cwd);
	return started && !streq(started, vendor);
}

/* All places. True: they are known, and each can be hidden. */
static bool
find_places(struct mapped *m, const struct rustc_call *call)
{
	const char *manifest_dir = getenv("CARGO_MANIFEST_DIR");
	_cleanup_(freep) char *out_dir = NULL;
	char cwd[PATH_MAX];
	bool package;

	if (!getcwd(cwd, sizeof(cwd)) || !text_can_hide(cwd) || is_of_toolchain(cwd))
		return false;
	package = mapping_suits_package(call, cwd, manifest_dir);
	if (!package && !mapping_suits(call, cwd, manifest_dir))
		return false;
	m->cargo_home = cached_cargo_home();
	out_dir = path_normalize(cwd, call->out_dir);
	m->target_dir = out_dir ? target_dir_of(out_dir, cwd) : NULL;
	if (!m->cargo_home || !m->target_dir)
		return false;
	m->workspace = package ? find_vendor(cwd, m->cargo_home) : strdup(cwd);
	if (package && m->workspace && is_of_another(m->workspace, m->target_dir))
		free(steal_ptr(m->workspace));
	return (package || m->workspace) && (!m->workspace || text_can_hide(m->workspace)) &&
	       path_is_normal(m->cargo_home) && text_can_hide(m->cargo_home) &&
	       text_can_hide(m->target_dir) && !streq(m->target_dir, out_dir) &&
	       !path_is_below(cwd, m->target_dir);
}

bool
mapped_make(struct mapped *m, const struct conf *conf, struct memo *memo, struct rustc_call *call)
{
	struct rustc_call mapped = { .kind = CALL_UNKNOWN };

	if (conf->client.paths != PATHS_SHARED || conf->client.cache == CACHE_OFF ||
		!call->out_dir || !find_places(m, call))
		return false;
	/* without a memo each unit would ask the compiler for its commit */
	if (memo &&
		toolchain_find_sources(memo, call->driver, &m->sources, &m->sources_name) == 0 &&
		!text_can_hide(m->sources))
		free(steal_ptr(m->sources));
	m->mapping = (struct mapping){ m->workspace, m->target_dir, m->cargo_home, m->sources,
		m->sources_name };
	if (mapping_argv(&m->mapping, call, &m->argv) < 0 || call_parse(m->argv.v, &mapped) < 0 ||
		mapped.kind != CALL_UNIT) {
		call_done(&mapped);
		return false;
	}
	call_done(call);
	*call = mapped;
	return m->on = true;
}

void
mapped_done(struct mapped *m)
{
	strv_done(&m->argv);
	free(m->workspace);
	free(m->target_dir);
	free(m->cargo_home);
	free(m->sources);
	free(m->sources_name);
}
