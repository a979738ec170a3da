/* The tables of `dray report`, and its critical path. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/show/critical.h"
#include "client/show/lanes.h"
#include "client/show/page_priv.h"
#include "common/text/show.h"
#include "client/show/tell.h"

#define SLOWEST 15
#define ALONE 8
#define ALONE_MIN_US 50000
#define CRITICAL 40   /* rows of the critical path */
#define SHORT_US 5000 /* of a wait, not worth a remark */

/* ---- tables */

static void
add_time_cell(struct html *h, uint64_t us)
{
	char time[SHOW_SIZE];

	show_time(us, time);
	html_rawf(h, "<td class=\"n\" data-v=\"%" PRIu64 "\">%s</td>", us, us ? time : "");
}

static void
add_name_cells(struct html *h, const struct job_line *j)
{
	enum stats_place place = stats_place_of(j->where);

	html_raw(h, "<td class=\"name\">");
	html_text(h, *j->crate ? j->crate : "-");
	html_raw(h, "</td><td class=\"k\">");
	html_text(h, j->kind);
	html_rawf(h, "</td><td class=\"k\"><span class=\"dot %s\"></span>",
		place < STATS_PLACES ? stats_place_name(place) : "");
	html_text(h, j->where);
	html_raw(h, "</td>");
}

static void
add_why_cell(struct html *h, const struct job_line *j)
{
	_cleanup_(buf_done) struct buf why = BUF_INIT;

	html_rawf(h, "<td%s>", j->exit_status && !job_is_trial(j) ? " class=\"bad\"" : "");
	if (tell_short(&why, j) < 0)
		h->failed = -ENOMEM;
	else if (why.n)
		html_text(h, (const char *)why.p);
	html_raw(h, "</td>");
}

static void
add_unit_rows(struct html *h, const struct job_line *const *jobs, size_t n, bool packages)
{
	for (size_t i = 0; i < n; i++) {
		const struct job_line *j = jobs[i];

		html_raw(h, "<tr>");
		add_name_cells(h, j);
		if (packages) {
			html_raw(h, "<td>");
			html_text(h, j->package);
			html_raw(h, "</td>");
		}
		add_time_cell(h, j->end_us - j->start_us);
		add_time_cell(h, j->compile_us);
		add_time_cell(h, j->link_us);
		add_why_cell(h, j);
		html_raw(h, "</tr>\n");
	}
}

static int
by_cost(const void *a, const void *b)
{
	const struct job_line *x = *(const struct job_line *const *)a,
			      *y = *(const struct job_line *const *)b;
	uint64_t cost_x = job_cost_us(x), cost_y = job_cost_us(y);

	if (cost_x != cost_y)
		return cost_x < cost_y ? 1 : -1;
	return x < y ? -1 : x > y;
}

#define UNIT_HEADS "<th>crate</th><th>kind</th><th>where</th>"
#define TIME_HEADS \
	"<th class=\"n\">in all</th><th class=\"n\">compile, run</th><th class=\"n\">link</th>"

int
page_add_slowest(struct page *p)
{
	_cleanup_(freep) const struct job_line **sorted = calloc(p->n_jobs + 1, sizeof(*sorted));
	size_t n;

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, p->jobs, p->n_jobs * sizeof(*sorted));
	qsort(sorted, p->n_jobs, sizeof(*sorted), by_cost);
	for (n = 0; n < p->n_jobs && n < SLOWEST && job_cost_us(sorted[n]); n++)
		;
	html_raw(p->h, "<h2>Slowest to compile, link and run</h2>\n");
	if (!n) {
		html_raw(p->h,
			"<p class=\"soft\">Nothing was compiled, and no build script ran.</p>\n");
		return 0;
	}
	html_raw(p->h, "<div class=\"scroll\"><table class=\"sortable\">\n<thead><tr>" UNIT_HEADS
			       TIME_HEADS "<th>remarks</th></tr></thead>\n<tbody>\n");
	add_unit_rows(p->h, sorted, n, false);
	html_raw(p->h, "</tbody></table></div>\n");
	return 0;
}

/* ---- the critical path */

