/* dray key rotate: new keys in the place of this user's. dray-dispatch does it, which alone speaks
 * to coordinators. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "join/rotate.h"

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
	if (wants_help(argc, argv))
		return cmd_print_help(&cmd_key);
	if (argc < 2 || !streq(argv[1], "rotate")) {
		if (argc > 1)
			cmd_error(&cmd_key, "it is not rotate: %s", argv[1]);
		return cmd_usage_error(&cmd_key);
	}
	return cmd_hand_over(&cmd_key, "rotate", argc - 1, argv + 1);
}

const struct cmd cmd_key = {
	.name = "key",
	.usage = "key rotate " ROTATE_ARGS,
	.summary = "Have new keys in the place of these, in each farm that knows them",
	.help = ROTATE_OPTIONS,
	.run = run,
};
