/* Makes the result of a job, as a client makes one of a compile (cache/keep/keep.h). Invariant:
 * key, inputs, outputs and texts are of what the worker gave the job and took from it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cache/job_key.h"
#include "cache/keep/keep.h"
#include "cache/marks.h"
#include "cache/told.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "proto/alias.h"
#include "rustc/mapping.h"
#include "rustc/option_tables.h"
#include "store/disk.h"
#include "worker/job/unit_key.h"
#include "worker/share/shares_priv.h"

struct maker {
	const struct shares_job *job;
	const struct shares_made *made;
	struct unit_call call;
	struct strv mapping_words, marked, marked_env;
	struct mapping mapping;
	char *target_dir, *form;
	struct shares_view view;
	struct inputs_place place;
	struct keep keep;
	struct buf record, out, err, tail;
	bool links; /* what is shared is a bundle: */
	struct shares_bundle bundle;
};

#define no(ret_why, ...) why_set(ret_why, -ENOTSUP, __VA_ARGS__)

static void
maker_done(struct maker *m)
{
	unit_call_done(&m->call);
	strv_done(&m->mapping_words);
	strv_done(&m->marked);
	strv_done(&m->marked_env);
	free(m->target_dir);
	free(m->form);
	shares_view_done(&m->view);
	keep_done(&m->keep);
	buf_done(&m->record);
	buf_done(&m->out);
	buf_done(&m->err);
	buf_done(&m->tail);
	shares_bundle_done(&m->bundle);
}

/* ---- where it was compiled */

/* The way to the out-dir is the client's alone: where a link is on it, what was made may name the
 * place by either of two names, and only one is known here. */
static bool
is_behind_link(const Dray__Unit *u)
{
	for (size_t i = 0; i < u->n_links; i++)
		if (path_is_below(u->out_dir, u->links[i]))
			return true;
	return false;
}

/* Then the key takes the call as one that is not mapped (job_key.c), and what of its places is in
 * what was made depends on more than that. */
static bool
maps_in_part(const struct rustc_call *call)
{
	for (size_t i = 0; i < call->n_options; i++)
		if (streq(call->options[i].row->name, "remap-path-scope"))
			return true;
	return false;
}

static int
find_mapping(struct maker *m)
{
	int r = mapping_read(&m->call.call, &m->mapping_words, &m->mapping);

	m->keep.mapped = m->mapping.workspace || m->mapping.cargo_home || m->mapping.target_dir;
	if (r < 0)
		return r;
	m->target_dir = m->keep.mapped && m->mapping.target_dir
				? strdup(m->mapping.target_dir)
				: job_key_target_dir(m->made->unit->out_dir, m->call.call.target);
	return 0;
}

static int
find_place(struct maker *m, char **ret_why)
{
	const Dray__Unit *u = m->made->unit;
	int r;

	if (is_behind_link(u))
		return no(ret_why, "its out-dir lies behind a symbolic link");
	if (maps_in_part(&m->call.call))
		return no(ret_why, "it maps paths in a part of what it makes");
	if (u->umask == 0)
		return no(ret_why, "its client does not say its umask");
	r = find_mapping(m);
	/* a build script's trial, say: what is inside of its target directory only its client knows
	 */
	if (r == 0 && !m->target_dir)
		return no(ret_why, "its out-dir is none of cargo's");
	m->form = call_form(&m->call.call);
	if (r < 0 || !m->form)
		return r < 0 ? r : -ENOMEM;
	m->place = (struct inputs_place){ .out_dir = u->out_dir,
		.real_out_dir = u->out_dir,
		.target_dir = m->target_dir,
		.real_target_dir = m->target_dir,
		.workspace = m->keep.mapped ? m->mapping.workspace : NULL,
		.cargo_home = m->keep.mapped ? m->mapping.cargo_home : NULL,
		.toolchain = m->keep.mapped ? inputs_markable(u->sysroot) : NULL,
		.width = call_option_value(&m->call.call, "diagnostic-width"),
		.form = m->form,
		.envp = m->call.env.v,
		.cargo_env = &m->call.env,
		.sysroot = u->sysroot,
		.umask = u->umask - 1,
		.view = &m->view.view };
	if (!m->keep.mapped)
		return 0;
	r = marks_env(&m->place, m->call.env.v, &m->marked);
	if (r == 0)
		r = marks_env(&m->place, m->call.env.v, &m->marked_env);
	m->place.marked = m->marked.v;
	m->place.cargo_env = &m->marked_env;
	return r;
}