/* "all of serde; then 1.2 s for a free slot; in it 0.3 s for a slot or a worker" */
static void
add_waited_cell(struct html *h, const struct job_line *jobs, const struct critical *c, size_t i)
{
	static const char *const of[] = { "", "the metadata of ", "all of ", "the run of " };
	static const char *const gaps[] = { "cargo", "its build script's run", "a free slot" };
	const struct critical_step *s = &c->steps[i];
	const struct job_line *j = &jobs[s->unit];
	uint64_t inside = j->slot_wait_us + j->queue_us;
	const char *what = i ? of[s->need] : "nothing that the log knows of";
	char time[SHOW_SIZE];

	if (i && job_is_run(&jobs[c->steps[i - 1].unit]))
		what = "the run of the build script of ";
	html_raw(h, "<td>");
	html_raw(h, what);
	if (i)
		html_text(h, jobs[c->steps[i - 1].unit].crate);
	if (s->need == CRITICAL_SCRIPT && *j->package) {
		html_raw(h, " of ");
		html_text(h, j->package);
	}
	show_time(s->gap_us, time);
	if (s->gap_us >= SHORT_US)
		html_rawf(h, "; then %s for %s", time, gaps[s->gap]);
	show_time(inside, time);
	if (inside >= SHORT_US)
		html_rawf(h, "; in it %s for a slot or a worker", time);
	html_raw(h, "</td>");
}

static void
add_critical_row(struct html *h, const struct job_line *jobs, const struct critical *c, size_t i)
{
	const struct critical_step *s = &c->steps[i];
	char from[SHOW_SIZE], to[SHOW_SIZE], share[SHOW_SIZE];

	html_raw(h, "<tr>");
	add_name_cells(h, &jobs[s->unit]);
	show_time(s->from_us, from);
	show_time(s->to_us, to);
	html_rawf(h, "<td class=\"n\">%s</td><td class=\"n\">%s</td>", from, to);
	add_time_cell(h, critical_part_us(s));
	show_share(critical_part_us(s), c->whole_us, share);
	html_rawf(h, "<td class=\"n\">%s</td>", share);
	add_waited_cell(h, jobs, c, i);
	html_raw(h, "</tr>\n");
}

/* Rows of the longest ones; the number of those between them. */
static void
add_critical_rows(
	struct html *h, const struct job_line *jobs, const struct critical *c, uint64_t least)
{
	size_t hidden = 0, shown = 0;

	for (size_t i = 0; i <= c->n; i++) {
		bool show = i < c->n && critical_part_us(&c->steps[i]) >= least && shown < CRITICAL;

		if (i < c->n && !show) {
			hidden++;
			continue;
		}
		if (hidden)
			html_rawf(h,
				"<tr><td class=\"soft\" colspan=\"8\">%zu shorter "
				"one%s</td></tr>\n",
				hidden, hidden == 1 ? "" : "s");
		hidden = 0;
		shown += show;
		if (show)
			add_critical_row(h, jobs, c, i);
	}
}

static uint64_t
sum_of_gaps(const struct critical *c, enum critical_gap gap)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->steps[i].gap == gap)
			sum += c->steps[i].gap_us;
	return sum;
}

static void
add_critical_sums(struct html *h, const struct critical *c)
{
	char scripts[SHOW_SIZE], slots[SHOW_SIZE], cargo[SHOW_SIZE], whole[SHOW_SIZE];

	show_time(c->whole_us, whole);
	show_time(sum_of_gaps(c, CRITICAL_GAP_SCRIPT), scripts);
	show_time(sum_of_gaps(c, CRITICAL_GAP_SLOT), slots);
	show_time(sum_of_gaps(c, CRITICAL_GAP_CARGO), cargo);
	html_rawf(h,
		"<p class=\"soft\">The build takes as long as these, one after another: %s. "
		"Between "
		"them, build scripts of which the log has no run took %s, a free slot %s, and "
		"cargo %s.</p>\n",
		whole, scripts, slots, cargo);
}

/* Of the last build. */
int
page_add_critical(struct page *p)
{
	const struct build *b = p->in->builds[p->in->n - 1];
	_cleanup_(critical_done) struct critical c = { 0 };
	uint64_t least;
	int r = critical_of_jobs(b->jobs, b->n, &c);

	if (r == 0)
		r = critical_least(&c, CRITICAL, &least);
	if (r < 0)
		return r;
	html_rawf(p->h, "<h2 id=\"critical\">Critical path%s</h2>\n",
		p->in->n > 1 ? " of the last build" : "");
	if (!c.n) {
		html_raw(p->h,
			"<p class=\"soft\">The log does not tell what waited for what.</p>\n");
		return 0;
	}
	add_critical_sums(p->h, &c);
	html_raw(p->h, "<div class=\"scroll\"><table>\n<thead><tr>" UNIT_HEADS
		       "<th class=\"n\">from</th><th class=\"n\">to</th>"
		       "<th class=\"n\">its part</th><th class=\"n\">share</th>"
		       "<th>waited for</th></tr></thead>\n<tbody>\n");
	add_critical_rows(p->h, b->jobs, &c, least);
	html_raw(p->h, "</tbody></table></div>\n");
	return 0;
}

