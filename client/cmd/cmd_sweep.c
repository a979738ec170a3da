/* dray sweep: lists target directories that nobody has built in for long, and removes them on
 * request. Without --remove nothing is touched. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cmd/cmd.h"
#include "client/cmd/target_use.h"
#include "client/show/jobs.h"
#include "client/show/show.h"
#include "client/wrap/target_dir.h"
#include "common/clock.h"
#include "common/fs.h"

#define OLDER_THAN "30d"

struct target {
	char *dir;
	struct target_use use;
	const char *why; /* it stays; NULL: it goes, or went */
};

struct sweep {
	struct strv dirs; /* found, without links */
	char *last;	  /* the out-dir that was looked at last: a build has hundreds of one */
	struct cmd_progress progress;
	const char *keep[3]; /* places that stay, whatever they lie in; NULL: not known */
	struct target *v;    /* the old ones */
	size_t n;
	uint64_t recent; /* how many are not old */
	bool failed;
};

static void
sweep_done(struct sweep *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].dir);
	free(s->v);
	free(s->last);
	strv_done(&s->dirs);
}

/* ---- which there are */

/* The target directory of a line of the job log, if it is still there. */
static int
take_line(void *arg, struct job_line *j)
{
	struct sweep *s = arg;
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *real = NULL;

	if (*j->out_dir != '/' || (s->last && streq(s->last, j->out_dir)))
		return 0;
	free(s->last);
	s->last = strdup(j->out_dir);
	dir = target_dir_of(j->out_dir, "/");
	if (!s->last || !dir)
		return -ENOMEM;
	real = realpath(dir, NULL);
	if (!real || strv_has(&s->dirs, real) || !target_is_cargos(real))
		return 0;
	return strv_add(&s->dirs, real);
}

static void
looked(void *arg, uint64_t n)
{
	cmd_progress(arg, "directories read", n, n);
}

static bool
find(const struct cmd *c, const struct conf *conf, char **dirs, int n, struct sweep *s)
{
	struct jobs_tally tally;
	int r;

	if (n == 0)
		return cmd_read_jobs(c, conf, 0, take_line, s, &tally) == 0;
	for (int i = 0; i < n; i++) {
		r = target_find(dirs[i], looked, &s->progress, &s->dirs);
		if (r < 0) {
			cmd_progress_done(&s->progress);
			cmd_error(c, "%s: %s", dirs[i], strerror(-r));
			return false;
		}
	}
	return true;
}

/* ---- which are old */

static const char *
why_kept(const struct sweep *s, const char *dir)
{
	static const char *const whys[] = { "this directory is in it", "dray's cache is in it",
		"the home directory is in it" };

	for (size_t i = 0; i < ARRAY_LEN(s->keep); i++)
		if (s->keep[i] && path_is_below(s->keep[i], dir))
			return whys[i];
	return NULL;
}

static int
add(struct sweep *s, const char *dir, const struct target_use *use)
{
	struct target *v = reallocarray(s->v, s->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	s->v = v;
	v[s->n] = (struct target){ .dir = strdup(dir), .use = *use, .why = why_kept(s, dir) };
	return v[s->n++].dir ? 0 : -ENOMEM;
}

static int
by_use(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return x->use.used_ms < y->use.used_ms ? -1 : x->use.used_ms > y->use.used_ms;
}

static int
look_at_all(const struct cmd *c, struct sweep *s, uint64_t before_ms)
{
	struct target_use use;
	int r;

	strv_sort_unique(&s->dirs);
	for (size_t i = 0; i < s->dirs.n; i++) {
		cmd_progress(&s->progress, "target directories", i, s->dirs.n);
		r = target_look(s->dirs.v[i], &use);
		if (r < 0) {
			cmd_progress_done(&s->progress);
			cmd_error(c, "%s: %s", s->dirs.v[i], strerror(-r));
			s->failed = true;
		} else if (use.used_ms >= before_ms) {
			s->recent++;
		} else if (add(s, s->dirs.v[i], &use) < 0) {
			return -ENOMEM;
		}
	}
	if (s->n > 0)
		qsort(s->v, s->n, sizeof(*s->v), by_use);
	return 0;
}

/* ---- and go */

static void
visit(const struct cmd *c, struct sweep *s, struct target *t, uint64_t before_ms, bool removes)
{
	struct target_locks locks;
	struct target_use now;
	int r = 0;

	if (t->why)
		return;
	t->why = target_lock(t->dir, &locks);
	if (t->why)
		return;
	/* a build may have come and gone since it was looked at */
	if (removes && target_look(t->dir, &now) == 0 && now.used_ms < before_ms)
		r = target_remove(t->dir);
	else if (removes)
		t->why = "a build was there just now";
	target_unlock(&locks);
	if (r < 0) {
		cmd_progress_done(&s->progress);
		cmd_error(c, "%s: %s", t->dir, strerror(-r));
		t->why = "cannot be removed";
		s->failed = true;
	}
}

static int
print_json(const struct sweep *s, uint64_t before_ms, bool removes)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	json_t *dirs = json_array();
	char when[JOBS_TIME_SIZE];

	for (size_t i = 0; i < s->n; i++) {
		const struct target *t = &s->v[i];

		jobs_format_time(t->use.used_ms, when);
		if (json_array_append_new(
			    dirs, json_pack("{s:s, s:s, s:I, s:I, s:b, s:s?}", "dir", t->dir,
					  "used", when, "bytes", (json_int_t)t->use.bytes, "files",
					  (json_int_t)t->use.files, "removed", removes && !t->why,
					  "stays", t->why)) < 0) {
			json_decref(dirs);
			return -ENOMEM;
		}
	}
	jobs_format_time(before_ms, when);
	o = json_pack("{s:s, s:b, s:I, s:o}", "unused_since", when, "remove", removes, "used_since",
		(json_int_t)s->recent, "dirs", dirs);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

static int
print_text(const struct sweep *s, bool removes)
{
	char when[SHOW_SIZE], size[SHOW_SIZE];
	uint64_t bytes = 0, n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct target *t = &s->v[i];
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (show_text(&b, t->dir) < 0 || buf_add(&b, "", 1) < 0)
			return -ENOMEM;
		show_when(t->use.used_ms, when);
		show_bytes(t->use.bytes, size);
		printf("%s  %10s  %s%s%s\n", when, size, (const char *)b.p,
			t->why ? "  stays: " : "", t->why ? t->why : "");
		bytes += t->why ? 0 : t->use.bytes;
		n += !t->why;
	}
	show_bytes(bytes, size);
	printf("%s%" PRIu64 " target director%s, %s", removes ? "removed " : "old: ", n,
		n == 1 ? "y" : "ies", size);
	printf("; %" PRIu64 " used since\n", s->recent);
	if (!removes && n > 0)
		printf("nothing was removed: --remove does it\n");
	return 0;
}

