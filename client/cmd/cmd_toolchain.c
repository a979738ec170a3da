/* dray toolchain push: gives a toolchain of this machine to the farm's workers that lack it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cmd/cmd.h"
#include "client/dispatch/push.h"
#include "common/fs.h"
#include "common/process/spawn.h"

#define SYSROOT_MAX 4096

/* By rustup: `rustc +CHANNEL --print sysroot`. */
static int
ask_channel(const char *channel, char **ret)
{
	static char rustc[] = "rustc", print[] = "--print", what[] = "sysroot";
	_cleanup_(freep) char *program = spawn_find_program(rustc), *word = strdup(channel);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *argv[] = { program, word, print, what, NULL };
	int status, r;

	if (!program)
		return -ENOENT;
	if (!word)
		return -ENOMEM;
	r = spawn_capture(argv, NULL, SPAWN_ASK_MS, SYSROOT_MAX, &b, &status);
	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r < 0)
		return r;
	b.p[strcspn((char *)b.p, "\r\n")] = '\0';
	if (status != 0 || b.p[0] != '/')
		return -ENOENT;
	*ret = path_join((char *)b.p, "bin/rustc");
	return *ret ? 0 : -ENOMEM;
}

/* As dray-dispatch takes it: a name that is looked up, or a path. */
static int
find_compiler(const char *arg, char **ret)
{
	const char *set = getenv("RUSTC");
	_cleanup_(freep) char *below = NULL;

	if (!arg)
		return str_copy(set && *set ? set : "rustc", ret);
	if (*arg == '+')
		return ask_channel(arg, ret);
	below = path_join(arg, "bin/rustc");
	if (!below)
		return -ENOMEM;
	if (fs_exists(below)) {
		*ret = steal_ptr(below);
		return 0;
	}
	return fs_exists(arg) ? str_copy(arg, ret) : -ENOENT;
}

static bool
is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) < 6;
}

static int
run(int argc, char **argv)
{
	static char command[] = PUSH_COMMAND, text[] = "text", json_word[] = "json", host[] = "",
		    all[] = "0", rustc[] = "rustc", clippy_driver[] = "clippy-driver";
	_cleanup_(freep) char *compiler = NULL, *program = NULL, *of = NULL, *most = NULL;
	const char *target = NULL, *workers = NULL;
	bool json = false, clippy = false;
	const struct cmd_option options[] = {
		{ .name = "target", .text = &target },
		{ .name = "workers", .text = &workers },
		{ .name = "clippy", .flag = &clippy },
		{ .name = "json", .flag = &json },
		{ .name = NULL },
	};
	int args, status, r;

	if (argc > 1 && streq(argv[1], "push")) {
		argv[1] = argv[0];
		argv++;
		argc--;
	} else if (argc < 2 || (!streq(argv[1], "-h") && !streq(argv[1], "--help"))) {
		return cmd_usage_error(&cmd_toolchain);
	}
	if (!cmd_options(&cmd_toolchain, argc, argv, options, 0, 1, &args, &status))
		return status;
	if (workers && !is_number(workers))
		return cmd_usage_error(&cmd_toolchain);
	r = find_compiler(args < argc ? argv[args] : NULL, &compiler);
	if (r < 0) {
		cmd_error(&cmd_toolchain, "%s: there is no such toolchain here", argv[args]);
		return CMD_FAILED;
	}
	program = spawn_find_program("dray-dispatch");
	of = target ? strdup(target) : NULL;
	most = workers ? strdup(workers) : NULL;
	if (!program || (target && !of) || (workers && !most)) {
		cmd_error(&cmd_toolchain, "dray-dispatch is not installed");
		return CMD_FAILED;
	}
	return cmd_exec(&cmd_toolchain,
		(char *[]){ program, command, compiler, clippy ? clippy_driver : rustc,
			of ? of : host, most ? most : all, json ? json_word : text, NULL });
}

const struct cmd cmd_toolchain = {
	.name = "toolchain",
	.usage = "toolchain push [--target TRIPLE] [--clippy] [--workers N] [--json] "
		 "[+CHANNEL | PATH]",
	.summary = "Give a toolchain of this machine to the workers that lack it",
	.help = "  --target TRIPLE  with the std of that target, instead of the host's\n"
		"  --clippy         for clippy-driver, instead of rustc\n"
		"  --workers N      to so many at most; all that lack it, and take one\n"
		"  --json           as one JSON object\n"
		"  -h, --help       print this\n",
	.run = run,
};
