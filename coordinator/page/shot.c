#include "config.h"

#include "coordinator/page/shot.h"

#include <errno.h>

int
page_shot_new(struct page_shot **ret)
{
	struct page_shot *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->not_ready_open = "";
	*ret = s;
	return 0;
}

void
page_shot_free(struct page_shot *s)
{
	if (!s)
		return;
	view_unref(s->view);
	free(s);
}

void
page_shot_freep(struct page_shot **s)
{
	page_shot_free(*s);
	*s = NULL;
}
