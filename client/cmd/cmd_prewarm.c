/* dray prewarm: a build whose results go up to the stores that are shared, for a nightly job, say:
 * it waits for the uploads, and says what went.
 *
 * Invariant: the command's exit status is passed on; where it was 0, and not all went up, it is 1.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "common/text/show.h"
#include "client/show/stats.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/log/joblog.h"

struct prewarm {
	uint64_t units, runs, us; /* uploaded, or on their way; what they took */
	uint64_t there;		  /* that were in a store */
	uint64_t local;		  /* hits of this machine's cache */
	struct stats_groups not_shared;
};

static int
count(void *arg, struct job_line *j)
{
	struct prewarm *p = arg;

	if (job_is_shared(j)) {
		p->there++;
	} else if (job_is_hit(j)) {
		p->local++;
	} else if (*j->not_shared) {
		stats_add_group(&p->not_shared, j->not_shared, job_cost_us(j));
	} else if (*j->not_stored) {
		stats_add_group(&p->not_shared, j->not_stored, job_cost_us(j));
	} else if (streq(j->where, "local") && streq(j->cache, "miss")) {
		p->units += !job_is_run(j);
		p->runs += job_is_run(j);
		p->us += job_cost_us(j);
	}
	return 0;
}

/* "3 units and 1 run of a build script" */
static void
print_made(const struct prewarm *p)
{
	printf("%" PRIu64 " unit%s and %" PRIu64 " run%s of %s", p->units, p->units == 1 ? "" : "s",
		p->runs, p->runs == 1 ? "" : "s",
		p->runs == 1 ? "a build script" : "build scripts");
}

static void
print_text(const struct prewarm *p, const struct cmd_uploads *uploads)
{
	char time[SHOW_SIZE];

	show_time(p->us, time);
	printf("dray prewarm: made ");
	print_made(p);
	printf(" (%s of work)", time);
	if (uploads->left)
		printf(", and %" PRIu64 " result%s are still to be uploaded (dray flush)",
			uploads->left, uploads->left == 1 ? "" : "s");
	else if (p->units || p->runs)
		printf(", and uploaded all of it");
	printf("; %" PRIu64 " came from the stores, %" PRIu64 " from the local cache\n", p->there,
		p->local);
	for (size_t i = 0; i < p->not_shared.n; i++) {
		_cleanup_(buf_done) struct buf name = BUF_INIT;

		if (show_text(&name, p->not_shared.g[i].name) == 0 && name.n)
			printf("  %7" PRIu64 "  not uploaded: %s\n", p->not_shared.g[i].sum.units,
				(const char *)name.p);
	}
}

static int
print_json(const struct prewarm *p, const struct cmd_uploads *uploads)
{
	_cleanup_(json_decrefp) json_t *why = json_array(), *o = NULL;

	for (size_t i = 0; i < p->not_shared.n; i++)
		json_array_append_new(
			why, json_pack("{s:o, s:I}", "reason",
				     joblog_text(p->not_shared.g[i].name, SIZE_MAX), "units",
				     (json_int_t)p->not_shared.g[i].sum.units));
	o = json_pack("{s:I, s:I, s:f, s:b, s:I, s:I, s:I, s:O}", "units", (json_int_t)p->units,
		"runs", (json_int_t)p->runs, "compile_ms", (double)p->us / 1000, "uploaded",
		uploads->left == 0, "waiting", (json_int_t)uploads->left, "from_stores",
		(json_int_t)p->there, "from_local", (json_int_t)p->local, "not_uploaded_why", why);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

/* After the build, also one that failed: what it made is made. */
static int
finish(const struct conf *conf, uint64_t since_ms, uint64_t wait_ms, bool json)
{
	struct prewarm p = { .units = 0 };
	struct jobs_tally tally;
	struct cmd_uploads uploads;
	int status = cmd_wait_uploads(&cmd_prewarm, conf, clock_mono_ms() + wait_ms, &uploads);
	int r = cmd_read_jobs(&cmd_prewarm, conf, since_ms, count, &p, &tally);

	if (r < 0)
		return CMD_FAILED;
	stats_sort_groups(&p.not_shared);
	if (!json)
		print_text(&p, &uploads);
	else if (print_json(&p, &uploads) < 0)
		status = CMD_FAILED;
	return fflush(stdout) == 0 ? status : CMD_FAILED;
}

static int
run_build(char **argv)
{
	int r = child_run(&(struct spawn){ .path = argv[0], .argv = argv });

	if (child_signal())
		return SPAWN_SIGNALLED + child_signal();
	if (r >= 0)
		return r;
	cmd_error(&cmd_prewarm, "cannot run %s: %s", argv[0], strerror(-r));
	return r == -ENOENT ? 127 : 126;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *self = cmd_self();
	const char *jobs = NULL, *timeout = CMD_UPLOADS_S;
	bool json = false;
	const struct cmd_option options[] = { { .name = "jobs", .letter = 'j', .text = &jobs },
		{ .name = "json", .flag = &json }, { .name = "timeout", .text = &timeout },
		{ .name = NULL } };
	uint64_t since_ms = clock_wall_ms(), wait_ms;
	int args, status, uploads;

	if (!cmd_options(&cmd_prewarm, argc, argv, options, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	if (!cmd_parse_timeout(&cmd_prewarm, timeout, &wait_ms))
		return CMD_USAGE;
	setenv("RUSTC_WRAPPER", self ? self : "dray", 1);
	if (cmd_load_conf(&cmd_prewarm, &conf) < 0)
		return CMD_FAILED;
	/* a pull request's run writes below its own prefix, and stays there */
	if (conf->client.ci_mode != CI_MODE_OWN) {
		setenv("DRAY_REMOTE_MODE", "readwrite", 1);
		conf_freep(&conf);
		if (cmd_load_conf(&cmd_prewarm, &conf) < 0)
			return CMD_FAILED;
	}
	if (!cmd_check_uploads(&cmd_prewarm, conf))
		return CMD_FAILED;
	if ((jobs || (conf->client.coordinator && *conf->client.coordinator)) &&
		!cmd_set_jobs(&cmd_prewarm, conf, jobs))
		return CMD_USAGE;
	child_catch_signals();
	status = run_build(argv + args);
	if (status >= SPAWN_SIGNALLED || status == 126 || status == 127)
		return status;
	uploads = finish(conf, since_ms, wait_ms, json);
	return status ? status : uploads;
}

const struct cmd cmd_prewarm = {
	.name = "prewarm",
	.usage = "prewarm [-j N] [--json] [--timeout SECONDS] [--] COMMAND [ARGUMENT]...",
	.summary = "Run a build, upload what it compiled to the shared stores, and say what went",
	.help = "  -j, --jobs N       jobs for cargo (CARGO_BUILD_JOBS)\n"
		"  --json             what went, as one JSON object\n"
		"  --timeout SECONDS  how long to wait at most for uploads (" CMD_UPLOADS_S ")\n"
		"  -h, --help         print this\n",
	.run = run,
};
