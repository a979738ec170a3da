/* The critical path: chains, pipelines, what is not known, logs that are meant to do harm. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "client/show/critical.h"
#include "common/buf.h"

#define MS UINT64_C(1000)

/* A library whose metadata was there at rmeta_ms (0: not known). */
static struct critical_unit
lib(const char *stem, const char *externs, uint64_t from_ms, uint64_t rmeta_ms, uint64_t to_ms)
{
	return (struct critical_unit){ .stem = stem,
		.externs = externs,
		.package = "",
		.pipelined = true,
		.from_us = from_ms * MS,
		.rmeta_us = rmeta_ms * MS,
		.to_us = to_ms * MS };
}

static struct critical_unit
bin(const char *stem, const char *externs, uint64_t from_ms, uint64_t to_ms)
{
	struct critical_unit u = lib(stem, externs, from_ms, 0, to_ms);

	u.pipelined = false;
	return u;
}

/* Steps as "0 1M+10c 2A": the unit's index, what it needed of the one before, the gap in ms. */
static void
assert_path(const struct critical_unit *units, size_t n, const char *want)
{
	_cleanup_(critical_done) struct critical c = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t at = 0;

	assert_int_equal(critical_find(units, n, &c), 0);
	for (size_t i = 0; i < c.n; i++) {
		const struct critical_step *s = &c.steps[i];

		buf_addf(&b, "%s%zu", i ? " " : "", s->unit);
		if (i)
			buf_addf(&b, "%c", "?MAS"[s->need]);
		else
			assert_int_equal(s->need, CRITICAL_NOTHING);
		if (s->gap_us)
			buf_addf(&b, "+%d%c", (int)(s->gap_us / MS), "cbs"[s->gap]);
		/* no holes */
		if (i)
			assert_int_equal(at + s->gap_us, s->from_us);
		assert_true(s->from_us <= s->to_us);
		at = s->to_us;
	}
	assert_string_equal(b.p ? (const char *)b.p : "", want);
}

static void
none(void **state)
{
	const struct critical_unit old = lib("", "", 0, 0, 100);
	struct critical_unit trial = lib("trial", "", 0, 0, 100);

	trial.left_out = true;
	assert_path(NULL, 0, "");
	/* an older dray's log does not tell */
	assert_path(&old, 1, "");
	assert_path(&trial, 1, "");
}

static void
a_chain(void **state)
{
	const struct critical_unit units[] = {
		bin("app", "bbbbbbbb cccccccc", 320, 400),
		bin("a-aaaaaaaa11111111", "", 0, 100),
		bin("b-bbbbbbbb11111111", "aaaaaaaa", 110, 300),
		bin("c-cccccccc11111111", "aaaaaaaa", 110, 200),
		/* long, but before the end */
		bin("d-dddddddd11111111", "", 0, 390),
	};

	assert_path(units, ARRAY_LEN(units), "1 2A+10c 0A+20c");
}

static void
a_begin_without_what_it_needs(void **state)
{
	const struct critical_unit units[] = {
		bin("other-aaaaaaaa", "", 0, 30),
		/* compiled long ago */
		bin("app-bbbbbbbb", "99999999 88888888", 80, 200),
	};

	assert_path(units, ARRAY_LEN(units), "1+80c");
}

/*   low ██▼█████████
 *   mid    ███▼████     needs metadata
 *   app             ██  needs all: low ended last */
static void
pipelined(void **state)
{
	struct critical_unit units[] = {
		lib("low-aaaaaaaa", "", 0, 100, 900),
		lib("mid-bbbbbbbb", "aaaaaaaa", 110, 300, 600),
		bin("app-cccccccc", "aaaaaaaa bbbbbbbb", 910, 1000),
	};

	assert_path(units, ARRAY_LEN(units), "0 2A+10c");
	units[1].to_us = 905 * MS;
	assert_path(units, ARRAY_LEN(units), "0 1M+10c 2A+5c");
	/* a check needs no more than the metadata, even of what has ended */
	units[2].pipelined = true;
	units[1].to_us = 600 * MS;
	assert_path(units, ARRAY_LEN(units), "0 1M+10c 2M+610c");
}

