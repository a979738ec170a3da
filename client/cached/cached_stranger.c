/* Results of a shared cache against this call (stranger.h). */
#include "config.h"

#include "cache/marks.h"
#include "client/cached/cached_priv.h"
#include "client/cached/stranger.h"

static int
show(const void *arg, const struct buf *text, struct buf *to)
{
	const struct cached *c = arg;

	return c->run ? marks_show(&c->place, text->p, text->n, to) : cached_show(c, text, to);
}

static int
show_link(const void *c, const struct buf *link, struct buf *to)
{
	return cached_show_link(c, link, to);
}

int
cached_check_stranger(struct cached *c, const struct result *res, bool links, char **ret_why)
{
	const struct stranger s = { .call = c->in.call,
		.place = &c->place,
		.cwd = c->cwd,
		.known = &c->keep.known,
		.links = links,
		.show = show,
		.show_link = show_link,
		.arg = c };
	int r;

	cached_init_keep(c);
	r = c->in.call ? keep_find_known(&c->keep) : 0;
	return r < 0 ? r : stranger_check(&s, res, ret_why);
}
