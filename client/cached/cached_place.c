/* Places in what is kept: texts are shown with those of this build. Below all other parts. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/cached/cached_priv.h"
#include "common/fs.h"

int
cached_show(const struct cached *c, const struct buf *text, struct buf *to)
{
	return c->in.mapping ? marks_show(&c->place, text->p, text->n, to)
			     : text_show(text->p, text->n, c->out_dir, to);
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