/* It began before the other ended, and nothing tells when the metadata was there. */
static void
metadata_at_an_unknown_time(void **state)
{
	struct critical_unit units[] = {
		lib("low-aaaaaaaa", "", 0, 0, 900),
		lib("mid-bbbbbbbb", "aaaaaaaa", 110, 0, 1000),
	};

	assert_path(units, ARRAY_LEN(units), "0 1M");
	/* known, but too late to be true */
	units[0].rmeta_us = 120 * MS;
	assert_path(units, ARRAY_LEN(units), "0 1M");
}

static void
a_build_script(void **state)
{
	struct critical_unit units[] = {
		bin("build_script_build-aaaaaaaa", "", 0, 100),
		bin("dep-bbbbbbbb", "", 0, 150),
		bin("app-cccccccc", "bbbbbbbb", 500, 600),
	};

	units[0].script = true;
	units[0].package = units[2].package = "app 0.1.0";
	/* dep was there later, but cargo had slots to start app at 150 */
	assert_path(units, ARRAY_LEN(units), "0 2S+400b");
	units[2].from_us = 155 * MS;
	assert_path(units, ARRAY_LEN(units), "1 2A+5c");
	/* another package's is none of its own */
	units[2].from_us = 500 * MS;
	units[0].package = "dep 0.1.0";
	assert_path(units, ARRAY_LEN(units), "1 2A+350c");
	/* a trial is part of the script's run */
	units[0].package = "app 0.1.0";
	units[1].left_out = true;
	assert_path(units, ARRAY_LEN(units), "0 2S+400b");
}

/*   script ███
 *   run       ███████        waits for its script's program, and for the run of what it links
 *   low's run ██████
 *   app                ███   waits for the run whose OUT_DIR it gets */
static void
a_run(void **state)
{
	struct critical_unit units[] = {
		bin("build_script_build-aaaaaaaa", "", 0, 100),
		bin("app-11111111", "aaaaaaaa", 310, 400),
		bin("app-bbbbbbbb", "11111111", 405, 600),
		bin("low-22222222", "", 0, 300),
		bin("other-33333333", "", 0, 404),
	};

	units[0].script = true;
	units[0].package = units[1].package = units[2].package = "app 0.1.0";
	units[1].run = units[3].run = units[4].run = true;
	units[3].links = "lo-w";
	units[4].links = "other";
	/* the run is in the log, so it is no gap */
	assert_path(units, ARRAY_LEN(units), "0 1A+210c 2A+5c");
	units[1].deps = "X LO_W_ROOT_DIR OTHER";
	assert_path(units, ARRAY_LEN(units), "3 1A+10c 2A+5c");
	/* one that ended later has given it nothing */
	units[1].deps = "OTHER_INCLUDE";
	assert_path(units, ARRAY_LEN(units), "0 1A+210c 2A+5c");
	/* where the id of its program is not known, the package's */
	units[1].externs = "";
	assert_path(units, ARRAY_LEN(units), "0 1A+210c 2A+5c");
	/* its end is not known: it is a gap, as ever */
	units[1].left_out = true;
	assert_path(units, ARRAY_LEN(units), "0 2S+305b");
}

static void
no_free_slot(void **state)
{
	const struct critical_unit units[] = {
		bin("a-aaaaaaaa", "", 0, 100),
		bin("x-11111111", "", 0, 300),
		bin("y-22222222", "", 100, 300),
		bin("b-bbbbbbbb", "aaaaaaaa", 301, 500),
		bin("z-33333333", "", 301, 400),
	};

	assert_path(units, ARRAY_LEN(units), "0 3A+201s");
}

/* Two units of one id: the one that can have been meant. */
static void
one_id_twice(void **state)
{
	const struct critical_unit units[] = {
		bin("a-aaaaaaaa", "", 0, 100),
		bin("a-aaaaaaaa", "", 100, 200),
		bin("app-bbbbbbbb", "aaaaaaaa", 205, 300),
		bin("a-aaaaaaaa", "", 250, 290),
	};

	assert_path(units, ARRAY_LEN(units), "1+100c 2A+5c");
}

