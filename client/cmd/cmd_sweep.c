/* dray sweep: lists target directories that nobody has built in for long, and removes them on
 * request. Without --remove nothing is touched. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cmd/cmd.h"
#include "client/cmd/target_use.h"
#include "client/show/jobs.h"
#include "common/text/show.h"
#include "client/wrap/target_dir.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/text/when.h"

#define OLDER_THAN "30d"

struct target {
	char *dir;
	struct target_use use;
	const char *why; /* it stays; NULL: it goes, or went */
};

/* What must not go with a directory, and why it stays then. */
enum {
	KEEP_HERE,
	KEEP_CACHE,
	KEEP_STORE,
	KEEP_LOG,
	KEEP_HOME,
	KEEP_CARGO_HOME,
	KEEP_RUSTUP_HOME,
	N_KEEP
};
static const char *const keep_whys[N_KEEP] = {
	[KEEP_HERE] = "this directory is in it",
	[KEEP_CACHE] = "dray's cache is in it",
	[KEEP_STORE] = "dray's cache is in it",
	[KEEP_LOG] = "dray's job log is in it",
	[KEEP_HOME] = "the home directory is in it",
	[KEEP_CARGO_HOME] = "CARGO_HOME is in it",
	[KEEP_RUSTUP_HOME] = "RUSTUP_HOME is in it",
};

struct sweep {
	struct strv dirs;    /* found, without links */
	struct strv linked;  /* of these, those that a link leads to */
	struct strv parents; /* directories in which rests were looked for */
	char *last;	     /* the out-dir that was looked at last: a build has hundreds of one */
	struct cmd_progress progress;
	char *keep[N_KEEP]; /* places without links; NULL: not known */
	struct target *v;   /* the old ones */
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
	for (size_t i = 0; i < N_KEEP; i++)
		free(s->keep[i]);
	strv_done(&s->dirs);
	strv_done(&s->linked);
	strv_done(&s->parents);
}

/* ---- which there are */

/* Those in the nearest directory above that is there: the target directory itself may be gone. */
static int
find_rests(struct sweep *s, const char *dir)
{
	_cleanup_(freep) char *up = path_dirname(dir);
	char *next;
	int r;

	while (up && !fs_exists(up) && !streq(up, "/")) {
		next = path_dirname(up);
		free(up);
		up = next;
	}
	next = up ? realpath(up, NULL) : NULL;
	free(up);
	up = next;
	if (!up || strv_has(&s->parents, up))
		return 0;
	r = strv_add(&s->parents, up);
	return r < 0 ? r : target_find_rests(up, &s->dirs);
}

