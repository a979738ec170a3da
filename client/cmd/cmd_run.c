/* dray run: a build with as many jobs as the farm can take.
 *
 * cargo starts as many compilers as CARGO_BUILD_JOBS says, this machine's cores when nothing says
 * more; a farm wants more than that, and the local slots keep this machine safe from it. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/slots/slots.h"

#define JOBS_MAX 512

/* Slots of the farm that can compile for this toolchain; -1 and a text when it cannot be reached.
 */
static long
farm_slots(const char *coordinator, char *why, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *rustc = getenv("RUSTC");
	const char *error, *role;
	json_error_t je;
	json_t *o;
	long slots;
	int r = cmd_farm_status(rustc && *rustc ? rustc : "rustc", &b);

	if (r < 0) {
		snprintf(why, n, "dray-dispatch: %s", strerror(-r));
		return -1;
	}
	o = json_loadb((const char *)b.p, b.n, 0, &je);
	if (!json_is_true(json_object_get(o, "reachable"))) {
		error = json_string_value(json_object_get(o, "error"));
		snprintf(why, n, "%s%s%s", coordinator ? coordinator : "", coordinator ? ": " : "",
			error ? error : "the farm cannot be reached");
		json_decref(o);
		return -1;
	}
	slots = (long)json_integer_value(json_object_get(o, "matching_slots"));
	role = json_string_value(json_object_get(o, "role"));
	if (role && streq(role, "admin")) {
		snprintf(why, n, "this client's key is an admin's, which gets no job");
		slots = -1;
	} else if (slots <= 0) {
		snprintf(why, n, "%s",
			json_integer_value(json_object_get(o, "workers")) == 0
				? "the farm has no worker"
				: "no worker of the farm has this toolchain");
		slots = -1;
	}
	json_decref(o);
	return slots;
}

static bool
is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) < 6 && atoi(s) > 0;
}

bool
cmd_set_jobs(const struct cmd *c, const struct conf *conf, const char *jobs)
{
	const char *user = getenv("CARGO_BUILD_JOBS");
	uint64_t local = conf->client.local_slots ? conf->client.local_slots : slots_cores();
	char why[256] = "", number[32];
	long farm;

	if (jobs && !is_number(jobs)) {
		cmd_error(c, "-j %s: a number from 1 to 99999", jobs);
		return false;
	}
	if (jobs) {
		setenv("CARGO_BUILD_JOBS", jobs, 1);
		return true;
	}
	if (conf->client.offload == OFFLOAD_NEVER || (user && *user))
		return true;
	farm = farm_slots(conf->client.coordinator, why, sizeof(why));
	if (farm < 0) {
		cmd_error(c, "%s; building on this machine", why);
		return true;
	}
	snprintf(number, sizeof(number), "%ld",
		MAX2(MIN2(farm + (long)local, (long)JOBS_MAX), (long)local));
	setenv("CARGO_BUILD_JOBS", number, 1);
	return true;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *self = cmd_self();
	const char *jobs = NULL;
	const struct cmd_option options[] = {
		{ .name = "jobs", .letter = 'j', .text = &jobs },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_run, argc, argv, options, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_run, &conf) < 0)
		return CMD_FAILED;
	setenv("RUSTC_WRAPPER", self ? self : "dray", 1);
	if (!cmd_set_jobs(&cmd_run, conf, jobs))
		return CMD_USAGE;
	return cmd_exec(&cmd_run, argv + args);
}

const struct cmd cmd_run = {
	.name = "run",
	.usage = "run [-j N] [--] COMMAND [ARGUMENT]...",
	.summary = "Run a build with dray, and as many jobs as the farm can take",
	.help = "  -j, --jobs N  jobs for cargo, instead of asking the farm (CARGO_BUILD_JOBS)\n"
		"  -h, --help    print this\n",
	.run = run,
};
