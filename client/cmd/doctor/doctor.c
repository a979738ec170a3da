/* dray doctor: whether everything that a build wants is there; each line is good, or says what to
 * do.
 *
 * Invariant: nothing is changed but what a build would change too (the memo, the linker's note),
 * and a check that cannot be made is "bad" with its reason, never left out. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/wrap/local_only.h"
#include "common/clock.h"

static void
say_local_only(void *arg, const struct local_only *e)
{
	doctor_say(arg, NOTE, "local-only",
		"%s %s (crate %s) %s: it is compiled here. "
		"`dray doctor --forget` lets a worker try again",
		e->package, e->version, e->crate, e->reason);
}

static int
forget(const char *cache_dir)
{
	int r = local_only_forget(cache_dir);

	if (r < 0)
		fprintf(stderr, "dray: %s/%s: %s\n", cache_dir, LOCAL_ONLY_FILE, strerror(-r));
	return r < 0 ? CMD_FAILED : CMD_OK;
}

static int
finish(struct doctor *d)
{
	int bad = d->any_bad ? CMD_FAILED : CMD_OK;

	if (d->json) {
		json_dumpf(d->list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(d->list);
	json_decref(d->status);
	free(d->key_line);
	memo_close(d->memo);
	conf_free(d->conf);
	return fflush(stdout) == 0 ? bad : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	const char *rustc = getenv("RUSTC");
	struct doctor d = { .compiler = is_set(rustc) ? rustc : "rustc" };
	bool forgets = false, usable;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &d.json },
		{ .name = "forget", .flag = &forgets },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_doctor, argc, argv, options, 0, 0, &args, &status))
		return status;
	d.list = json_array();
	doctor_check_files(&d);
	doctor_check_variables(&d);
	if (!doctor_check_conf(&d))
		return finish(&d);
	if (forgets) {
		status = forget(d.conf->client.cache_dir);
		if (status != CMD_OK) {
			finish(&d);
			return status;
		}
	}
	doctor_check_programs(&d);
	doctor_check_wrapper(&d);
	usable = is_set(d.conf->client.cache_group) ? doctor_check_shared_cache(&d)
						    : doctor_check_cache(&d);
	doctor_check_cache_use(&d, usable);
	doctor_check_tracer(&d);
	if (usable) {
		doctor_check_scripts(&d);
		doctor_check_priming(&d);
	}
	doctor_check_job_log(&d);
	if (!is_set(d.conf->client.cache_dir) || memo_open(d.conf->client.cache_dir, &d.memo) < 0)
		d.memo = NULL;
	doctor_check_toolchain(&d);
	doctor_check_linker(&d);
	doctor_check_sandbox(&d);
	doctor_check_job_users(&d);
	doctor_check_discovery(&d);
	doctor_check_identity(&d);
	doctor_check_farm(&d);
	doctor_check_stores(&d);
	local_only_each(d.conf->client.cache_dir, clock_wall_ms() / 1000, say_local_only, &d);
	return finish(&d);
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.usage = "doctor [--json] [--forget]",
	.summary = "Check what a build wants: each line is good, or says what to do",
	.help = "  --json      as JSON: a list of check, finding (good, note, bad) and text\n"
		"  --forget    forget which packages are compiled here because a worker lacks\n"
		"              what they need\n"
		"  -h, --help  print this\n",
	.run = run,
};