static int
by_alone(const void *a, const void *b)
{
	const struct lane_unit *x = a, *y = b;

	return x->alone_us < y->alone_us ? 1 : x->alone_us > y->alone_us ? -1 : 0;
}

/* While one ran alone, all the others waited, or there were none. */
static int
add_alone(struct page *p)
{
	const struct build *b = p->in->builds[p->in->n - 1];
	struct lanes l;
	uint64_t sum = 0;
	char time[SHOW_SIZE];
	int r = lanes_make(b->jobs, b->n, 0, &l);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		sum += l.units[i].alone_us;
	qsort(l.units, l.n, sizeof(*l.units), by_alone);
	show_time(sum, time);
	html_raw(p->h, "<div><h2>What ran alone</h2>\n");
	if (sum < ALONE_MIN_US)
		html_raw(p->h, "<p class=\"soft\">Nothing, for long.</p>\n");
	else
		html_rawf(p->h,
			"<p class=\"soft\">For %s%s only one unit or script ran: others waited for "
			"it, "
			"or there were none.</p>\n"
			"<table>\n<thead><tr>" UNIT_HEADS
			"<th class=\"n\">alone</th></tr></thead>\n<tbody>\n",
			time, p->in->n > 1 ? " of the last build" : "");
	for (size_t i = 0; sum >= ALONE_MIN_US && i < l.n && i < ALONE; i++) {
		if (l.units[i].alone_us < 1000)
			break;
		html_raw(p->h, "<tr>");
		add_name_cells(p->h, l.units[i].job);
		add_time_cell(p->h, l.units[i].alone_us);
		html_raw(p->h, "</tr>\n");
	}
	html_raw(p->h, sum < ALONE_MIN_US ? "</div>\n" : "</tbody></table></div>\n");
	lanes_done(&l);
	return 0;
}

static void
add_groups_of(struct html *h, const char *title, const struct stats_groups *g, const char *what,
	const char *time)
{
	if (!g->n)
		return;
	html_rawf(h,
		"<div><h2>%s</h2>\n<table>\n<thead><tr><th>reason</th><th class=\"n\">%s</th>"
		"<th class=\"n\">%s</th></tr></thead>\n<tbody>\n",
		title, what, time);
	for (size_t i = 0; i < g->n; i++) {
		html_raw(h, "<tr><td>");
		html_text(h, g->g[i].name);
		html_rawf(h, "</td><td class=\"n\">%" PRIu64 "</td>", g->g[i].sum.units);
		add_time_cell(h, g->g[i].sum.us);
		html_raw(h, "</tr>\n");
	}
	html_raw(h, "</tbody></table></div>\n");
}

static void
add_groups(struct html *h, const char *title, const struct stats_groups *g)
{
	add_groups_of(h, title, g, "units", "compile time");
}

static void
add_run_groups(struct html *h, const char *title, const struct stats_groups *g)
{
	add_groups_of(h, title, g, "runs", "time");
}

int
page_add_reasons(struct page *p)
{
	int r;

	html_raw(p->h, "<div class=\"columns\">\n");
	r = add_alone(p);
	add_groups(p->h, "Misses of the local cache", &p->stats.miss_why);
	add_groups(p->h, "In the local cache but for the link", &p->stats.linked_why);
	add_groups(p->h, "The local cache was not asked", &p->stats.off_why);
	add_groups(p->h, "Made, but not kept", &p->stats.not_stored);
	add_run_groups(p->h, "Build scripts that ran", &p->stats.runs.miss_why);
	add_run_groups(p->h, "Build scripts that ran, and the cache was not asked",
		&p->stats.runs.off_why);
	add_run_groups(p->h, "Build scripts' runs that were not kept", &p->stats.runs.not_stored);
	add_groups(p->h, "Not on the farm", &p->stats.not_on_farm);
	html_raw(p->h, "</div>\n");
	return r;
}

void
page_add_units(struct page *p)
{
	html_rawf(p->h,
		"<details%s>\n<summary>All units and runs</summary>\n<div class=\"scroll\">"
		"<table id=\"units\" class=\"sortable\">\n<thead><tr>" UNIT_HEADS
		"<th>package</th>" TIME_HEADS "<th>remarks</th></tr></thead>\n<tbody>\n",
		p->n_jobs <= 60 ? " open" : "");
	add_unit_rows(p->h, p->jobs, p->n_jobs, true);
	html_raw(p->h, "</tbody></table></div>\n</details>\n");
}
