/* What the user's commands share. A command speaks on stdout; what is
 * wrong goes to stderr. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "common/text/show.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/process/spawn.h"
#include "common/strv.h"
#include "discovery/find.h"

#define STATUS_JSON_MAX (4u << 20)
#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 100

int
cmd_print_help(const struct cmd *c)
{
	printf("usage: dray %s\n\n%s.\n", c->usage, c->summary);
	if (*c->help)
		printf("\n%s", c->help);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

void
cmd_error(const struct cmd *c, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(buf_done) struct buf shown = BUF_INIT;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0 || show_text(&shown, text) < 0 || buf_add(&shown, "", 1) < 0)
		fprintf(stderr, "dray %s: no memory\n", c->name);
	else
		fprintf(stderr, "dray %s: %s\n", c->name, (const char *)shown.p);
}

int
cmd_usage_error(const struct cmd *c)
{
	fprintf(stderr, "usage: dray %s\n", c->usage);
	return CMD_USAGE;
}

int
cmd_load_conf(const struct cmd *c, struct conf **ret)
{
	_cleanup_(freep) char *error = NULL;
	int r = find_conf_load(ret, &error);

	if (r < 0)
		cmd_error(c, "%s", error ? error : strerror(-r));
	return r;
}

char *
cmd_self(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

int
cmd_add_quoted(struct buf *b, const char *word)
{
	int r = buf_adds(b, "'");

	for (; r == 0 && *word; word++)
		r = *word == '\'' ? buf_adds(b, "'\\''") : buf_add(b, word, 1);
	return r < 0 ? r : buf_adds(b, "'");
}

int
cmd_farm_status(const char *compiler, struct buf *ret_json)
{
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	_cleanup_(freep) char *name = compiler ? strdup(compiler) : NULL;
	char status_option[] = "--status", json_option[] = "--json", of[] = "--compiler";
	char *argv[] = { program, status_option, json_option, name ? of : NULL, name, NULL };
	int status, r;

	if (!program)
		return -ENOENT;
	if (compiler && !name)
		return -ENOMEM;
	r = spawn_capture(argv, NULL, SPAWN_ASK_MS, STATUS_JSON_MAX, ret_json, &status);
	if (r < 0)
		return r;
	/* 1: unreachable, which the text says too */
	return status <= 1 && ret_json->n ? 0 : -EPROTO;
}

int
cmd_bad_time(const struct cmd *c, const char *option, const char *given)
{
	cmd_error(c, "%s %s: a time ago as 30m, 1h30m, 2d or 1w, or when, as 2026-11-21T10:00",
		option, given);
	return CMD_USAGE;
}

int
cmd_read_jobs(const struct cmd *c, const struct conf *conf, uint64_t since_ms, jobs_fn fn,
	void *arg, struct jobs_tally *ret)
{
	const char *path = conf->client.job_log;
	int r;

	if (!path || !*path) {
		cmd_error(c, "there is no job log: set job_log or cache_dir");
		return -ENOENT;
	}
	r = jobs_each(path, since_ms, fn, arg, ret);
	if (r < 0)
		cmd_error(c, "%s: %s", path, r == -EINVAL ? "is no file" : strerror(-r));
	return r;
}

int
cmd_open_depot(const struct cmd *c, const struct conf *conf, struct memo *memo, struct depot **ret)
{
	struct depot_in in = { .dir = conf->client.store_dir,
		.max = conf->client.cache_max,
		.read_only = conf->client.cache == CACHE_READ,
		.group = conf->client.cache_group,
		.memo = memo };
	int r = depot_open(&in, ret);
	char why[SHARE_WHY_SIZE];

	if (r == -EPERM && in.group) {
		depot_why_refused(&in, why);
		cmd_error(c, "the cache is not used: %s", why);
	} else if (r < 0 && !(in.dir && *in.dir)) {
		cmd_error(c, "there is no cache directory: set cache_dir (DRAY_CACHE_DIR)");
	} else if (r < 0) {
		cmd_error(c, "%s: %s", in.dir,
			r == -EPERM ? "is not used: other users may write there, or it is theirs "
				      "(chmod o-w, or set cache_dir)"
				    : strerror(-r));
	}
	return r;
}

void
cmd_progress(void *arg, const char *what, uint64_t done, uint64_t of)
{
	struct cmd_progress *p = arg;
	uint64_t now = clock_mono_ms();

	if (now - p->begun_ms < PROGRESS_AFTER_MS || now - p->said_ms < PROGRESS_EVERY_MS ||
		!isatty(STDERR_FILENO))
		return;
	p->said_ms = now;
	fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " %s", done, of, what);
	fflush(stderr);
}

void
cmd_progress_done(struct cmd_progress *p)
{
	if (p->said_ms)
		fputs("\r\033[K", stderr);
}

int
cmd_exec(const struct cmd *c, char **argv)
{
	int err;

	execvp(argv[0], argv);
	err = errno;
	cmd_error(c, "cannot run %s: %s", argv[0], strerror(err));
	return err == ENOENT ? 127 : 126;
}

int
cmd_hand_over(const struct cmd *c, const char *word, int argc, char **argv)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *program = spawn_find_program("dray-dispatch");
	int r;

	if (!program) {
		cmd_error(c, "dray-dispatch is not beside dray, nor in PATH");
		return CMD_FAILED;
	}
	r = strv_add(&words, program);
	if (r == 0)
		r = strv_add(&words, word);
	for (int i = 1; r == 0 && i < argc; i++)
		r = strv_add(&words, argv[i]);
	if (r < 0) {
		cmd_error(c, "out of memory");
		return CMD_FAILED;
	}
	return cmd_exec(c, words.v);
}
