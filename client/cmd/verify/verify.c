/* Invariant: nothing is written but below tmp, and what is found different is different in bytes
 * that a hit would put in place or print. */
#include "config.h"

#include "client/cmd/verify/verify_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/cached/cached.h"
#include "client/wrap/identify.h"
#include "client/incremental/incremental.h"
#include "client/wrap/target_dir.h"
#include "common/process/child.h"
#include "common/fs.h"

#define TEXT_MAX (256u << 20)

extern char **environ;

static void
again_done(struct again *a)
{
	verify_end_environment(a);
	if (a->dir)
		fs_rm_rf(a->dir);
	entry_done(&a->entry);
	result_done(&a->res);
	call_done(&a->call);
	strv_done(&a->argv);
	strv_done(&a->env);
	strv_done(&a->marked);
	strv_done(&a->maps);
	free(a->out_dir);
	free(a->workspace);
	free(a->cargo_home);
	free(a->sysroot);
	free(a->real_out_dir);
	free(a->target_dir);
	free(a->real_target_dir);
	free(a->dir);
	free(a->made);
	free(a->want);
}

/* ---- which result, and how it was called */

static int
read_entry(struct again *a, const struct digest *key)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = depot_read_entry(a->in->depot, key, &b);

	if (r == 0)
		r = entry_decode(b.p, b.n, key, &a->entry);
	if (r == -ENOENT)
		return verify_skip(a, "it is gone");
	return r == -EBADMSG ? verify_differs(a, "the entry", "it was damaged") : r;
}

static void
name_unit(struct again *a)
{
	const char *name = getenv("CARGO_PKG_NAME");
	const char *version = getenv("CARGO_PKG_VERSION");
	struct verify_said *s = a->said;

	snprintf(s->crate, sizeof(s->crate), "%s", a->call.crate_name);
	snprintf(s->kind, sizeof(s->kind), "%s", call_kind_name(&a->call));
	*s->package = '\0';
	if (name)
		snprintf(s->package, sizeof(s->package), "%s%s%s", name, version ? " " : "",
			version ? version : "");
}

/* Where result i was made, and with what. */
static int
take_result(struct again *a, size_t i)
{
	int r;

	verify_end_environment(a);
	result_done(&a->res);
	a->res = (struct result)RESULT_INIT;
	call_done(&a->call);
	a->call = (struct rustc_call){ .kind = CALL_UNKNOWN };
	strv_done(&a->env);
	strv_done(&a->marked);
	strv_done(&a->maps);
	free(steal_ptr(a->out_dir));
	free(steal_ptr(a->workspace));
	free(steal_ptr(a->cargo_home));
	free(steal_ptr(a->sysroot));
	free(steal_ptr(a->real_out_dir));
	free(steal_ptr(a->target_dir));
	free(steal_ptr(a->real_target_dir));
	r = entry_result(&a->entry, i, &a->res);
	if (r == -EBADMSG)
		return verify_differs(a, "the entry", "it was damaged");
	if (r < 0)
		return r;
	snprintf(a->said->producer, sizeof(a->said->producer), "%s",
		a->res.producer ? a->res.producer : "");
	r = a->res.cwd ? verify_find_places(a) : 0;
	if (r < 0)
		return r;
	if (a->res.run)
		return verify_run_take(a);
	if (a->res.n_links > 0)
		return verify_skip(a, "a bundle");
	if (a->res.argv.n == 0 || !a->res.cwd)
		return verify_skip(a, "it does not say how it was made");
	r = call_parse(a->res.argv.v, &a->call);
	if (r < 0)
		return r;
	if (a->call.kind != CALL_UNIT || !a->call.out_dir)
		return verify_skip(a, "its arguments are not understood");
	a->out_dir = path_normalize(a->res.cwd, a->call.out_dir);
	if (!a->out_dir)
		return -ENOMEM;
	r = verify_begin_environment(a);
	if (r < 0)
		return r;
	name_unit(a);
	a->real_out_dir = realpath(a->out_dir, NULL);
	a->target_dir = target_dir_of(a->out_dir, a->res.cwd);
	a->real_target_dir = target_dir_of(
		a->real_out_dir ? a->real_out_dir : a->out_dir, a->res.cwd);
	if (!a->target_dir || !a->real_target_dir)
		return -ENOMEM;
	return chdir(a->res.cwd) < 0 ? verify_skip(a, "its directory is gone") : 0;
}

