/* dray stats: what the job log sums up to.
 *
 * Invariant: the log is only read. What --zero leaves is a time, in a file of its own: units before
 * it are not counted. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "common/text/show.h"
#include "client/show/stats.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/text/when.h"

#define ZERO_FILE "stats-since"

struct shown {
	struct stats s;
	struct store_stats size; /* of the cache; max is 0 when there is none */
	struct jobs_tally tally;
	const char *path;
	uint64_t since_ms; /* 0: all */
};

static int
count(void *arg, struct job_line *j)
{
	stats_add(arg, j);
	return 0;
}

/* ---- --zero */

static char *
zero_path(const struct conf *conf)
{
	const char *dir = conf->client.cache_dir;

	return dir && *dir ? path_join(dir, ZERO_FILE) : NULL;
}

static int
zero(const struct conf *conf)
{
	_cleanup_(freep) char *path = zero_path(conf);
	char text[WHEN_SIZE + 1];
	int r;

	when_format(clock_wall_ms(), text);
	strncat(text, "\n", sizeof(text) - strlen(text) - 1);
	r = path ? fs_mkdir_parent(path, 0700) : -ENOENT;
	if (r == 0)
		r = fs_write_atomic(path, text, strlen(text), 0600);
	if (r < 0) {
		cmd_error(&cmd_stats, "%s: %s", path ? path : "there is no cache directory",
			strerror(-r));
		return CMD_FAILED;
	}
	printf("from now on, what was before %s is not counted\n", strtok(text, "\n"));
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

/* When --zero was last given; 0: never. */
static uint64_t
zero_time(const struct conf *conf)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = zero_path(conf);
	uint64_t ms = 0;
	int r = path ? fs_read_file(path, 4096, &b) : -ENOENT;

	if (r == -ENOENT)
		return 0;
	if (r == 0 && b.n && b.p[b.n - 1] == '\n')
		b.p[--b.n] = '\0';
	if (r < 0 || !b.n || !when_parse((const char *)b.p, &ms))
		cmd_error(&cmd_stats, "%s: %s; all is counted", path,
			r < 0 ? strerror(-r) : "is no time");
	return ms ? ms + 1 : 0;
}

/* ---- as text */

static void
print_sum(const char *indent, const char *name, const struct stats_sum *sum, const char *what)
{
	char time[SHOW_SIZE];

	show_time(sum->us, time);
	printf("%s%-*s %7" PRIu64 "  %10s%s%s\n", indent, 26 - (int)strlen(indent), name,
		sum->units, time, *what ? " " : "", what);
}

static void
print_groups(const char *title, const struct stats_groups *g)
{
	if (!g->n)
		return;
	printf("\n%s\n", title);
	for (size_t i = 0; i < g->n; i++) {
		_cleanup_(buf_done) struct buf name = BUF_INIT;
		char time[SHOW_SIZE];

		show_time(g->g[i].sum.us, time);
		if (show_text(&name, g->g[i].name) == 0 && name.n)
			printf("  %7" PRIu64 "  %10s  %s\n", g->g[i].sum.units, time,
				(const char *)name.p);
	}
}

static void
print_cache(const struct stats *s)
{
	uint64_t asked_us = s->hit.us + s->miss.us, asked = s->hit.units + s->miss.units;
	char by_time[SHOW_SIZE], by_count[SHOW_SIZE], restore[SHOW_SIZE], store[SHOW_SIZE];

	if (!asked && !s->off.units)
		return;
	if (!asked) {
		printf("\nlocal cache: not asked\n");
		print_groups("not asked, why", &s->off_why);
		return;
	}
	show_share(s->hit.us, asked_us, by_time);
	show_share(s->hit.units, asked, by_count);
	printf("\nlocal cache: hits are %s of compile time, %s of units\n", by_time, by_count);
	print_sum("  ", "hits", &s->hit, "saved");
	if (s->linked.units)
		print_sum("    ", "of these only linked", &s->linked, "linking");
	print_sum("  ", "misses", &s->miss, "compiled");
	if (s->off.units)
		print_sum("  ", "not asked", &s->off, "compiled");
	show_time(s->lookup_us + s->restore_us, restore);
	show_time(s->store_us, store);
	printf("  its own work: %s to look up and restore, %s to keep\n", restore, store);
	print_groups("misses, why", &s->miss_why);
	print_groups("only linked, why", &s->linked_why);
	print_groups("not asked, why", &s->off_why);
	print_groups("made, but not kept, why", &s->not_stored);
}

