/* dray clear: empties the local cache. What else is in its directory (the job log, the slots) is
 * left. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "client/incremental/seed.h"

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	bool json = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json }, { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_clear, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_clear, &conf) < 0)
		return CMD_FAILED;
	status = cmd_shrink_cache(&cmd_clear, conf, &(struct disk_goal){ .all = true }, json);
	if (conf->client.cache != CACHE_READ)
		seed_clear(conf->client.cache_dir);
	return status;
}

const struct cmd cmd_clear = {
	.name = "clear",
	.usage = "clear [--json]",
	.summary = "Empty the local cache, at once and without a question",
	.help = "  --json      what there was and what is left, as one JSON object\n"
		"  -h, --help  print this\n",
	.run = run,
};
