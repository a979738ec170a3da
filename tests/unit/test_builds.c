/* Which lines of the job log are one build. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/show/builds.h"
#include "common/text/when.h"

#define T0 UINT64_C(1795233150000)
#define HOUR UINT64_C(3600000)

static void
assert_dir(const char *out_dir, const char *expected)
{
	_cleanup_(freep) char *dir = build_dir(out_dir);

	assert_string_equal(dir, expected);
}

static void
directories(void **state)
{
	assert_dir("", "");
	assert_dir("/w/target/debug/deps", "/w/target/debug");
	assert_dir("/w/target/debug/examples", "/w/target/debug");
	assert_dir("/w/target/debug/build/serde-1a2b", "/w/target/debug");
	/* layout v2 */
	assert_dir("/w/target/debug/build/serde/0123456789abcdef/out", "/w/target/debug");
	assert_dir("/w/target/debug/build/serde/0123456789abcdef/out/probe", "/w/target/debug");
	assert_dir("/w/build/target/x86/debug/build/a-b/0123456789abcdef/out",
		"/w/build/target/x86/debug");
	assert_dir("/w/target/debug/build/anyhow-1a2b/out", "/w/target/debug");
	assert_dir("/w/target/debug/build/anyhow-1a2b/out/probe", "/w/target/debug");
	assert_dir("/build/src/target/debug/build/x-1/out/p", "/build/src/target/debug");
	assert_dir("/w/build/x-1/outer", "/w/build/x-1/outer");
	assert_dir("/w/elsewhere", "/w/elsewhere");
	assert_dir("/build/x", "/");
	assert_dir("/", "/");
	assert_dir("deps", ".");
}

/* A unit of one second that ended so many milliseconds after T0. */
static void
add_kind(struct builds *all, const char *crate, const char *kind, const char *out_dir,
	uint64_t parent, uint64_t end_ms, bool keep)
{
	_cleanup_(freep) char *line = NULL;
	struct job_line j;
	char time[WHEN_SIZE];

	when_format(T0 + end_ms, time);
	assert_true(asprintf(&line,
			    "{\"time\":\"%s\",\"where\":\"farm\",\"crate\":\"%s\",\"kind\":\"%s\","
			    "\"out_dir\":\"%s\",\"parent\":%ju,\"start_us\":5,"
			    "\"end_us\":1000005}",
			    time, crate, kind, out_dir, (uintmax_t)parent) > 0);
	assert_int_equal(job_decode(line, strlen(line), &j), 0);
	assert_int_equal(builds_add(all, &j, keep), 0);
	job_done(&j);
}

static void
add(struct builds *all, const char *crate, const char *out_dir, uint64_t parent, uint64_t end_ms,
	bool keep)
{
	add_kind(all, crate, "lib", out_dir, parent, end_ms, keep);
}

static void
assert_last(const struct builds *all, const char *crates)
{
	const struct build *b = builds_last(all);
	char names[64] = "";

	assert_non_null(b);
	for (size_t i = 0; i < b->n; i++)
		strncat(names, b->jobs[i].crate, sizeof(names) - strlen(names) - 1);
	assert_string_equal(names, crates);
}

static void
one_process(void **state)
{
	struct builds all = { 0 };

	assert_null(builds_last(&all));
	add(&all, "a", "/t/debug/deps", 10, 1000, true);
	/* a build script that runs long, another directory: the same cargo */
	add(&all, "b", "/t/x86/debug/deps", 10, HOUR, true);
	assert_last(&all, "ab");
	assert_int_equal(builds_last(&all)->first_ms, T0);
	assert_int_equal(builds_last(&all)->last_ms, T0 + HOUR);
	assert_string_equal(builds_last(&all)->dir, "/t/debug");
	/* the same directory at once, another cargo */
	add(&all, "c", "/t/debug/deps", 11, HOUR + 1001, true);
	assert_last(&all, "c");
	/* the first one goes on: it ended last */
	add(&all, "d", "/t/debug/deps", 10, HOUR + 2000, true);
	assert_last(&all, "abd");
	/* its number comes again */
	add(&all, "e", "/t/debug/deps", 10, 3 * HOUR, true);
	assert_last(&all, "e");
	builds_done(&all);
}

static void
by_directory(void **state)
{
	struct builds all = { 0 };

	add(&all, "a", "/t/debug/deps", 0, 1000, true);
	add(&all, "b", "/t/debug/build/b-1", 0, 15000, true);
	add(&all, "x", "/u/debug/deps", 0, 15001, true);
	assert_last(&all, "x");
	add(&all, "c", "/t/debug/deps", 0, 15500, true);
	assert_last(&all, "abc");
	add(&all, "d", "/t/debug/deps", 0, 15500 + 20000 + 1001, true);
	assert_last(&all, "d");
	/* the clock was set back by a day */
	add(&all, "e", "/t/debug/deps", 0, 0 - 24 * HOUR, true);
	assert_last(&all, "e");
	builds_done(&all);
}

