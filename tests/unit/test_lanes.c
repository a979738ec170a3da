/* Lanes and spans of a timeline. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/show/lanes.h"

#define T0 UINT64_C(1795233150000) /* milliseconds since 1970 at 0 of the monotonic clock */

static struct job_line
unit(const char *crate, uint64_t from_ms, uint64_t to_ms)
{
	return (struct job_line){ .crate = crate,
		.where = "farm",
		.kind = "lib",
		.time_ms = T0 + to_ms,
		.start_us = from_ms * 1000,
		.end_us = to_ms * 1000 };
}

static const struct lane_unit *
find(const struct lanes *l, const char *crate)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->units[i].job->crate, crate))
			return &l->units[i];
	fail_msg("%s", crate);
	return NULL;
}

static void
none(void **state)
{
	struct lanes l;

	assert_int_equal(lanes_make(NULL, 0, 0, &l), 0);
	assert_int_equal(l.n_lanes, 0);
	assert_int_equal(l.end_us, 0);
	assert_int_equal(l.busy_us, 0);
	lanes_done(&l);
}

/*  a ████████      c ████
 *  b   ████    (none)    d ██ */
static void
side_by_side(void **state)
{
	const struct job_line jobs[] = { unit("b", 120, 160), unit("a", 100, 180),
		unit("c", 200, 240), unit("d", 240, 260) };
	struct lanes l;

	assert_int_equal(lanes_make(jobs, ARRAY_LEN(jobs), 0, &l), 0);
	assert_int_equal(l.n_lanes, 2);
	assert_int_equal(l.end_us, 160000);
	assert_int_equal(l.busy_us, 140000);
	assert_string_equal(l.units[0].job->crate, "a");
	assert_int_equal(find(&l, "a")->from_us, 0);
	assert_int_equal(find(&l, "a")->to_us, 80000);
	assert_int_equal(find(&l, "a")->lane, 0);
	assert_int_equal(find(&l, "b")->lane, 1);
	assert_int_equal(find(&l, "c")->lane, 0);
	/* it began when another ended: they share a lane */
	assert_int_equal(find(&l, "d")->lane, 0);
	assert_int_equal(find(&l, "a")->alone_us, 40000);
	assert_int_equal(find(&l, "b")->alone_us, 0);
	assert_int_equal(find(&l, "c")->alone_us, 40000);
	assert_int_equal(find(&l, "d")->alone_us, 20000);
	lanes_done(&l);
	/* with room between */
	assert_int_equal(lanes_make(jobs, ARRAY_LEN(jobs), 50000, &l), 0);
	assert_int_equal(find(&l, "d")->lane, 1);
	lanes_done(&l);
}

/* Of three that overlap, the one that is left runs alone at the end only. */
static void
nested(void **state)
{
	const struct job_line jobs[] = { unit("long", 0, 100), unit("x", 10, 60),
		unit("y", 20, 90) };
	struct lanes l;

	assert_int_equal(lanes_make(jobs, ARRAY_LEN(jobs), 0, &l), 0);
	assert_int_equal(l.n_lanes, 3);
	assert_int_equal(l.busy_us, 100000);
	assert_int_equal(find(&l, "long")->alone_us, 20000);
	assert_int_equal(find(&l, "x")->alone_us + find(&l, "y")->alone_us, 0);
	lanes_done(&l);
}

/* Of another boot, or over a suspend: only the wall clock orders them. */
static void
two_boots(void **state)
{
	struct job_line jobs[] = { unit("before", 9000000, 9001000), unit("after", 100, 300) };
	struct lanes l;

	jobs[0].time_ms = T0;
	jobs[1].time_ms = T0 + 60000;
	assert_int_equal(lanes_make(jobs, ARRAY_LEN(jobs), 0, &l), 0);
	assert_string_equal(l.units[0].job->crate, "before");
	assert_int_equal(l.end_us, 61000000);
	assert_int_equal(find(&l, "after")->from_us, 60800000);
	lanes_done(&l);
	/* times that cannot be */
	jobs[0].time_ms = 0;
	jobs[1].time_ms = 3;
	assert_int_equal(lanes_make(jobs, ARRAY_LEN(jobs), 0, &l), 0);
	assert_int_equal(l.end_us, 3000);
	lanes_done(&l);
}

static void
assert_spans(const struct job_line *j, const char *ways, const uint64_t *ends)
{
	struct span s[SPANS_MAX];
	size_t n = lanes_spans(j, s);
	uint64_t at = 0;

	assert_int_equal(n, strlen(ways));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal("wmclr"[s[i].way], ways[i]);
		assert_int_equal(s[i].from_us, at);
		assert_int_equal(s[i].to_us, ends[i]);
		at = s[i].to_us;
	}
}

static void
spans(void **state)
{
	struct job_line j = unit("a", 0, 1);

	j.end_us = 1000;
	j.start_us = 0;
	assert_spans(&j, "w", (const uint64_t[]){ 1000 });
	j.compile_us = 600;
	assert_spans(&j, "wc", (const uint64_t[]){ 400, 1000 });
	j.compile_start_us = 300;
	j.queue_us = 100;
	j.upload_us = 150;
	j.download_us = 50;
	/* 100 to 250 sent, then nothing known; received until 950 */
	assert_spans(&j, "wmwcmw", (const uint64_t[]){ 100, 250, 300, 900, 950, 1000 });
	j.link_us = 40;
	assert_spans(&j, "wmwcmwl", (const uint64_t[]){ 100, 250, 300, 900, 950, 960, 1000 });
	/* parts that are longer than all */
	j.queue_us = j.compile_us = j.link_us = 1000000;
	assert_spans(&j, "wc", (const uint64_t[]){ 300, 1000 });
	/* from before its begin, or after its end: not known */
	j.compile_start_us = 5000;
	j.link_us = j.upload_us = j.download_us = j.queue_us = 0;
	assert_spans(&j, "c", (const uint64_t[]){ 1000 });
	j.where = "cache";
	j.cache = "hit";
	j.compile_us = 0;
	assert_spans(&j, "c", (const uint64_t[]){ 1000 });
	j.cache = "bundle";
	j.lookup_us = 100;
	j.restore_us = 200;
	j.link_us = 400;
	j.store_us = 50;
	assert_spans(&j, "wmwlw", (const uint64_t[]){ 100, 300, 550, 950, 1000 });
	j.end_us = 0;
	assert_spans(&j, "", NULL);
	j = unit("a", 0, 1);
	j.start_us = 0;
	j.end_us = 1000;
	j.kind = "script-run";
	j.compile_us = 600;
	j.store_us = 100;
	assert_spans(&j, "wrw", (const uint64_t[]){ 300, 900, 1000 });
	j.where = "cache";
	j.cache = "hit";
	assert_spans(&j, "r", (const uint64_t[]){ 1000 });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none),
		cmocka_unit_test(side_by_side),
		cmocka_unit_test(nested),
		cmocka_unit_test(two_boots),
		cmocka_unit_test(spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
