/* dray clear: empties the local cache, or removes what one worker, or producer of a shared cache,
 * made. What else is in its directory (the job log, the slots) is left. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cache/entry.h"
#include "client/cmd/cmd.h"
#include "client/incremental/seed.h"
#include "common/clock.h"
#include "common/joblog.h"

struct clear {
	struct depot *depot;
	const char *producer;
	struct digest *keys;
	size_t n;
	uint64_t entries, results; /* changed, removed */
};

/* One that is damaged is no entry, and one that has gone meanwhile has gone. */
static int
clear_entry(struct clear *c, const struct digest *key)
{
	_cleanup_(closep) int lock = depot_lock_entry(c->depot, key);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t dropped;
	int r = depot_read_entry(c->depot, key, &b);

	(void)lock; /* held to the end */
	if (r == 0)
		r = entry_decode(b.p, b.n, key, &e);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	dropped = entry_drop_producer(&e, c->producer);
	if (dropped == 0)
		return 0;
	buf_done(&b);
	if (e.n_results == 0) {
		r = depot_drop_entry(c->depot, key);
	} else {
		r = entry_encode(&e, &b);
		if (r == 0)
			r = depot_write_entry(c->depot, key, b.p, b.n);
	}
	if (r == 0) {
		c->entries++;
		c->results += dropped;
	}
	return r;
}

static int
clear_all(struct clear *c)
{
	struct cmd_progress progress = { .begun_ms = clock_mono_ms() };
	int r = depot_list_entries(c->depot, &c->keys, &c->n);

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		cmd_progress(&progress, "entries", i, c->n);
		r = clear_entry(c, &c->keys[i]);
	}
	cmd_progress_done(&progress);
	return r;
}

static int
print(const struct clear *c, const char *dir, bool json)
{
	_cleanup_(json_decrefp) json_t *o = NULL;

	if (!json) {
		printf("removed: %" PRIu64 " results of %s, in %" PRIu64 " entries\n", c->results,
			c->producer, c->entries);
		return 0;
	}
	o = json_pack("{s:o, s:s, s:I, s:I}", "dir", joblog_text(dir, SIZE_MAX), "producer",
		c->producer, "results", (json_int_t)c->results, "entries", (json_int_t)c->entries);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

static int
clear_producer(const struct conf *conf, const char *producer, bool json)
{
	struct clear c = { .producer = producer };
	int r;

	if (conf->client.cache == CACHE_READ) {
		cmd_error(&cmd_clear, "the cache is only read here (cache = read)");
		return CMD_FAILED;
	}
	if (cmd_open_depot(&cmd_clear, conf, NULL, &c.depot) < 0)
		return CMD_FAILED;
	r = clear_all(&c);
	if (r < 0)
		cmd_error(&cmd_clear, "%s: %s", conf->client.store_dir, strerror(-r));
	if (print(&c, conf->client.store_dir, json) < 0)
		r = -ENOMEM;
	depot_close(c.depot);
	free(c.keys);
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
