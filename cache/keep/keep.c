/* Makes a result of what a compile made (keep.h). Invariant: a result is whole, and says all that
 * it depends on. */
#include "config.h"

#include "cache/keep/keep_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cache/crosscheck.h"
#include "cache/rlib.h"
#include "cache/text.h"
#include "cache/variables.h"
#include "common/fs.h"
#include "rustc/artifact.h"
#include "rustc/depinfo.h"
#include "rustc/option_tables.h"
#include "rustc/release.h"

#define TEXT_MAX (64u << 20)

void
keep_done(struct keep *keep)
{
	strv_done(&keep->known);
	strv_done(&keep->dirs);
	strv_done(&keep->amid);
}

void
keep_why(struct keep *keep, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(keep->why, sizeof(keep->why), fmt, ap);
	va_end(ap);
}

/* What the toolchain's id speaks of, and no more: a sysroot may be /usr. */
int
keep_find_known(struct keep *keep)
{
	static const char *const parts[] = { "lib", "bin" };
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	const struct toolchain *t = keep->toolchain;
	const char *target = call_target_is_file(keep->call) ? NULL : keep->call->target;
	int r = keep->known.n ? 0 : toolchain_list_own_files(t, target, &files);

	if (r < 0 || keep->known.n)
		return r;

	/* of these two all is in the id */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		r = strv_addf(
			&keep->known, "%s/lib/rustlib/%s/%s", keep->sysroot, t->host, parts[i]);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		if (target && !streq(target, t->host))
			r = strv_addf(&keep->known, "%s/lib/rustlib/%s/%s", keep->sysroot, target,
				parts[i]);
	for (size_t i = 0; r == 0 && i < files.n; i++)
		if (!starts_with(files.v[i], "lib/rustlib/"))
			r = strv_addf(&keep->known, "%s/%s", keep->sysroot, files.v[i]);
	return r;
}

/* ---- what it made */

static bool
is_in_out_dir(const struct keep *keep, const char *path)
{
	return path_is_below(path, keep->place->out_dir) ||
	       path_is_below(path, keep->place->real_out_dir);
}

/* Directly in the out-dir. */
static bool
is_direct(const struct keep *keep, const char *path)
{
	size_t n = (size_t)(path_basename(path) - path) - 1;

	return (n == strlen(keep->place->out_dir) && strncmp(path, keep->place->out_dir, n) == 0) ||
	       (n == strlen(keep->place->real_out_dir) &&
		       strncmp(path, keep->place->real_out_dir, n) == 0);
}

/* The names of the outputs, of all that it made; false: it left something else behind. */
static int
find_outputs(struct keep *keep, const struct strv *made, struct strv *ret)
{
	const struct rustc_call *call = keep->call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < made->n; i++) {
		const char *path = made->v[i], *name = path_basename(path);
		struct stat st;

		if (inputs_stat_made(keep->place, path, &st) < 0)
			continue;
		if (!is_in_out_dir(keep, path) || !is_direct(keep, path) || !S_ISREG(st.st_mode) ||
			!call_output_name_ok(call->crate_name, call->extra_filename, name)) {
			keep_why(keep, "it left %.300s", path);
			return -ENOTSUP;
		}
		r = strv_add(ret, name);
	}
	strv_sort_unique(ret);
	return r;
}

static bool
has_dep_info(const struct strv *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (ends_with(names->v[i], ".d"))
			return true;
	return false;
}

/* Every kind of output that was asked for: a compiler may exit with 0 on a full disk. */
static bool
is_complete(const struct keep *keep, const struct strv *names, bool bundle)
{
	const struct rustc_call *call = keep->call;
	bool metadata = false, linked = false;

	for (size_t i = 0; i < names->n; i++) {
		if (ends_with(names->v[i], ".rmeta"))
			metadata = true;
		else if (!ends_with(names->v[i], ".d"))
			linked = true;
	}
	return (has_dep_info(names) || !strv_has(&call->emit, "dep-info")) &&
	       (metadata || !call->emits_metadata) && (linked || bundle || !call->emits_link);
}

