/* A unit's target: the file of a custom one, the linker. */
#include "config.h"

#include <errno.h>

#include "client/dispatch/unit_priv.h"
#include "client/link/linker.h"
#include "common/fs.h"
#include "common/text/why.h"

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
		return linker_of_target(u->inputs.v[u->inputs.n - 1], &u->linker, ret_home);
	if (!linker)
		return why_set(ret_home, -ENOTSUP, "a target whose linker dray does not know");
	u->linker = strdup(linker);
	return u->linker ? 0 : -ENOMEM;
}
