/* The page of `dray report`: its head, sums and timelines, and all in order. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "client/show/critical.h"
#include "client/show/lanes.h"
#include "client/show/page_priv.h"
#include "common/text/show.h"
#include "client/show/stats.h"
#include "client/show/timeline.h"
#include "common/digest.h"

#define TIMELINES 20

static const char css[] =
#include "client/show/page.css.inc"
	;
static const char js[] =
#include "client/show/page.js.inc"
	;

/* ---- head */

/* 'sha256-…' of what stands between the tags. */
static void
add_source(struct html *h, const char *what, const char *text)
{
	unsigned char base64[4 * (DIGEST_SIZE + 2) / 3 + 1];
	struct digest d;

	if (digest_bytes(text, strlen(text), &d) < 0)
		return;
	EVP_EncodeBlock(base64, d.b, DIGEST_SIZE);
	html_rawf(h, "; %s 'sha256-%s'", what, (const char *)base64);
}

static void
add_title(struct page *p)
{
	const struct build *last = p->in->builds[p->in->n - 1];

	html_raw(p->h, *last->dir ? "dray: " : "dray");
	html_text(p->h, last->dir);
}

static void
add_head(struct page *p)
{
	struct html *h = p->h;

	html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		    "base-uri 'none'; form-action 'none'");
	add_source(h, "style-src", css);
	add_source(h, "script-src", js);
	html_raw(h, "\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
		    "<meta name=\"color-scheme\" content=\"light dark\">\n"
		    "<meta name=\"generator\" content=\"dray " PACKAGE_VERSION "\">\n<title>");
	add_title(p);
	html_raw(h, "</title>\n<style>");
	html_raw(h, css);
	html_raw(h, "</style>\n</head>\n<body>\n");
}

static void
add_top(struct page *p)
{
	const struct build *first = p->in->builds[0], *last = p->in->builds[p->in->n - 1];
	char when[SHOW_SIZE], to[SHOW_SIZE];

	show_when(first->first_ms, when);
	show_when(last->last_ms, to);
	if (p->in->n > 1) {
		html_rawf(p->h, "<h1>%zu builds</h1>\n<p class=\"soft\">%s to %s</p>\n", p->in->n,
			when, to);
		return;
	}
	html_raw(p->h, "<h1 class=\"path\">");
	html_text(p->h, *first->dir ? first->dir : "A build");
	html_rawf(p->h, "</h1>\n<p class=\"soft\">%s</p>\n", when);
}

/* ---- sums */

static void
add_tile(struct html *h, const char *class, const char *number, const char *below)
{
	html_rawf(
		h, "<div class=\"tile%s\"><b>%s</b><span>%s</span></div>\n", class, number, below);
}

static void
add_cache_tile(struct page *p)
{
	const struct stats *s = &p->stats;
	char share[SHOW_SIZE], count[SHOW_SIZE], saved[SHOW_SIZE], below[160];

	if (!s->hit.units && !s->miss.units)
		return;
	show_share(s->hit.us, s->hit.us + s->miss.us, share);
	show_share(s->hit.units, s->hit.units + s->miss.units, count);
	snprintf(below, sizeof(below), "of compile time were hits; of units, %s", count);
	add_tile(p->h, "", share, below);
	show_time(s->hit.us, saved);
	show_time(s->lookup_us + s->restore_us + s->store_us, count);
	snprintf(below, sizeof(below), "saved by hits; the cache's own work took %s", count);
	add_tile(p->h, "", saved, below);
}

static void
add_runs_tile(struct page *p)
{
	const struct stats_runs *r = &p->stats.runs;
	char number[SHOW_SIZE], saved[SHOW_SIZE], took[SHOW_SIZE], below[160];

	if (!r->all.units)
		return;
	snprintf(number, sizeof(number), "%" PRIu64 " of %" PRIu64, r->hit.units, r->all.units);
	show_time(r->hit.us, saved);
	show_time(r->all.us - r->hit.us, took);
	snprintf(below, sizeof(below),
		"runs of build scripts were put back, and saved %s; the others took %s", saved,
		took);
	add_tile(p->h, "", number, below);
	if (r->failed.units) {
		snprintf(number, sizeof(number), "%" PRIu64, r->failed.units);
		add_tile(p->h, " bad", number, "runs of build scripts failed");
	}
}