/* What is not kept carries a build on; the last one is that of what was kept. */
static void
kept_only(void **state)
{
	struct builds all = { 0 };

	add(&all, "a", "/t/debug/deps", 0, 1000, true);
	for (unsigned i = 1; i < 10; i++)
		add(&all, "x", "/t/debug/deps", 0, i * 15000, false);
	add(&all, "b", "/t/debug/deps", 0, 150000, true);
	assert_last(&all, "ab");
	add(&all, "y", "/t/debug/deps", 0, 9 * HOUR, false);
	assert_last(&all, "ab");
	builds_done(&all);
}

/* A build script asks the compiler what it can do: its process is another, its build is not. */
static void
trials(void **state)
{
	struct builds all = { 0 };

	add(&all, "a", "/t/debug/deps", 10, 1000, true);
	add(&all, "b", "/u/debug/deps", 11, 1000, true);
	add(&all, "p", "/t/debug/build/x-1/out/probe", 500, 5000, true);
	assert_last(&all, "ap");
	add(&all, "q", "/t/debug/build/y-1/out", 501, 6000, true);
	add(&all, "c", "/t/debug/deps", 10, 7000, true);
	assert_last(&all, "apqc");
	builds_done(&all);
}

static void
add_trial(struct builds *all, const char *crate, const char *out_dir, uint64_t parent,
	uint64_t cargo, uint64_t end_ms)
{
	_cleanup_(freep) char *line = NULL;
	struct job_line j;
	char time[WHEN_SIZE];

	when_format(T0 + end_ms, time);
	assert_true(
		asprintf(&line,
			"{\"time\":\"%s\",\"where\":\"local\",\"crate\":\"%s\",\"out_dir\":\"%s\","
			"\"parent\":%ju,\"trial\":true,\"cargo\":%ju,\"start_us\":5,"
			"\"end_us\":1000005}",
			time, crate, out_dir, (uintmax_t)parent, (uintmax_t)cargo) > 0);
	assert_int_equal(job_decode(line, strlen(line), &j), 0);
	assert_true(job_is_trial(&j));
	assert_int_equal(builds_add(all, &j, true), 0);
	job_done(&j);
}

/* Layout v2: each unit has an out-dir of its own, and a script's looks like a unit's; two builds
 * side by side, one of which has only trials yet. */
static void
units_apart(void **state)
{
	static const char v2[] = "/t/debug/build/a/0123456789abcdef/out";
	struct builds all = { 0 };

	add(&all, "a", v2, 10, 1000, true);
	add(&all, "b", "/t/debug/build/b/1123456789abcdef/out", 10, 2000, true);
	add_trial(&all, "p", "/t/debug/build/c/2123456789abcdef/out", 700, 10, 2500);
	add_trial(&all, "q", "/tmp/probe", 701, 10, 2600);
	add_trial(&all, "r", "/t/debug/build/d/3123456789abcdef/out", 702, 11, 2700);
	assert_last(&all, "r");
	add(&all, "c", "/t/debug/build/d/4123456789abcdef/out", 11, 3000, true);
	assert_last(&all, "rc");
	assert_string_equal(builds_last(&all)->dir, "/t/debug");
	add(&all, "d", "/t/debug/build/e/5123456789abcdef/out", 10, 3500, true);
	assert_last(&all, "abpqd");
	assert_string_equal(builds_last(&all)->dir, "/t/debug");
	builds_done(&all);
}

static void
not_a_unit(void **state)
{
	struct builds all = { 0 };

	add(&all, "a", "/t/debug/deps", 10, 1000, true);
	add(&all, "", "", 99, 2000, true);
	assert_last(&all, "a");
	add(&all, "", "", 10, 2000, true);
	assert_int_equal(builds_last(&all)->n, 2);
	builds_done(&all);
}

/* A run of a script has its OUT_DIR, as a trial may have; but it is cargo's own, and its line has
 * cargo's number: also where it is the first of the build, or all of it. */
static void
runs(void **state)
{
	static const char out_dir[] = "/t/debug/build/x-0123456789abcdef/out";
	struct builds all = { 0 };

	add_kind(&all, "r", "script-run", out_dir, 8, 1000, true);
	add(&all, "a", "/t/debug/deps", 7, 1500, true);
	add_kind(&all, "s", "script-run", out_dir, 7, 2000, true);
	assert_int_equal(all.n, 2);
	assert_last(&all, "as");
	assert_string_equal(builds_last(&all)->dir, "/t/debug");
	add_kind(&all, "q", "script-run", out_dir, 9, 3000, true);
	assert_last(&all, "q");
	assert_true(build_has_units(builds_last(&all)));
	builds_done(&all);
}

/* Years of builds: only what may go on, and the last one, are held. */
static void
old_ones_are_dropped(void **state)
{
	struct builds all = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		add(&all, "a", "/t/debug/deps", 10 + i, i * HOUR / 4, true);
	assert_true(all.n < 10);
	assert_int_equal(builds_last(&all)->parent, 1009);
	builds_done(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories),
		cmocka_unit_test(one_process),
		cmocka_unit_test(by_directory),
		cmocka_unit_test(kept_only),
		cmocka_unit_test(trials),
		cmocka_unit_test(runs),
		cmocka_unit_test(units_apart),
		cmocka_unit_test(not_a_unit),
		cmocka_unit_test(old_ones_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
