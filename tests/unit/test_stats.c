/* Sums over the job log: what is weighted by time, and which reasons are one. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/show/stats.h"

static void
assert_group(const char *reason, const char *expected)
{
	char name[STATS_NAME_MAX];

	stats_group_name(reason, name);
	assert_string_equal(name, expected);
}

static void
groups(void **state)
{
	assert_group("new", "new");
	assert_group("a file changed: src/lib.rs", "a file changed");
	assert_group("a file changed (src/lib.rs)", "a file changed");
	assert_group("file src/lib.rs changed", "file ... changed");
	assert_group("/home/me/app/src/lib.rs changed", "a file changed");
	assert_group("/home/me/my app/src/lib.rs changed", "a file changed");
	assert_group("src/lib.rs changed", "a file changed");
	assert_group("build.rs is gone", "a file is gone");
	assert_group("/libdep-0123.rmeta is new", "a file is new");
	assert_group("/a/b is a file now", "a directory is a file now");
	assert_group("/a/b has other files", "a directory has other files");
	assert_group("/a/b leads elsewhere", "a symbolic link leads elsewhere");
	assert_group("/a/b is no symbolic link now", "a symbolic link leads elsewhere");
	assert_group("--cfg feature=\"a.b\" is new", "... is new");
	assert_group("source src/lib.rs changed", "source ... changed");
	assert_group("variable A.B changed", "variable ... changed");
	assert_group("variable HOME is set", "variable ... is set");
	assert_group("the variable `x y` changed", "the variable ... changed");
	assert_group("offload = never", "offload = never");
	assert_group("small, and a local slot was free", "small");
	assert_group("local-only: reads the network", "local-only");
	assert_group("the lint linker_messages", "the lint ...");
	assert_group("needs the environment: NAME", "needs the environment");
	assert_group("the compiler's own files", "the compiler's own files");
	assert_group("the crate does what it wants.", "the crate does what it wants");
	/* what comes first says nothing */
	assert_group("worker-1: it is gone", "it is gone");
	assert_group("w1: w2: disk full: 3", "disk full");
	assert_group("farm: no worker is connected", "no worker is connected");
	assert_group("farm", "farm");
	assert_group("farm busy", "farm busy");
	assert_group("", "other");
	assert_group(": ;", "other");
	assert_group("12 34", "other");
	assert_group("'", "other");
	assert_group("caf\xc3\xa9 is shut", "... is shut");
	/* cut between words */
	assert_group("one two three four five six seven eight nine ten eleven twelve thirteen",
		"one two three four five six seven eight nine ten eleven twelve");
}

static struct job_line
unit(const char *where, const char *cache, uint64_t ms)
{
	return (struct job_line){ .where = where,
		.cache = cache,
		.crate = "a",
		.kind = "lib",
		.why = "",
		.cache_why = "",
		.not_stored = "",
		.tier = "",
		.shared_why = "",
		.not_shared = "",
		.out_dir = "",
		.time_ms = 1000,
		.compile_us = ms * 1000 };
}

/* 97 small hits and 3 large misses: good by count, bad by time. */
static void
weighted(void **state)
{
	struct job_line hit = unit("cache", "hit", 0), miss = unit("farm", "miss", 3000);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	hit.saved_us = 10000;
	hit.cache_bytes = 100;
	hit.lookup_us = 5;
	miss.link_us = 500000;
	miss.cache_bytes = 7;
	miss.bytes_sent = 11;
	for (int i = 0; i < 97; i++)
		stats_add(s, &hit);
	for (int i = 0; i < 3; i++)
		stats_add(s, &miss);
	assert_int_equal(s->all.units, 100);
	assert_int_equal(s->hit.units, 97);
	assert_int_equal(s->hit.us, 970000);
	assert_int_equal(s->miss.us, 3 * 3500000);
	assert_int_equal(s->place[STATS_CACHE].units, 97);
	assert_int_equal(s->place[STATS_FARM].us, 3 * 3500000);
	assert_int_equal(s->bytes_restored, 9700);
	assert_int_equal(s->bytes_stored, 21);
	assert_int_equal(s->bytes_sent, 33);
	assert_int_equal(s->lookup_us, 97 * 5);
	/* what went to the farm needs no excuse */
	assert_int_equal(s->not_on_farm.n, 0);
	assert_int_equal(s->miss_why.n, 1);
	assert_string_equal(s->miss_why.g[0].name, "no reason given");
}

