/* Without libmicrohttpd there is no page, and who asks for one is told so. */
#include "config.h"

#include <errno.h>

#include "common/text/why.h"
#include "coordinator/page/page.h"

int
page_start(const char *address, const char *token, struct page **ret, char **ret_error)
{
	(void)token;
	(void)ret;
	return why_set(ret_error, -EOPNOTSUPP,
		"[coordinator] page = %s: this dray-coordinator was built without its page "
		"(configure --without-page). Build it with libmicrohttpd, or set page = off.",
		address);
}

void
page_end(struct page *p)
{
	(void)p;
}

const char *
page_url(const struct page *p)
{
	(void)p;
	return "";
}

void
page_publish(struct page *p, struct page_shot *shot)
{
	(void)p;
	page_shot_free(shot);
}
