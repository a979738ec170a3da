/* dray gc: brings the local cache within its budget, or within what is asked for, at once. What it
 * does by itself is done in small steps, by each compile. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/show/jobs.h"
#include "common/text/show.h"
#include "common/clock.h"
#include "common/log/joblog.h"
#include "common/text/when.h"

static json_t *
json_files(const struct store_stats *s)
{
	return json_pack("{s:I, s:I, s:I}", "blobs", (json_int_t)s->blobs, "entries",
		(json_int_t)s->entries, "bytes", (json_int_t)s->bytes);
}

static int
print_json(const char *dir, const struct store_stats *before, const struct store_stats *after)
{
	_cleanup_(json_decrefp) json_t *o = json_pack("{s:o, s:I, s:o, s:o}", "dir",
		joblog_text(dir, SIZE_MAX), "max", (json_int_t)after->max, "before",
		json_files(before), "after", json_files(after));

	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

static void
print_text(const struct store_stats *before, const struct store_stats *after, bool all)
{
	char gone[SHOW_SIZE], left[SHOW_SIZE], max[SHOW_SIZE];

	show_bytes(before->bytes - after->bytes, gone);
	show_bytes(after->bytes, left);
	show_bytes(after->max, max);
	printf("removed: %" PRIu64 " entries and %" PRIu64 " outputs, %s\n",
		before->entries - after->entries, before->blobs - after->blobs, gone);
	if (!all || after->bytes)
		printf("left: %" PRIu64 " entries and %" PRIu64 " outputs, %s%s%s\n",
			after->entries, after->blobs, left, all ? "" : " of at most ",
			all ? "" : max);
}

int
cmd_shrink_cache(
	const struct cmd *c, const struct conf *conf, const struct disk_goal *goal, bool json)
{
	_cleanup_(depot_closep) struct depot *d = NULL;
	struct store_stats before = { .max = 0 }, after = { .max = 0 };
	const char *dir = conf->client.store_dir;
	struct cmd_progress progress = { .begun_ms = clock_mono_ms() };
	int r;

	if (cmd_open_depot(c, conf, NULL, &d) < 0)
		return CMD_FAILED;
	depot_on_progress(d, cmd_progress, &progress);
	r = depot_gc(d, goal, &before, &after);
	cmd_progress_done(&progress);
	if (r == -EROFS && conf->client.cache == CACHE_READ) {
		cmd_error(c, "the cache is only read here (cache = read)");
		return CMD_FAILED;
	}
	if (r < 0)
		cmd_error(c, "%s: %s", dir,
			r == -EACCES ? "there are files that cannot be removed" : strerror(-r));
	if (r < 0 && r != -EACCES)
		return CMD_FAILED;
	if (json && print_json(dir, &before, &after) < 0) {
		cmd_error(c, "no memory");
		return CMD_FAILED;
	}
	if (!json)
		print_text(&before, &after, goal->all);
	return fflush(stdout) == 0 && r == 0 ? CMD_OK : CMD_FAILED;
}

/* As in dray.conf(5): "500M". */
static bool
parse_max(struct conf *conf, const char *text, uint64_t *ret)
{
	_cleanup_(freep) char *assignment = NULL;
	_cleanup_(freep) char *error = NULL;
	bool ok = asprintf(&assignment, "client.cache_max=%s", text) >= 0 &&
		  conf_set(conf, assignment, &error) == 0 && conf->client.cache_max > 0;

	*ret = conf->client.cache_max;
	return ok;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *given = NULL, *unused = NULL;
	struct disk_goal goal = { .max = 0 };
	uint64_t ms = 0;
	bool json = false;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = "max", .text = &given },
		{ .name = "unused-since", .text = &unused },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_gc, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_gc, &conf) < 0)
		return CMD_FAILED;
	if (given && !parse_max(conf, given, &goal.max)) {
		cmd_error(&cmd_gc, "--max %s: bytes, more than 0, as 500M or 20G", given);
		return CMD_USAGE;
	}
	if (unused && !when_parse_since(unused, clock_wall_ms(), &ms))
		return cmd_bad_time(&cmd_gc, "--unused-since", unused);
	if (ms > clock_wall_ms()) {
		cmd_error(&cmd_gc, "--unused-since %s: that is yet to come", unused);
		return CMD_USAGE;
	}
	goal.unused_since = ms / 1000;
	return cmd_shrink_cache(&cmd_gc, conf, &goal, json);
}

const struct cmd cmd_gc = {
	.name = "gc",
	.usage = "gc [--json] [--max BYTES] [--unused-since TIME]",
	.summary = "Bring the local cache within its budget: what was used least lately goes",
	.help = "  --json               what there was and what is left, as one JSON object\n"
		"  --max BYTES          down to this (500M, 20G), instead of cache_max\n"
		"  --unused-since TIME  and what was not used since then (30d, 2026-11-01)\n"
		"  -h, --help           print this\n",
	.run = run,
};