/* Each tier's hits, by what they saved; units and runs of build scripts apart. */
static void
tiers(void **state)
{
	struct job_line disk = unit("cache", "hit", 0), far = disk, linked = disk, miss;
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	disk.saved_us = 1000;
	disk.tier = "local";
	disk.shared_bytes = 5; /* of another unit's time: nothing came for this one */
	linked.cache = "bundle";
	linked.saved_us = 2000;
	far.tier = "coordinator";
	far.saved_us = 7000;
	far.shared_bytes = 100;
	stats_add(s, &disk);
	stats_add(s, &linked);
	stats_add(s, &far);
	far.kind = "script-run";
	far.saved_us = 500;
	stats_add(s, &far);
	far.tier = "s3://bucket/a";
	stats_add(s, &far);
	/* what missed is no tier's, whatever it says */
	miss = unit("local", "miss", 9);
	miss.tier = "coordinator";
	stats_add(s, &miss);
	stats_sort(s);
	assert_int_equal(s->n_tiers, 3);
	assert_string_equal(s->tiers[0].name, "coordinator");
	assert_int_equal(s->tiers[0].units, 1);
	assert_int_equal(s->tiers[0].runs, 1);
	assert_int_equal(s->tiers[0].saved_us, 7500);
	assert_int_equal(s->tiers[0].bytes, 200);
	assert_string_equal(s->tiers[1].name, STATS_DISK);
	assert_int_equal(s->tiers[1].units, 2);
	assert_int_equal(s->tiers[1].saved_us, 3000);
	assert_int_equal(s->tiers[1].bytes, 0);
	assert_string_equal(s->tiers[2].name, "s3://bucket/a");
	assert_int_equal(s->tiers[2].runs, 1);
	assert_int_equal(stats_saved_us(s), 7500 + 3000 + 500);
}

/* More stores than there is room for, and names that are too long. */
static void
many_tiers(void **state)
{
	struct job_line far = unit("cache", "hit", 0);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));
	char name[2 * STATS_TIER_MAX];

	(void)state;
	assert_non_null(s);
	far.saved_us = 1;
	far.tier = name;
	for (unsigned i = 0; i < STATS_TIERS_MAX + 7; i++) {
		snprintf(name, sizeof(name), "s3://%u", i);
		stats_add(s, &far);
	}
	assert_int_equal(s->n_tiers, STATS_TIERS_MAX);
	assert_string_equal(s->tiers[STATS_TIERS_MAX - 1].name, "other");
	assert_int_equal(s->tiers[STATS_TIERS_MAX - 1].units, 8);
	memset(s, 0, sizeof(*s));
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	stats_add(s, &far);
	stats_add(s, &far);
	assert_int_equal(s->n_tiers, 1);
	assert_int_equal(s->tiers[0].units, 2);
}

/* Why stores gave nothing, whichever they are. */
static void
shared_why(void **state)
{
	const char *const whys[] = { "coordinator: it is in no store",
		"file:///srv/dray: it is in no store", "it is in no store" };
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
		struct job_line j = unit("local", "miss", 1);

		j.shared_why = whys[i];
		stats_add(s, &j);
	}
	assert_int_equal(s->shared.why.n, 1);
	assert_string_equal(s->shared.why.g[0].name, "it is in no store");
}

/* A hit, with the time that its link took beside it. */
static void
linked(void **state)
{
	struct job_line j = unit("cache", "bundle", 0);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	j.saved_us = 10000;
	j.link_us = 300;
	j.cache_bytes = 100;
	j.cache_why = "linker mold changed";
	stats_add(s, &j);
	assert_int_equal(s->hit.units, 1);
	assert_int_equal(s->hit.us, 10000);
	assert_int_equal(s->linked.units, 1);
	assert_int_equal(s->linked.us, 300);
	assert_int_equal(s->bytes_restored, 100);
	assert_int_equal(s->miss.units, 0);
	assert_int_equal(s->linked_why.n, 1);
	assert_string_equal(s->linked_why.g[0].name, "linker mold changed");
}

static void
reasons(void **state)
{
	struct job_line j = unit("local", "miss", 1);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	j.why = "no coordinator configured";
	j.cache_why = "a file changed: a.rs";
	j.not_stored = "it was edited meanwhile: a.rs";
	stats_add(s, &j);
	j.cache_why = "a file changed: b.rs";
	j.time_ms = 500; /* the clock was set back */
	stats_add(s, &j);
	j.cache_why = "new";
	j.compile_us = 1000000;
	j.exit_status = 1;
	stats_add(s, &j);
	j.cache = "off";
	j.cache_why = "incremental";
	stats_add(s, &j);
	stats_sort(s);
	assert_int_equal(s->first_ms, 500);
	assert_int_equal(s->last_ms, 1000);
	assert_int_equal(s->miss_why.n, 2);
	/* most time first, not most units */
	assert_string_equal(s->miss_why.g[0].name, "new");
	assert_string_equal(s->miss_why.g[1].name, "a file changed");
	assert_int_equal(s->miss_why.g[1].sum.units, 2);
	assert_int_equal(s->off_why.n, 1);
	assert_int_equal(s->not_stored.g[0].sum.units, 4);
	assert_int_equal(s->not_on_farm.g[0].sum.units, 4);
	assert_int_equal(s->failed.units, 2);
	/* a build script's trial may fail */
	j.out_dir = "/t/debug/build/x-1/out";
	stats_add(s, &j);
	assert_int_equal(s->failed.units, 2);
	assert_int_equal(s->all.units, 5);
}

