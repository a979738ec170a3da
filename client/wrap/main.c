/* dray: the compiler's wrapper, what stands for a build script, and the user's commands.
 *
 * cargo starts this program for every compiler call, so nothing happens here before it is clear
 * which of them it is. */
#include "config.h"

#include "client/cmd/cmd.h"
#include "client/script/launcher.h"
#include "client/script/run.h"
#include "client/wrap/wrap.h"
#include "common/process/child.h"

int
main(int argc, char **argv)
{
	child_survive_file_limit();
	if (argc > 1 && streq(argv[1], SCRIPT_OPTION))
		child_exit(script_main(argc, argv));
	if (argc < 2 || cmd_is_command(argv[1]))
		child_exit(cmd_main(argc, argv));
	child_exit(wrap_main(argv + 1));
}