/* ---- what it made */

static const struct shares_file *
find_file(const struct shares_job *j, const char *name)
{
	for (size_t i = 0; i < j->n; i++)
		if (streq(j->v[i].name, name))
			return &j->v[i];
	return NULL;
}

/* It is in the store by the digest that its client was sent; what a link needs is not there yet. */
static int
add_blob(void *arg, const char *name, const char *path, struct digest *ret, uint64_t *ret_size)
{
	const struct maker *m = arg;
	const struct shares_file *f = name ? find_file(m->job, name) : NULL;

	if (!name && m->links)
		return shares_bundle_take(&m->bundle, path, ret, ret_size);
	if (!f)
		return -ENOENT;
	*ret = f->digest;
	*ret_size = f->size;
	return 0;
}

/* What went into the store is put back beside what did not: all of it is looked through. */
static int
lay_out(const struct maker *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->job->n; i++) {
		const struct shares_file *f = &m->job->v[i];
		_cleanup_(freep) char *path = path_join(m->made->stage->out, f->name);

		if (!path)
			return -ENOMEM;
		if (!fs_exists(path))
			r = disk_link(m->made->store, &f->digest, path);
	}
	return r;
}

static int
add_made(void *arg, const char *name)
{
	struct maker *m = arg;
	_cleanup_(freep) char *path = path_join(m->made->unit->out_dir, name);

	return path ? told_add_item(&m->record, 'w', path, "") : -ENOMEM;
}

static int
make_record(struct maker *m)
{
	const Dray__Trace *t = m->made->result->trace;
	const char *out_dir = m->made->unit->out_dir;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->job->n; i++)
		r = add_made(m, m->job->v[i].name);
	if (r == 0 && m->links)
		r = shares_bundle_record(&m->bundle, add_made, m);
	if (r == 0)
		r = told_add_trace(&m->record, t, out_dir, NULL);
	return r < 0 ? r : told_end(&m->record, t);
}

/* ---- what it said */

/* A line of a mapped unit's, as its client says it. */
static int
turn_back(const struct maker *m, const uint8_t *p, size_t n, struct buf *to)
{
	bool whole = p[n - 1] == '\n';
	int r;

	if (!whole)
		return buf_add(to, p, n);
	r = mapping_turn_back(&m->mapping, (const char *)p, n - 1, to);
	return r < 0 ? r : buf_add(to, "\n", 1);
}

static int
make_text(const struct maker *m, const struct buf *from, bool turns, struct buf *to, char **ret_why)
{
	const uint8_t *p = from->p, *end = p + from->n;
	int r = 0;

	if (from->n > 0 && memmem(from->p, from->n, JOB_ALIAS, strlen(JOB_ALIAS)))
		return no(ret_why, "its text names an artifact of its out-dir");
	if (!turns)
		return from->n ? buf_add(to, from->p, from->n) : 0;
	while (r == 0 && p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl + 1 : end) - p);

		r = turn_back(m, p, n, to);
		p += n;
	}
	return r;
}

/* ---- the whole */

