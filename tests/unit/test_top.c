/* What drayctl top shows and does, without a terminal: sums, rates, sorting, the filter, the choice
 * of a worker, screens of any size, and hostile names. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "drayctl/grid.h"
#include "drayctl/top/top.h"

#define WORKERS_MAX 2000
#define JOBS_MAX 300

struct farm {
	unsigned workers, jobs;
	uint64_t at_ms, ended, found, absent;
	const char *crate;
};

static char empty[] = "", trusted[] = "trusted", runs[] = "runs", coord[] = "coord";

/* The same way round as a message comes. */
static void
show(struct top *t, const struct farm *f)
{
	static Dray__AdminWorker w[WORKERS_MAX], *wl[WORKERS_MAX];
	static Dray__AdminJob j[JOBS_MAX], *jl[JOBS_MAX];
	static char names[WORKERS_MAX][80], ids[JOBS_MAX][33], crates[JOBS_MAX][100];
	Dray__AdminView v = DRAY__ADMIN_VIEW__INIT;
	struct wire_msg m = WIRE_MSG_INIT;
	zmq_msg_t frame;

	for (unsigned i = 0; i < f->workers; i++) {
		dray__admin_worker__init(wl[i] = &w[i]);
		snprintf(names[i], sizeof(names[i]), "w%04u", i);
		w[i].name = names[i];
		w[i].here = true;
		w[i].trust = trusted;
		w[i].standing = empty;
		w[i].slots = 4;
		w[i].used = i % 5;
		w[i].load_percent = (i * 37) % 100;
		w[i].ended = i;
	}
	for (unsigned i = 0; i < f->jobs; i++) {
		dray__admin_job__init(jl[i] = &j[i]);
		snprintf(ids[i], sizeof(ids[i]), "%032x", i);
		snprintf(crates[i], sizeof(crates[i]), "%s%u", f->crate, i);
		j[i].id = ids[i];
		j[i].crate = crates[i];
		j[i].kind = empty;
		j[i].state = runs;
		j[i].worker = names[0];
		j[i].held_ms = 1000 * (i + 1);
		j[i].age_ms = 2000 * (i + 1);
	}
	v.name = coord;
	v.at_ms = f->at_ms;
	v.workers = f->workers;
	v.slots = 4 * f->workers;
	v.used = f->workers;
	v.ended = f->ended;
	v.has_cache = true;
	v.cache_found = f->found;
	v.cache_absent = f->absent;
	v.worker = wl;
	v.n_worker = f->workers;
	v.job = jl;
	v.n_job = f->jobs;
	assert_int_equal(wire_encode_number(WIRE_ADMIN_VIEW, 1, &v.base, &frame), 0);
	assert_int_equal(wire_decode(zmq_msg_data(&frame), zmq_msg_size(&frame), NULL,
				 WIRE_FROM_COORDINATOR, &m),
		0);
	zmq_msg_close(&frame);
	top_take_view(t, &m);
	assert_null(m.body);
}

/* The screen as one text; each line is within its bounds. */
static const char *
screen(struct top *t, unsigned width, unsigned height)
{
	static char text[TOP_LINES_MAX * (TOP_COLUMNS_MAX * 4 + 1)];
	struct top_frame f = { .n = 0 };
	size_t n = 0;

	assert_int_equal(top_draw(t, width, height, &f), 0);
	assert_true(f.n <= height);
	for (unsigned i = 0; i < f.n; i++) {
		assert_true(grid_text_width(f.text[i]) <= width);
		for (const char *s = f.text[i]; *s; s++)
			assert_true((unsigned char)*s >= ' ' && *s != 0x7f);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", f.text[i]);
	}
	top_frame_done(&f);
	assert_int_equal(f.n, 0);
	return text;
}

static struct top *
begin(const struct farm *f)
{
	struct top *t = NULL;

	assert_int_equal(top_new(&t), 0);
	if (f)
		show(t, f);
	return t;
}

#define HAS(text, part)                                                \
	do {                                                           \
		if (!strstr(text, part))                               \
			fail_msg("\"%s\" is not in:\n%s", part, text); \
	} while (0)

static void
test_sums_and_rates(void **state)
{
	struct farm f = { 10, 3, 1000000, 100, 50, 50, "serde" };
	_cleanup_(top_freep) struct top *t = begin(&f);
	const char *text;

	(void)state;
	text = screen(t, 80, 24);
	HAS(text, "coord");
	HAS(text, "workers 10, 0 drained");
	HAS(text, "10/40");
	HAS(text, "jobs 0.0/s, 100 ended");
	HAS(text, "disk 50.0 %");
	HAS(text, "w0000");
	HAS(text, "serde2");
	f.at_ms += 2000;
	f.ended += 30;
	f.found += 100;
	show(t, &f);
	text = screen(t, 80, 24);
	HAS(text, "jobs 15.0/s, 130 ended");
	HAS(text, "disk 75.0 %");
	HAS(text, "50.0/s");
	/* a coordinator that was started anew */
	f.at_ms += 1000;
	f.ended = 1;
	show(t, &f);
	HAS(screen(t, 80, 24), "jobs 0.0/s, 1 ended");
}

