/* dray env: what to export so that cargo uses dray as it is configured now. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/cached/cached.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "rustc/mapping.h"
#include "toolchain/toolchain.h"

#define ASK_MS 60000
#define METADATA_MAX (256u << 20)

struct pair {
	const char *name;
	const char *value;
};

static int
print_shell(const struct pair *pairs, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		if (!pairs[i].value || !*pairs[i].value)
			continue;
		if (buf_addf(&b, "export %s=", pairs[i].name) < 0 ||
			cmd_add_quoted(&b, pairs[i].value) < 0 || buf_adds(&b, "\n") < 0)
			return CMD_FAILED;
	}
	if (b.n)
		fputs((const char *)b.p, stdout);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
print_json(const struct pair *pairs, size_t n)
{
	json_t *o = json_object();
	int r = 0;

	for (size_t i = 0; o && r == 0 && i < n; i++)
		if (pairs[i].value && *pairs[i].value)
			r = json_object_set_new(o, pairs[i].name, json_string(pairs[i].value));
	if (!o || r < 0 || json_dumpf(o, stdout, JSON_INDENT(2)) < 0) {
		json_decref(o);
		cmd_error(&cmd_env, "a value is not UTF-8");
		return CMD_FAILED;
	}
	json_decref(o);
	putchar('\n');
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

/* ---- for a debugger: where the places are that mapped units name */

struct workspace {
	char *root, *target_dir;
};

static void
workspace_done(struct workspace *w)
{
	free(w->root);
	free(w->target_dir);
}

static char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? strdup(s) : NULL;
}

/* Asks cargo; it may have to read the registry's index for a new lock file. */
static int
ask_cargo(struct workspace *ret)
{
	char cargo[] = "cargo", metadata[] = "metadata", deps[] = "--no-deps",
	     format[] = "--format-version=1";
	char *argv[] = { cargo, metadata, deps, format, NULL };
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int status = 0, r = spawn_capture(argv, NULL, ASK_MS, METADATA_MAX, &out, &status);
	json_t *o = r == 0 && status == 0
			    ? json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL, NULL)
			    : NULL;

	if (o) {
		ret->root = text_of(o, "workspace_root");
		/* cargo's own since 1.91, where that is another directory */
		ret->target_dir = text_of(o, "build_directory");
		if (!ret->target_dir)
			ret->target_dir = text_of(o, "target_directory");
	}
	json_decref(o);
	if (ret->root && ret->target_dir)
		return CMD_OK;
	cmd_error(&cmd_env, "cargo metadata says of no workspace here: call it in one");
	return CMD_FAILED;
}

/* Within double quotes, as gdb and lldb read them. */
static void
print_quoted(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

/* The library's sources, where they are there. */
static void
print_sources(const char *set)
{
	const char *rustc = getenv("RUSTC");
	_cleanup_(freep) char *dir = NULL, *name = NULL;

	if (toolchain_find_sources(NULL, rustc && *rustc ? rustc : "rustc", &dir, &name) < 0)
		return;
	printf("%s %s ", set, name);
	print_quoted(dir);
	putchar('\n');
}

static int
print_debugger(bool lldb)
{
	static const char *const of_home[] = { MAPPING_REGISTRY, MAPPING_CHECKOUTS };
	_cleanup_(workspace_done) struct workspace w = { .root = NULL };
	_cleanup_(freep) char *home = cached_cargo_home();
	const char *set = lldb ? "settings append target.source-map" : "set substitute-path";
	int r = ask_cargo(&w);

	if (r != CMD_OK)
		return r;
	print_sources(set);
	printf("%s " MAPPING_TARGET_DIR " ", set);
	print_quoted(w.target_dir);
	for (size_t i = 0; home && i < ARRAY_LEN(of_home); i++) {
		_cleanup_(freep) char *dir = path_join(home, of_home[i] + 1);

		if (!dir)
			return CMD_FAILED;
		printf("\n%s " MAPPING_HOME "%s ", set, of_home[i]);
		print_quoted(dir);
	}
	printf("\n%s " MAPPING_WORKSPACE " ", set);
	print_quoted(w.root);
	putchar('\n');
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *self = cmd_self();
	bool json = false, agents = false, gdb = false, lldb = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json },
		{ .name = "agents", .flag = &agents }, { .name = "gdb", .flag = &gdb },
		{ .name = "lldb", .flag = &lldb }, { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_env, argc, argv, options, 0, 0, &args, &status))
		return status;
	if ((gdb || lldb) && (gdb == lldb || json || agents)) {
		cmd_error(&cmd_env, "--gdb and --lldb go with no other option");
		return CMD_USAGE;
	}
	if (gdb || lldb)
		return print_debugger(lldb);
	if (cmd_load_conf(&cmd_env, &conf) < 0)
		return CMD_FAILED;
	{
		const struct pair pairs[] = {
			{ "RUSTC_WRAPPER", self ? self : "dray" },
			{ "DRAY_COORDINATOR", conf->client.coordinator },
			{ "DRAY_COORDINATOR_KEY", conf->client.coordinator_key },
			{ "DRAY_IDENTITY", conf->client.identity },
			{ "DRAY_CACHE_DIR", conf->client.store_dir },
			{ "DRAY_CACHE_GROUP", conf->client.cache_group },
			{ "DRAY_CONFIG", getenv("DRAY_CONFIG") },
			/* one pool of slots and one cache for all checkouts (doc/agents.md) */
			{ "DRAY_PATHS", agents ? "shared" : getenv("DRAY_PATHS") },
		};

		/* builds of several checkouts in one target directory take each other's crates */
		if (agents && !json && getenv("CARGO_TARGET_DIR"))
			puts("unset CARGO_TARGET_DIR");
		return json ? print_json(pairs, ARRAY_LEN(pairs))
			    : print_shell(pairs, ARRAY_LEN(pairs));
	}
}

const struct cmd cmd_env = {
	.name = "env",
	.usage = "env [--agents] [--json] | env --gdb | env --lldb",
	.summary = "Print the variables to export, for a shell's eval",
	.help = "  --agents    for many checkouts and agents on one machine (doc/agents.md)\n"
		"  --json      as one JSON object\n"
		"  --gdb       for gdb, in a workspace: where the sources are that programs name\n"
		"              which were compiled with paths = shared\n"
		"  --lldb      the same for lldb\n"
		"  -h, --help  print this\n",
	.run = run,
};