static void
add_tiles(struct page *p)
{
	const struct stats *s = &p->stats;
	char number[SHOW_SIZE], other[SHOW_SIZE], below[160];
	uint64_t compiled = s->all.us - s->hit.us + s->linked.us, idle = p->wall_us - p->busy_us;

	html_raw(p->h, "<div class=\"tiles\">\n");
	show_time(p->wall_us, number);
	show_time(idle, other);
	if (idle > p->wall_us / 100)
		snprintf(below, sizeof(below),
			"from the first unit to the last; for %s of it none ran", other);
	else
		snprintf(below, sizeof(below), "from the first unit to the last");
	add_tile(p->h, "", number, below);
	snprintf(number, sizeof(number), "%" PRIu64, s->all.units);
	snprintf(below, sizeof(below), "units, at most %u at a time", p->lanes);
	add_tile(p->h, "", number, below);
	show_time(compiled, number);
	snprintf(below, sizeof(below), "compiling and linking, %.1f at a time",
		p->wall_us ? (double)compiled / (double)p->wall_us : 0.0);
	add_tile(p->h, "", number, below);
	add_cache_tile(p);
	add_runs_tile(p);
	if (s->bytes_sent || s->bytes_received) {
		show_bytes(s->bytes_sent, number);
		show_bytes(s->bytes_received, other);
		snprintf(below, sizeof(below), "sent to the farm, %s received", other);
		add_tile(p->h, "", number, below);
	}
	if (s->failed.units) {
		snprintf(number, sizeof(number), "%" PRIu64, s->failed.units);
		add_tile(p->h, " bad", number, "failed");
	}
	html_raw(p->h, "</div>\n");
}

/* Places by compile time: what ran, and what hits saved. */
static void
add_places(struct page *p)
{
	const struct stats *s = &p->stats;
	double x = 0, whole = s->all.us ? (double)s->all.us : 1;
	char time[SHOW_SIZE];

	html_raw(p->h, "<svg class=\"share\" role=\"img\" aria-label=\"compile time by place\">");
	for (unsigned k = 0; k < STATS_PLACES; k++) {
		double width = 100 * (double)s->place[k].us / whole;

		if (s->place[k].us)
			html_rawf(p->h,
				"<rect class=\"%s\" x=\"%.2f%%\" width=\"%.2f%%\" height=\"12\"/>",
				stats_place_name(k), x, width);
		x += width;
	}
	html_raw(p->h, "</svg>\n<ul class=\"legend\">\n");
	for (unsigned k = 0; k < STATS_PLACES; k++) {
		if (!s->place[k].units)
			continue;
		show_time(s->place[k].us, time);
		html_rawf(p->h,
			"<li><span class=\"dot %s\"></span>%s: %" PRIu64 " unit%s, %s%s</li>\n",
			stats_place_name(k), stats_place_name(k), s->place[k].units,
			s->place[k].units == 1 ? "" : "s", time, k == STATS_CACHE ? " saved" : "");
	}
	html_raw(p->h, "</ul>\n");
}

/* ---- timelines */

static void
add_key(struct html *h, const char *shape, const char *text)
{
	html_rawf(h, "<li class=\"key\"><svg width=\"26\" height=\"14\">%s</svg>%s</li>\n", shape,
		text);
}

static void
add_legend(struct html *h)
{
	html_raw(h, "<ul class=\"legend soft\">\n");
	add_key(h, "<rect class=\"w\" y=\"12\" width=\"26\" height=\"2\"/>", "waiting");
	add_key(h, "<rect class=\"m\" y=\"7\" width=\"26\" height=\"7\"/>", "sending, receiving");
	add_key(h, "<rect class=\"c\" width=\"26\" height=\"14\"/>", "compiling, or a hit");
	add_key(h, "<rect class=\"l\" width=\"26\" height=\"14\"/>", "linking here");
	add_key(h, "<rect class=\"s\" y=\"3\" width=\"26\" height=\"11\" rx=\"5\"/>",
		"a build script's run, or it was put back");
	add_key(h,
		"<rect class=\"c\" width=\"26\" height=\"14\"/><path class=\"r\" d=\"M10 0h6l-3 "
		"5z\"/>",
		"the metadata was there");
	add_key(h,
		"<g class=\"crit\"><rect class=\"c\" x=\"1\" y=\"1\" width=\"24\" "
		"height=\"12\"/></g>",
		"on the critical path");
	html_raw(h, "</ul>\n");
}

