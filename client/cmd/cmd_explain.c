/* dray explain: what happened to each unit of the last build, or to one crate when it was last
 * compiled, and why. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/show/builds.h"
#include "client/cmd/cmd.h"
#include "client/cmd/producers.h"
#include "client/show/critical.h"
#include "common/text/show.h"
#include "common/text/when.h"
#include "client/show/tell.h"

#define SIMILAR_MAX 5
#define NAME_MAX_LEN 64 /* of what is compared; crates.io allows as much */
#define COLUMN_MAX 32
#define CRITICAL_MAX 12	     /* units of the critical path */
#define CRITICAL_GAP_US 5000 /* a gap that is worth a remark */

struct explain {
	const char *name; /* NULL: all of the last build */
	bool json;
	struct builds builds;
	json_t *names; /* every crate and package that the log has; the values mean nothing */
	struct job_line *makers; /* of this crate: what was compiled and kept */
	size_t n_makers;
	struct producers producers;
};

/* ---- names */

static char
plain(char c)
{
	return c == '-' ? '_' : c;
}

/* Whether a is b, of which n bytes count; a crate's name has '_' where its package's may have '-'.
 */
static bool
same_name(const char *a, const char *b, size_t n)
{
	for (; n && *a && plain(*a) == plain(*b); a++, b++, n--)
		;
	return !n && !*a;
}

static size_t
package_length(const struct job_line *j)
{
	return strcspn(j->package, " ");
}

static bool
is_about(const struct job_line *j, const char *name)
{
	return same_name(name, j->crate, strlen(j->crate)) ||
	       (*j->package && same_name(name, j->package, package_length(j)));
}

static void
note_names(json_t *names, const struct job_line *j)
{
	char package[NAME_MAX_LEN + 1];
	size_t n = MIN2(package_length(j), (size_t)NAME_MAX_LEN);

	memcpy(package, j->package, n);
	package[n] = '\0';
	if (*j->crate)
		json_object_set_new(names, j->crate, json_null());
	/* not when a character was cut */
	if (*package)
		json_object_set_new(names, package, json_null());
}

/* How many letters must be changed, added or removed to make b of a; *ret_begin: or the begin of b.
 */
static unsigned
distance(const char *a, const char *b, unsigned *ret_begin)
{
	unsigned row[NAME_MAX_LEN + 1], left, above, least = NAME_MAX_LEN;
	size_t n = strlen(a), m = strlen(b);

	*ret_begin = NAME_MAX_LEN;
	if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t k = 0; k <= m; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; i <= n; i++) {
		left = row[0];
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= m; k++) {
			above = row[k];
			row[k] = MIN2(MIN2(above, row[k - 1]) + 1,
				left + (plain(a[i - 1]) != plain(b[k - 1])));
			left = above;
		}
	}
	for (size_t k = 0; k <= m; k++)
		least = MIN2(least, row[k]);
	*ret_begin = least;
	return row[m];
}

/* 0: not similar; less is more so. */
static unsigned
unlikeness(const char *asked, const char *name)
{
	unsigned begin, d = distance(asked, name, &begin);
	size_t n = strlen(asked);

	if (d <= 1 + n / 4)
		return 1 + d;
	if (n > 2 && begin <= n / 4)
		return NAME_MAX_LEN + begin;
	return n > 2 && strstr(name, asked) ? 2 * NAME_MAX_LEN : 0;
}

static void
print_similar(const struct explain *e)
{
	const char *best[SIMILAR_MAX] = { NULL }, *name;
	unsigned score[SIMILAR_MAX] = { 0 }, u;
	size_t n = 0, i;
	json_t *value;

	json_object_foreach(e->names, name, value)
	{
		u = unlikeness(e->name, name);
		for (i = n; u && i > 0 && u < score[i - 1]; i--)
			if (i < SIMILAR_MAX) {
				best[i] = best[i - 1];
				score[i] = score[i - 1];
			}
		if (!u || i == SIMILAR_MAX)
			continue;
		best[i] = name;
		score[i] = u;
		n = MIN2(n + 1, (size_t)SIMILAR_MAX);
	}
	for (i = 0; i < n; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (show_text(&b, best[i]) == 0)
			fprintf(stderr, "%s%s%s", i ? ", " : "There is: ", (const char *)b.p,
				i + 1 == n ? "\n" : "");
	}
}

