/* dray cache: looks after the local cache and the stores (tend.h), and takes what a build used from
 * one cache to another (packs.h). dray-dispatch does it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "common/process/spawn.h"

#define WHERE                                                                                   \
	"  --local              the local cache alone\n"                                        \
	"  --stores             the stores alone: the coordinator's cache, and those that are " \
	"directories;\n"                                                                        \
	"                       of others it is said what helps\n"
#define JSON "  --json               what there is, or was done, as JSON\n"
#define HELP "  -h, --help           print this\n"
#define GC                                                                 \
	"  --max BYTES          down to this (500M, 20G), in each place\n" \
	"  --unused-since TIME  and what was not used since then (30d, 2026-11-01)\n"
#define PURGE                                                         \
	"  --namespace NS       this namespace,\n"                    \
	"  --older-than TIME    made before (30d ago, 2026-11-01),\n" \
	"  --producer KEY       made by this key; all that are given have to be so\n"
#define EXPORT "  --target-dir DIR     that one; $CARGO_TARGET_DIR, or target, when not given\n"

#define STATUS_USAGE "cache status [--json] [--local | --stores]"
#define GC_USAGE "cache gc [--json] [--local | --stores] [--max BYTES] [--unused-since TIME]"
#define VERIFY_USAGE "cache verify [--json] [--local | --stores]"
#define PURGE_USAGE                                                                       \
	"cache purge [--json] [--local | --stores] [--namespace NS] [--older-than TIME] " \
	"[--producer KEY]"
#define EXPORT_USAGE "cache export [--target-dir DIR] [--json] FILE"
#define IMPORT_USAGE "cache import [--json] FILE"

static const struct cmd parts[] = {
	{ .name = "cache status",
		.usage = STATUS_USAGE,
		.summary = "Say what is in the local cache and the stores, and who made it",
		.help = WHERE JSON HELP },
	{ .name = "cache gc",
		.usage = GC_USAGE,
		.summary = "Remove what was not used lately, and outputs that no entry names",
		.help = GC WHERE JSON HELP },
	{ .name = "cache verify",
		.usage = VERIFY_USAGE,
		.summary = "Check digests and signatures, and remove what is wrong",
		.help = WHERE JSON HELP },
	{ .name = "cache purge",
		.usage = PURGE_USAGE,
		.summary = "Remove results, at once and without a question: those of what is given",
		.help = PURGE WHERE JSON HELP },
	{ .name = "cache export",
		.usage = EXPORT_USAGE,
		.summary = "Write FILE: the results that a target directory was made of",
		.help = EXPORT JSON HELP },
	{ .name = "cache import",
		.usage = IMPORT_USAGE,
		.summary = "Add what is in FILE, which must be your own, to the local cache",
		.help = JSON HELP },
};

const struct cmd *
cmd_cache_part(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (streq(parts[i].name + strlen("cache "), word))
			return &parts[i];
	return NULL;
}

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

#define ALSO "\n       dray "

const struct cmd cmd_cache = {
	.name = "cache",
	.usage = STATUS_USAGE ALSO GC_USAGE ALSO VERIFY_USAGE ALSO PURGE_USAGE ALSO EXPORT_USAGE
		ALSO IMPORT_USAGE,
	.summary = "Look after the local cache and the stores, or take what a build used elsewhere",
	.help = "  status               what is there, and who made it\n"
		"  gc                   remove what was not used lately, and outputs that no entry "
		"names\n" GC
		"  verify               check digests and signatures; remove what is wrong\n"
		"  purge                remove results, at once and without a question: those "
		"of\n" PURGE WHERE
		"  export               write FILE: the results that a target directory was made "
		"of\n" EXPORT
		"  import               add what is in FILE, which must be your own, to the local "
		"cache\n" JSON HELP "\n"
		"`dray cache status --help` explains that alone, and so does each of the others.\n",
	.run = run,
};
