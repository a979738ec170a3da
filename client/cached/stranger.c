/* Invariant: what is let through is put in place by plain names, of what this call makes; is shown
 * without a control character; tells cargo of no file but these; and is all that the call makes. */
#include "config.h"

#include "client/cached/stranger.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "cache/crosscheck.h"
#include "client/cached/cached.h"
#include "client/link/link.h"
#include "client/link/link_check.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "rustc/artifact.h"
#include "rustc/depinfo.h"
#include "rustc/plain_text.h"
#include "trace/runtime.h"

static int
no(char **ret_why, const char *what, const char *name)
{
	return why_set(ret_why, -EPERM, "%s: %.200s", what, name);
}

/* ---- inputs */

bool
stranger_may_read(const char *path)
{
	char real[PATH_MAX];

	return path_is_normal(path) && !runtime_is(path, RUNTIME_KERNEL) &&
	       (!realpath(path, real) || !runtime_is(real, RUNTIME_KERNEL));
}

static int
check_inputs(const struct stranger *s, const struct inputs *inputs, char **ret_why)
{
	for (size_t i = 0; i < inputs->n; i++) {
		const struct input *in = &inputs->v[i];
		_cleanup_(freep) char *path = NULL;

		if (in->kind != INPUT_FILE && in->kind != INPUT_METADATA &&
			in->kind != INPUT_GIT_INDEX)
			continue;
		path = inputs_real_path(s->place, in->name);
		if (!path)
			return -ENOMEM;
		/* "": of a place that is not known here; then the input does not hold */
		if (*path && !stranger_may_read(path))
			return no(ret_why, "it read what no compile reads", path);
	}
	return 0;
}

/* ---- outputs */

static const struct output *
find(const struct result *r, const char *name)
{
	for (size_t i = 0; i < r->n_outputs; i++)
		if (streq(r->outputs[i].name, name))
			return &r->outputs[i];
	return NULL;
}

static bool
has_output(const void *r, const char *name)
{
	return find(r, name) != NULL;
}

/* Whether a linker made it, of a call that starts one. */
static bool
is_linked(const struct stranger *s, const struct result *r, const char *name)
{
	const struct rustc_call *c = s->call;

	return s->links && r->n_links == 0 && c->calls_linker && !call_makes_name(c, name) &&
	       call_output_name_ok(c->crate_name, c->extra_filename, name);
}

static int
check_outputs(const struct stranger *s, const struct result *r, char **ret_why)
{
	const struct rustc_call *c = s->call;
	bool linked = false;

	for (size_t i = 0; i < r->n_outputs; i++) {
		const struct output *o = &r->outputs[i];
		bool of_linker = is_linked(s, r, o->name);

		if (!of_linker && !call_makes_name(c, o->name))
			return no(ret_why, "an output that this call does not make", o->name);
		if (o->mode != 0666 && !(of_linker && o->mode == 0777))
			return no(ret_why, "a mode that the compiler does not give", o->name);
		if (ends_with(o->name, ".d") == o->is_blob)
			return no(ret_why, "an output of an odd form", o->name);
		linked |= of_linker;
	}
	return r->status == 0 && r->n_links == 0 && c->calls_linker && !linked
		       ? no(ret_why, "an output is lacking", "what is linked")
		       : 0;
}

static int
check_complete(const struct stranger *s, const struct result *r, char **ret_why)
{
	_cleanup_(freep) char *lacks = NULL;
	int k = r->status ? 0 : call_find_lacking(s->call, has_output, r, &lacks);

	return lacks ? no(ret_why, "an output is lacking", lacks) : k;
}

/* ---- what is linked here */

static int
check_link(const struct stranger *s, const struct buf *link, char **ret_why)
{
	_cleanup_(link_call_done) struct link_call l = { 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int k = s->show_link(s->arg, link, &b);

	if (k == 0)
		k = link_call_parse(b.p, b.n, s->place->out_dir, s->call, &l);
	return k == -EBADMSG ? why_set(ret_why, -EPERM, "a link that makes no sense") : k;
}

static int
check_bundle(const struct stranger *s, const struct result *r, char **ret_why)
{
	const struct rustc_call *c = s->call;
	int k = 0;

	if (r->n_links && !c->calls_linker)
		return why_set(ret_why, -EPERM, "a link, of a call that makes none");
	for (size_t i = 0; i < r->n_temporaries; i++) {
		const struct output *o = &r->temporaries[i];

		if (!link_check_input_name(c->crate_name, c->extra_filename, o->name) ||
			o->mode != 0666)
			return no(
				ret_why, "an input of a link that is none of the unit's", o->name);
	}
	for (size_t i = 0; k == 0 && i < r->n_links; i++)
		k = check_link(s, &r->links[i], ret_why);
	return k;
}

/* ---- texts */

/* One line, with its end. */
typedef int (*line_fn)(const struct stranger *s, const struct result *r, const char *line, size_t n,
	char **ret_why);

static int
each_line(const struct stranger *s, const struct result *r, const struct buf *text, line_fn fn,
	char **ret_why)
{
	const char *p = (const char *)text->p, *end = p + text->n;
	int k = 0;

	while (k == 0 && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) + 1 : (size_t)(end - p);

		k = fn(s, r, p, n, ret_why);
		p += n;
	}
	return k;
}

static int
check_plain(const struct stranger *s, const struct result *r, const char *line, size_t n,
	char **ret_why)
{
	uint32_t c = 0;

	(void)s;
	(void)r;
	if (plain_text(line, n, &c))
		return 0;
	return c == UINT32_MAX ? why_set(ret_why, -EPERM, "its text is no UTF-8")
			       : why_set(ret_why, -EPERM,
					 "its text has the control character U+%04X", (unsigned)c);
}