/* ---- reading */

static int
note_maker(struct explain *e, const struct job_line *j)
{
	struct job_line *makers;

	if ((!streq(j->cache, "miss") && !job_is_bundle(j)) || !*j->key || *j->not_stored ||
		j->exit_status)
		return 0;
	makers = reallocarray(e->makers, e->n_makers + 1, sizeof(*makers));
	if (!makers)
		return -ENOMEM;
	e->makers = makers;
	makers[e->n_makers++] = *j;
	json_incref(j->line);
	return 0;
}

static const struct job_line *
maker_of(const struct explain *e, const struct job_line *hit)
{
	for (size_t i = e->n_makers; i > 0 && *hit->key; i--)
		if (streq(e->makers[i - 1].key, hit->key) &&
			e->makers[i - 1].time_ms <= hit->time_ms)
			return &e->makers[i - 1];
	return NULL;
}

static int
take(void *arg, struct job_line *j)
{
	struct explain *e = arg;
	bool keep = !e->name || is_about(j, e->name);
	int r = 0;

	if (streq(j->kind, "probe"))
		return 0;
	if (e->name) {
		note_names(e->names, j);
		if (keep)
			r = note_maker(e, j);
	}
	return r < 0 ? r : builds_add(&e->builds, j, keep);
}

/* ---- as text */

/* A cell, and spaces up to its width; never so wide that the next ones move far. */
static int
add_cell(struct buf *b, const char *s, size_t width)
{
	size_t from = b->n;
	int r = show_text(b, s);

	while (r == 0 && b->n - from < width)
		r = buf_adds(b, " ");
	return r < 0 ? r : buf_adds(b, " ");
}

/* A unit's name in the list. All build scripts have one crate name, so their package's is shown. */
static void
short_name(const struct job_line *j, char ret[NAME_MAX_LEN + 1])
{
	bool script = streq(j->kind, "build-script") && *j->package;
	const char *name = script ? j->package : *j->crate ? j->crate : "-";
	size_t n = script ? package_length(j) : strlen(name);

	snprintf(ret, NAME_MAX_LEN + 1, "%.*s", (int)MIN2(n, (size_t)NAME_MAX_LEN), name);
}

static int
print_line(const struct job_line *j, size_t width)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT, why = BUF_INIT;
	char name[NAME_MAX_LEN + 1];
	int r = tell_short(&why, j);

	short_name(j, name);
	if (r == 0)
		r = add_cell(&b, name, width);
	if (r == 0)
		r = add_cell(&b, *j->kind ? j->kind : "-", strlen("build-script"));
	if (r == 0)
		r = add_cell(&b, j->where, strlen("passthrough"));
	if (r == 0 && why.n)
		r = show_text(&b, (const char *)why.p);
	if (r < 0)
		return r;
	while (b.n && b.p[b.n - 1] == ' ')
		b.p[--b.n] = '\0';
	puts((const char *)b.p);
	return 0;
}

static int
add_critical_step(struct buf *b, const struct job_line *j, const struct critical_step *s)
{
	char part[SHOW_SIZE], gap[SHOW_SIZE];
	int r = 0;

	show_time(s->gap_us, gap);
	show_time(critical_part_us(s), part);
	if (b->n)
		r = buf_adds(b, " \xe2\x86\x92 ");
	if (r == 0 && s->gap_us >= CRITICAL_GAP_US)
		r = buf_addf(b, "(%s %s) ", critical_gap_name(s->gap), gap);
	if (r == 0 && job_is_run(j))
		r = buf_adds(b, "run of ");
	if (r == 0)
		r = show_text(b, *j->crate ? j->crate : "-");
	/* all of them have one name */
	if (r == 0 && streq(j->kind, "build-script") && *j->package)
		r = buf_adds(b, " of ");
	if (r == 0 && streq(j->kind, "build-script"))
		r = show_text(b, j->package);
	return r < 0 ? r : buf_addf(b, " %s", part);
}

