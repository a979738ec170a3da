/* dray login: this user joins a farm by a token. dray-dispatch does it, which alone speaks to
 * coordinators. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "common/process/spawn.h"
#include "common/strv.h"
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
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	int r;

	if (wants_help(argc, argv))
		return cmd_print_help(&cmd_login);
	if (!program) {
		cmd_error(&cmd_login, "dray-dispatch is not beside dray, nor in PATH");
		return CMD_FAILED;
	}
	r = strv_add(&words, program);
	if (r == 0)
		r = strv_add(&words, "login");
	for (int i = 1; r == 0 && i < argc; i++)
		r = strv_add(&words, argv[i]);
	if (r < 0) {
		cmd_error(&cmd_login, "out of memory");
		return CMD_FAILED;
	}
	return cmd_exec(&cmd_login, words.v);
}

const struct cmd cmd_login = {
	.name = "login",
	.usage = "login " JOIN_ARGS,
	.summary = "Join a farm by a token of its admin: keys, and lines of dray.conf",
	.help = JOIN_ID_TOKEN JOIN_OPTIONS,
	.run = run,
};
