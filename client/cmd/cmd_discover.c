/* dray discover: which coordinators the network has, and whether their keys are known here. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "discovery/find.h"
#include "discovery/list.h"

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	bool json = false;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_discover, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_discover, &conf) < 0)
		return CMD_FAILED;
	return list_look("dray discover", FIND_LOOK_MS, conf->client.coordinator_key,
		conf->client.cache_dir, json);
}

const struct cmd cmd_discover = {
	.name = "discover",
	.usage = "discover [--json]",
	.summary = "List the coordinators that the network has, with their fingerprints",
	.help = "It takes some seconds. KEY is the file of [client] coordinator_key that has its "
		"key;\n"
		"one without is used by nothing: compare its fingerprint with the admin's, and "
		"join.\n"
		"\n"
		"      --json  as one JSON object\n"
		"  -h, --help  print this\n",
	.run = run,
};
