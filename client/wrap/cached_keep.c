/* Keeps what a compile made. Invariant: what is kept is whole, and says all that it depends on. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/crosscheck.h"
#include "cache/text.h"
#include "cache/times.h"
#include "client/far/ask.h"
#include "client/wrap/cached_priv.h"
#include "client/wrap/ledger.h"
#include "common/clock.h"
#include "common/fs.h"
#include "rustc/artifact.h"
#include "rustc/depinfo.h"
#include "rustc/option_tables.h"
#include "rustc/refusal.h"
#include "rustc/release.h"

#define TRIM_FILES 4096 /* depot_trim has a limit of time, too */
#define TEXT_MAX (64u << 20)

extern char **environ;

/* ---- how it is to be traced */

/* What the toolchain's id speaks of, and no more: a sysroot may be /usr. */
int
cached_find_known(struct cached *c)
{
	static const char *const parts[] = { "lib", "bin" };
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	const struct toolchain *t = &c->tc;
	const char *target = call_target_is_file(c->in.call) ? NULL : c->in.call->target;
	int r = c->known.n ? 0 : toolchain_list_own_files(t, target, &files);

	if (r < 0 || c->known.n)
		return r;

	/* of these two all is in the id */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		r = strv_addf(&c->known, "%s/lib/rustlib/%s/%s", t->sysroot, t->host, parts[i]);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		if (target && !streq(target, t->host))
			r = strv_addf(
				&c->known, "%s/lib/rustlib/%s/%s", t->sysroot, target, parts[i]);
	for (size_t i = 0; r == 0 && i < files.n; i++)
		if (!starts_with(files.v[i], "lib/rustlib/"))
			r = strv_addf(&c->known, "%s/%s", t->sysroot, files.v[i]);
	return r;
}

int
cached_add_writable(const struct cached *c, struct strv *to)
{
	static const char *const temporaries[] = { "TMPDIR", "TMP", "TEMP" };
	int r = strv_addf(to, "--writable=%s", c->out_dir);

	if (r == 0 && !streq(c->out_dir, c->place.real_out_dir))
		r = strv_addf(to, "--writable=%s", c->place.real_out_dir);
	if (r == 0)
		r = strv_add(to, "--temporary=/tmp");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(temporaries); i++) {
		const char *dir = getenv(temporaries[i]);

		if (dir && path_is_normal(dir) && dir[1])
			r = strv_addf(to, "--temporary=%s", dir);
	}
	return r;
}

static int
add_options(struct cached *c)
{
	int r = cached_find_known(c);

	for (size_t i = 0; r == 0 && i < c->known.n; i++)
		r = strv_addf(&c->trace_options, "--toolchain=%s", c->known.v[i]);
	return r < 0 ? r : cached_add_writable(c, &c->trace_options);
}

const struct strv *
cached_trace_options(struct cached *c)
{
	if (c->trace_options.n == 0 && add_options(c) < 0) {
		strv_done(&c->trace_options);
		strv_done(&c->known);
	}
	return &c->trace_options;
}

void
cached_begin(struct cached *c)
{
	c->started = clock_stamp_after(&c->in.began);
}

/* Whether nothing that is written from now on can have the file's stamps. */
static bool
is_settled(const char *path, const struct timespec *now)
{
	struct stat st;

	return stat(path, &st) < 0 ||
	       (clock_is_before(&st.st_ctim, now) && clock_is_before(&st.st_mtim, now));
}

/* What cargo has just had made for this: the last of the crates that a unit depends on, of those
 * that are not named, too, where their code is read; what its build script generated. */
static bool
unit_is_settled(const struct cached *c)
{
	const struct rustc_call *call = c->in.call;
	bool settled = !call->calls_linker && !call->reads_rlibs && !getenv("OUT_DIR") &&
		       is_settled(call->source, &c->started);

	for (size_t i = 0; settled && i < call->n_externs; i++)
		settled = !call->externs[i].path || is_settled(call->externs[i].path, &c->started);
	return settled;
}

