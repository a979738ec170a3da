/* The table of the user's commands, and the choice among them. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "client/cmd/cmd.h"
#include "common/log/log.h"

static const struct cmd *const commands[] = { &cmd_up, &cmd_run, &cmd_slot, &cmd_env, &cmd_discover,
	&cmd_login, &cmd_key, &cmd_keygen, &cmd_keys, &cmd_doctor, &cmd_status, &cmd_stats,
	&cmd_explain, &cmd_report, &cmd_verify, &cmd_cache, &cmd_flush, &cmd_prewarm, &cmd_gc,
	&cmd_clear, &cmd_sweep, &cmd_toolchain };

static const struct cmd *
find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static bool
is_help(const char *word)
{
	return streq(word, "help") || streq(word, "--help") || streq(word, "-h");
}

static bool
is_version(const char *word)
{
	return streq(word, "--version") || streq(word, "-V");
}

bool
cmd_is_command(const char *word)
{
	/* no compiler's name begins with a dash: it is an option, known or not */
	return find(word) || is_help(word) || *word == '-';
}

static void
print_overview(FILE *out)
{
	fprintf(out, "dray " PACKAGE_VERSION ": a compile cache and a compile farm for Rust\n\n"
		     "usage: RUSTC_WRAPPER=dray cargo build\n"
		     "       dray COMMAND [OPTION]...\n"
		     "       dray RUSTC [ARGUMENT]...    (as cargo calls it)\n\n"
		     "commands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(out, "  %-10s %s\n\n", "help", "Explain dray, or one command: dray help COMMAND");
	fprintf(out, "options:\n"
		     "  -h, --help     print this\n"
		     "  -V, --version  print the version\n\n"
		     "dray.conf(5) and DRAY_* variables configure it; see dray(1).\n");
}

static int
help(const char *name)
{
	const struct cmd *c = name ? find(name) : NULL;

	if (c)
		return cmd_print_help(c);
	if (name && !is_help(name)) {
		fprintf(stderr, "dray: no %s %s; see dray --help\n",
			*name == '-' ? "option" : "command", name);
		return CMD_USAGE;
	}
	print_overview(stdout);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

int
cmd_main(int argc, char **argv)
{
	static char name[32];
	const struct cmd *c;

	log_init("dray", LOG_LEVEL_NONE);
	if (argc < 2) {
		print_overview(stderr);
		return CMD_USAGE;
	}
	if (is_version(argv[1])) {
		printf("dray " PACKAGE_VERSION "\n");
		return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
	}
	if (is_help(argv[1]))
		return help(argc > 2 ? argv[2] : NULL);
	c = find(argv[1]);
	if (!c)
		return help(argv[1]);
	/* what getopt's own messages begin with */
	snprintf(name, sizeof(name), "dray %s", c->name);
	argv[1] = name;
	return c->run(argc - 1, argv + 1);
}