static int
add_timeline(struct page *p, const struct build *b)
{
	_cleanup_(critical_done) struct critical path = { 0 };
	struct timeline_sums sums;
	char when[SHOW_SIZE], took[SHOW_SIZE];
	size_t units = 0;
	int r = critical_of_jobs(b->jobs, b->n, &path);

	if (r < 0)
		return r;
	for (size_t i = 0; i < b->n; i++)
		units += !job_is_run(&b->jobs[i]);
	if (p->in->n > 1) {
		show_when(b->first_ms, when);
		show_time((b->last_ms - b->first_ms) * 1000, took);
		html_rawf(p->h, "<h2>%s: %s, %zu unit%s%s</h2>\n<p class=\"soft path\">", when,
			took, units, units == 1 ? "" : "s",
			units < b->n ? " and runs of build scripts" : "");
		html_text(p->h, b->dir);
		html_raw(p->h, "</p>\n");
	}
	html_raw(p->h, "<div class=\"scroll frame\">\n");
	r = timeline_add(p->h, b->jobs, b->n, &path, &sums);
	html_raw(p->h, "</div>\n");
	return r;
}

static int
add_timelines(struct page *p)
{
	size_t from = p->in->n > TIMELINES ? p->in->n - TIMELINES : 0;
	int r = 0;

	html_raw(p->h, "<h2>Timeline</h2>\n");
	if (from)
		html_rawf(p->h, "<p class=\"soft\">Of the last %d builds.</p>\n", TIMELINES);
	add_legend(p->h);
	html_raw(p->h, "<div id=\"find\"></div>\n");
	for (size_t i = from; r == 0 && i < p->in->n; i++)
		r = add_timeline(p, p->in->builds[i]);
	return r;
}

/* ---- the page */

static int
gather(struct page *p)
{
	const struct build *b;
	struct lanes l;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < p->in->n; i++)
		n += p->in->builds[i]->n;
	p->jobs = calloc(n + 1, sizeof(*p->jobs));
	if (!p->jobs)
		return -ENOMEM;
	for (size_t i = 0; i < p->in->n; i++) {
		b = p->in->builds[i];
		for (size_t k = 0; k < b->n; k++) {
			stats_add(&p->stats, &b->jobs[k]);
			p->jobs[p->n_jobs++] = &b->jobs[k];
		}
		r = lanes_make(b->jobs, b->n, 0, &l);
		if (r < 0)
			return r;
		p->wall_us += l.end_us;
		p->busy_us += l.busy_us;
		p->lanes = MAX2(p->lanes, l.n_lanes);
		lanes_done(&l);
	}
	stats_sort(&p->stats);
	return 0;
}

static void
add_foot(struct page *p)
{
	char when[SHOW_SIZE];

	show_when(p->in->now_ms, when);
	html_rawf(p->h,
		"<p class=\"soft\">Made from the job log by dray " PACKAGE_VERSION ", %s.</p>\n"
		"<div id=\"tip\"></div>\n<script>",
		when);
	html_raw(p->h, js);
	html_raw(p->h, "</script>\n</body>\n</html>\n");
}

int
page_write(const struct page_in *in, struct html *ret)
{
	struct page *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->h = ret;
	p->in = in;
	r = gather(p);
	if (r == 0) {
		add_head(p);
		add_top(p);
		add_tiles(p);
		add_places(p);
		r = add_timelines(p);
	}
	if (r == 0)
		r = page_add_critical(p);
	if (r == 0)
		r = page_add_slowest(p);
	if (r == 0)
		r = page_add_reasons(p);
	if (r == 0) {
		page_add_units(p);
		add_foot(p);
	}
	free(p->jobs);
	free(p);
	return r < 0 ? r : ret->failed;
}
