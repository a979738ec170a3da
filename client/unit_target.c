/* What a unit is compiled by and for: the toolchain, a custom target's file, the linker, the CPU.
 * Invariant: the toolchain id that a unit carries says all that its outputs depend on beside its
 * own files and arguments; where it cannot, the unit is compiled here. */
#include "config.h"

#include <errno.h>
#include <jansson.h>

#include "client/unit_priv.h"
#include "common/cpu.h"
#include "common/fs.h"

#define TARGET_FILE_MAX (1u << 20)

/* The name of a target's directory in a sysroot; NULL: no memory. */
static char *
target_name(const struct rustc_call *c)
{
	const char *base = path_basename(c->target);
	size_t n = strlen(base);

	if (call_target_is_file(c) && ends_with(base, ".json"))
		n -= strlen(".json");
	return strndup(base, n);
}

/* Whether the toolchain has nothing for this target: then its std is not part of what a compile
 * depends on, and comes, if at all, among the externs (build-std). */
static bool
has_nothing_for(const char *sysroot, const char *name)
{
	_cleanup_(freep) char *rustlib = path_join(sysroot, "lib/rustlib");
	_cleanup_(freep) char *dir = rustlib ? path_join(rustlib, name) : NULL;

	return dir && *name && !fs_exists(dir);
}

static int
identify(struct unit *u, const struct unit_in *in, const char *sysroot, const char *driver,
	char **ret_home)
{
	const struct rustc_call *c = in->call;
	_cleanup_(freep) char *name = NULL;
	int r = -ENOENT;

	if (!c->target || !call_target_is_file(c))
		r = toolchain_identify(in->memo, sysroot, driver, c->target, &u->tc);
	if (r != -ENOENT || !c->target)
		return r;
	name = target_name(c);
	if (!name)
		return -ENOMEM;
	if (!has_nothing_for(sysroot, name))
		return unit_home(ret_home, "a custom target with libraries of its own");
	return toolchain_identify(in->memo, sysroot, driver, NULL, &u->tc);
}

int
unit_find_toolchain(struct unit *u, const struct unit_in *in, char **ret_home)
{
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	int r = toolchain_find_sysroot(in->memo, in->call->driver, &sysroot, &exe);

	if (r == 0)
		r = identify(u, in, sysroot, path_basename(exe), ret_home);
	if (r < 0 && r != -ENOMEM && !*ret_home)
		return unit_home(ret_home, "the toolchain cannot be identified: %s", strerror(-r));
	if (r == 0 && in->call->native_cpu) {
		struct digest plain = u->tc.id;

		r = cpu_native_toolchain(&plain, &u->tc.id);
		if (r < 0 && r != -ENOMEM)
			return unit_home(ret_home, "target-cpu=native: %s", strerror(-r));
	}
	return r;
}

/* The linker that a target's file names. */
static int
linker_in_file(const char *path, char **ret, char **ret_home)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	json_auto_t *j = NULL;
	const char *linker, *flavor;
	int r = fs_read_file(path, TARGET_FILE_MAX, &b);

	if (r == -ENOMEM)
		return r;
	if (r == 0)
		j = json_loadb((const char *)b.p, b.n, 0, NULL);
	if (!json_is_object(j))
		return unit_home(ret_home, "the target's file cannot be read");
	linker = json_string_value(json_object_get(j, "linker"));
	flavor = json_string_value(json_object_get(j, "linker-flavor"));
	if (!linker)
		linker = flavor ? call_flavor_linker(flavor) : "cc";
	if (!linker)
		return unit_home(ret_home, "a target whose linker dray does not know");
	*ret = strdup(linker);
	return *ret ? 0 : -ENOMEM;
}

/* After it, u->inputs has the files that options name, as absolute paths. */
int
unit_find_inputs(struct unit *u, char **ret_home)
{
	const struct rustc_call *c = u->call;
	const char *linker = c->calls_linker ? call_linker(c) : NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->inputs.n; i++)
		r = strv_take(&u->inputs, path_normalize(u->cwd, c->inputs.v[i]));
	if (r == 0 && call_target_is_file(c))
		r = strv_take(&u->inputs, path_normalize(u->cwd, c->target));
	for (size_t i = 0; r == 0 && i < u->inputs.n; i++)
		if (path_is_below(u->inputs.v[i], u->out_dir))
			return unit_home(ret_home, "an option names a file in the out-dir");
	if (r < 0 || !c->calls_linker)
		return r;
	if (!linker && call_target_is_file(c))
		return linker_in_file(u->inputs.v[u->inputs.n - 1], &u->linker, ret_home);
	if (!linker)
		return unit_home(ret_home, "a target whose linker dray does not know");
	u->linker = strdup(linker);
	return u->linker ? 0 : -ENOMEM;
}