static int
sweep(const struct cmd *c, const struct conf *conf, char **dirs, int n, uint64_t before_ms,
	bool removes, bool json)
{
	_cleanup_(sweep_done) struct sweep s = { .dirs = STRV_INIT,
		.progress = { .begun_ms = clock_mono_ms() } };
	_cleanup_(freep) char *cwd = realpath(".", NULL);
	_cleanup_(freep) char *cache = conf->client.cache_dir && *conf->client.cache_dir
					       ? realpath(conf->client.cache_dir, NULL)
					       : NULL;
	const char *given = getenv("HOME");
	_cleanup_(freep) char *home = given && *given ? realpath(given, NULL) : NULL;
	int r;

	s.keep[0] = cwd;
	s.keep[1] = cache;
	s.keep[2] = home;
	if (!find(c, conf, dirs, n, &s))
		return CMD_FAILED;
	r = look_at_all(c, &s, before_ms);
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		if (removes)
			cmd_progress(&s.progress, "removed", i, s.n);
		visit(c, &s, &s.v[i], before_ms, removes);
	}
	cmd_progress_done(&s.progress);
	if (r == 0)
		r = json ? print_json(&s, before_ms, removes) : print_text(&s, removes);
	if (r < 0)
		cmd_error(c, "%s", strerror(-r));
	return r == 0 && !s.failed && fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *older = OLDER_THAN;
	bool json = false, removes = false;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = "older-than", .text = &older },
		{ .name = "remove", .flag = &removes },
		{ .name = NULL },
	};
	uint64_t before_ms = 0;
	int args, status;

	if (!cmd_options(&cmd_sweep, argc, argv, options, 0, CMD_ARGS_MAX, &args, &status))
		return status;
	if (!jobs_parse_since(older, clock_wall_ms(), &before_ms))
		return cmd_bad_time(&cmd_sweep, "--older-than", older);
	if (before_ms > clock_wall_ms()) {
		cmd_error(&cmd_sweep, "--older-than %s: that is yet to come", older);
		return CMD_USAGE;
	}
	if (cmd_load_conf(&cmd_sweep, &conf) < 0)
		return CMD_FAILED;
	return sweep(&cmd_sweep, conf, argv + args, argc - args, before_ms, removes, json);
}

const struct cmd cmd_sweep = {
	.name = "sweep",
	.usage = "sweep [--json] [--older-than TIME] [--remove] [DIRECTORY]...",
	.summary = "List target directories that nobody has built in for long, or remove them",
	.help = "  --json             as one JSON object\n"
		"  --older-than TIME  not built in since then (30d, 2026-11-01); 30d when not "
		"given\n"
		"  --remove           remove them, but for those that a build has locked\n"
		"  -h, --help         print this\n"
		"\n"
		"Those at or below each DIRECTORY; when none is given, those that the job log "
		"names.\n",
	.run = run,
};