static void
circles_end(void **state)
{
	static char externs[64 * 1024];
	struct critical_unit units[] = {
		lib("a-aaaaaaaa", "bbbbbbbb aaaaaaaa", 0, 1, 100),
		lib("b-bbbbbbbb", "aaaaaaaa  bbbbbbbb ", 0, 1, 100),
		lib("c-cccccccc", "cccccccc bbbbbbbb", 0, 1, 100),
		lib("d-dddddddd", externs, 50, 0, 200),
	};

	memset(externs, 'x', sizeof(externs) - 1);
	assert_path(units, 3, "0");
	assert_path(units, 4, "3+50c");
	memcpy(externs + sizeof(externs) - 10, " cccccccc", 9);
	assert_path(units, 4, "2 3M+49c");
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define MANY 10000

/* A chain as long as the build; and all with one id, one package. */
static void
many(void **state)
{
	struct critical_unit *units = calloc(MANY, sizeof(*units));
	char(*text)[2][24] = calloc(MANY, sizeof(*text));
	struct critical c = { 0 };
	double start = seconds();
	uint64_t least;

	assert_non_null(units);
	assert_non_null(text);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text[i][0], sizeof(text[i][0]), "u-%08x", i);
		snprintf(text[i][1], sizeof(text[i][1]), "%08x", i - 1);
		units[i] = bin(text[i][0], text[i][1], 10 * i, 10 * i + 9);
	}
	assert_int_equal(critical_find(units, MANY, &c), 0);
	assert_int_equal(c.n, MANY);
	assert_int_equal(c.steps[MANY - 1].unit, MANY - 1);
	assert_int_equal(c.steps[MANY - 1].gap_us, MS);
	assert_int_equal(critical_least(&c, 12, &least), 0);
	assert_int_equal(least, 9 * MS);
	critical_done(&c);
	for (unsigned i = 0; i < MANY; i++) {
		units[i].stem = "u-00000000";
		units[i].externs = "00000000";
		units[i].package = "p";
		units[i].script = i % 2;
		units[i].run = i % 3 == 0;
		units[i].links = "A";
		units[i].deps = "A_A_A_A_A A_B";
	}
	assert_int_equal(critical_find(units, MANY, &c), 0);
	assert_true(c.n > 1);
	critical_done(&c);
	/* a walk through all of them at each step takes many seconds */
	assert_true(seconds() - start < 1.0);
	free(units);
	free(text);
}

static void
add_line(struct job_line *j, const char *line)
{
	assert_int_equal(job_decode(line, strlen(line), j), 0);
}

/* Of lines, with a boot's clock and with fields that are absent. */
static void
of_jobs(void **state)
{
	_cleanup_(critical_done) struct critical c = { 0 };
	struct job_line jobs[3];

	add_line(&jobs[0],
		"{\"time\":\"2026-11-21T10:00:01.000Z\",\"where\":\"local\",\"kind\":\"lib\","
		"\"unit\":\"low-aaaaaaaa\",\"start_us\":1000000,\"rmeta_us\":1200000,"
		"\"end_us\":2000000}");
	add_line(&jobs[1],
		"{\"time\":\"2026-11-21T10:00:02.000Z\",\"where\":\"local\",\"kind\":\"lib\","
		"\"unit\":\"mid-bbbbbbbb\",\"externs\":\"aaaaaaaa\",\"start_us\":1250000,"
		"\"end_us\":3000000}");
	add_line(&jobs[2], "{\"time\":\"2026-11-21T10:00:01.500Z\",\"where\":\"local\",\"unit\":7,"
			   "\"externs\":[1],\"start_us\":1500000,\"end_us\":2500000}");
	assert_int_equal(critical_of_jobs(jobs, ARRAY_LEN(jobs), &c), 0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.whole_us, 2000 * MS);
	assert_int_equal(c.steps[0].unit, 0);
	assert_int_equal(critical_part_us(&c.steps[0]), 200 * MS);
	assert_int_equal(c.steps[1].unit, 1);
	assert_int_equal(c.steps[1].need, CRITICAL_METADATA);
	assert_int_equal(c.steps[1].gap_us, 50 * MS);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		job_done(&jobs[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none),
		cmocka_unit_test(a_chain),
		cmocka_unit_test(a_begin_without_what_it_needs),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(metadata_at_an_unknown_time),
		cmocka_unit_test(a_build_script),
		cmocka_unit_test(a_run),
		cmocka_unit_test(no_free_slot),
		cmocka_unit_test(one_id_twice),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(many),
		cmocka_unit_test(of_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