/* A script's program, and what other scripts say to this one by DEP_*. */
static bool
run_is_settled(const struct cached *c, const char *program)
{
	for (char **e = environ; *e; e++)
		if (starts_with(*e, "DEP_"))
			return false;
	return is_settled(program, &c->started);
}

/* The tracer says when the program began; were that not in its record, more would seem to have
 * changed meanwhile. To wait until the clock that stamps files shows it takes some milliseconds. */
const struct timespec *
cached_begin_traced(struct cached *c, const char *program)
{
	c->started = clock_stamp();
	return (program ? run_is_settled(c, program) : unit_is_settled(c)) ? NULL : &c->in.began;
}

/* ---- what it made */

static bool
is_in_out_dir(const struct cached *c, const char *path)
{
	return path_is_below(path, c->out_dir) || path_is_below(path, c->place.real_out_dir);
}

/* Directly in the out-dir. */
static bool
is_direct(const struct cached *c, const char *path)
{
	size_t n = (size_t)(path_basename(path) - path) - 1;

	return (n == strlen(c->out_dir) && strncmp(path, c->out_dir, n) == 0) ||
	       (n == strlen(c->place.real_out_dir) && strncmp(path, c->place.real_out_dir, n) == 0);
}

/* The names of the outputs, of all that it made; false: it left something else behind. */
static int
find_outputs(struct cached *c, const struct strv *made, struct strv *ret, struct cached_said *said)
{
	const struct rustc_call *call = c->in.call;
	int r = 0;

	for (size_t i = 0; r == 0 && i < made->n; i++) {
		const char *path = made->v[i], *name = path_basename(path);
		struct stat st;

		if (lstat(path, &st) < 0)
			continue;
		if (!is_in_out_dir(c, path) || !is_direct(c, path) || !S_ISREG(st.st_mode) ||
			!call_output_name_ok(call->crate_name, call->extra_filename, name)) {
			cached_why(said, "it left %.300s", path);
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
is_complete(const struct cached *c, const struct strv *names, bool bundle)
{
	const struct rustc_call *call = c->in.call;
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
has_diagnostics(const struct cached *c, const struct buf *err)
{
	const char *p = (const char *)err->p, *end = p + err->n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		struct artifact a = ARTIFACT_INIT;
		int r = c->in.call->json ? artifact_parse(p, n, &a) : -ENOENT;

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
add_asked(const struct cached *c, const struct depinfo *d, struct inputs *to)
{
	int r = 0;

	if (depinfo_env_differs(d, c->place.envp))
		return -EAGAIN;
	for (size_t i = 0; r == 0 && i < d->n_env; i++)
		r = inputs_add_env(to, inputs_env(&c->place), d->env[i].name);
	return r;
}

/* The tracer saw each file that the compiler says it read. */
static int
check_dep_info(struct cached *c, const struct depinfo *d, const struct inputs *inputs,
	struct cached_said *said)
{
	const struct crosscheck check = { inputs, &c->place, c->cwd, &c->known };
	_cleanup_(freep) char *lacks = NULL;
	/* a unit that the farm made was not traced here */
	int r = cached_find_known(c);

	if (r == 0)
		r = crosscheck_files(&check, &d->files, &lacks);
	if (lacks)
		cached_why(said, "dep-info names %s, which it was not seen to read", lacks);
	return r;
}

static int
add_text_output(struct cached *c, struct output *o, const char *path, struct inputs *inputs,
	bool *bound, struct cached_said *said)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depinfo d = DEPINFO_INIT;
	int r = fs_read_file(path, TEXT_MAX, &b);

	if (r < 0)
		return r;
	/* one that is cut would hide later edits from cargo */
	r = depinfo_parse(b.p, b.n, &d);
	if (r == 0)
		r = add_asked(c, &d, inputs);
	if (r == 0)
		r = check_dep_info(c, &d, inputs, said);
	depinfo_done(&d);
	if (r < 0)
		return r;
	o->size = b.n;
	cached_note_real(c, &b);
	r = *bound ? -EBADMSG : cached_hide_place(c, &b, &o->text);
	if (r != -EBADMSG)
		return r;
	*bound = true;
	buf_done(&o->text);
	if (c->in.mapping && !*c->bound)
		snprintf(c->bound, sizeof(c->bound), "%s", o->name);
	return cached_keep_as_is(c, &b, &o->text);
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
add_blob(struct cached *c, struct output *o, const char *path, bool *bound)
{
	int r = 0;

	if (!*bound || cached_is_behind_link(c) || c->in.mapping)
		r = may_compress(c->in.call) ? 1 : cached_names_place(c, path);
	c->names_real |= may_compress(c->in.call) && cached_is_behind_link(c);
	if (may_compress(c->in.call))
		c->named |= inputs_places(&c->place);
	if (r < 0)
		return r;
	*bound |= r > 0;
	o->is_blob = true;
	return depot_add(c->depot, path, cached_way(c, o->name), &o->digest, &o->size);
}

static int
add_outputs(struct cached *c, const struct strv *names, struct result *res, bool *bound,
	struct cached_said *said)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++) {
		_cleanup_(freep) char *path = path_join(c->out_dir, names->v[i]);
		struct output *o = path ? result_add_output(res, names->v[i]) : NULL;
		struct stat st;

		if (!o)
			return -ENOMEM;
		if (lstat(path, &st) < 0)
			r = -errno;
		o->mode = output_mode_kept(st.st_mode & 0777, c->mask, o->name);
		if (r == 0)
			r = ends_with(o->name, ".d")
				    ? add_text_output(c, o, path, &res->inputs, bound, said)
				    : add_blob(c, o, path, bound);
		if (r < 0 && r != -ESTALE)
			cached_why(said, "%s cannot be kept: %s", o->name,
				r == -EBADMSG  ? "it is not whole"
				: r == -EAGAIN ? "it changed meanwhile"
					       : strerror(-r));
		said->bytes += o->size;
	}
	return r;
}

int
cached_add_bound(const struct cached *c, struct result *res)
{
	int r = cached_add_place(res, INPUT_OUT_DIR_NAME, c->out_dir);

	return r < 0 || !c->names_real
		       ? r
		       : cached_add_place(res, INPUT_REAL_OUT_DIR_NAME, c->place.real_out_dir);
}

static int
add_texts(struct cached *c, const struct cached_made *made, struct result *res, bool *bound,
	struct cached_said *said)
{
	int r = cached_hide(c, made->out, &res->out, bound);

	if (r == 0)
		r = cached_hide(c, made->err, &res->err, bound);
	if (r == 0 && made->tail)
		r = cached_hide(c, made->tail, &res->tail, bound);
	if (r == -EBADMSG)
		cached_why(said, "an odd character in its text");
	if (r == 0 &&
		(has_diagnostics(c, made->err) || (made->tail && has_diagnostics(c, made->tail)))) {
		const char *width = c->place.width ? c->place.width : "";

		r = inputs_add(&res->inputs, INPUT_WIDTH, "width", width, strlen(width));
		if (r == 0)
			r = inputs_add(&res->inputs, INPUT_FORM, "form", c->form, strlen(c->form));
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
loads_macro(const struct cached *c, const struct buf *record)
{
	const char *p = (const char *)record->p, *end = p + record->n;

	if (record->n == 0 || end[-1] != '\0')
		return false;
	for (; p < end; p += strlen(p) + 1)
		if (*p == 'f' && ends_with(p, ".so") &&
			(path_is_below(p + 1, c->target_dir) ||
				path_is_below(p + 1, c->real_target_dir)))
			return true;
	return false;
}

/* Whether it is what a build script made for this package. A macro may list it (include_dir), and
 * then names of new files count; cargo's newer layout has it among -L dependency. */
static bool
is_scripts(const char *dir)
{
	const char *made = getenv("OUT_DIR");
	struct stat a, b;

	return made && (streq(made, dir) || (stat(made, &a) == 0 && stat(dir, &b) == 0 &&
						    a.st_dev == b.st_dev && a.st_ino == b.st_ino));
}

static int
list_dirs(struct cached *c, const struct buf *record)
{
	const struct rustc_call *call = c->in.call;
	bool macros = loads_macro(c, record);
	char real[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < call->n_libs; i++) {
		_cleanup_(freep) char *dir = path_normalize(c->cwd, call->libs[i].path);

		if (!dir)
			return -ENOMEM;
		if (!listing_is_ignored(call->libs[i].kind, dir) || (macros && is_scripts(dir)))
			continue;
		r = strv_add(&c->dirs, dir);
		/* the record has it by its descriptor: without links */
		if (r == 0 && realpath(dir, real) && !streq(real, dir))
			r = strv_add(&c->dirs, real);
	}
	return r;
}

/* What the compiler itself loads of the toolchain. */
static int
list_libraries(struct cached *c, struct strv *ret)
{
	const char *target = call_target_is_file(c->in.call) ? NULL : c->in.call->target;
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	int r = toolchain_list_own_files(&c->tc, target, &files);

	for (size_t i = 0; r == 0 && i < files.n; i++)
		if (!starts_with(files.v[i], "lib/rustlib/") && strstr(files.v[i], ".so"))
			r = strv_add(ret, path_basename(files.v[i]));
	return r;
}

/* The files that arguments were read from: cargo passes them so where one is too long. */
static int
list_argfiles(const struct cached *c, struct strv *ret)
{
	int r = 0;

	for (char **a = c->in.call->argv + 1; r == 0 && *a; a++) {
		_cleanup_(freep) char *path = **a == '@' ? path_normalize(c->cwd, *a + 1) : NULL;

		if (path)
			r = strv_add(ret, path);
		else if (**a == '@')
			r = -ENOMEM;
	}
	return r;
}

static int
add_inputs(struct cached *c, const struct cached_made *made, struct result *res,
	struct strv *ret_made, struct cached_said *said)
{
	_cleanup_(freep) char *why = NULL;
	_cleanup_(strv_done) struct strv libraries = STRV_INIT, argfiles = STRV_INIT;
	const char *target = c->in.call->target;
	struct digest job_key;
	struct inputs_from from = { .place = &c->place,
		.ignored_lists = &c->dirs,
		.argfiles = &argfiles,
		.cwd = c->cwd,
		.libraries = &libraries,
		.stamps = target && strstr(target, "-windows-"),
		.linked = c->in.call->calls_linker && !made->staged,
		.walkers = release_is_since(c->tc.release, RELEASE_ENVIRON, false),
		.metadata = made->metadata,
		.job_key = &job_key,
		.started = c->started };
	int r = list_dirs(c, made->record);

	if (r == 0)
		r = list_libraries(c, &libraries);
	if (r == 0 && streq(made->from, "farm"))
		r = cached_job_key(c, &job_key);
	else
		from.job_key = NULL;
	if (r == 0)
		r = list_argfiles(c, &argfiles);
	for (size_t i = 0; r == 0 && made->known && i < made->known->n; i++) {
		const struct input *in = &made->known->v[i];

		r = inputs_add(&res->inputs, in->kind, in->name, in->value.p, in->value.n);
	}
	if (r == 0)
		r = inputs_from_record(&from, made->record, &res->inputs, ret_made, &why);
	if (r == -EBADMSG)
		cached_why(said, "its trace is not whole");
	else if (r < 0)
		cached_why(said, "%s", why ? why : strerror(-r));
	return r;
}

static int
make_result(struct cached *c, const struct cached_made *made, struct result *res,
	struct cached_said *said)
{
	_cleanup_(strv_done) struct strv paths = STRV_INIT;
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	/* a relative one is in its texts as it was given */
	bool bound = !text_can_hide(c->out_dir) || *c->in.call->out_dir != '/';
	int r = add_inputs(c, made, res, &paths, said);

	c->has_macros = loads_macro(c, made->record);
	c->read = &res->inputs;
	c->amid_known = false;
	if (r == 0 && !strv_has(&c->in.call->emit, "dep-info")) {
		cached_why(said, "which variables it asks for is not known without dep-info");
		r = -ENOTSUP;
	}
	if (r == 0)
		r = find_outputs(c, &paths, &names, said);
	if (r == 0 && made->status == 0 &&
		(!is_complete(c, &names, made->staged != NULL) ||
			!has_announced(made->err, &names))) {
		cached_why(said, "not every output is there");
		r = -ENOTSUP;
	}
	if (r == 0 && made->status != 0 && !has_dep_info(&names)) {
		cached_why(said, "it failed before it said what it had read");
		r = -ENOTSUP;
	}
	if (r == 0)
		r = add_outputs(c, &names, res, &bound, said);
	if (r == 0)
		r = cached_look_for_pieces(c, &names, res, &bound);
	if (r == 0)
		r = add_texts(c, made, res, &bound, said);
	if (r == 0 && made->staged)
		r = cached_add_bundle(c, made, res, &bound);
	if (r == 0 && bound)
		r = cached_add_bound(c, res);
	if (r == 0)
		r = cached_look_at_inputs(c, &res->inputs);
	if (r == 0)
		r = cached_look_for_names(c, res, NULL);
	if (r == 0)
		r = cached_add_places(c, res);
	c->read = NULL;
	return r;
}

/* How to do it again. */
static int
add_call(const struct cached *c, struct result *res)
{
	int r = strv_add_all(&res->argv, c->in.call->argv);

	for (size_t i = 0; r == 0 && i < c->env.n; i++)
		r = strv_add(&res->env, c->env.v[i]);
	if (r == 0)
		res->cwd = strdup(c->cwd);
	return r < 0 ? r : res->cwd ? 0 : -ENOMEM;
}

/* By which a package with these macros, compiled in this way, is known again, whatever its sources
 * are, and its libraries. NULL: no memory. */
static char *
times_note_name(const struct unit_key *key, const struct result *res)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *name = getenv("CARGO_PKG_NAME"), *version = getenv("CARGO_PKG_VERSION");
	int r = buf_addf(&b, "times %s %s", name ? name : "", version ? version : "");

	for (size_t i = 0; r == 0 && i < key->recipe.n; i++)
		if (!starts_with(key->recipe.v[i], "--extern"))
			r = buf_addf(&b, "\n%s", key->recipe.v[i]);
	for (size_t i = 0; r == 0 && i < res->inputs.n; i++) {
		const struct input *in = &res->inputs.v[i];
		struct digest d;
		char hex[DIGEST_HEX_SIZE];

		if (in->kind != INPUT_FILE || !ends_with(in->name, ".so") ||
			in->value.n != DIGEST_SIZE)
			continue;
		memcpy(d.b, in->value.p, DIGEST_SIZE);
		digest_hex(&d, hex);
		r = buf_addf(&b, "\n%s", hex);
	}
	return r < 0 ? NULL : (char *)steal_ptr(b.p);
}

/* What of its times does not count, from what was kept of the same before; that is not kept twice.
 */
static int
learn_times(struct cached *c, const struct unit_key *key, struct entry *e, struct result *res)
{
	_cleanup_(times_done) struct times t = TIMES_INIT;
	_cleanup_(freep) char *name = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool learned = false;
	int r;

	if (!times_matter_to(res))
		return 0;
	name = times_note_name(key, res);
	r = name ? 0 : -ENOMEM;
	if (r == 0 && memo_get_note(c->in.memo, name, &b) == 0)
		r = times_decode(&b, &t);
	for (size_t i = e->n_results; r == 0 && i-- > 0;) {
		_cleanup_(result_done) struct result kept = RESULT_INIT;
		enum times_verdict v = TIMES_OTHER;

		if (entry_result(e, i, &kept) == 0)
			r = times_compare(&kept, res, &t, &v);
		learned |= v != TIMES_OTHER;
		if (v == TIMES_IDLE)
			entry_drop_result(e, i);
	}
	if (r == 0)
		r = times_apply(&t, res);
	buf_done(&b);
	if (r == 0 && learned && times_encode(&t, &b) == 0)
		memo_set_note(c->in.memo, name, b.p, b.n);
	return r;
}

int
cached_write_result(struct cached *c, const struct unit_key *key, struct result *res)
{
	_cleanup_(closep) int lock = depot_lock_entry(c->depot, &key->id);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = cached_read_entry(c, &key->id, &e);

	(void)lock; /* held to the end */
	e.key = key->id;
	if (r == 0 && e.recipe.n == 0)
		for (size_t i = 0; r == 0 && i < key->recipe.n; i++)
			r = strv_add(&e.recipe, key->recipe.v[i]);
	if (r == 0)
		r = learn_times(c, key, &e, res);
	if (r == 0)
		r = entry_add_result(&e, res);
	if (r == 0 && far_may_write(c->in.conf))
		r = digest_bytes(e.results[0].p, e.results[0].n, &c->kept);
	if (r == 0)
		r = entry_encode(&e, &b);
	return r < 0 ? r : depot_write_entry(c->depot, &key->id, b.p, b.n);
}

int
cached_add_linked(const struct buf *linked, struct buf *record)
{
	const char *p = (const char *)linked->p, *end = p + linked->n;
	int r = linked->n == 0 || linked->p[linked->n - 1] == '\0' ? 0 : -EBADMSG;

	for (; r == 0 && p < end; p += strlen(p) + 1)
		if (*p != 'e')
			r = buf_add(record, p, strlen(p) + 1);
	return r;
}

int
cached_read_farm(const struct ledger *said, const struct buf *linked, struct buf *record,
	struct buf *out, struct buf *err)
{
	int r = cached_add_linked(linked, record);

	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD, record);
	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD_OUT, out);
	if (r == 0)
		r = cached_read_staged(said, FARM_RECORD_ERR, err);
	if (r == 0 && said->n_links > 0)
		r = cached_read_staged(said, "tail", err);
	return r;
}

bool
cached_is_final(const struct rustc_call *call, int status, const struct buf *err)
{
	/* cargo's own calls have JSON, and after an error the user may change what no trace shows
	 */
	return status == 0 || (status == 1 && !call->json && !call->extra_filename &&
				      refusal_is_final((const char *)err->p, err->n));
}

bool
cached_keep(struct cached *c, const struct cached_made *made, struct cached_said *said,
	struct cached_far *far)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	const struct unit_key *key = made->staged ? &c->bundle_key : &c->key;
	int r;

	*said->why = '\0';
	*c->bound = '\0';
	said->bytes = 0;
	if (c->in.conf->client.cache != CACHE_ON) {
		cached_why(said, "the cache is only read");
		return false;
	}
	r = made->staged ? cached_bundle_key(c) : 0;
	if (r == 0)
		r = make_result(c, made, &res, said);
	if (r == 0)
		r = add_call(c, &res);
	if (r == 0) {
		res.status = (unsigned)made->status;
		res.compile_us = made->compile_us;
		res.time_s = (uint64_t)time(NULL);
		res.from = strdup(made->from);
		res.rustc = strdup(c->tc.release ? c->tc.release : "");
		if (made->producer && result_is_producer(made->producer)) {
			res.producer = strdup(made->producer);
			r = res.producer ? 0 : -ENOMEM;
		}
	}
	if (r == 0) {
		r = res.from && res.rustc ? cached_write_result(c, key, &res) : -ENOMEM;
	}
	if (r < 0 && !*said->why)
		cached_why(said, "%s", strerror(-r));
	memcpy(said->bound, c->bound, sizeof(said->bound));
	if (r == 0 && !made->staged) {
		cached_note_together(c);
		cached_offer(c, &key->id, &res, c->place.cargo_env->v, far);
	}
	if (!made->staged) {
		cached_note_recipe(c);
		depot_trim(c->depot, TRIM_FILES);
	}
	return r == 0;
}
