/* job_decode over arbitrary lines: what it gives has text where there is to be text, and times in
 * order; its text, shown in HTML, has no tag, and its reasons have a group. */
#include "config.h"

#include <errno.h>

#include "client/show/page.h"
#include "common/text/show.h"
#include "client/show/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *s)
{
	_cleanup_(buf_done) struct buf html = BUF_INIT;
	char group[STATS_NAME_MAX];

	if (show_html(&html, s) < 0)
		return;
	if (html.n && strpbrk((const char *)html.p, "<>\"'\n\x1b"))
		abort();
	stats_group_name(s, group);
	if (!*group)
		abort();
}

/* A page of this unit alone has one script, which is ours. It takes the job. */
static void
check_page(struct job_line *j)
{
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	_cleanup_(builds_done) struct builds all = { 0 };
	const struct build *last;
	const char *script;

	if (builds_add(&all, j, true) < 0 || (last = builds_last(&all)) == NULL ||
		page_write(&(struct page_in){ .builds = &last, .n = 1 }, &h) < 0)
		return;
	script = strstr((const char *)h.b.p, "<script");
	if (!script || strstr(script + 1, "<script"))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stats sums;
	struct job_line j;

	if (job_decode((const char *)data, size, &j) < 0)
		return 0;
	if (!*j.where || j.end_us < j.start_us || j.exit_status < 0 || j.exit_status > 255)
		abort();
	check_text(j.crate);
	check_text(j.why);
	check_text(j.cache_why);
	check_text(j.out_dir);
	check_text(job_attempt(&j, 0));
	stats_add(&sums, &j);
	if (sums.miss_why.n > STATS_GROUPS_MAX)
		abort();
	check_page(&j);
	job_done(&j);
	return 0;
}
