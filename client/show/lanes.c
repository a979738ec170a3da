/* Lanes and spans of a timeline.
 *
 * Invariant: whatever the log says, times lie between the build's begin and end, and spans between
 * their unit's. */
#include "config.h"

#include <errno.h>

#include "client/show/builds.h"
#include "client/show/lanes.h"

/* Lines whose clocks agree so well are of one boot that was not suspended: then the finer clock
 * counts. */
#define CLOCKS_AGREE_US UINT64_C(5000000)

static uint64_t
wall_us(const struct job_line *j)
{
	return j->time_ms * 1000;
}

/* Whether start_us of all jobs can be compared. */
static bool
one_clock(const struct job_line *jobs, size_t n)
{
	uint64_t low = UINT64_MAX, high = 0, offset;

	for (size_t i = 0; i < n; i++) {
		if (wall_us(&jobs[i]) < jobs[i].end_us)
			return false;
		offset = wall_us(&jobs[i]) - jobs[i].end_us;
		low = MIN2(low, offset);
		high = MAX2(high, offset);
	}
	return n && high - low <= CLOCKS_AGREE_US;
}

static int
by_begin(const void *a, const void *b)
{
	const struct lane_unit *x = a, *y = b;

	if (x->from_us != y->from_us)
		return x->from_us < y->from_us ? -1 : 1;
	return x->to_us < y->to_us ? -1 : x->to_us > y->to_us;
}

static void
fill_times(const struct job_line *jobs, struct lanes *l)
{
	bool fine = one_clock(jobs, l->n);
	uint64_t begin = UINT64_MAX;

	for (size_t i = 0; i < l->n; i++) {
		const struct job_line *j = &jobs[i];
		uint64_t took = j->end_us - j->start_us, end = fine ? j->end_us : wall_us(j);

		l->units[i] = (struct lane_unit){
			.job = j, .from_us = end > took ? end - took : 0, .to_us = end
		};
		begin = MIN2(begin, l->units[i].from_us);
	}
	for (size_t i = 0; i < l->n; i++) {
		l->units[i].from_us -= begin;
		l->units[i].to_us -= begin;
		l->end_us = MAX2(l->end_us, l->units[i].to_us);
	}
}

/* The first lane that is free, in the order of their begins. */
static int
fill_lanes(struct lanes *l, uint64_t gap_us)
{
	_cleanup_(freep) uint64_t *free_at = calloc(l->n + 1, sizeof(*free_at));
	unsigned k;

	if (!free_at)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		struct lane_unit *u = &l->units[i];

		for (k = 0; k < l->n_lanes && free_at[k] > u->from_us; k++)
			;
		l->n_lanes = MAX2(l->n_lanes, k + 1);
		u->lane = k;
		free_at[k] = MAX2(u->to_us, u->from_us + gap_us);
	}
	return 0;
}

/* Units are in the order of their begins: a stretch in which one runs alone begins where all before
 * it have ended, and ends with it or with the next begin. */
static void
fill_alone(struct lanes *l)
{
	struct lane_unit *last = NULL; /* that ends last, of those so far */
	uint64_t second = 0;	       /* when the other ones of those have ended */

	for (size_t i = 0; i < l->n; i++) {
		struct lane_unit *u = &l->units[i];
		uint64_t next = i + 1 < l->n ? l->units[i + 1].from_us : UINT64_MAX, from, to;

		if (!last || u->to_us >= last->to_us) {
			second = last ? last->to_us : 0;
			l->busy_us += u->to_us - MAX2(u->from_us, MIN2(second, u->to_us));
			last = u;
		} else {
			second = MAX2(second, u->to_us);
		}
		from = MAX2(u->from_us, second);
		to = MIN2(last->to_us, next);
		if (from < to)
			last->alone_us += to - from;
	}
}

int
lanes_make(const struct job_line *jobs, size_t n, uint64_t gap_us, struct lanes *ret)
{
	struct lanes l = { .n = n };
	int r;

	l.units = calloc(n + 1, sizeof(*l.units));
	if (!l.units)
		return -ENOMEM;
	fill_times(jobs, &l);
	qsort(l.units, n, sizeof(*l.units), by_begin);
	fill_alone(&l);
	r = fill_lanes(&l, gap_us);
	if (r < 0) {
		free(l.units);
		return r;
	}
	*ret = l;
	return 0;
}

void
lanes_done(struct lanes *l)
{
	free(l->units);
	memset(l, 0, sizeof(*l));
}

/* ---- spans */

struct spans {
	struct span *s;
	size_t n;
	uint64_t at, end;
};

/* The next `us`, as far as there is room up to `until`; like neighbours become one. */
static void
add(struct spans *s, enum span_way way, uint64_t us, uint64_t until)
{
	uint64_t to = MIN2(s->at + us, MIN2(until, s->end));

	if (to <= s->at)
		return;
	if (s->n && s->s[s->n - 1].way == way)
		s->s[s->n - 1].to_us = to;
	else
		s->s[s->n++] = (struct span){ way, s->at, to };
	s->at = to;
}

static void
add_until(struct spans *s, enum span_way way, uint64_t until)
{
	if (until > s->at)
		add(s, way, until - s->at, until);
}

size_t
lanes_spans(const struct job_line *j, struct span ret[SPANS_MAX])
{
	uint64_t wall = j->end_us - j->start_us, begin = wall, tail, before;
	enum span_way work = job_is_run(j) ? SPAN_RUN : SPAN_COMPILE;
	struct spans s = { .s = ret, .end = wall };

	if (streq(j->where, "cache") && !job_is_bundle(j)) {
		add(&s, work, wall, wall);
		return s.n;
	}
	if (streq(j->where, "cache")) {
		add(&s, SPAN_WAIT, j->lookup_us, wall);
		add(&s, SPAN_MOVE, j->restore_us, wall);
		add_until(&s, SPAN_WAIT, wall - MIN2(wall, j->link_us + j->store_us));
		add(&s, SPAN_LINK, j->link_us, wall);
		add_until(&s, SPAN_WAIT, wall);
		return s.n;
	}
	/* what comes after the compile keeps its length */
	tail = MIN2(j->download_us + j->link_us + j->store_us, wall);
	if (j->compile_start_us && j->compile_start_us >= j->start_us &&
		j->compile_start_us < j->end_us)
		begin = j->compile_start_us - j->start_us;
	else if (j->compile_us)
		begin = wall - MIN2(wall, tail + j->compile_us);
	before = MIN2(begin, wall);
	add(&s, SPAN_WAIT, j->lookup_us + j->slot_wait_us + j->pack_us + j->queue_us, before);
	add(&s, SPAN_MOVE, j->upload_us, before);
	add_until(&s, SPAN_WAIT, before);
	add(&s, work, j->compile_us, wall);
	if (j->download_us)
		add(&s, SPAN_MOVE, j->download_us, wall);
	add_until(&s, SPAN_WAIT, wall - MIN2(wall, j->link_us + j->store_us));
	add(&s, SPAN_LINK, j->link_us, wall);
	add_until(&s, SPAN_WAIT, wall);
	return s.n;
}
