/* A build's timeline as inline SVG.
 *
 * What a bar's height says: as high as its lane, it compiles or links; half as high, something is
 * sent, received or put in place; a line, it waits. A build script's run is a bar with round ends,
 * a little less high. So a phase is seen without its colour, too. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/show/lanes.h"
#include "common/text/show.h"
#include "client/show/stats.h"
#include "client/show/tell.h"
#include "client/show/timeline.h"

#define WIDTH 1136.0
#define AXIS 22.0
#define PAD 4.0
#define BAR_MIN 2.0   /* a hit takes milliseconds */
#define BETWEEN 0.6   /* a bar and the next one */
#define CHAR_WIDE 6.3 /* of a label; a little too much is right */
#define TICK_MIN 90.0

struct drawing {
	struct html *h;
	double width, row, bar;
	double scale; /* pixels a microsecond */
	const struct job_line *jobs;
	bool *critical; /* of each job, whether it is on the critical path */
};

/* ---- the axis */

/* The step between ticks, in microseconds: the least round one that is wide enough. */
static uint64_t
tick_step(double scale)
{
	static const uint64_t minutes[] = { 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800,
		86400 };
	static const unsigned round[] = { 1, 2, 5 };
	size_t i;

	for (uint64_t unit = 1000; unit <= 10000000; unit *= 10)
		for (i = 0; i < ARRAY_LEN(round); i++)
			if ((double)(unit * round[i]) * scale >= TICK_MIN &&
				unit * round[i] < 50000000)
				return unit * round[i];
	for (i = 0; i + 1 < ARRAY_LEN(minutes); i++)
		if ((double)minutes[i] * 1e6 * scale >= TICK_MIN)
			break;
	return minutes[i] * 1000000;
}

