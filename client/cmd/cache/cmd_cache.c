/* dray cache: looks after the local cache and the stores (tend.h), and takes what a build used from
 * one cache to another (packs.h). dray-dispatch does it. */
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
	.usage = "cache status [--json] [--local | --stores]\n"
		 "       dray cache gc [--json] [--local | --stores] [--max BYTES] [--unused-since "
		 "TIME]\n"
		 "       dray cache verify [--json] [--local | --stores]\n"
		 "       dray cache purge [--json] [--local | --stores] [--namespace NS] "
		 "[--older-than TIME] [--producer KEY]\n"
		 "       dray cache export [--target-dir DIR] [--json] FILE\n"
		 "       dray cache import [--json] FILE",
	.summary = "Look after the local cache and the stores, or take what a build used elsewhere",
	.help = "  status               what is there, and who made it\n"
		"  gc                   remove what was not used lately, and outputs that no entry "
		"names\n"
		"  --max BYTES          down to this (500M, 20G), in each place\n"
		"  --unused-since TIME  and what was not used since then (30d, 2026-11-01)\n"
		"  verify               check digests and signatures; remove what is wrong\n"
		"  purge                remove results, at once and without a question: those of\n"
		"  --namespace NS       this namespace,\n"
		"  --older-than TIME    made before (30d ago, 2026-11-01),\n"
		"  --producer KEY       made by this key; all that are given have to be so\n"
		"  --local              the local cache alone\n"
		"  --stores             the stores alone: those that are directories; of others it "
		"is\n"
		"                       said what helps\n"
		"  export               write FILE: the results that a target directory was made "
		"of\n"
		"  --target-dir DIR     that one; $CARGO_TARGET_DIR, or target, when not given\n"
		"  import               add what is in FILE, which must be your own, to the local "
		"cache\n"
		"  --json               what there is, or was done, as JSON\n"
		"  -h, --help           print this\n",
	.run = run,
};