/* "a 3.2 s → (build script 1.0 s) b 5.0 s → …": the longest ones, in the order of time. */
static int
print_critical(const struct build *build)
{
	_cleanup_(critical_done) struct critical c = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t shown = 0;
	bool left_out = false;
	uint64_t least = 0;
	int r = critical_of_jobs(build->jobs, build->n, &c);

	if (r == 0)
		r = critical_least(&c, CRITICAL_MAX, &least);
	for (size_t i = 0; r == 0 && i < c.n; i++) {
		if (critical_part_us(&c.steps[i]) < least || shown == CRITICAL_MAX) {
			if (!left_out)
				r = buf_adds(
					&b, b.n ? " \xe2\x86\x92 \xe2\x80\xa6" : "\xe2\x80\xa6");
			left_out = true;
			continue;
		}
		r = add_critical_step(&b, &build->jobs[c.steps[i].unit], &c.steps[i]);
		left_out = false;
		shown++;
	}
	/* one unit alone is no path */
	if (r == 0 && c.n > 1)
		printf("\nThe critical path: %s\n", (const char *)b.p);
	return r;
}

/* "3 units and 1 run of a build script" */
static void
print_counts(const struct build *b)
{
	size_t runs = 0, units;

	for (size_t i = 0; i < b->n; i++)
		runs += job_is_run(&b->jobs[i]);
	units = b->n - runs;
	if (units || !runs)
		printf("%zu unit%s", units, units == 1 ? "" : "s");
	if (runs)
		printf("%s%zu run%s of %s", units ? " and " : "", runs, runs == 1 ? "" : "s",
			runs == 1 ? "a build script" : "build scripts");
}

static int
print_build(const struct build *b)
{
	_cleanup_(buf_done) struct buf dir = BUF_INIT;
	char when[SHOW_SIZE], took[SHOW_SIZE], name[NAME_MAX_LEN + 1];
	size_t width = 0;
	int r = show_text(&dir, b->dir);

	show_when(b->first_ms, when);
	show_time((b->last_ms - b->first_ms) * 1000, took);
	print_counts(b);
	printf(" in %s, from %s on%s%s\n\n", took, when, dir.n ? ", in " : "",
		dir.n ? (const char *)dir.p : "");
	for (size_t i = 0; i < b->n; i++) {
		short_name(&b->jobs[i], name);
		width = MAX2(width, strlen(name));
	}
	for (size_t i = 0; r == 0 && i < b->n; i++)
		r = print_line(&b->jobs[i], MIN2(width, (size_t)COLUMN_MAX));
	return r < 0 ? r : print_critical(b);
}

/* All that is said of one unit. signer: whose key the worker's is. */
static int
tell_all(struct explain *e, const struct job_line *j, const char *signer, struct strv *ret)
{
	int r = tell_long(ret, j, maker_of(e, j), signer);

	/* of what no worker made nobody is asked */
	if (r == 0 && streq(j->where, "farm") && producers_varies(&e->producers, j->crate))
		r = strv_add(ret, "workers do not share it: compiled again, it came out "
				  "differently each time");
	return r;
}

static int
print_unit(struct explain *e, const struct job_line *j)
{
	_cleanup_(strv_done) struct strv says = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char when[SHOW_SIZE];
	int r = tell_all(e, j, producers_name(&e->producers, j->worker_key), &says);

	show_when(build_start_ms(j), when);
	if (r == 0)
		r = show_text(&b, *j->crate ? j->crate : "a crate without a name");
	if (r == 0)
		r = buf_adds(&b, " (");
	if (r == 0)
		r = show_text(&b, *j->kind ? j->kind : "unit");
	if (r == 0 && *j->package)
		r = buf_adds(&b, " of ");
	if (r == 0)
		r = show_text(&b, j->package);
	if (r == 0)
		r = buf_addf(&b, "), %s\n", when);
	for (size_t i = 0; r == 0 && i < says.n; i++) {
		r = buf_adds(&b, "  ");
		if (r == 0)
			r = show_text(&b, says.v[i]);
		if (r == 0)
			r = buf_adds(&b, "\n");
	}
	if (r == 0)
		fputs((const char *)b.p, stdout);
	return r;
}

/* ---- as JSON */

static json_t *
json_unit(struct explain *e, const struct job_line *j)
{
	_cleanup_(strv_done) struct strv says = STRV_INIT;
	json_t *o = json_copy(j->line), *list = json_array();
	const char *signer = producers_name(&e->producers, j->worker_key);
	int r = tell_all(e, j, signer, &says);

	for (size_t i = 0; r == 0 && i < says.n; i++)
		json_array_append_new(list, json_string(says.v[i]));
	json_object_set_new(o, "says", list);
	if (*signer)
		json_object_set_new(o, "worker_key_name", json_string(signer));
	return o;
}

