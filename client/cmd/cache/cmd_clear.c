/* dray clear: empties the local cache, or removes what one worker, or producer of a shared cache,
 * made. What else is in its directory (the job log, the slots) is left. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cache/result.h"
#include "client/cmd/cache/purge.h"
#include "client/cmd/cmd.h"
#include "client/incremental/seed.h"
#include "common/log/joblog.h"

static int
print(const struct purged *p, const char *producer, const char *dir, bool json)
{
	_cleanup_(json_decrefp) json_t *o = NULL;

	if (!json) {
		printf("removed: %" PRIu64 " results of %s, in %" PRIu64 " entries\n", p->results,
			producer, p->entries);
		return 0;
	}
	o = json_pack("{s:o, s:s, s:I, s:I}", "dir", joblog_text(dir, SIZE_MAX), "producer",
		producer, "results", (json_int_t)p->results, "entries", (json_int_t)p->entries);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

static int
clear_producer(const struct conf *conf, const char *producer, bool json)
{
	_cleanup_(depot_closep) struct depot *d = NULL;
	struct purged p = { .results = 0 };
	int r;

	if (conf->client.cache == CACHE_READ) {
		cmd_error(&cmd_clear, "the cache is only read here (cache = read)");
		return CMD_FAILED;
	}
	if (cmd_open_depot(&cmd_clear, conf, NULL, &d) < 0)
		return CMD_FAILED;
	r = purge_depot(d, producer, 0, &p);
	if (r < 0)
		cmd_error(&cmd_clear, "%s: %s", conf->client.store_dir, strerror(-r));
	if (print(&p, producer, conf->client.store_dir, json) < 0)
		r = -ENOMEM;
	return fflush(stdout) == 0 && r == 0 ? CMD_OK : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *producer = NULL;
	bool json = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json },
		{ .name = "producer", .text = &producer }, { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_clear, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (producer && !result_is_producer(producer)) {
		cmd_error(&cmd_clear,
			"--producer: the public key of a worker, 40 characters, or of a producer "
			"of a shared cache, 64 hex digits, as dray explain CRATE says it");
		return CMD_USAGE;
	}
	if (cmd_load_conf(&cmd_clear, &conf) < 0)
		return CMD_FAILED;
	if (producer)
		return clear_producer(conf, producer, json);
	status = cmd_shrink_cache(&cmd_clear, conf, &(struct disk_goal){ .all = true }, json);
	if (conf->client.cache != CACHE_READ)
		seed_clear(conf->client.cache_dir);
	return status;
}

const struct cmd cmd_clear = {
	.name = "clear",
	.usage = "clear [--json] [--producer KEY]",
	.summary = "Empty the local cache, at once and without a question",
	.help = "  --json          what there was and what is left, as one JSON object\n"
		"  --producer KEY  only what the worker, or the producer of a shared cache, with "
		"this "
		"public key made\n"
		"  -h, --help      print this\n",
	.run = run,
};
