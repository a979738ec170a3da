/* Places in what is kept: texts are shown with those of this build, and which files may be the
 * depot's own. Below all other parts. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/cached/cached_priv.h"
#include "client/script/install.h"
#include "common/fs.h"

int
cached_show(const struct cached *c, const struct buf *text, struct buf *to)
{
	return c->in.mapping ? marks_show(&c->place, text->p, text->n, to)
			     : text_show(text->p, text->n, c->out_dir, to);
}

enum depot_way
cached_way(const struct cached *c, const char *name)
{
	_cleanup_(freep) char *script = NULL;

	if (ends_with(name, ".rlib") || ends_with(name, ".rmeta"))
		return DEPOT_SHARE;
	script = script_hides(c->in.conf, c->in.call);
	return script && streq(name, script) ? DEPOT_SHARE : DEPOT_COPY;
}

char *
cached_cargo_home(void)
{
	const char *dir = getenv("CARGO_HOME"), *home = getenv("HOME");

	return dir && *dir ? strdup(dir) : home && *home ? path_join(home, ".cargo") : NULL;
}

char *
cached_run_sysroot(void)
{
	static const char program[] = "/bin/rustc";
	const char *rustc = getenv("RUSTC");
	_cleanup_(freep) char *dir = NULL, *libraries = NULL;

	if (!rustc || !path_is_normal(rustc) || !ends_with(rustc, program))
		return NULL;
	dir = strndup(rustc, strlen(rustc) - strlen(program));
	libraries = dir ? path_join(dir, "lib/rustlib") : NULL;
	/* not of a link, or a script, in ~/bin */
	return libraries && fs_exists(libraries) ? steal_ptr(dir) : NULL;
}