/* Every file that was announced is among them. */
static bool
has_announced(const struct buf *err, const struct strv *names)
{
	const char *p = (const char *)err->p, *end = p + err->n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		struct artifact a = ARTIFACT_INIT;
		bool has = true;

		if (artifact_parse(p, n, &a) == 0)
			has = strv_has(names, path_basename(a.path));
		artifact_done(&a);
		if (!has)
			return false;
		p += n + 1;
	}
	return true;
}

/* Whether anything was said but artifacts: then the width of the terminal plays a part, and how
 * diagnostics are put. */
static bool
has_diagnostics(const struct keep *keep, const struct buf *err)
{
	const char *p = (const char *)err->p, *end = p + err->n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		struct artifact a = ARTIFACT_INIT;
		int r = keep->call->json ? artifact_parse(p, n, &a) : -ENOENT;

		artifact_done(&a);
		if (r < 0)
			return true;
		p += n + 1;
	}
	return false;
}

/* ---- putting it together */

/* What env! and option_env! asked for: of some names the trace does not tell that from the
 * compiler's own interest (trace/preload/env_main.c). */
static int
add_asked(const struct keep *keep, const struct depinfo *d, struct inputs *to)
{
	int r = 0;

	if (depinfo_env_differs(d, keep->place->envp))
		return -EAGAIN;
	for (size_t i = 0; r == 0 && i < d->n_env; i++)
		r = inputs_add_env(to, inputs_env(keep->place), d->env[i].name);
	return r;
}

/* The tracer saw each file that the compiler says it read. */
static int
check_dep_info(struct keep *keep, const struct depinfo *d, const struct inputs *inputs)
{
	const struct crosscheck check = { inputs, keep->place, keep->cwd, &keep->known };
	_cleanup_(freep) char *lacks = NULL;
	/* a unit that the farm made was not traced here */
	int r = keep_find_known(keep);

	if (r == 0)
		r = crosscheck_files(&check, &d->files, &lacks);
	if (lacks)
		keep_why(keep, "dep-info names %s, which it was not seen to read", lacks);
	return r;
}

static int
add_text_output(
	struct keep *keep, struct output *o, const char *path, struct inputs *inputs, bool *bound)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depinfo d = DEPINFO_INIT;
	int r = fs_read_file(path, TEXT_MAX, &b);

	if (r < 0)
		return r;
	/* one that is cut would hide later edits from cargo */
	r = depinfo_parse(b.p, b.n, &d);
	if (r == 0)
		r = add_asked(keep, &d, inputs);
	if (r == 0)
		r = check_dep_info(keep, &d, inputs);
	depinfo_done(&d);
	if (r < 0)
		return r;
	o->size = b.n;
	keep_note_real(keep, &b);
	r = *bound ? -EBADMSG : keep_hide_place(keep, &b, &o->text);
	if (r != -EBADMSG)
		return r;
	*bound = true;
	buf_done(&o->text);
	if (keep->mapped && !*keep->bound)
		snprintf(keep->bound, sizeof(keep->bound), "%s", o->name);
	return keep_as_is(keep, &b, &o->text);
}

/* Whether the file's bytes may hide a path in them: packed debuginfo. A feature may have that name,
 * too (sha2's). */
static bool
may_compress(const struct rustc_call *call)
{
	for (size_t i = 0; i < call->n_options; i++) {
		const struct call_option *o = &call->options[i];
		bool is_cfg = streq(o->row->name, "cfg") || streq(o->row->name, "check-cfg");

		if (o->value && !is_cfg && strstr(o->value, "compress"))
			return true;
	}
	return false;
}