static int
make_result(struct maker *m, struct result *res, char **ret_why)
{
	const struct shares_made *made = m->made;
	struct keep_made k = { .record = &m->record, .out = &m->out, .err = &m->err };
	const struct buf *said = &m->job->err;
	size_t before = m->links ? shares_bundle_split(&m->call.call, said) : said->n;
	const struct buf err = { .p = said->p, .n = before };
	const struct buf tail = { .p = said->p ? said->p + before : NULL, .n = said->n - before };
	int r = make_record(m);

	m->keep.call = &m->call.call;
	m->keep.place = &m->place;
	m->keep.cwd = made->unit->cwd;
	m->keep.env = &m->call.env;
	m->keep.marked_env = &m->marked_env;
	m->keep.toolchain = made->toolchain;
	m->keep.sysroot = made->unit->sysroot;
	m->keep.mask = m->place.umask;
	m->keep.add_blob = add_blob;
	m->keep.arg = m;
	if (r == 0)
		r = make_text(m, &m->job->out, false, &m->out, ret_why);
	if (r == 0)
		r = make_text(m, &err, m->keep.mapped, &m->err, ret_why);
	if (r == 0)
		r = make_text(m, &tail, m->keep.mapped, &m->tail, ret_why);
	if (m->links) {
		k.tail = &m->tail;
		k.add_links = shares_bundle_add;
		k.arg = &m->bundle;
		k.metadata = m->bundle.own && call_takes_metadata(&m->call.call);
	}
	if (r == 0)
		r = lay_out(m);
	if (r < 0)
		return r;
	r = keep_make(&m->keep, &k, res);
	if (r < 0)
		return why_set(ret_why, r, "%s", m->keep.why);
	res->compile_us = made->result->compile_us;
	res->time_s = (uint64_t)time(NULL);
	res->from = strdup("farm");
	res->rustc = strdup(made->toolchain->release ? made->toolchain->release : "");
	return res->from && res->rustc ? 0 : -ENOMEM;
}

/* Why there is nothing to make. */
static int
check(const struct shares_job *j, const struct shares_made *made, char **ret_why)
{
	const Dray__JobResult *m = made->result;

	if (!m->trace || !m->trace->whole)
		return no(ret_why, "its trace is not whole");
	if (j->too_much)
		return no(ret_why,
			"it printed more than %u bytes, asked for more than %u files, or there was "
			"no memory",
			SHARES_TEXT_MAX, SHARES_ANSWERS_MAX);
	return 0;
}

static int
make_entry(const struct maker *m, const struct identity *identity, const struct result *res,
	struct shared_entry *ret, char **ret_why)
{
	const struct shared_by by = { .id = identity,
		.kind = TRUST_WORKER,
		.namespace = m->job->namespace,
		.env = m->place.cargo_env->v,
		.time_s = res->time_s };
	struct job_key_in in = unit_key_in(m->made->index, &m->call, m->made->toolchain->sysroot);
	struct shares_bundle_key rlibs = { &m->view.view, m->made->unit, in };
	_cleanup_(unit_key_done) struct unit_key key = { .recipe = STRV_INIT };
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	int r;

	if (m->links && call_takes_metadata(&m->call.call)) {
		in.digest = shares_bundle_digest;
		in.arg = &rlibs;
	}
	r = job_key_make_entry(
		&in, m->job->namespace, m->links ? m->made->unit->out_dir : NULL, &key);

	ret->key = key.id;
	for (size_t i = 0; r == 0 && i < key.recipe.n; i++)
		r = strv_add(&ret->recipe, key.recipe.v[i]);
	if (r == 0)
		r = shared_seal(&by, &key.id, res, &sealed, ret_why);
	return r < 0 ? r : shared_entry_add(ret, &sealed);
}

int
shares_make(const struct shares_job *j, const struct shares_made *made,
	const struct identity *identity, struct shared_entry *ret, struct result *ret_result,
	char **ret_why)
{
	_cleanup_(maker_done) struct maker m = { .job = j, .made = made };
	int r;

	*ret_why = NULL;
	r = check(j, made, ret_why);
	if (r == 0)
		r = unit_call_make(made->unit, &m.call);
	m.links = r == 0 && m.call.call.calls_linker;
	if (m.links && made->result->n_link == 0)
		r = no(ret_why, "its link was not seen");
	else if (m.links)
		r = shares_bundle_make(made, &m.bundle, ret_why);
	else if (r == 0 && made->result->n_link > 0)
		r = no(ret_why, "it was linked, and that was not asked for");
	if (r == 0)
		r = shares_view_init(&m.view, made, j);
	if (r == 0)
		r = find_place(&m, ret_why);
	if (r == 0)
		r = make_result(&m, ret_result, ret_why);
	return r < 0 ? r : make_entry(&m, identity, ret_result, ret, ret_why);
}