static void
print_runs(const struct stats *s)
{
	const struct stats_runs *r = &s->runs;
	uint64_t asked = r->hit.units + r->miss.units;
	char by_time[SHOW_SIZE], by_count[SHOW_SIZE], restore[SHOW_SIZE], store[SHOW_SIZE];

	if (!r->all.units)
		return;
	show_share(r->hit.us, r->hit.us + r->miss.us, by_time);
	show_share(r->hit.units, asked, by_count);
	if (asked)
		printf("\nruns of build scripts: %s of their time were put back, %s of runs\n",
			by_time, by_count);
	else
		printf("\nruns of build scripts: the local cache was not asked\n");
	if (asked)
		print_sum("  ", "put back", &r->hit, "saved");
	if (asked)
		print_sum("  ", "run", &r->miss, "run");
	if (r->off.units)
		print_sum("  ", "not asked", &r->off, "run");
	if (r->failed.units)
		print_sum("  ", "failed", &r->failed, "");
	show_time(r->lookup_us + r->restore_us, restore);
	show_time(r->store_us, store);
	printf("  the cache's own work: %s to look up and put back, %s to keep\n", restore, store);
	print_groups("runs that were not known, why", &r->miss_why);
	print_groups("runs not asked for, why", &r->off_why);
	print_groups("runs that were not kept, why", &r->not_stored);
}

/* Units and runs together. */
static void
print_shared(const struct stats_shared *s)
{
	char wait[SHOW_SIZE], bytes[SHOW_SIZE];

	if (!s->bytes && !s->wait_us && !s->why.n && !s->not_shared.n)
		return;
	show_time(s->wait_us, wait);
	show_bytes(s->bytes, bytes);
	printf("\nshared stores: %s came from there, in %s\n", bytes, wait);
	if (s->refused)
		printf("  %" PRIu64 " results are not believed\n", s->refused);
	print_groups("not taken from stores, why", &s->why);
	print_groups("not uploaded, why", &s->not_shared);
}

/* What was needed, hits and what was made: a hit rate by count would flatter. */
static uint64_t
needed_us(const struct stats *s)
{
	return stats_saved_us(s) + s->miss.us + s->off.us + s->runs.miss.us + s->runs.off.us;
}

static void
print_tier(const struct stats *s, const struct stats_tier *t)
{
	char saved[SHOW_SIZE], share[SHOW_SIZE], bytes[SHOW_SIZE];
	_cleanup_(buf_done) struct buf name = BUF_INIT;
	bool disk = streq(t->name, STATS_DISK);

	show_time(t->saved_us, saved);
	show_share(t->saved_us, needed_us(s), share);
	show_bytes(t->bytes, bytes);
	if (disk ? buf_adds(&name, "this disk") < 0 : show_text(&name, t->name) < 0)
		return;
	printf("  %7" PRIu64 " %7" PRIu64 "  %10s  %6s  %10s  %s\n", t->units, t->runs, saved,
		share, disk ? "-" : bytes, name.n ? (const char *)name.p : "?");
}

