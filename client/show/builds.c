/* Which lines of the job log are one build.
 *
 * Invariant: what is held is what may still go on when this line is read, and the last one. */
#include "config.h"

#include <errno.h>

#include "client/show/builds.h"
#include "common/fs.h"
#include "common/outdir/layout.h"

/* A build script may run this long, and nothing is logged meanwhile. Process ids come again later.
 */
#define PAUSE_MAX_MS UINT64_C(3600000)
/* The same where nothing but the directory tells: cargo is run again about as soon. */
#define PAUSE_GUESS_MS UINT64_C(20000)

uint64_t
build_start_ms(const struct job_line *j)
{
	uint64_t wall_ms = (j->end_us - j->start_us) / 1000;

	return j->time_ms > wall_ms ? j->time_ms - wall_ms : 0;
}

char *
build_dir(const char *out_dir)
{
	_cleanup_(freep) char *up = NULL;
	const char *name = path_basename(out_dir);
	size_t n = 0;

	if (layout_find(out_dir, &n) != LAYOUT_NONE)
		return strndup(out_dir, n);
	/* relative ones, and hashes of other cargos */
	if (streq(name, "deps") || streq(name, "examples"))
		return path_dirname(out_dir);
	up = path_dirname(out_dir);
	if (up && streq(path_basename(up), "build"))
		return path_dirname(up);
	return strdup(out_dir);
}

static bool
goes_on(const struct build *b, uint64_t start_ms, uint64_t pause_ms)
{
	/* before its begin: the clock was set back */
	return start_ms <= b->last_ms + pause_ms && b->first_ms <= start_ms + pause_ms;
}

static bool
is_of(const struct build *b, const struct job_line *j, const char *dir)
{
	uint64_t start_ms = build_start_ms(j);

	/* a build script's own compiles are of the build whose script it is */
	if (j->cargo)
		return j->cargo == b->parent && goes_on(b, start_ms, PAUSE_MAX_MS);
	if (job_is_trial(j))
		return streq(b->dir, dir) && goes_on(b, start_ms, PAUSE_MAX_MS);
	if (j->parent || b->parent)
		return j->parent == b->parent && goes_on(b, start_ms, PAUSE_MAX_MS);
	return streq(b->dir, dir) && goes_on(b, start_ms, PAUSE_GUESS_MS);
}

static void
build_done(struct build *b)
{
	for (size_t i = 0; i < b->n; i++)
		job_done(&b->jobs[i]);
	free(b->jobs);
	free(b->dir);
}

/* Lets go of what no later line can belong to. */
static void
drop_old(struct builds *all, uint64_t now_ms)
{
	size_t to = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (i != all->last && all->b[i].last_ms + PAUSE_MAX_MS < now_ms) {
			build_done(&all->b[i]);
			continue;
		}
		if (i == all->last)
			all->last = to;
		all->b[to++] = all->b[i];
	}
	all->n = to;
}

static int
begin(struct builds *all, const struct job_line *j, char *dir, struct build **ret)
{
	struct build *b;

	if (!all->keep_all)
		drop_old(all, j->time_ms);
	b = reallocarray(all->b, all->n + 1, sizeof(*b));
	if (!b) {
		free(dir);
		return -ENOMEM;
	}
	all->b = b;
	b += all->n++;
	*b = (struct build){ .dir = dir,
		.parent = j->cargo ? j->cargo : j->parent,
		.first_ms = build_start_ms(j),
		.last_ms = j->time_ms };
	*ret = b;
	return 0;
}

static int
keep_job(struct build *b, struct job_line *j)
{
	size_t cap = b->cap ? b->cap * 2 : 16;
	struct job_line *jobs;

	if (b->n == b->cap) {
		jobs = reallocarray(b->jobs, cap, sizeof(*jobs));
		if (!jobs)
			return -ENOMEM;
		b->jobs = jobs;
		b->cap = cap;
	}
	b->jobs[b->n++] = *j;
	memset(j, 0, sizeof(*j));
	return 0;
}

/* Other than a mistyped command, which the log has as a compiler. */
static bool
is_unit(const struct job_line *j)
{
	return *j->crate || *j->out_dir;
}

int
builds_add(struct builds *all, struct job_line *j, bool keep)
{
	_cleanup_(freep) char *dir = build_dir(j->out_dir);
	struct build *b;
	size_t i;
	int r;

	if (!dir)
		return -ENOMEM;
	/* the newest first: of several that it could belong to, that one */
	for (i = all->n; i > 0 && !is_of(&all->b[i - 1], j, dir); i--)
		;
	if (i > 0) {
		b = &all->b[i - 1];
	} else {
		r = begin(all, j, steal_ptr(dir), &b);
		if (r < 0)
			return r;
	}
	b->first_ms = MIN2(b->first_ms, build_start_ms(j));
	b->last_ms = MAX2(b->last_ms, j->time_ms);
	if (!*b->dir && dir && *dir) {
		free(b->dir);
		b->dir = steal_ptr(dir);
	}
	if (!keep)
		return 0;
	if (is_unit(j))
		all->last = (size_t)(b - all->b);
	return keep_job(b, j);
}

bool
build_has_units(const struct build *b)
{
	size_t i;

	for (i = 0; i < b->n && !is_unit(&b->jobs[i]); i++)
		;
	return i < b->n;
}

const struct build *
builds_last(const struct builds *all)
{
	return all->n && all->b[all->last].n ? &all->b[all->last] : NULL;
}

void
builds_done(struct builds *all)
{
	for (size_t i = 0; i < all->n; i++)
		build_done(&all->b[i]);
	free(all->b);
	memset(all, 0, sizeof(*all));
}
