/* Text and announced outputs, in the order that cargo relies on. Invariant: a line that announces a
 * file is printed only when that file is in its place; no file is announced that was not verified
 * here. */
#include "config.h"

#include "client/dispatch/relay.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cache/rlib.h"
#include "rustc/artifact.h"
#include "client/wrap/closure.h"
#include "rustc/depinfo.h"
#include "client/dispatch/failure.h"
#include "rustc/plain_text.h"
#include "common/fs.h"
#include "proto/alias.h"

struct relay {
	struct relay_in in;
	struct promise *promise;
	struct buf line;      /* of stderr, begun and not ended */
	size_t scanned;	      /* of line: no newline in there */
	struct buf doubt;     /* lines that a failure may have caused: printed once the compile has
				 succeeded */
	struct buf tail;      /* from the link line on */
	struct buf out;	      /* stdout */
	bool holding;	      /* the link line has come */
	struct strv promised; /* files that link lines named: they come after the compiler's end */
	bool depinfo_seen;
	enum relay_fault fault;
	char why[224];
};

int
relay_new(const struct relay_in *in, struct relay **ret)
{
	struct relay *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->in = *in;
	err = promise_new(in->rep->text_bytes, &in->rep->text_digest, &r->promise);
	if (err < 0) {
		free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void
relay_free(struct relay *r)
{
	if (!r)
		return;
	promise_free(r->promise);
	buf_done(&r->line);
	buf_done(&r->doubt);
	buf_done(&r->tail);
	buf_done(&r->out);
	strv_done(&r->promised);
	free(r);
}

enum relay_fault
relay_fault(const struct relay *r, const char **ret_why)
{
	*ret_why = r->why;
	return r->fault;
}

const struct buf *
relay_tail(const struct relay *r)
{
	return &r->tail;
}

static int _printf_(3, 4) give_up(struct relay *r, enum relay_fault fault, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	r->fault = fault;
	return -ENOTSUP;
}

/* An error of this machine (disk, memory) while a file is put in its place. */
static int
cannot(struct relay *r, const char *what, int err)
{
	return give_up(r, RELAY_HOME, "%s: %s", what, strerror(-err));
}

/* Of what may not be shown nothing is: the compiler here says the same, if it is the crate's. */
static int
check_plain(struct relay *r, const void *p, size_t n)
{
	uint32_t c = 0;

	if (plain_text(p, n, &c))
		return 0;
	if (c == UINT32_MAX)
		return give_up(r, RELAY_WITHHELD, "its text is no UTF-8");
	return give_up(r, RELAY_WITHHELD, "its text has the control character U+%04X", (unsigned)c);
}

static int
hold(struct relay *r, struct buf *where, const void *p, size_t n)
{
	if (where->n + n > RELAY_TEXT_MAX)
		return give_up(r, RELAY_HOME, "too much text");
	return buf_add(where, p, n);
}

static int
say(struct relay *r, const void *p, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int err = promise_text(r->promise, p, n, &b);

	return err < 0 ? err : say_text(r->in.say, b.p, b.n);
}

static int
end_doubt(struct relay *r)
{
	int err = r->doubt.n ? say(r, r->doubt.p, r->doubt.n) : 0;

	buf_done(&r->doubt);
	return err;
}

/* A compile that fails on a worker may be repeated here, which prints its own messages, so those of
 * the failure must not be printed before. These are errors, and lines that are not JSON among
 * others that are (of a panic, of a proc-macro), which may differ in each run. They are held back,
 * with all that follows, until the rmeta is announced or the compile has succeeded. Text for a
 * terminal has no such marks, and no program waits for a line of it. */
static bool
is_doubtful(const struct relay *r, const void *p, size_t n)
{
	static const char error[] = "\"level\":\"error";

	return r->doubt.n || !unit_call(r->in.unit)->json || *(const char *)p != '{' ||
	       memmem(p, n, error, sizeof(error) - 1);
}

static int
say_or_hold(struct relay *r, const void *p, size_t n)
{
	if (r->holding)
		return hold(r, &r->tail, p, n);
	if (is_doubtful(r, p, n))
		return hold(r, &r->doubt, p, n);
	return say(r, p, n);
}

/* The compile must have had the environment that it would have here. cargo goes by the files that
 * are named: without the crate's source it would build it no more, whatever is edited. */
static int
check_depinfo(struct relay *r, const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(depinfo_done) struct depinfo d = DEPINFO_INIT;
	const char *var;
	int err = outputs_read(r->in.outputs, name, DEPINFO_MAX, &b);

	r->depinfo_seen = true;
	if (err < 0)
		return cannot(r, "dep-info", err);
	err = depinfo_parse(b.p, b.n, &d);
	if (err < 0)
		return cannot(r, "dep-info", err);
	err = depinfo_names(&d, unit_cwd(r->in.unit), unit_call(r->in.unit)->source);
	if (err <= 0)
		return err < 0 ? err
			       : give_up(r, RELAY_WORKER, "dep-info without the crate's source");
	var = depinfo_env_differs(&d, r->in.envp);
	if (var)
		return give_up(r, RELAY_WITHHELD, "needs the environment: %s", var);
	if (b.n && memmem(b.p, b.n, JOB_ALIAS, strlen(JOB_ALIAS)))
		return give_up(r, RELAY_HOME, "the compiler took a dependency for a source");
	return 0;
}

static int
place_depinfo(struct relay *r, const char *name)
{
	int err = check_depinfo(r, name);

	if (err < 0)
		return err;
	err = outputs_place(r->in.outputs, name);
	return err < 0 ? cannot(r, name, err) : 0;
}

static int
place_rmeta(struct relay *r, const char *path, const struct digest *d)
{
	const char *name = path_basename(path);
	int err, promised = say_is_promised(r->in.say, path, d);

	if (promised < 0)
		return give_up(r, RELAY_HOME, "the second try made another rmeta");
	if (promised) {
		err = outputs_drop(r->in.outputs, name);
		return err < 0 ? cannot(r, name, err) : 0;
	}
	err = say_promise_rmeta(r->in.say, path, d);
	if (err == 0)
		err = outputs_place(r->in.outputs, name);
	if (err < 0)
		return cannot(r, name, err);
	/* Cargo starts dependents at this line, and they look for the closure of this unit. Without
	 * it they only lose time. */
	if (closure_remember_file(r->in.memo, unit_call(r->in.unit), unit_cwd(r->in.unit), path) ==
		0)
		memo_flush(r->in.memo);
	return 0;
}

static int
handle_artifact(struct relay *r, const struct artifact *a)
{
	_cleanup_(freep) char *path = path_normalize(unit_cwd(r->in.unit), a->path);
	_cleanup_(freep) char *dir = path ? path_dirname(path) : NULL;
	const char *name;
	struct digest d;
	int err;

	if (!dir)
		return -ENOMEM;
	name = path_basename(path);
	if (!streq(dir, unit_out_dir(r->in.unit)))
		return give_up(r, RELAY_WORKER, "it announced a file outside the out-dir");
	if (a->emit == EMIT_LINK && !ends_with(name, ".rmeta")) {
		r->holding = true;
		return strv_add(&r->promised, name);
	}
	/* by this alone cargo tells metadata, and starts what depends on it */
	if (ends_with(name, ".rmeta") != (a->emit == EMIT_METADATA))
		return give_up(r, RELAY_LIED, "it announced %.60s as something else", name);
	if (a->emit == EMIT_OTHER)
		return 0;
	if (outputs_settle(r->in.outputs) < 0 || outputs_find(r->in.outputs, name, &d, NULL) < 0)
		return give_up(r, RELAY_WORKER, "it announced a file that it did not send");
	if (a->emit == EMIT_DEP_INFO)
		return place_depinfo(r, name);
	err = place_rmeta(r, path, &d);
	return err < 0 ? err : end_doubt(r);
}

/* Adds a line as the compiler here would say it: with its own out-dir, and the names of a mapped
 * unit turned back. */
static int
in_own_terms(const struct relay *r, const uint8_t *p, size_t n, struct buf *ret)
{
	const struct unit *u = r->in.unit;
	const struct mapping *m = unit_mapping(u);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int err = alias_undo(p, n, unit_out_dir(u), unit_call(u)->json ? "\"\\" : "", &b);

	if (err < 0)
		return err;
	/* as of a compile here, a line without an end stays */
	if (!m || b.p[b.n - 1] != '\n')
		return buf_add(ret, b.p, b.n);
	err = mapping_turn_back(m, (const char *)b.p, b.n - 1, ret);
	return err < 0 ? err : buf_add(ret, "\n", 1);
}

/* One line, with its newline if it has one. */
static int
handle_line(struct relay *r, const uint8_t *p, size_t n)
{
	bool json = unit_call(r->in.unit)->json;
	_cleanup_(buf_done) struct buf own = BUF_INIT;
	struct artifact a = ARTIFACT_INIT;
	int err;

	if (unit_mapping(r->in.unit) || memmem(p, n, JOB_ALIAS, strlen(JOB_ALIAS))) {
		err = in_own_terms(r, p, n, &own);
		if (err < 0)
			return err;
		p = own.p;
		n = own.n;
	}
	err = check_plain(r, p, n);
	if (err < 0)
		return err;
	if (json && !r->holding) {
		err = artifact_parse_any((const char *)p, n - (p[n - 1] == '\n'), &a);
		if (err == -EBADMSG)
			return give_up(r, RELAY_WORKER, "an artifact line that makes no sense");
		if (err == -EILSEQ)
			return give_up(r, RELAY_WITHHELD, "its text may be taken for JSON");
		if (err == 0)
			err = handle_artifact(r, &a);
		artifact_done(&a);
		if (err < 0 && err != -ENOENT)
			return err;
	}
	return say_or_hold(r, p, n);
}

int
relay_text(struct relay *r, bool out, const void *p, size_t n)
{
	size_t done = 0;
	int err = 0;

	if (n > RELAY_TEXT_MAX || (out ? r->out.n : r->line.n) > RELAY_TEXT_MAX - n)
		return give_up(r, RELAY_HOME, "too much text");
	if (out)
		return buf_add(&r->out, p, n);
	err = buf_add(&r->line, p, n);
	while (err == 0 && r->scanned < r->line.n) {
		const uint8_t *nl = memchr(r->line.p + r->scanned, '\n', r->line.n - r->scanned);
		size_t end;

		if (!nl) {
			r->scanned = r->line.n;
			break;
		}
		end = (size_t)(nl - r->line.p) + 1;
		err = handle_line(r, r->line.p + done, end - done);
		done = r->scanned = end;
	}
	if (done) {
		buf_consume(&r->line, done);
		r->scanned -= done;
	}
	return err;
}

/* cargo passes each line of stdout on, and has lines of its own there, of JSON, for programs. */
static int
check_out(struct relay *r)
{
	const char *p = (const char *)r->out.p, *end = p + r->out.n;
	int err = 0;

	while (err == 0 && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) + 1 : (size_t)(end - p);

		err = check_plain(r, p, n);
		if (err == 0 && p[strspn(p, " \t")] == '{')
			err = give_up(
				r, RELAY_WITHHELD, "its standard output may be taken for cargo's");
		p += n;
	}
	return err;
}

static int
finish_text(struct relay *r)
{
	struct buf rest = BUF_INIT;
	int err = check_out(r);

	if (err == 0 && r->line.n)
		err = handle_line(r, r->line.p, r->line.n);
	r->line.n = r->scanned = 0;
	if (err == 0)
		err = end_doubt(r);
	if (err == 0)
		err = promise_end(r->promise, &rest);
	if (err == 0)
		err = say_text(r->in.say, rest.p, rest.n);
	buf_done(&rest);
	return err;
}

/* With exit status 0 an output may still be missing. A file that is linked is made here. */
static int
check_promised(struct relay *r)
{
	struct digest d;

	if (unit_call(r->in.unit)->calls_linker)
		return 0;
	for (size_t i = 0; i < r->promised.n; i++)
		if (outputs_find(r->in.outputs, r->promised.v[i], &d, NULL) < 0)
			return give_up(r, RELAY_HOME, "an announced output did not come");
	return 0;
}

static bool
has_come(const void *outputs, const char *name)
{
	struct digest d;

	return outputs_find(outputs, name, &d, NULL) == 0;
}

/* What a compile of this kind makes, whatever was announced. What is linked is made here. */
static int
check_complete(struct relay *r)
{
	_cleanup_(freep) char *lacks = NULL;
	int err = call_find_lacking(unit_call(r->in.unit), has_come, r->in.outputs, &lacks);

	return lacks ? give_up(r, RELAY_HOME, "an output did not come: %.80s", lacks) : err;
}

/* cargo may have started units with the rmeta. Those that link take the rlib, which has to be of
 * the same compile. */
static int
check_rlib(struct relay *r)
{
	const struct rustc_call *c = unit_call(r->in.unit);
	const char *rmeta = r->in.rep->rmeta;
	_cleanup_(freep) char *name = NULL, *path = NULL;
	int err;

	if (!*rmeta || !ends_with(rmeta, ".rmeta") || call_splits_metadata(c))
		return 0;
	if (asprintf(&name, "%.*srlib", (int)(strlen(path_basename(rmeta)) - strlen("rmeta")),
		    path_basename(rmeta)) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	path = outputs_path(r->in.outputs, name);
	err = path ? rlib_agrees(path, rmeta) : 0;
	if (err == -EBADMSG)
		return give_up(r, RELAY_LIED, "its library has other metadata than it announced");
	/* archives for other systems have other forms */
	if (err == -ENOTSUP && (!c->target || strstr(c->target, "-linux-")))
		return give_up(r, RELAY_HOME, "the metadata in its library cannot be looked at");
	if (err == -ENOTSUP)
		return 0;
	return err < 0 ? cannot(r, name, err) : 0;
}

int
relay_finish(struct relay *r, bool links)
{
	const struct rustc_call *c = unit_call(r->in.unit);
	_cleanup_(freep) char *depinfo = NULL;
	struct digest d;
	int err = finish_text(r);

	if (err < 0)
		return err;
	if (outputs_settle(r->in.outputs) < 0)
		return give_up(r, RELAY_WORKER, "it sent half an output");
	err = check_promised(r);
	if (err == 0)
		err = check_complete(r);
	if (err == 0)
		err = check_rlib(r);
	if (err < 0)
		return err;
	if (asprintf(&depinfo, "%s%s.d", c->crate_name,
		    c->extra_filename ? c->extra_filename : "") < 0) {
		depinfo = NULL;
		return -ENOMEM;
	}
	if (!r->depinfo_seen && outputs_find(r->in.outputs, depinfo, &d, NULL) == 0) {
		err = check_depinfo(r, depinfo);
		if (err < 0)
			return err;
	}
	err = links ? outputs_hold_late(r->in.outputs) : 0;
	if (err == 0)
		err = outputs_place_all(r->in.outputs);
	if (err < 0)
		return cannot(r, "an output", err);
	if (closure_remember(r->in.memo, c) == 0)
		memo_flush(r->in.memo);
	return say_out(r->in.say, r->out.p, r->out.n);
}

bool
relay_failure_is_final(const struct relay *r)
{
	return unit_call(r->in.unit)->json && !r->holding && r->line.n == 0 &&
	       failure_is_final((const char *)r->doubt.p, r->doubt.n);
}

int
relay_say_failure(struct relay *r)
{
	int err = finish_text(r);

	return err < 0 ? err : say_out(r->in.say, r->out.p, r->out.n);
}

int
relay_say_tail(struct relay *r)
{
	return say_text(r->in.say, r->tail.p, r->tail.n);
}
