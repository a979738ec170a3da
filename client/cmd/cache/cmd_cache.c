/* dray cache: takes what a build used from one cache to another. dray-dispatch does it (packs.h).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "common/spawn.h"

static int
run(int argc, char **argv)
{
	const struct cmd_option none[] = { { .name = NULL } };
	_cleanup_(freep) char *program = NULL;
	_cleanup_(freep) char **words = NULL;
	static char name[] = "cache";
	int args, status;

	if (!cmd_options(&cmd_cache, argc, argv, none, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	program = spawn_find_program("dray-dispatch");
	words = calloc((size_t)(argc - args) + 3, sizeof(*words));
	if (!program || !words) {
		cmd_error(&cmd_cache, "dray-dispatch is not beside dray, nor in PATH");
		return CMD_FAILED;
	}
	words[0] = program;
	words[1] = name;
	memcpy(words + 2, argv + args, (size_t)(argc - args) * sizeof(*words));
	return cmd_exec(&cmd_cache, words);
}

const struct cmd cmd_cache = {
	.name = "cache",
	.usage = "cache export [--target-dir DIR] [--json] FILE\n"
		 "       dray cache import [--json] FILE",
	.summary = "Take what a build used from one local cache to another, in a file",
	.help = "  export            write FILE: the results that a target directory was made of\n"
		"  --target-dir DIR  that one; $CARGO_TARGET_DIR, or target, when not given\n"
		"  import            add what is in FILE, which must be your own, to the local "
		"cache\n"
		"  --json            what went or came, as one JSON object\n"
		"  -h, --help        print this\n",
	.run = run,
};
