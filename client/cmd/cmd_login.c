/* dray login: this user joins a farm by a token. dray-dispatch does it, which alone speaks to
 * coordinators. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "join/join.h"

static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (streq(argv[i], "-h") || streq(argv[i], "--help"))
			return true;
	return false;
}

static int
run(int argc, char **argv)
{
	return wants_help(argc, argv) ? cmd_print_help(&cmd_login)
				      : cmd_hand_over(&cmd_login, "login", argc, argv);
}

const struct cmd cmd_login = {
	.name = "login",
	.usage = "login " JOIN_ARGS,
	.summary = "Join a farm by a token of its admin: keys, and lines of dray.conf",
	.help = JOIN_ID_TOKEN JOIN_OPTIONS,
	.run = run,
};