static json_t *
json_ms(uint64_t us)
{
	return json_real((double)us / 1000.0);
}

static int
json_critical(const struct build *b, json_t *list)
{
	_cleanup_(critical_done) struct critical c = { 0 };
	int r = critical_of_jobs(b->jobs, b->n, &c);

	for (size_t i = 0; r == 0 && i < c.n; i++) {
		const struct critical_step *s = &c.steps[i];
		const struct job_line *j = &b->jobs[s->unit];
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "crate",
			j->crate, "kind", j->kind, "unit", j->unit, "needs",
			critical_need_name(s->need), "gap", critical_gap_name(s->gap), "gap_ms",
			json_ms(s->gap_us), "from_ms", json_ms(s->from_us), "to_ms",
			json_ms(s->to_us), "part_ms", json_ms(critical_part_us(s)));

		if (!o || json_array_append_new(list, o) < 0)
			r = -ENOMEM;
	}
	return r;
}

static int
print_json(struct explain *e, const struct build *b)
{
	char first[WHEN_SIZE], last[WHEN_SIZE];
	_cleanup_(json_decrefp) json_t *units = json_array(), *o = NULL;
	_cleanup_(json_decrefp) json_t *path = NULL;

	for (size_t i = 0; i < b->n; i++)
		json_array_append_new(units, json_unit(e, &b->jobs[i]));
	when_format(b->first_ms, first);
	when_format(b->last_ms, last);
	o = json_pack("{s:s, s:s, s:s, s:O}", "first", first, "last", last, "dir", b->dir, "units",
		units);
	/* of one crate's units there is none */
	if (o && !e->name) {
		path = json_array();
		if (!path || json_critical(b, path) < 0 || json_object_set(o, "critical", path) < 0)
			return -ENOMEM;
	}
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

/* ---- the command */

static int
print_none(const struct explain *e, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!e->name) {
		cmd_error(&cmd_explain, "no unit is in %s yet", path);
	} else if (show_text(&b, e->name) == 0) {
		cmd_error(&cmd_explain, "no crate or package %s is in %s", b.n ? (char *)b.p : "''",
			path);
		print_similar(e);
	}
	return CMD_FAILED;
}

static int
show(struct explain *e, const struct conf *conf)
{
	const struct build *b;
	struct jobs_tally tally;
	int r;

	r = cmd_read_jobs(&cmd_explain, conf, 0, take, e, &tally);
	if (r < 0)
		return CMD_FAILED;
	b = builds_last(&e->builds);
	if (!b)
		return print_none(e, conf->client.job_log);
	if (e->json)
		r = print_json(e, b);
	else if (!e->name)
		r = print_build(b);
	for (size_t i = 0; e->name && !e->json && r == 0 && i < b->n; i++)
		r = print_unit(e, &b->jobs[i]);
	if (r < 0)
		cmd_error(&cmd_explain, "%s", strerror(-r));
	return r == 0 && fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static void
explain_done(struct explain *e)
{
	for (size_t i = 0; i < e->n_makers; i++)
		job_done(&e->makers[i]);
	free(e->makers);
	producers_done(&e->producers);
	builds_done(&e->builds);
	json_decref(e->names);
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(explain_done) struct explain e;
	const struct cmd_option options[] = { { .name = "json", .flag = &e.json },
		{ .name = NULL } };
	int args, status;

	memset(&e, 0, sizeof(e));
	if (!cmd_options(&cmd_explain, argc, argv, options, 0, 1, &args, &status))
		return status;
	e.name = argv[args];
	e.names = json_object();
	if (cmd_load_conf(&cmd_explain, &conf) < 0)
		return CMD_FAILED;
	e.producers.conf = conf;
	return show(&e, conf);
}

const struct cmd cmd_explain = {
	.name = "explain",
	.usage = "explain [--json] [CRATE]",
	.summary = "Say what happened to the last build's units, or to one crate, and why",
	.help = "  CRATE       a crate's or a package's name: what happened to it last\n"
		"  --json      as one JSON object: the build, and its units' log lines\n"
		"  -h, --help  print this\n",
	.run = run,
};