/* "0", "250 ms", "1.5 s", "2:30", "1:00:00" */
static void
tick_label(uint64_t us, uint64_t step, char *ret, size_t size)
{
	uint64_t s = us / 1000000;

	if (us == 0)
		snprintf(ret, size, "0");
	else if (step < 1000000 && us < 1000000)
		snprintf(ret, size, "%" PRIu64 " ms", us / 1000);
	else if (step < 1000000)
		snprintf(ret, size, "%.*f s",
			step < 10000	? 3
			: step < 100000 ? 2
					: 1,
			(double)us / 1e6);
	else if (s < 60 || step < 10000000)
		snprintf(ret, size, "%" PRIu64 " s", s);
	else if (s < 3600)
		snprintf(ret, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		snprintf(ret, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60,
			s % 60);
}

static void
draw_axis(const struct drawing *d, uint64_t end_us, double height)
{
	uint64_t step = tick_step(d->scale);
	char label[SHOW_SIZE];

	html_raw(d->h, "<g class=\"axis\">");
	for (uint64_t t = 0; t <= end_us; t += step) {
		double x = PAD + (double)t * d->scale;

		if (x > d->width)
			break;
		tick_label(t, step, label, sizeof(label));
		html_rawf(d->h,
			"<path d=\"M%.1f %.0fV%.0f\"/><text x=\"%.1f\" y=\"14\"%s>%s</text>", x,
			AXIS - 3, height, x, t == 0 ? " class=\"first\"" : "", label);
	}
	html_raw(d->h, "</g>");
}

/* ---- a unit */

static void
draw_tip(struct html *h, const struct lane_unit *u, bool critical)
{
	_cleanup_(buf_done) struct buf why = BUF_INIT;
	const struct job_line *j = u->job;
	char from[SHOW_SIZE], took[SHOW_SIZE];

	show_time(u->from_us, from);
	show_time(u->to_us - u->from_us, took);
	html_raw(h, "<title>");
	html_text(h, *j->crate ? j->crate : "(no name)");
	html_raw(h, " \xc2\xb7 ");
	html_text(h, *j->kind ? j->kind : "unit");
	html_raw(h, " \xc2\xb7 ");
	html_text(h, j->where);
	if (*j->package) {
		html_raw(h, "\n");
		html_text(h, j->package);
	}
	html_rawf(h, "\n%s, from %s on", took, from);
	show_time(job_cost_us(j), took);
	if (job_cost_us(j))
		html_rawf(h, "; %s %s", job_is_run(j) ? "the script" : "compile and link", took);
	if (critical)
		html_raw(h, "\non the critical path");
	if (tell_short(&why, j) == 0 && why.n) {
		html_raw(h, "\n");
		html_text(h, (const char *)why.p);
	}
	html_raw(h, "</title>");
}

static void
draw_span(const struct drawing *d, const struct span *s, double x, double y, double room)
{
	static const char *const names[] = { "w", "m", "c", "l", "s" };
	static const double heights[] = { 0.15, 0.5, 1, 1, 0.75 };
	double from = (double)s->from_us * d->scale, to = MIN2((double)s->to_us * d->scale, room);
	double height = d->bar * heights[s->way];

	/* less than a tenth of a pixel is not seen */
	if (to - from < 0.1)
		return;
	html_rawf(d->h,
		"<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"%s/>",
		names[s->way], x + from, y + d->bar - height, to - from, height,
		s->way == SPAN_RUN ? " rx=\"5\"" : "");
}

static void
draw_label(const struct drawing *d, const struct lane_unit *u, double x, double y, double width)
{
	double room = (width - 8) / CHAR_WIDE;

	if (d->bar < 12 || room < (double)MIN2(strlen(u->job->crate), (size_t)4))
		return;
	html_rawf(d->h, "<text x=\"%.1f\" y=\"%.1f\">", x + 4, y + d->bar - 4);
	html_text_cut(d->h, u->job->crate, (size_t)room);
	html_raw(d->h, "</text>");
}

static void
draw_unit(const struct drawing *d, const struct lane_unit *u)
{
	const struct job_line *j = u->job;
	double x = PAD + (double)u->from_us * d->scale, y = AXIS + u->lane * d->row;
	double width = MAX2((double)(u->to_us - u->from_us) * d->scale, BAR_MIN);
	enum stats_place place = stats_place_of(j->where);
	struct span spans[SPANS_MAX];
	size_t n = lanes_spans(j, spans);

	html_rawf(d->h, "<g class=\"u %s%s%s%s\">",
		place < STATS_PLACES ? stats_place_name(place) : "", job_is_run(j) ? " run" : "",
		d->critical[j - d->jobs] ? " crit" : "",
		j->exit_status && !job_is_trial(j) ? " failed" : "");
	draw_tip(d->h, u, d->critical[j - d->jobs]);
	/* also what the pointer can hit */
	html_rawf(d->h, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
		width > BAR_MIN && n ? "b"
		: job_is_run(j)	     ? "s"
				     : "c",
		x, y, width - BETWEEN, d->bar);
	for (size_t i = 0; width > BAR_MIN && i < n; i++)
		draw_span(d, &spans[i], x, y, width - BETWEEN);
	if (j->rmeta_us > j->start_us && j->rmeta_us < j->end_us && width > 6)
		html_rawf(d->h, "<path class=\"r\" d=\"M%.1f %.1fh6l-3 5z\"/>",
			x + (double)(j->rmeta_us - j->start_us) * d->scale - 3, y);
	draw_label(d, u, x, y, width);
	html_raw(d->h, "</g>\n");
}

int
timeline_add(struct html *h, const struct job_line *jobs, size_t n, const struct critical *path,
	struct timeline_sums *ret_sums)
{
	_cleanup_(freep) bool *critical = calloc(n + 1, sizeof(*critical));
	struct drawing d = {
		.h = h, .row = 19, .bar = 16, .width = WIDTH, .jobs = jobs, .critical = critical
	};
	struct lanes l;
	double height;
	int r = critical ? lanes_make(jobs, n, 0, &l) : -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < path->n; i++)
		critical[path->steps[i].unit] = true;
	*ret_sums = (struct timeline_sums){ l.end_us, l.busy_us, l.n_lanes };
	d.scale = (d.width - 2 * PAD - BAR_MIN) / (double)MAX2(l.end_us, UINT64_C(1000));
	/* again: what is drawn wider than it is needs its room */
	lanes_done(&l);
	r = lanes_make(jobs, n, (uint64_t)((BAR_MIN + 1) / d.scale), &l);
	if (r < 0)
		return r;
	if (l.n_lanes > 48) {
		d.row = 11;
		d.bar = 9;
	}
	height = AXIS + d.row * l.n_lanes + 2;
	html_rawf(h,
		"<svg class=\"timeline\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"role=\"img\" aria-label=\"timeline\">",
		d.width, height, d.width, height);
	draw_axis(&d, l.end_us, height);
	for (size_t i = 0; i < l.n; i++)
		draw_unit(&d, &l.units[i]);
	html_raw(h, "</svg>");
	lanes_done(&l);
	return h->failed;
}
