/* dray clear: empties the local cache. What else is in its directory (the job log, the slots) is
 * left. */
#include "config.h"

#include <getopt.h>

#include "client/cmd/cmd.h"

static int
run(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(conf_freep) struct conf *conf = NULL;
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
		if (o == 'h')
			return cmd_print_help(&cmd_clear);
		if (o != 'j')
			return cmd_usage_error(&cmd_clear);
		json = true;
	}
	if (optind != argc)
		return cmd_usage_error(&cmd_clear);
	if (cmd_load_conf(&cmd_clear, &conf) < 0)
		return CMD_FAILED;
	return cmd_shrink_cache(&cmd_clear, conf, 0, true, json);
}

const struct cmd cmd_clear = {
	.name = "clear",
	.usage = "clear [--json]",
	.summary = "Empty the local cache, at once and without a question",
	.help = "  --json      what there was and what is left, as one JSON object\n"
		"  -h, --help  print this\n",
	.run = run,
};
