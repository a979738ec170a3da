/* Invariant: the id says all that the outputs depend on beside the unit's own files and arguments;
 * where it cannot, there is none. */
#include "config.h"

#include "client/wrap/identify.h"

#include <errno.h>

#include "toolchain/cpu.h"
#include "common/fs.h"
#include "common/text/why.h"

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
identify(struct memo *m, const struct rustc_call *c, const char *sysroot, const char *driver,
	struct toolchain *ret, char **ret_home)
{
	_cleanup_(freep) char *name = NULL;
	int r = -ENOENT;

	if (!c->target || !call_target_is_file(c))
		r = toolchain_identify(m, sysroot, driver, c->target, ret);
	if (r != -ENOENT || !c->target)
		return r;
	name = target_name(c);
	if (!name)
		return -ENOMEM;
	if (!has_nothing_for(sysroot, name))
		return why_set(ret_home, -ENOTSUP, "a custom target with libraries of its own");
	return toolchain_identify(m, sysroot, driver, NULL, ret);
}

/* What starts the compiler decides about its arguments: where it is, and what it is, count as well.
 */
static int
add_launcher(struct memo *m, const char *compiler, struct digest *id)
{
	_cleanup_(hasher_freep) struct hasher *h = NULL;
	_cleanup_(freep) char *launcher = toolchain_launcher(compiler);
	struct digest d;
	int r;

	if (!launcher)
		return 0;
	r = memo_digest_file(m, launcher, &d, NULL);
	if (r < 0)
		return r;
	h = hasher_new();
	if (!h)
		return -ENOMEM;
	hasher_field(h, "launcher", strlen("launcher"));
	hasher_field(h, id->b, DIGEST_SIZE);
	hasher_field(h, launcher, strlen(launcher));
	hasher_field(h, d.b, DIGEST_SIZE);
	hasher_final(h, id);
	return 0;
}

int
identify_toolchain(
	struct memo *m, const struct rustc_call *c, struct toolchain *ret, char **ret_home)
{
	_cleanup_(freep) char *sysroot = NULL, *exe = NULL;
	int r = toolchain_find_sysroot(m, c->driver, &sysroot, &exe);

	*ret_home = NULL;
	if (r == 0)
		r = identify(m, c, sysroot, path_basename(exe), ret, ret_home);
	/* the driver of the id itself is none */
	if (r == 0 && !streq(c->driver, exe))
		r = add_launcher(m, c->driver, &ret->id);
	if (r < 0 && r != -ENOMEM && !*ret_home)
		return why_set(
			ret_home, -ENOTSUP, "the toolchain cannot be identified: %s", strerror(-r));
	if (r == 0 && c->native_cpu) {
		struct digest plain = ret->id;

		r = cpu_native_toolchain(&plain, &ret->id);
		if (r < 0 && r != -ENOMEM)
			return why_set(ret_home, -ENOTSUP, "target-cpu=native: %s", strerror(-r));
	}
	return r;
}