static bool
is_mapped(const struct again *a)
{
	return a->cargo_home;
}

/* Where it was made; out_dir: where its outputs lie. */
static struct inputs_place
place_of(const struct again *a, const char *out_dir)
{
	const char *real = a->real_out_dir && streq(out_dir, a->out_dir) ? a->real_out_dir
									 : out_dir;

	return (struct inputs_place){ .out_dir = out_dir,
		.real_out_dir = real,
		.target_dir = a->target_dir,
		.real_target_dir = a->real_target_dir,
		.workspace = a->workspace,
		.cargo_home = a->cargo_home,
		.home = a->cargo_home ? inputs_find_home() : NULL,
		.toolchain = a->cargo_home ? inputs_markable(a->sysroot) : NULL,
		.width = call_option_value(&a->call, "diagnostic-width"),
		.envp = environ,
		.cargo_env = &a->env,
		.memo = a->in->memo };
}

static int
check_inputs(struct again *a)
{
	_cleanup_(freep) char *exe = NULL;
	_cleanup_(freep) char *form = call_form(&a->call);
	_cleanup_(freep) char *why = NULL;
	_cleanup_(strv_done) struct strv env = STRV_INIT;
	int r = toolchain_find_sysroot(a->in->memo, a->call.driver, &a->sysroot, &exe);
	struct inputs_place place = place_of(a, a->out_dir);

	place.form = form;
	place.sysroot = a->sysroot;
	place.umask = fs_umask();
	r = form && r != -ENOMEM ? 0 : -ENOMEM;
	if (r == 0 && (is_mapped(a) || a->in->shared)) {
		r = marks_env(&place, environ, &a->marked);
		if (r == 0)
			r = marks_env(&place, a->env.v, &env);
		place.marked = a->marked.v;
		place.cargo_env = &env;
	}
	if (r == 0)
		r = inputs_check(&a->res.inputs, &place, &why);
	return r == -ESTALE ? verify_skip(a, why ? why : "an input changed") : r;
}

/* The latest that would be a hit where it was made. */
static int
find_result(struct again *a)
{
	int r = verify_skip(a, "it has no result");

	for (size_t i = 0; i < a->entry.n_results; i++) {
		r = take_result(a, i);
		if (r == 0)
			r = a->res.run ? verify_run_check_inputs(a) : check_inputs(a);
		if (r != -ECANCELED || a->said->verdict != VERIFY_SKIPPED)
			break;
	}
	return r;
}

/* A bundle that comes of the same compile. */
static int
name_bundle(struct again *a, struct cached_key_in in)
{
	_cleanup_(unit_key_done) struct unit_key key = { .recipe = STRV_INIT };
	int r;

	in.bundle = a->out_dir;
	r = cached_key(&in, &key);
	if (r == 0)
		a->said->bundle = key.id;
	return r == -ENOMEM ? r : 0;
}