/* The target directory of a line of the job log, if it is still there. */
static int
take_line(void *arg, struct job_line *j)
{
	struct sweep *s = arg;
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *real = NULL;
	struct stat st;
	int r;

	if (*j->out_dir != '/' || (s->last && streq(s->last, j->out_dir)))
		return 0;
	free(s->last);
	s->last = strdup(j->out_dir);
	dir = target_dir_of(j->out_dir, "/");
	if (!s->last || !dir)
		return -ENOMEM;
	r = find_rests(s, dir);
	real = realpath(dir, NULL);
	/* cargo makes no directory where a link leads nowhere */
	if (r == 0 && real && lstat(dir, &st) == 0 && S_ISLNK(st.st_mode) &&
		!strv_has(&s->linked, real))
		r = strv_add(&s->linked, real);
	if (r < 0 || !real || strv_has(&s->dirs, real) || !target_is_cargos(real))
		return r;
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
why_kept(const struct sweep *s, const char *dir, const struct target_use *use)
{
	for (size_t i = 0; i < N_KEEP; i++)
		if (s->keep[i] && path_is_below(s->keep[i], dir))
			return keep_whys[i];
	if (strv_has(&s->linked, dir))
		return "a link leads to it";
	if (use->holds_more)
		return "holds more than what cargo builds";
	return use->others ? "holds directories of another user" : NULL;
}

/* What lies in another one goes, or stays, with that: a tool's own, a test's. */
static void
leave_out_inner(struct strv *dirs)
{
	size_t n = 0;

	strv_sort_unique(dirs);
	for (size_t i = 0; i < dirs->n; i++) {
		bool inner = false;

		for (size_t k = 0; k < n && !inner; k++)
			inner = path_is_below(dirs->v[i], dirs->v[k]);
		if (inner)
			free(dirs->v[i]);
		else
			dirs->v[n++] = dirs->v[i];
	}
	if (dirs->v)
		dirs->v[n] = NULL;
	dirs->n = n;
}

static int
add(struct sweep *s, const char *dir, const struct target_use *use)
{
	struct target *v = reallocarray(s->v, s->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	s->v = v;
	v[s->n] = (struct target){ .dir = strdup(dir), .use = *use, .why = why_kept(s, dir, use) };
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

	leave_out_inner(&s->dirs);
	for (size_t i = 0; i < s->dirs.n; i++) {
		cmd_progress(&s->progress, "target directories", i, s->dirs.n);
		r = target_look(s->dirs.v[i], &use);
		if (r == -ENOENT) {
			continue;
		} else if (r < 0) {
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

/* A build may have come and gone since it was looked at. */
static int
remove_now(const struct sweep *s, struct target *t, const struct target_locks *locks,
	uint64_t before_ms, char **ret_rest)
{
	struct target_use now;
	int r = target_look(t->dir, &now);

	if (r < 0)
		return r;
	t->why = now.used_ms >= before_ms ? "a build was there just now"
					  : why_kept(s, t->dir, &now);
	return t->why ? 0 : target_remove(t->dir, locks, ret_rest);
}

static void
visit(const struct cmd *c, struct sweep *s, struct target *t, uint64_t before_ms, bool removes)
{
	_cleanup_(freep) char *rest = NULL;
	struct target_locks locks;
	int r = 0;

	if (t->why)
		return;
	t->why = target_lock(t->dir, &locks);
	if (t->why)
		return;
	if (removes)
		r = remove_now(s, t, &locks, before_ms, &rest);
	target_unlock(&locks);
	if (r == -ESTALE && !rest)
		t->why = "something else is there now";
	else if (r < 0)
		t->why = "cannot be removed";
	if (r == 0 || (r == -ESTALE && !rest))
		return;
	cmd_progress_done(&s->progress);
	if (rest)
		cmd_error(c, "%s: not all of it could be removed, the rest is %s: %s", t->dir, rest,
			strerror(-r));
	else
		cmd_error(c, "%s: %s", t->dir, strerror(-r));
	s->failed = true;
}

static int
print_json(const struct sweep *s, uint64_t before_ms, bool removes)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	json_t *dirs = json_array();
	char when[WHEN_SIZE];

	for (size_t i = 0; i < s->n; i++) {
		const struct target *t = &s->v[i];

		when_format(t->use.used_ms, when);
		if (json_array_append_new(dirs,
			    json_pack("{s:o, s:s, s:I, s:I, s:b, s:s?}", "dir",
				    joblog_text(t->dir, SIZE_MAX), "used", when, "bytes",
				    (json_int_t)t->use.bytes, "files", (json_int_t)t->use.files,
				    "removed", removes && !t->why, "stays", t->why)) < 0) {
			json_decref(dirs);
			return -ENOMEM;
		}
	}
	when_format(before_ms, when);
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

static char *
place(const char *path)
{
	return path && *path ? realpath(path, NULL) : NULL;
}

static int
sweep(const struct cmd *c, const struct conf *conf, char **dirs, int n, uint64_t before_ms,
	bool removes, bool json)
{
	_cleanup_(sweep_done) struct sweep s = { .dirs = STRV_INIT,
		.linked = STRV_INIT,
		.parents = STRV_INIT,
		.progress = { .begun_ms = clock_mono_ms() } };
	int r;

	s.keep[KEEP_HERE] = place(".");
	s.keep[KEEP_CACHE] = place(conf->client.cache_dir);
	s.keep[KEEP_STORE] = place(conf->client.store_dir);
	s.keep[KEEP_LOG] = place(conf->client.job_log);
	s.keep[KEEP_HOME] = place(getenv("HOME"));
	s.keep[KEEP_CARGO_HOME] = place(getenv("CARGO_HOME"));
	s.keep[KEEP_RUSTUP_HOME] = place(getenv("RUSTUP_HOME"));
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
	if (!when_parse_since(older, clock_wall_ms(), &before_ms))
		return cmd_bad_time(&cmd_sweep, "--older-than", older);
	if (before_ms > clock_wall_ms()) {
		cmd_error(&cmd_sweep, "--older-than %s: that is yet to come", older);
		return CMD_USAGE;
	}
	for (int i = args; i < argc; i++)
		if (*argv[i] == '-' && !fs_exists(argv[i])) {
			cmd_error(&cmd_sweep, "%s: options come before directories", argv[i]);
			return cmd_usage_error(&cmd_sweep);
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