static void
test_no_view(void **state)
{
	_cleanup_(top_freep) struct top *t = begin(NULL);

	(void)state;
	top_say(t, "it is \033[31mgone");
	HAS(screen(t, 80, 24), "it is ?[31mgone");
	assert_string_equal(top_chosen(t), "");
	assert_int_equal(top_key(t, 'd'), TOP_NOTHING);
	assert_int_equal(top_key(t, 'q'), TOP_QUIT);
}

static void
test_any_size(void **state)
{
	struct farm f = { WORKERS_MAX, JOBS_MAX, 1000000, 0, 0, 0, "a-crate-of-a-very-long-name" };
	_cleanup_(top_freep) struct top *t = begin(&f);
	static const unsigned widths[] = { 1, 2, 20, 79, 80, 200, 10000 };

	(void)state;
	for (unsigned height = 1; height < 60; height++)
		for (size_t i = 0; i < ARRAY_LEN(widths); i++)
			screen(t, widths[i], height);
	screen(t, 80, 100000);
	/* the last one is reached, and is shown */
	for (int i = 0; i < 300; i++)
		top_key(t, TOP_PAGE_DOWN);
	assert_string_equal(top_chosen(t), "w1999");
	HAS(screen(t, 80, 24), "w1999");
}

static void
test_choice(void **state)
{
	struct farm f = { 5, 0, 1000000, 0, 0, 0, "" };
	_cleanup_(top_freep) struct top *t = begin(&f);

	(void)state;
	assert_string_equal(top_chosen(t), "w0000");
	top_key(t, TOP_DOWN);
	top_key(t, 'j');
	assert_string_equal(top_chosen(t), "w0002");
	assert_int_equal(top_key(t, 'd'), TOP_DRAIN);
	assert_int_equal(top_key(t, 'r'), TOP_RESUME);
	top_key(t, TOP_UP);
	assert_string_equal(top_chosen(t), "w0001");
	/* it stays the same worker when the order is another */
	top_key(t, 's');
	top_key(t, 's');
	HAS(screen(t, 80, 24), "s sort (load)");
	assert_string_equal(top_chosen(t), "w0001");
	/* and is another one when it is gone */
	f.workers = 1;
	f.at_ms++;
	show(t, &f);
	assert_string_equal(top_chosen(t), "w0000");
}

static void
test_filter(void **state)
{
	struct farm f = { 30, 30, 1000000, 0, 0, 0, "crate" };
	_cleanup_(top_freep) struct top *t = begin(&f);
	const char *text;

	(void)state;
	top_key(t, '/');
	for (const char *s = "W001"; *s; s++)
		assert_int_equal(top_key(t, *s), TOP_NOTHING);
	text = screen(t, 80, 24);
	HAS(text, "/W001_");
	HAS(text, "w0010");
	assert_null(strstr(text, "w0001"));
	top_key(t, TOP_BACKSPACE);
	/* letters are the filter's, not commands */
	assert_int_equal(top_key(t, 'q'), TOP_NOTHING);
	top_key(t, TOP_BACKSPACE);
	top_key(t, TOP_ENTER);
	assert_int_equal(top_key(t, 'q'), TOP_QUIT);
	top_key(t, TOP_ESCAPE);
	HAS(screen(t, 80, 24), "w0001");
	top_key(t, '/');
	for (int i = 0; i < 1000; i++)
		top_key(t, 'x');
	screen(t, 80, 24);
	top_key(t, TOP_ESCAPE);
}

static void
test_jobs(void **state)
{
	struct farm f = { 2, 40, 1000000, 0, 0, 0, "c\033[2J\xc2\x9b\xff" };
	_cleanup_(top_freep) struct top *t = begin(&f);
	const char *text = screen(t, 80, 24);

	(void)state;
	/* the slowest first, and nothing of it moves the cursor */
	HAS(text, "c?[2J?");
	assert_true(strstr(text, "39") != NULL);
	top_key(t, TOP_TAB);
	HAS(screen(t, 80, 24), "s sort (in slot)");
	top_key(t, TOP_PAGE_DOWN);
	top_key(t, TOP_UP);
	screen(t, 80, 24);
	for (int i = 0; i < 4; i++) {
		top_key(t, 's');
		screen(t, 80, 24);
	}
}

static void
test_events(void **state)
{
	struct farm f = { 2, 1, 1000000, 0, 0, 0, "crate" };
	_cleanup_(top_freep) struct top *t = begin(&f);
	Dray__AdminEvents m = DRAY__ADMIN_EVENTS__INIT;
	Dray__AdminEvent e = DRAY__ADMIN_EVENT__INIT, *list[] = { &e };
	char kind[] = "worker", worker[] = "w1", text[] = "gone\r\n";

	(void)state;
	assert_false(top_follows(t));
	assert_int_equal(top_key(t, 'f'), TOP_LOOK);
	assert_true(top_follows(t));
	e.kind = kind;
	e.worker = worker;
	e.text = text;
	m.event = list;
	m.n_event = 1;
	for (uint64_t i = 1; i <= TOP_EVENTS_KEPT + 5; i++) {
		m.next = i;
		top_take_events(t, &m);
	}
	assert_int_equal(top_last_event(t), TOP_EVENTS_KEPT + 5);
	HAS(screen(t, 80, 24), "w1: gone??");
	top_key(t, 'f');
	assert_null(strstr(screen(t, 80, 24), "gone"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_and_rates),
		cmocka_unit_test(test_no_view),
		cmocka_unit_test(test_any_size),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