/* Toolchain and externs: what is asked of the disk, and is not among the inputs. */
static int
check_key(struct again *a)
{
	_cleanup_(toolchain_done) struct toolchain tc;
	_cleanup_(unit_key_done) struct unit_key key = { .recipe = STRV_INIT };
	_cleanup_(freep) char *why = NULL;
	_cleanup_(freep) char *what = NULL;
	struct cached_key_in in = { .memo = a->in->memo,
		.call = &a->call,
		.toolchain = &tc,
		.namespace = verify_recipe_value(&a->entry, "namespace"),
		.linker = verify_recipe_value(&a->entry, "linker"),
		.cwd = a->res.cwd,
		.target_dir = a->target_dir,
		.workspace = a->workspace,
		.cargo_home = a->cargo_home,
		.env = &a->res.env };
	int r;

	memset(&tc, 0, sizeof(tc));
	r = identify_toolchain(a->in->memo, &a->call, &tc, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return verify_skip(a, why ? why : "its toolchain is gone");
	r = cached_key(&in, &key);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return verify_skip(a, "an extern is gone");
	if (digest_eq(&key.id, &a->entry.key))
		return a->call.calls_linker ? name_bundle(a, in) : 0;
	what = unit_key_difference(a->entry.recipe.v, a->entry.recipe.n, &key.recipe);
	return verify_skip(a, what ? what : "its key is another now");
}

/* Whether another linker was called than the compiler calls by itself. */
static bool
is_linked_elsehow(const struct again *a)
{
	const char *linker = verify_recipe_value(&a->entry, "linker");

	return a->call.calls_linker && a->res.from && streq(a->res.from, "farm") &&
	       !a->call.project_linker && !(linker && streq(linker, "rustc"));
}

static int
check_way(struct again *a)
{
	a->bound = verify_is_bound(&a->res);
	if (a->bound && !a->real_out_dir)
		return verify_skip(a, "its out-dir is in its outputs, and is gone");
	if (a->bound && !a->in->bwrap)
		return verify_skip(
			a, "its out-dir is in its outputs, and bwrap does not work here");
	if (is_linked_elsehow(a))
		return verify_skip(a, "linked after a compile on the farm");
	return verify_has_outputs(a);
}

/* The same words, but for the out-dir. */
static int
make_argv(struct again *a, char *const *v)
{
	static const char option[] = "--out-dir";
	int r = a->bound ? verify_add_mounts(a) : 0;

	for (; r == 0 && *v; v++) {
		if (streq(*v, option) && v[1]) {
			r = strv_add(&a->argv, option);
			if (r == 0)
				r = strv_add(&a->argv, verify_named_out_dir(a));
			v++;
		} else if (starts_with(*v, "--out-dir=")) {
			r = strv_addf(&a->argv, "--out-dir=%s", verify_named_out_dir(a));
		} else {
			r = strv_add(&a->argv, *v);
		}
	}
	return r;
}

static int
prepare(struct again *a)
{
	_cleanup_(call_done) struct rustc_call plain = { .kind = CALL_UNKNOWN };
	_cleanup_(call_done) struct rustc_call now = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	const struct strv *then = a->call.incremental ? &words : &a->res.argv;
	int r = verify_make_dirs(a);

	if (r == 0 && a->call.incremental)
		r = incremental_plain(&a->call, &words, &plain);
	if (r == -EINVAL)
		return verify_skip(a, "its arguments are in a file");
	if (r == 0)
		r = make_argv(a, then->v);
	/* without what mounts */
	if (r == 0)
		r = call_parse(a->argv.v + (a->argv.n - then->n), &now);
	if (r < 0)
		return r;
	return now.out_dir && streq(now.out_dir, verify_named_out_dir(a))
		       ? 0
		       : verify_skip(a, "its arguments are in a file");
}

/* ---- the comparison */

/* What the compiler said of a mapped unit, as it was said to cargo. */
static int
turn_back(const struct again *a, struct buf *text)
{
	const char *p = (const char *)text->p, *end = p + text->n;
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	struct buf turned = BUF_INIT;
	struct mapping m;
	int r = mapping_read(&a->call, &words, &m);

	while (r == 0 && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		r = mapping_turn_back(&m, p, (size_t)((nl ? nl : end) - p), &turned);
		if (r == 0 && nl)
			r = buf_add(&turned, "\n", 1);
		p = nl ? nl + 1 : end;
	}
	buf_done(text);
	*text = turned;
	return r;
}

/* What there is, against a text with its out-dir put back. */
static int
compare_text(struct again *a, const struct buf *text, const char *path, const char *name)
{
	_cleanup_(buf_done) struct buf want = BUF_INIT;
	_cleanup_(buf_done) struct buf made = BUF_INIT;
	const char *out_dir = a->bound ? a->out_dir : a->made;
	const struct inputs_place place = place_of(a, out_dir);
	int r = is_mapped(a) ? marks_show(&place, text->p, text->n, &want)
			     : text_show(text->p, text->n, out_dir, &want);

	if (r == 0)
		r = fs_read_file(path, TEXT_MAX, &made);
	if (r == 0 && is_mapped(a) && text == &a->res.err)
		r = turn_back(a, &made);
	if (r == -ENOENT)
		return verify_differs(a, name, "it was not made");
	if (r < 0)
		return r;
	a->said->bytes += made.n;
	if (want.n != made.n || (want.n > 0 && memcmp(want.p, made.p, want.n) != 0))
		return verify_differs(a, name, "other bytes");
	return 0;
}

static bool
is_output(const struct result *res, const char *name)
{
	for (size_t i = 0; i < res->n_outputs; i++)
		if (streq(res->outputs[i].name, name))
			return true;
	return false;
}

/* What add_mounts put there. */
static bool
is_mounted(const struct again *a, const char *name)
{
	for (size_t i = 0; a->bound && i < a->res.inputs.n; i++) {
		const char *read = verify_read_in_out_dir(&a->res.inputs.v[i]);

		if (read && streq(read, name))
			return true;
	}
	return false;
}

static int
find_more(struct again *a)
{
	_cleanup_(closedirp) DIR *d = opendir(a->made);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, "..") &&
			!is_output(&a->res, e->d_name) && !is_mounted(a, e->d_name))
			return verify_differs(a, e->d_name, "it was not made before");
	return d ? 0 : -errno;
}

