/* dray toolchain push: gives a toolchain of this machine to the farm's workers that lack it; and
 * status: what has become of those that were given. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cmd/cmd.h"
#include "client/dispatch/push.h"
#include "client/give/gift.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "common/log/joblog.h"
#include "common/text/show.h"

#define SYSROOT_MAX 4096

#define PUSH_USAGE_LINE                                                       \
	"toolchain push [--target TRIPLE] [--clippy] [--workers N] [--json] " \
	"[+CHANNEL | PATH]"
#define STATUS_USAGE "toolchain status [--json]"
#define PUSH_HELP                                                                 \
	"  --target TRIPLE  with the std of that target, instead of the host's\n" \
	"  --clippy         for clippy-driver, instead of rustc\n"                \
	"  --workers N      to so many at most; all that lack it, and take one\n"
#define JSON_HELP                      \
	"  --json           as JSON\n" \
	"  -h, --help       print this\n"

static const struct cmd part_push = { .name = "toolchain push",
	.usage = PUSH_USAGE_LINE,
	.summary = "Give a toolchain of this machine to the workers that lack it",
	.help = PUSH_HELP JSON_HELP };
static const struct cmd part_status = { .name = "toolchain status",
	.usage = STATUS_USAGE,
	.summary = "Say what has become of the toolchains that were given from here",
	.help = JSON_HELP };

/* By rustup: `rustc +CHANNEL --print sysroot`. */
static int
ask_channel(const char *channel, char **ret)
{
	static char rustc[] = "rustc", print[] = "--print", what[] = "sysroot";
	const char *path = getenv("PATH");
	_cleanup_(freep) char *program = fs_which(rustc, path ? path : ""), *word = strdup(channel);
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

/* ---- status */

struct list {
	json_t *json; /* NULL: as text */
	bool going;
	uint64_t now_s;
	unsigned n;
};

/* One that is said to go on, and that nobody has, was cut short. */
static const char *
state_of(const struct list *l, const struct gift *g)
{
	return g->state == GIFT_GIVING && !l->going ? "cut short" : gift_state_name(g->state);
}

static void
add_json(struct list *l, const struct gift *g)
{
	json_array_append_new(l->json,
		json_pack("{s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:o}", "id",
			g->id, "release", joblog_text(g->release, 64), "state", state_of(l, g),
			"worker", joblog_text(g->worker, 80), "at", (json_int_t)g->at_s, "begun",
			(json_int_t)g->begun_s, "bytes_done", (json_int_t)g->done, "bytes",
			(json_int_t)g->of, "given", (int)g->given, "failures", (int)g->failures,
			"again", (json_int_t)gift_due_s(g, l->now_s), "why",
			joblog_text(g->why, 256)));
}

static void
add_text(const struct list *l, const struct gift *g)
{
	char done[SHOW_SIZE], of[SHOW_SIZE], when[SHOW_SIZE];
	uint64_t due = gift_due_s(g, l->now_s);

	show_bytes(g->done, done);
	show_bytes(g->of, of);
	printf("%-10.20s %.12s  %s", g->release, g->id, state_of(l, g));
	if (g->state == GIFT_GIVING)
		printf(" to %s: %s of %s that it lacks", g->worker, done, of);
	else if (g->state == GIFT_GIVEN)
		printf(": %u workers had it from here", g->given);
	else
		printf(": %s", g->why);
	if (g->state == GIFT_FAILED && due) {
		show_time((due - l->now_s) * 1000000, when);
		printf("; not by itself again for %s", when);
	}
	putchar('\n');
}

static void
list_one(void *arg, const struct gift *g)
{
	struct list *l = arg;

	l->n++;
	if (l->json)
		add_json(l, g);
	else
		add_text(l, g);
}

static int
print_status(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	bool json = false;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = NULL },
	};
	struct list l = { .now_s = clock_wall_ms() / 1000 };
	int args, status, r;

	if (!cmd_options(&part_status, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&part_status, &conf) < 0)
		return CMD_FAILED;
	l.json = json ? json_array() : NULL;
	l.going = gift_is_going(conf->client.cache_dir);
	r = gift_each(conf->client.cache_dir, list_one, &l);
	if (r < 0) {
		cmd_error(&part_status, "%s", strerror(-r));
		json_decref(l.json);
		return CMD_FAILED;
	}
	if (l.json && json_dumpf(l.json, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	else if (!l.json && l.n == 0)
		puts("no toolchain was given from here");
	json_decref(l.json);
	return CMD_OK;
}

static int
push(int argc, char **argv)
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

	if (!cmd_options(&part_push, argc, argv, options, 0, 1, &args, &status))
		return status;
	if (workers && !is_number(workers))
		return cmd_usage_error(&part_push);
	r = find_compiler(args < argc ? argv[args] : NULL, &compiler);
	if (r < 0) {
		cmd_error(&part_push, "%s: there is no such toolchain here", argv[args]);
		return CMD_FAILED;
	}
	program = spawn_find_program("dray-dispatch");
	of = target ? strdup(target) : NULL;
	most = workers ? strdup(workers) : NULL;
	if (!program || (target && !of) || (workers && !most)) {
		cmd_error(&part_push, "dray-dispatch is not installed");
		return CMD_FAILED;
	}
	return cmd_exec(&part_push,
		(char *[]){ program, command, compiler, clippy ? clippy_driver : rustc,
			of ? of : host, most ? most : all, json ? json_word : text, NULL });
}

static int
run(int argc, char **argv)
{
	const struct cmd_option none[] = { { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_toolchain, argc, argv, none, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	argc -= args;
	argv += args;
	optind = 0;
	if (streq(argv[0], "push"))
		return push(argc, argv);
	if (streq(argv[0], "status"))
		return print_status(argc, argv);
	return cmd_usage_error(&cmd_toolchain);
}

const struct cmd cmd_toolchain = {
	.name = "toolchain",
	.usage = PUSH_USAGE_LINE "\n       dray " STATUS_USAGE,
	.summary = "Give a toolchain of this machine to the workers that lack it, or say what "
		   "became of it",
	.help = "  push             give it, to one worker after another\n" PUSH_HELP
		"  status           what has become of those that were given, by themselves "
		"too\n" JSON_HELP "\n"
		"`dray toolchain push --help` explains that alone, and so does the other.\n",
	.run = run,
};