/* Of a compile: cargo passes it on, and has lines of its own there, of JSON, for programs. */
static int
check_stdout(const struct stranger *s, const struct result *r, const char *line, size_t n,
	char **ret_why)
{
	size_t blank = 0;

	while (blank < n && (line[blank] == ' ' || line[blank] == '\t'))
		blank++;
	if (blank < n && line[blank] == '{')
		return why_set(ret_why, -EPERM, "its standard output may be taken for cargo's");
	return check_plain(s, r, line, n, ret_why);
}

/* By these lines cargo knows what is there, and starts what depends on it. */
static int
check_artifact(
	const struct stranger *s, const struct result *r, const struct artifact *a, char **ret_why)
{
	_cleanup_(freep) char *path = path_normalize(s->cwd, a->path);
	_cleanup_(freep) char *dir = path ? path_dirname(path) : NULL;
	const char *name;
	bool late;

	if (!dir)
		return -ENOMEM;
	name = path_basename(path);
	if (!streq(dir, s->place->out_dir))
		return no(ret_why, "it announces a file outside of the out-dir", path);
	late = a->emit == EMIT_LINK && !ends_with(name, ".rmeta");
	if (!late && ends_with(name, ".rmeta") != (a->emit == EMIT_METADATA))
		return no(ret_why, "it announces a file as something else", name);
	/* what is linked here is made after that line */
	if (find(r, name) ||
		(late && r->n_links &&
			call_output_name_ok(s->call->crate_name, s->call->extra_filename, name)))
		return 0;
	return no(ret_why, "it announces a file that it does not have", name);
}

static int
check_stderr(const struct stranger *s, const struct result *r, const char *line, size_t n,
	char **ret_why)
{
	struct artifact a = ARTIFACT_INIT;
	int k = check_plain(s, r, line, n, ret_why);

	if (k < 0 || !s->call || !s->call->json)
		return k;
	k = artifact_parse_any(line, n - (line[n - 1] == '\n'), &a);
	if (k == 0)
		k = check_artifact(s, r, &a, ret_why);
	else if (k == -EBADMSG || k == -EILSEQ)
		k = why_set(ret_why, -EPERM, "its text may be taken for JSON");
	artifact_done(&a);
	return k == -ENOENT ? 0 : k;
}

static int
check_text(const struct stranger *s, const struct result *r, const struct buf *text, line_fn fn,
	char **ret_why)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int k = s->show(s->arg, text, &b);

	return k < 0 ? k : each_line(s, r, &b, fn, ret_why);
}

static int
check_texts(const struct stranger *s, const struct result *r, char **ret_why)
{
	/* a script says there what cargo is to do */
	int k = check_text(s, r, &r->out, s->call ? check_stdout : check_plain, ret_why);

	if (k == 0)
		k = check_text(s, r, &r->err, check_stderr, ret_why);
	return k < 0 ? k : check_text(s, r, &r->tail, check_stderr, ret_why);
}

/* The one failure that is kept (cached_is_final). */
static int
check_status(const struct stranger *s, const struct result *r, char **ret_why)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int k;

	if (r->status == 0)
		return 0;
	k = s->show(s->arg, &r->err, &b);
	if (k < 0)
		return k;
	return s->call && cached_is_final(s->call, (int)r->status, &b)
		       ? 0
		       : why_set(ret_why, -EPERM, "a failure that is not kept");
}

/* ---- dep-info */

/* cargo goes by the files that are named; the variables have to be those of here; and what the
 * compiler says it read is among the inputs. */
static int
check_depinfo(
	const struct stranger *s, const struct result *r, const struct output *o, char **ret_why)
{
	const struct crosscheck check = { &r->inputs, s->place, s->cwd, s->known };
	_cleanup_(depinfo_done) struct depinfo d = DEPINFO_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *lacks = NULL;
	const char *var;
	int k = s->show(s->arg, &o->text, &b);

	if (k == 0)
		k = depinfo_parse(b.p, b.n, &d);
	if (k == -EBADMSG)
		return no(ret_why, "dep-info that makes no sense", o->name);
	if (k < 0)
		return k;
	k = depinfo_names(&d, s->cwd, s->call->source);
	if (k <= 0)
		return k < 0 ? k : no(ret_why, "dep-info without the crate's source", o->name);
	var = depinfo_env_differs(&d, s->place->envp);
	if (var)
		return no(ret_why, "dep-info with another variable", var);
	k = crosscheck_files(&check, &d.files, &lacks);
	return lacks ? no(ret_why, "dep-info names what is no input", lacks) : k;
}

static int
check_depinfos(const struct stranger *s, const struct result *r, char **ret_why)
{
	int k = 0;

	for (size_t i = 0; k == 0 && i < r->n_outputs; i++)
		if (!r->outputs[i].is_blob)
			k = check_depinfo(s, r, &r->outputs[i], ret_why);
	return k;
}

static int
check_call(const struct stranger *s, const struct result *r, char **ret_why)
{
	int k = check_outputs(s, r, ret_why);

	if (k == 0)
		k = check_complete(s, r, ret_why);
	if (k == 0)
		k = check_bundle(s, r, ret_why);
	return k < 0 ? k : check_depinfos(s, r, ret_why);
}

int
stranger_check(const struct stranger *s, const struct result *r, char **ret_why)
{
	int k;

	*ret_why = NULL;
	if (r->run == (s->call != NULL))
		return why_set(ret_why, -EPERM, "it is of another kind");
	k = check_status(s, r, ret_why);
	if (k == 0)
		k = check_inputs(s, &r->inputs, ret_why);
	if (k == 0 && s->call)
		k = check_call(s, r, ret_why);
	return k < 0 ? k : check_texts(s, r, ret_why);
}