static int
compare_said(struct again *a, const char *name, const struct buf *text)
{
	_cleanup_(freep) char *path = path_join(a->dir, name);

	return path ? compare_text(a, text, path, name) : -ENOMEM;
}

/* What cargo and dependents use comes first. */
static int
compare(struct again *a)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->res.n_outputs; i++) {
		const struct output *o = &a->res.outputs[i];
		_cleanup_(freep) char *path = path_join(a->made, o->name);

		if (!path)
			return -ENOMEM;
		r = o->is_blob ? verify_compare_blob(a, o, path)
			       : compare_text(a, &o->text, path, o->name);
		a->said->outputs += r == 0;
	}
	if (r == 0)
		r = find_more(a);
	if (r == 0)
		r = compare_said(a, "stdout", &a->res.out);
	return r < 0 ? r : compare_said(a, "stderr", &a->res.err);
}

static int
verify_unit(struct again *a)
{
	int r = check_way(a);

	if (r == 0)
		r = check_key(a);
	if (r == 0)
		r = prepare(a);
	if (r == 0)
		r = verify_compile(a);
	return r < 0 ? r : compare(a);
}

int
verify_entry(const struct verify_in *in, const struct digest *key, struct verify_said *ret)
{
	_cleanup_(again_done) struct again a = { .in = in,
		.said = ret,
		.entry = ENTRY_INIT,
		.res = RESULT_INIT,
		.call = { .kind = CALL_UNKNOWN },
		.argv = STRV_INIT,
		.env = STRV_INIT };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = read_entry(&a, key);
	if (r == 0)
		r = find_result(&a);
	if (r == 0)
		r = a.res.run ? verify_run(&a) : verify_unit(&a);
	if (r == 0) {
		ret->verdict = VERIFY_SAME;
		*ret->why = '\0';
	}
	if (child_signal())
		return -EINTR;
	return r == -ECANCELED ? 0 : r;
}
