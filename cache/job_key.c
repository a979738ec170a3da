#include "config.h"

#include "cache/job_key.h"

#include <errno.h>

#include "common/fs.h"
#include "rustc/mapping.h"
#include "rustc/option_tables.h"

#define DEPTH_MAX 4 /* build/NAME/HASH/out */

/* Cuts the last component off. NULL: nothing is left. */
static char *
cut(char *path)
{
	char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash || slash == path)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

/* How many components at the end of a unit's out-dir are those of its own. 0: it is no such one. */
static size_t
own_depth(const char *out_dir)
{
	_cleanup_(freep) char *path = strdup(out_dir);
	const char *last = cut(path), *of[DEPTH_MAX];

	if (!last)
		return 0;
	if (streq(last, "deps") || streq(last, "examples"))
		return 1;
	for (size_t i = 0; i < DEPTH_MAX && last; i++, last = cut(path)) {
		of[i] = last;
		/* a package may have that name, too */
		if (streq(last, "build") && (i == 1 || (i == 3 && streq(of[0], "out"))))
			return i + 1;
	}
	return 0;
}

/* The directory of a target has its name, or that of the file that describes it. */
static bool
is_triple(const char *name, const char *triple)
{
	const char *base = path_basename(triple);
	size_t n = strlen(base);

	if (ends_with(base, ".json"))
		n -= strlen(".json");
	return strlen(name) == n && strncmp(name, base, n) == 0;
}

char *
job_key_target_dir(const char *out_dir, const char *triple)
{
	_cleanup_(freep) char *path = path_is_normal(out_dir) ? strdup(out_dir) : NULL;
	size_t n = path ? own_depth(path) : 0;

	if (n == 0)
		return NULL;
	/* and the profile's */
	for (size_t i = 0; i <= n; i++)
		if (!cut(path))
			return NULL;
	if (triple && is_triple(path_basename(path), triple) && !cut(path))
		return NULL;
	return steal_ptr(path);
}

/* Then what FROM matches may be in outputs: in debuginfo, say. */
static bool
maps_in_part(const struct rustc_call *call)
{
	for (size_t i = 0; i < call->n_options; i++)
		if (streq(call->options[i].row->name, "remap-path-scope"))
			return true;
	return false;
}

int
job_key_make_entry(const struct job_key_in *in, const char *namespace, const char *bundle,
	struct unit_key *ret)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *out_dir = NULL, *target_dir = NULL, *sources = NULL;
	struct mapping mapping;
	struct key_in k = { .namespace = namespace,
		.toolchain = in->toolchain,
		.bundle = bundle,
		.call = in->call,
		.cwd = in->cwd,
		.env = in->env,
		.digest = in->digest,
		.arg = in->arg };
	int r;

	*ret = (struct unit_key){ .recipe = STRV_INIT };
	if (in->call->kind != CALL_UNIT || !in->call->out_dir)
		return -EINVAL;
	r = mapping_read(in->call, &words, &mapping);
	if (r < 0)
		return r;
	out_dir = path_normalize(in->cwd, in->call->out_dir);
	sources = path_join(in->sysroot, MAPPING_SOURCES);
	if (!out_dir || !sources)
		return -ENOMEM;
	if (maps_in_part(in->call))
		mapping = (struct mapping){ .workspace = NULL };
	target_dir = job_key_target_dir(out_dir, in->call->target);
	/* where other places are mapped, what is not is in outputs */
	k.target_dir = mapping.target_dir || mapping.workspace || mapping.cargo_home
			       ? mapping.target_dir
			       : target_dir;
	k.workspace = mapping.workspace;
	k.cargo_home = mapping.cargo_home;
	k.sources = maps_in_part(in->call) ? "" : sources;
	if (key_sees_sources(in->toolchain_dir) &&
		(!mapping_has(in->call, sources) || maps_in_part(in->call)))
		k.sysroot = in->sysroot;
	if (bundle)
		k.sysroot = in->sysroot;
	return unit_key_make(&k, ret);
}

int
job_key_make(const struct job_key_in *in, struct unit_key *ret)
{
	return job_key_make_entry(in, NULL, NULL, ret);
}
