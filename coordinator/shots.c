/* What the coordinator counts of its work, and shows on its page (coordinator/page/): once a second
 * a shot of all there is. Invariant: without a page nothing is made but the counts. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "coordinator/cache/desk.h"
#include "coordinator/page/page.h"
#include "coordinator/server_priv.h"
#include "coordinator/view.h"

#define SHOT_MS 1000

int
shots_start(struct server *s, char **ret_error)
{
	const char *page = s->conf->coordinator.page, *token = s->conf->coordinator.page_token;
	int r;

	s->tally = calloc(1, sizeof(*s->tally));
	if (!s->tally)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	if (!page || !*page || streq(page, "off"))
		return 0;
	r = page_start(page, token && *token ? token : NULL, &s->page, ret_error);
	if (r == 0)
		log_info("page: %s", page_url(s->page));
	return r;
}

void
shots_end(struct server *s)
{
	page_end(steal_ptr(s->page));
	free(steal_ptr(s->tally));
}

/* ---- the shot */

/* "" when it is ready. Only stores that the list of keys has are looked at: those of others would
 * never be opened. */
static void
tell_ready(const struct server *s, const struct view *v, struct page_shot *shot)
{
	const char *why = "";

	if (s->draining)
		why = "it is shutting down";
	else if (s->conf->coordinator.cache && !s->desk)
		why = "its cache could not be opened";
	for (size_t i = 0; i < v->n_caches && !*why; i++)
		if (!v->caches[i].open) {
			shot->not_ready_open = "the cache of a namespace is not open";
			snprintf(shot->not_ready, sizeof(shot->not_ready),
				"the cache of the namespace \"%s\" is not open",
				v->caches[i].namespace);
			return;
		}
	shot->not_ready_open = why;
	snprintf(shot->not_ready, sizeof(shot->not_ready), "%s", why);
	shot->ready = !*why;
}

/* 0 when it cannot be read. */
static uint64_t
resident_bytes(void)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	unsigned long long all, resident;

	if (fs_read_file("/proc/self/statm", 256, &b) < 0 || !b.p ||
		sscanf((const char *)b.p, "%llu %llu", &all, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
cpu_us(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) < 0)
		return 0;
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void
shots_shoot(struct server *s)
{
	_cleanup_(page_shot_freep) struct page_shot *shot = NULL;

	if (!s->page)
		return;
	s->shot_ms = s->now;
	if (page_shot_new(&shot) < 0 ||
		view_new(s, VIEW_WORKERS | VIEW_JOBS | VIEW_CLIENTS | VIEW_CACHES | VIEW_SPACES,
			&shot->view) < 0)
		return;
	shot->tally = *s->tally;
	shot->made_ms = clock_mono_ms();
	shot->taken_bytes = s->took;
	shot->cpu_us = cpu_us();
	shot->rss = resident_bytes();
	tell_ready(s, shot->view, shot);
	page_publish(s->page, steal_ptr(shot));
}

void
shots_tick(struct server *s)
{
	if (s->page && s->now - s->shot_ms >= SHOT_MS)
		shots_shoot(s);
}