static int
add_blob(struct keep *keep, struct output *o, const char *path, bool *bound)
{
	int r = 0;

	if (!*bound || keep_is_behind_link(keep) || keep->mapped)
		r = may_compress(keep->call) ? 1 : keep_names_place(keep, path);
	keep->names_real |= may_compress(keep->call) && keep_is_behind_link(keep);
	if (may_compress(keep->call))
		keep->named |= inputs_places(keep->place);
	if (r < 0)
		return r;
	*bound |= r > 0;
	o->is_blob = true;
	return keep->add_blob(keep->arg, o->name, path, &o->digest, &o->size);
}

/* Others go on with the metadata, and get the library later: the crate must not have made two of
 * it, or who seals the result is taken for a liar. */
static int
check_metadata(struct keep *keep, const char *name)
{
	_cleanup_(freep) char *rlib_name = NULL, *own = NULL, *own_rlib = NULL;
	_cleanup_(freep) char *seen = NULL, *seen_rlib = NULL;
	const char *path, *rlib;

	if (call_splits_metadata(keep->call))
		return 0;
	if (asprintf(&rlib_name, "%.*srlib", (int)(strlen(name) - strlen("rmeta")), name) < 0) {
		rlib_name = NULL;
		return -ENOMEM;
	}
	own = path_join(keep->place->out_dir, name);
	own_rlib = path_join(keep->place->out_dir, rlib_name);
	path = own ? inputs_see_made(keep->place, own, &seen) : NULL;
	rlib = own_rlib ? inputs_see_made(keep->place, own_rlib, &seen_rlib) : NULL;
	if (!path || !rlib)
		return -ENOMEM;
	if (rlib_agrees(rlib, path) != -EBADMSG)
		return 0;
	keep_why(keep, "%s has other metadata than %s", rlib_name, name);
	return -ENOTSUP;
}

static int
add_outputs(struct keep *keep, const struct strv *names, struct result *res, bool *bound)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		_cleanup_(freep) char *own = path_join(keep->place->out_dir, names->v[i]);
		_cleanup_(freep) char *seen = NULL;
		const char *path = own ? inputs_see_made(keep->place, own, &seen) : NULL;
		struct output *o = path ? result_add_output(res, names->v[i]) : NULL;
		struct stat st = { .st_mode = 0 };

		if (!o)
			return -ENOMEM;
		r = inputs_stat_made(keep->place, own, &st);
		o->mode = output_mode_kept(st.st_mode & 0777, keep->mask, o->name);
		if (r == 0)
			r = ends_with(o->name, ".d")
				    ? add_text_output(keep, o, path, &res->inputs, bound)
				    : add_blob(keep, o, path, bound);
		if (r < 0 && r != -ESTALE)
			keep_why(keep, "%s cannot be kept: %s", o->name,
				r == -EBADMSG  ? "it is not whole"
				: r == -EAGAIN ? "it changed meanwhile"
					       : strerror(-r));
		keep->bytes += o->size;
		if (r == 0 && ends_with(o->name, ".rmeta"))
			r = check_metadata(keep, o->name);
	}
	return r;
}

int
keep_add_bound(const struct keep *keep, struct result *res)
{
	int r = keep_add_place(res, INPUT_OUT_DIR_NAME, keep->place->out_dir);

	return r < 0 || !keep->names_real
		       ? r
		       : keep_add_place(res, INPUT_REAL_OUT_DIR_NAME, keep->place->real_out_dir);
}

static int
add_texts(struct keep *keep, const struct keep_made *made, struct result *res, bool *bound)
{
	int r = keep_hide(keep, made->out, &res->out, bound);

	if (r == 0)
		r = keep_hide(keep, made->err, &res->err, bound);
	if (r == 0 && made->tail)
		r = keep_hide(keep, made->tail, &res->tail, bound);
	if (r == -EBADMSG)
		keep_why(keep, "an odd character in its text");
	if (r == 0 && (has_diagnostics(keep, made->err) ||
			      (made->tail && has_diagnostics(keep, made->tail)))) {
		const char *width = keep->place->width ? keep->place->width : "";

		r = inputs_add(&res->inputs, INPUT_WIDTH, "width", width, strlen(width));
		if (r == 0)
			r = inputs_add(&res->inputs, INPUT_FORM, "form", keep->place->form,
				strlen(keep->place->form));
	}
	return r;
}