/* Units and runs together. */
static void
print_saved(const struct stats *s)
{
	char all[SHOW_SIZE], units[SHOW_SIZE], runs[SHOW_SIZE], share[SHOW_SIZE];

	if (!s->n_tiers)
		return;
	show_time(stats_saved_us(s), all);
	show_time(s->hit.us, units);
	show_time(s->runs.hit.us, runs);
	show_share(stats_saved_us(s), needed_us(s), share);
	printf("\nsaved in all: %s, %s of what was needed; %s by units and %s by runs of build "
	       "scripts\n",
		all, share, units, runs);
	printf("  %7s %7s  %10s  %6s  %10s\n", "units", "runs", "saved", "", "came");
	for (size_t i = 0; i < s->n_tiers; i++)
		print_tier(s, &s->tiers[i]);
}

static void
print_bytes(const struct stats *s)
{
	char restored[SHOW_SIZE], stored[SHOW_SIZE], sent[SHOW_SIZE], received[SHOW_SIZE];

	show_bytes(s->bytes_restored, restored);
	show_bytes(s->bytes_stored, stored);
	show_bytes(s->bytes_sent, sent);
	show_bytes(s->bytes_received, received);
	printf("\nbytes: cache %s restored, %s kept; farm %s sent, %s received\n", restored, stored,
		sent, received);
}

static void
print_size(const struct shown *w)
{
	char bytes[SHOW_SIZE], max[SHOW_SIZE];

	if (!w->size.entries && !w->size.blobs)
		return;
	show_bytes(w->size.bytes, bytes);
	show_bytes(w->size.max, max);
	printf("\nin the local cache: %" PRIu64 " entries and %" PRIu64
	       " outputs, %s of at most %s\n",
		w->size.entries, w->size.blobs, bytes, max);
}

static void
print_refills(const struct shown *w)
{
	if (w->tally.refills || w->tally.refills_dropped)
		printf("\ncompiled again by idle workers, for others: %" PRIu64 " units, %" PRIu64
		       " were dropped\n",
			w->tally.refills, w->tally.refills_dropped);
}

static void
print_skipped(const struct shown *w)
{
	if (w->tally.skipped)
		printf("\n%" PRIu64 " lines of %s make no sense, and are not counted\n",
			w->tally.skipped, w->path);
}

static int
print_text(const struct shown *w)
{
	const struct stats *s = &w->s;
	char from[SHOW_SIZE], to[SHOW_SIZE];

	if (stats_is_empty(s)) {
		show_when(w->since_ms, from);
		if (!w->tally.found)
			printf("no units yet: there is no %s\n", w->path);
		else if (w->since_ms)
			printf("no units since %s in %s\n", from, w->path);
		else
			printf("no units in %s\n", w->path);
		print_size(w);
		print_skipped(w);
		return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
	}
	show_when(s->first_ms, from);
	show_when(s->last_ms, to);
	printf("%s to %s\n\n", from, to);
	printf("%-26s %7s  %10s\n", "", "units", "compiling");
	print_sum("", "all", &s->all, "");
	for (unsigned p = 0; p < STATS_PLACES; p++)
		if (s->place[p].units)
			print_sum("  ", stats_place_name(p), &s->place[p],
				p == STATS_CACHE ? "saved" : "");
	if (s->failed.units)
		print_sum("", "failed", &s->failed, "");
	print_cache(s);
	print_runs(s);
	print_shared(&s->shared);
	print_saved(s);
	print_groups("not on the farm, why", &s->not_on_farm);
	print_bytes(s);
	print_refills(w);
	print_size(w);
	print_skipped(w);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

/* ---- as JSON */

static double
to_ms(uint64_t us)
{
	return (double)us / 1000;
}

static json_t *
json_sum(const struct stats_sum *sum)
{
	return json_pack(
		"{s:I, s:f}", "units", (json_int_t)sum->units, "compile_ms", to_ms(sum->us));
}

static json_t *
json_groups(const struct stats_groups *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:f}", "reason", g->g[i].name,
						    "units", (json_int_t)g->g[i].sum.units,
						    "compile_ms", to_ms(g->g[i].sum.us)));
	return list;
}

