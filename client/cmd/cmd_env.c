/* dray env: what to export so that cargo uses dray as it is configured now. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cmd/cmd.h"

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

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *self = cmd_self();
	bool json = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json }, { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_env, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_env, &conf) < 0)
		return CMD_FAILED;
	{
		const struct pair pairs[] = {
			{ "RUSTC_WRAPPER", self ? self : "dray" },
			{ "DRAY_COORDINATOR", conf->client.coordinator },
			{ "DRAY_COORDINATOR_KEY", conf->client.coordinator_key },
			{ "DRAY_IDENTITY", conf->client.identity },
			{ "DRAY_CACHE_DIR", conf->client.cache_dir },
			{ "DRAY_CONFIG", getenv("DRAY_CONFIG") },
		};

		return json ? print_json(pairs, ARRAY_LEN(pairs))
			    : print_shell(pairs, ARRAY_LEN(pairs));
	}
}

const struct cmd cmd_env = {
	.name = "env",
	.usage = "env [--json]",
	.summary = "Print the variables to export, for a shell's eval",
	.help = "  --json      as one JSON object\n"
		"  -h, --help  print this\n",
	.run = run,
};
