/* dray report: the last build, or all since a time, as one HTML page. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/show/page.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/text/when.h"

#define DEFAULT_FILE "dray-report.html"

static int
take(void *arg, struct job_line *j)
{
	return streq(j->kind, "probe") ? 0 : builds_add(arg, j, true);
}

static int
write_file(const char *path, const struct html *h)
{
	_cleanup_(freep) char *cwd = get_current_dir_name();
	_cleanup_(freep) char *whole = path_normalize(cwd ? cwd : "/", path);
	int r = whole ? fs_write_atomic(whole, h->b.p, h->b.n, 0644) : -ENOMEM;

	if (r < 0) {
		cmd_error(&cmd_report, "%s: %s", path, strerror(-r));
		return CMD_FAILED;
	}
	puts(whole);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
print_none(const struct conf *conf, const char *since)
{
	cmd_error(&cmd_report, "no unit is in %s%s%s", conf->client.job_log,
		since ? " since " : " yet", since ? since : "");
	return CMD_FAILED;
}

static int
make_page(const struct conf *conf, const struct builds *all, const char *since, const char *path)
{
	_cleanup_(freep) const struct build **chosen = calloc(all->n + 1, sizeof(*chosen));
	_cleanup_(html_done) struct html h = { BUF_INIT, 0 };
	struct page_in in = { .builds = chosen, .now_ms = clock_wall_ms() };
	const struct build *last = builds_last(all);
	int r = -ENOMEM;

	if (chosen) {
		for (size_t i = 0; since && i < all->n; i++)
			if (build_has_units(&all->b[i]))
				chosen[in.n++] = &all->b[i];
		if (!since && last)
			chosen[in.n++] = last;
		if (!in.n)
			return print_none(conf, since);
		r = page_write(&in, &h);
	}
	if (r < 0) {
		cmd_error(&cmd_report, "%s", strerror(-r));
		return CMD_FAILED;
	}
	return write_file(path, &h);
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(builds_done) struct builds all;
	const char *since = NULL, *path = DEFAULT_FILE;
	const struct cmd_option options[] = {
		{ .name = "output", .letter = 'o', .text = &path },
		{ .name = "since", .text = &since },
		{ .name = NULL },
	};
	struct jobs_tally tally;
	uint64_t since_ms = 0;
	int args, status;

	memset(&all, 0, sizeof(all));
	if (!cmd_options(&cmd_report, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (!*path)
		return cmd_usage_error(&cmd_report);
	if (since && !when_parse_since(since, clock_wall_ms(), &since_ms))
		return cmd_bad_time(&cmd_report, "--since", since);
	if (cmd_load_conf(&cmd_report, &conf) < 0)
		return CMD_FAILED;
	all.keep_all = since != NULL;
	if (cmd_read_jobs(&cmd_report, conf, since_ms, take, &all, &tally) < 0)
		return CMD_FAILED;
	return make_page(conf, &all, since, path);
}

const struct cmd cmd_report = {
	.name = "report",
	.usage = "report [-o FILE] [--since TIME]",
	.summary = "Write one HTML page about the last build: timeline, slowest crates, hits",
	.help = "  -o, --output FILE  the page; dray-report.html in this directory when not given\n"
		"  --since TIME       all builds since then, as for stats: 2d, 2026-11-21T10:00\n"
		"  -h, --help         print this\n",
	.run = run,
};