/* The same of runs. */
static json_t *
json_run_sum(const struct stats_sum *sum)
{
	return json_pack("{s:I, s:f}", "runs", (json_int_t)sum->units, "run_ms", to_ms(sum->us));
}

static json_t *
json_run_groups(const struct stats_groups *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:I, s:f}", "reason", g->g[i].name, "runs",
				(json_int_t)g->g[i].sum.units, "run_ms", to_ms(g->g[i].sum.us)));
	return list;
}

static json_t *
json_rate(uint64_t part, uint64_t whole)
{
	return whole ? json_real((double)part / (double)whole) : json_null();
}

static json_t *
json_time(uint64_t ms)
{
	char text[WHEN_SIZE];

	when_format(ms, text);
	return ms ? json_string(text) : json_null();
}

static json_t *
json_places(const struct stats *s)
{
	json_t *o = json_object();

	for (unsigned p = 0; p < STATS_PLACES; p++)
		json_object_set_new(o, stats_place_name(p), json_sum(&s->place[p]));
	return o;
}

static json_t *
json_size(const struct store_stats *size)
{
	if (!size->max)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I}", "entries", (json_int_t)size->entries, "blobs",
		(json_int_t)size->blobs, "bytes", (json_int_t)size->bytes, "max",
		(json_int_t)size->max);
}

static json_t *
json_cache(const struct shown *w)
{
	const struct stats *s = &w->s;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:f, s:o, s:o, s:o, s:o}",
		"size", json_size(&w->size), "hit_rate_by_time",
		json_rate(s->hit.us, s->hit.us + s->miss.us), "hit_rate_by_count",
		json_rate(s->hit.units, s->hit.units + s->miss.units), "hits", json_sum(&s->hit),
		"only_linked",
		json_pack("{s:I, s:f}", "units", (json_int_t)s->linked.units, "link_ms",
			to_ms(s->linked.us)),
		"misses", json_sum(&s->miss), "not_asked", json_sum(&s->off), "lookup_ms",
		to_ms(s->lookup_us), "restore_ms", to_ms(s->restore_us), "store_ms",
		to_ms(s->store_us), "misses_why", json_groups(&s->miss_why), "only_linked_why",
		json_groups(&s->linked_why), "not_asked_why", json_groups(&s->off_why),
		"not_stored_why", json_groups(&s->not_stored));
}

static json_t *
json_runs(const struct stats *s)
{
	const struct stats_runs *r = &s->runs;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:f, s:o, s:o, s:o}", "all",
		json_run_sum(&r->all), "hit_rate_by_time",
		json_rate(r->hit.us, r->hit.us + r->miss.us), "hit_rate_by_count",
		json_rate(r->hit.units, r->hit.units + r->miss.units), "hits",
		json_run_sum(&r->hit), "misses", json_run_sum(&r->miss), "not_asked",
		json_run_sum(&r->off), "failed", json_run_sum(&r->failed), "lookup_ms",
		to_ms(r->lookup_us), "restore_ms", to_ms(r->restore_us), "store_ms",
		to_ms(r->store_us), "misses_why", json_run_groups(&r->miss_why), "not_asked_why",
		json_run_groups(&r->off_why), "not_stored_why", json_run_groups(&r->not_stored));
}

static json_t *
json_shared(const struct stats_shared *s)
{
	return json_pack("{s:f, s:I, s:I, s:o, s:o}", "wait_ms", to_ms(s->wait_us), "bytes",
		(json_int_t)s->bytes, "refused", (json_int_t)s->refused, "why",
		json_groups(&s->why), "not_shared_why", json_groups(&s->not_shared));
}