/* The compiler lists every -L directory. Crates that cargo puts there are found by their hashes;
 * native libraries are looked for by name, and the system's own directories are large, and no
 * macro's. */
static bool
listing_is_ignored(const char *kind, const char *dir)
{
	static const char *const system[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64",
		"/usr/local/lib" };

	if (streq(kind, "dependency"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (path_is_below(dir, system[i]))
			return streq(kind, "native") || streq(kind, "framework");
	return false;
}

/* Whether a macro's library was opened. */
static bool
loads_macro(const struct keep *keep, const struct buf *record)
{
	const char *p = (const char *)record->p, *end = p + record->n;

	if (record->n == 0 || end[-1] != '\0')
		return false;
	for (; p < end; p += strlen(p) + 1)
		if (*p == 'f' && ends_with(p, ".so") &&
			(path_is_below(p + 1, keep->place->target_dir) ||
				path_is_below(p + 1, keep->place->real_target_dir)))
			return true;
	return false;
}

/* Whether it is what a build script made for this package. A macro may list it (include_dir), and
 * then names of new files count; cargo's newer layout has it among -L dependency. */
static bool
is_scripts(const struct inputs_place *place, const char *dir)
{
	const char *made = variables_get(place->envp, "OUT_DIR");
	_cleanup_(freep) char *seen = NULL, *other = NULL;
	struct stat a, b;

	return made && (streq(made, dir) || (stat(inputs_see(place, made, &seen), &a) == 0 &&
						    stat(inputs_see(place, dir, &other), &b) == 0 &&
						    a.st_dev == b.st_dev && a.st_ino == b.st_ino));
}

static int
list_dirs(struct keep *keep, const struct buf *record)
{
	const struct rustc_call *call = keep->call;
	bool macros = loads_macro(keep, record);
	char real[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < call->n_libs; i++) {
		_cleanup_(freep) char *dir = path_normalize(keep->cwd, call->libs[i].path);

		if (!dir)
			return -ENOMEM;
		if (!listing_is_ignored(call->libs[i].kind, dir) ||
			(macros && is_scripts(keep->place, dir)))
			continue;
		r = strv_add(&keep->dirs, dir);
		/* the record has it by its descriptor: without links */
		if (r == 0 && !keep->place->view && realpath(dir, real) && !streq(real, dir))
			r = strv_add(&keep->dirs, real);
	}
	return r;
}

/* What the compiler itself loads of the toolchain. */
static int
list_libraries(struct keep *keep, struct strv *ret)
{
	const char *target = call_target_is_file(keep->call) ? NULL : keep->call->target;
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	int r = toolchain_list_own_files(keep->toolchain, target, &files);

	for (size_t i = 0; r == 0 && i < files.n; i++)
		if (!starts_with(files.v[i], "lib/rustlib/") && strstr(files.v[i], ".so"))
			r = strv_add(ret, path_basename(files.v[i]));
	return r;
}

/* The files that arguments were read from: cargo passes them so where one is too long. */
static int
list_argfiles(const struct keep *keep, struct strv *ret)
{
	int r = 0;

	for (char **a = keep->call->argv + 1; r == 0 && *a; a++) {
		_cleanup_(freep) char *path = **a == '@' ? path_normalize(keep->cwd, *a + 1) : NULL;

		if (path)
			r = strv_add(ret, path);
		else if (**a == '@')
			r = -ENOMEM;
	}
	return r;
}

static int
add_inputs(
	struct keep *keep, const struct keep_made *made, struct result *res, struct strv *ret_made)
{
	_cleanup_(freep) char *why = NULL;
	_cleanup_(strv_done) struct strv libraries = STRV_INIT, argfiles = STRV_INIT;
	const char *target = keep->call->target;
	struct inputs_from from = { .place = keep->place,
		.ignored_lists = &keep->dirs,
		.argfiles = &argfiles,
		.cwd = keep->cwd,
		.libraries = &libraries,
		.stamps = target && strstr(target, "-windows-"),
		.linked = keep->call->calls_linker && !made->add_links,
		.walkers = release_is_since(keep->toolchain->release, RELEASE_ENVIRON, false),
		.metadata = made->metadata,
		.job_key = made->job_key,
		.started = keep->started };
	int r = list_dirs(keep, made->record);

	if (r == 0)
		r = list_libraries(keep, &libraries);
	if (r == 0)
		r = list_argfiles(keep, &argfiles);
	for (size_t i = 0; r == 0 && made->known && i < made->known->n; i++) {
		const struct input *in = &made->known->v[i];

		r = inputs_add(&res->inputs, in->kind, in->name, in->value.p, in->value.n);
	}
	if (r == 0)
		r = inputs_from_record(&from, made->record, &res->inputs, ret_made, &why);
	if (r == -EBADMSG)
		keep_why(keep, "its trace is not whole");
	else if (r < 0)
		keep_why(keep, "%s", why ? why : strerror(-r));
	return r;
}

static int
add_bundle(struct keep *keep, const struct keep_made *made, struct result *res, bool *bound)
{
	_cleanup_(strv_done) struct strv objects = STRV_INIT;
	int r = made->add_links(keep, made->arg, res, &objects, bound);

	/* the crate's code is in these, and in no output yet */
	return r < 0 ? r : keep_look_for_pieces(keep, &objects, res, bound);
}

static int
fill(struct keep *keep, const struct keep_made *made, struct result *res)
{
	_cleanup_(strv_done) struct strv paths = STRV_INIT;
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	/* a relative one is in its texts as it was given */
	bool bound = !text_can_hide(keep->place->out_dir) || *keep->call->out_dir != '/';
	int r = add_inputs(keep, made, res, &paths);

	keep->has_macros = loads_macro(keep, made->record);
	keep->read = &res->inputs;
	keep->amid_known = false;
	if (r == 0 && !strv_has(&keep->call->emit, "dep-info")) {
		keep_why(keep, "which variables it asks for is not known without dep-info");
		r = -ENOTSUP;
	}
	if (r == 0)
		r = find_outputs(keep, &paths, &names);
	if (r == 0 && made->status == 0 &&
		(!is_complete(keep, &names, made->add_links != NULL) ||
			!has_announced(made->err, &names))) {
		keep_why(keep, "not every output is there");
		r = -ENOTSUP;
	}
	if (r == 0 && made->status != 0 && !has_dep_info(&names)) {
		keep_why(keep, "it failed before it said what it had read");
		r = -ENOTSUP;
	}
	if (r == 0)
		r = add_outputs(keep, &names, res, &bound);
	if (r == 0)
		r = keep_look_for_pieces(keep, &names, res, &bound);
	if (r == 0)
		r = add_texts(keep, made, res, &bound);
	if (r == 0 && made->add_links)
		r = add_bundle(keep, made, res, &bound);
	if (r == 0 && bound)
		r = keep_add_bound(keep, res);
	if (r == 0)
		r = keep_look_at_inputs(keep, &res->inputs);
	if (r == 0)
		r = keep_look_for_names(keep, res, NULL);
	if (r == 0)
		r = keep_add_places(keep, res);
	keep->read = NULL;
	return r;
}

int
keep_make(struct keep *keep, const struct keep_made *made, struct result *res)
{
	int r;

	*keep->why = *keep->bound = '\0';
	keep->bytes = 0;
	r = fill(keep, made, res);
	if (r < 0 && !*keep->why)
		keep_why(keep, "%s", strerror(-r));
	return r;
}