/* Runs of build scripts change no number of the units'. */
static void
runs(void **state)
{
	struct job_line hit = unit("cache", "hit", 0), miss = unit("local", "miss", 3000),
			off = unit("passthrough", "off", 0);
	struct job_line *all[] = { &hit, &miss, &off };
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));
	const struct stats none = { 0 };

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		all[i]->kind = "script-run";
		all[i]->out_dir = "/t/debug/build/x-1/out";
		all[i]->time_ms = 2000 - i;
	}
	hit.saved_us = 7000000;
	hit.cache_bytes = 100;
	hit.restore_us = 5;
	miss.cache_why = "/a/zlib.h changed";
	miss.not_stored = "it asked for the time: date";
	miss.cache_bytes = 7;
	miss.store_us = 3;
	miss.exit_status = 101;
	off.cache_why = "OUT_DIR is not there";
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		stats_add(s, all[i]);
	assert_false(stats_is_empty(s));
	assert_int_equal(s->first_ms, 1998);
	assert_int_equal(s->last_ms, 2000);
	assert_int_equal(s->runs.all.units, 3);
	assert_int_equal(s->runs.hit.units, 1);
	assert_int_equal(s->runs.hit.us, 7000000);
	assert_int_equal(s->runs.miss.units, 1);
	assert_int_equal(s->runs.miss.us, 3000000);
	assert_int_equal(s->runs.off.units, 1);
	assert_int_equal(s->runs.failed.units, 1);
	assert_int_equal(s->runs.restore_us, 5);
	assert_int_equal(s->runs.store_us, 3);
	assert_string_equal(s->runs.miss_why.g[0].name, "a file changed");
	assert_string_equal(s->runs.not_stored.g[0].name, "it asked for the time");
	assert_string_equal(s->runs.off_why.g[0].name, "... is not there");
	assert_int_equal(s->bytes_restored, 100);
	assert_int_equal(s->bytes_stored, 7);
	assert_int_equal(stats_saved_us(s), 7000000);
	assert_memory_equal(&s->all, &none.all, sizeof(none.all));
	assert_memory_equal(s->place, none.place, sizeof(none.place));
	assert_memory_equal(&s->failed, &none.failed, sizeof(none.failed));
	assert_memory_equal(&s->hit, &none.hit, sizeof(none.hit));
	assert_memory_equal(&s->miss, &none.miss, sizeof(none.miss));
	assert_memory_equal(&s->off, &none.off, sizeof(none.off));
	assert_int_equal(s->miss_why.n + s->off_why.n + s->not_stored.n + s->not_on_farm.n, 0);
	assert_int_equal(s->lookup_us + s->restore_us + s->store_us, 0);
	/* and units none of theirs */
	hit.kind = "lib";
	stats_add(s, &hit);
	assert_int_equal(s->runs.all.units, 3);
	assert_int_equal(stats_saved_us(s), 14000000);
}

static void
left_out(void **state)
{
	struct job_line probe = unit("local", "", 5), odd = unit("moon", "hit", 5);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	probe.kind = "probe";
	stats_add(s, &probe);
	stats_add(s, &odd);
	assert_int_equal(s->all.units, 0);
	assert_int_equal(s->hit.units, 0);
	assert_int_equal(stats_place_of("moon"), STATS_PLACES);
	assert_string_equal(stats_place_name(STATS_PLACES), "");
}

static void
many_groups(void **state)
{
	struct job_line j = unit("local", "miss", 1);
	_cleanup_(freep) struct stats *s = calloc(1, sizeof(*s));
	char why[] = "reason aa";
	uint64_t n = 0;

	assert_non_null(s);
	j.cache_why = why;
	for (char a = 'a'; a <= 'z'; a++)
		for (char b = 'a'; b <= 'z'; b++) {
			why[sizeof(why) - 3] = a;
			why[sizeof(why) - 2] = b;
			stats_add(s, &j);
		}
	assert_int_equal(s->miss_why.n, STATS_GROUPS_MAX);
	stats_sort(s);
	assert_string_equal(s->miss_why.g[0].name, "other");
	for (size_t i = 0; i < s->miss_why.n; i++)
		n += s->miss_why.g[i].sum.units;
	assert_int_equal(n, 26 * 26);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups),
		cmocka_unit_test(weighted),
		cmocka_unit_test(tiers),
		cmocka_unit_test(many_tiers),
		cmocka_unit_test(shared_why),
		cmocka_unit_test(linked),
		cmocka_unit_test(reasons),
		cmocka_unit_test(runs),
		cmocka_unit_test(left_out),
		cmocka_unit_test(many_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