static json_t *
json_tiers(const struct stats *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_tiers; i++) {
		const struct stats_tier *t = &s->tiers[i];

		json_array_append_new(
			list, json_pack("{s:o, s:I, s:I, s:f, s:o, s:I}", "tier",
				      joblog_text(t->name, SIZE_MAX), "units", (json_int_t)t->units,
				      "runs", (json_int_t)t->runs, "saved_ms", to_ms(t->saved_us),
				      "share_by_time", json_rate(t->saved_us, needed_us(s)),
				      "bytes", (json_int_t)t->bytes));
	}
	return list;
}

static int
print_json(const struct shown *w)
{
	const struct stats *s = &w->s;
	_cleanup_(json_decrefp) json_t *o = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:f, s:o, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}, s:I}",
		"since", json_time(w->since_ms), "first", json_time(s->first_ms), "last",
		json_time(s->last_ms), "all", json_sum(&s->all), "failed", json_sum(&s->failed),
		"places", json_places(s), "cache", json_cache(w), "script_runs", json_runs(s),
		"shared", json_shared(&s->shared), "tiers", json_tiers(s), "saved_ms",
		to_ms(stats_saved_us(s)), "not_on_farm_why", json_groups(&s->not_on_farm), "bytes",
		"restored", (json_int_t)s->bytes_restored, "stored", (json_int_t)s->bytes_stored,
		"sent", (json_int_t)s->bytes_sent, "received", (json_int_t)s->bytes_received,
		"refills", "done", (json_int_t)w->tally.refills, "dropped",
		(json_int_t)w->tally.refills_dropped, "lines_skipped",
		(json_int_t)w->tally.skipped);

	if (!o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0) {
		cmd_error(&cmd_stats, "no memory");
		return CMD_FAILED;
	}
	putchar('\n');
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

/* All zero where there is none. */
static void
read_size(const struct conf *conf, struct store_stats *ret)
{
	_cleanup_(depot_closep) struct depot *d = NULL;
	struct cmd_progress progress = { .begun_ms = clock_mono_ms() };
	const char *dir = conf->client.store_dir;

	if (!dir || !*dir || cmd_open_depot(&cmd_stats, conf, NULL, &d) < 0)
		return;
	depot_on_progress(d, cmd_progress, &progress);
	if (depot_get_stats(d, ret) < 0)
		*ret = (struct store_stats){ .max = 0 };
	cmd_progress_done(&progress);
}

static int
show(const struct conf *conf, const char *since, bool json)
{
	struct shown w;
	int r;

	memset(&w, 0, sizeof(w));
	if (since && !when_parse_since(since, clock_wall_ms(), &w.since_ms))
		return cmd_bad_time(&cmd_stats, "--since", since);
	if (!since)
		w.since_ms = zero_time(conf);
	r = cmd_read_jobs(&cmd_stats, conf, w.since_ms, count, &w.s, &w.tally);
	if (r < 0)
		return CMD_FAILED;
	w.path = conf->client.job_log;
	read_size(conf, &w.size);
	stats_sort(&w.s);
	return json ? print_json(&w) : print_text(&w);
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *since = NULL;
	bool json = false, zeroes = false;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = "since", .text = &since },
		{ .name = "zero", .flag = &zeroes },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_stats, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (zeroes && (json || since)) {
		cmd_error(&cmd_stats, "--zero counts nothing: leave out %s",
			json ? "--json" : "--since");
		return CMD_USAGE;
	}
	if (cmd_load_conf(&cmd_stats, &conf) < 0)
		return CMD_FAILED;
	return zeroes ? zero(conf) : show(conf, since, json);
}

const struct cmd cmd_stats = {
	.name = "stats",
	.usage = "stats [--json] [--since TIME] [--zero]",
	.summary = "Sum up the job log: what ran where, hits and misses, and why",
	.help = "  --json        as one JSON object\n"
		"  --since TIME  only what came later: 30m, 1h30m, 2d, 1w ago, 2026-11-21 or\n"
		"                2026-11-21T10:00 (in UTC with a Z behind it)\n"
		"  --zero        from now on count only what comes later (the log stays whole)\n"
		"  -h, --help    print this\n",
	.run = run,
};
