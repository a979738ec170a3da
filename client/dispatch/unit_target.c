/* A unit's target: the file of a custom one, the linker. */
#include "config.h"

#include <errno.h>
#include <jansson.h>

#include "client/dispatch/unit_priv.h"
#include "common/fs.h"
#include "common/why.h"

#define TARGET_FILE_MAX (1u << 20)

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
		return why_set(ret_home, -ENOTSUP, "the target's file cannot be read");
	linker = json_string_value(json_object_get(j, "linker"));
	flavor = json_string_value(json_object_get(j, "linker-flavor"));
	if (!linker)
		linker = flavor ? call_flavor_linker(flavor) : "cc";
	if (!linker)
		return why_set(ret_home, -ENOTSUP, "a target whose linker dray does not know");
	*ret = strdup(linker);
	return *ret ? 0 : -ENOMEM;
}

/* Fills u->inputs with the absolute paths of files that options name. */
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
			return why_set(ret_home, -ENOTSUP, "an option names a file in the out-dir");
	if (r < 0 || !c->calls_linker)
		return r;
	if (!linker && call_target_is_file(c))
		return linker_in_file(u->inputs.v[u->inputs.n - 1], &u->linker, ret_home);
	if (!linker)
		return why_set(ret_home, -ENOTSUP, "a target whose linker dray does not know");
	u->linker = strdup(linker);
	return u->linker ? 0 : -ENOMEM;
}
