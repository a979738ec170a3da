/* Invariant: a hit puts every output in place, whole, before any text is printed; what cannot be is
 * a miss, and the compiler makes all of it again. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/job_key.h"
#include "cache/marks.h"
#include "cache/rlib.h"
#include "cache/text.h"
#include "client/far/ask.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/distrust.h"
#include "client/wrap/envscan.h"
#include "client/wrap/identify.h"
#include "client/wrap/ledger.h"
#include "client/slots/notices.h"
#include "client/wrap/outside.h"
#include "client/wrap/refused.h"
#include "client/wrap/target_dir.h"
#include "client/cached/together.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "rustc/mapping.h"
#include "rustc/option_tables.h"

/* What takes longer is made twice. So is what a twin makes that is stopped, or that waits for us.
 */
#define TWIN_WAIT_MS 60000
#define TWIN_LOOK_MS 250

/* By which rustc knows that rust-src is there (rustc_session::config). */

extern char **environ;

void
cached_close(struct cached *c)
{
	if (!c)
		return;
	closep(&c->lock);
	far_ask_closep(&c->far);
	depot_close(c->depot);
	toolchain_done(&c->tc);
	free(c->cwd);
	free(c->out_dir);
	free(c->real_out_dir);
	free(c->target_dir);
	free(c->real_target_dir);
	free(c->form);
	free(c->workspace);
	free(c->cargo_home);
	free(c->sysroot);
	unit_key_done(&c->key);
	unit_key_done(&c->bundle_key);
	result_done(&c->bundle);
	free(c->first.rmeta);
	strv_done(&c->env);
	strv_done(&c->marked);
	strv_done(&c->marked_env);
	strv_done(&c->trace_options);
	keep_done(&c->keep);
	strv_done(&c->dirs);
	free(c);
}

void
cached_closep(struct cached **c)
{
	cached_close(*c);
	*c = NULL;
}

void
cached_why(struct cached_said *said, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said->why, sizeof(said->why), fmt, ap);
	va_end(ap);
}

/* ---- opening */

static int
off(char **ret_why, const char *why)
{
	*ret_why = strdup(why);
	return *ret_why ? -ENOTSUP : -ENOMEM;
}

/* Why this call's result is not one to keep or to find. */
static const char *
off_reason(const struct cached_in *in)
{
	const char *dir = in->conf->client.store_dir, *why = call_home_reason(in->call);

	if (in->conf->client.cache == CACHE_OFF)
		return "the cache is switched off";
	if ((!dir || !*dir) && !in->conf->client.cache_group)
		return "there is no cache directory";
	if (why)
		return why;
	/* it looks at the terminal, and what it prints depends on that */
	if (!in->call->json && isatty(STDERR_FILENO))
		return "diagnostics for a terminal";
	return NULL;
}

static int
find_place(struct cached *c)
{
	char cwd[PATH_MAX];

	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	c->cwd = strdup(cwd);
	c->out_dir = path_normalize(cwd, c->in.call->out_dir);
	if (!c->cwd || !c->out_dir)
		return -ENOMEM;
	(void)fs_mask_in(c->out_dir, c->umask, &c->mask);
	c->real_out_dir = realpath(c->out_dir, NULL);
	if (!c->real_out_dir && errno == ENOMEM)
		return -ENOMEM;
	c->target_dir = target_dir_of(c->out_dir, cwd);
	if (c->real_out_dir && !streq(c->real_out_dir, c->out_dir))
		c->real_target_dir = target_dir_of(c->real_out_dir, cwd);
	else if (c->target_dir)
		c->real_target_dir = strdup(c->target_dir);
	c->form = call_form(c->in.call);
	if (!c->target_dir || !c->real_target_dir || !c->form)
		return -ENOMEM;
	c->place = (struct inputs_place){ .out_dir = c->out_dir,
		.real_out_dir = c->real_out_dir ? c->real_out_dir : c->out_dir,
		.target_dir = c->target_dir,
		.real_target_dir = c->real_target_dir,
		.workspace = c->in.mapping ? c->in.mapping->workspace : NULL,
		.cargo_home = c->in.mapping ? c->in.mapping->cargo_home : NULL,
		.home = c->in.mapping ? inputs_find_home() : NULL,
		.width = call_option_value(c->in.call, "diagnostic-width"),
		.form = c->form,
		.envp = environ,
		.cargo_env = &c->env,
		.memo = c->in.memo,
		.umask = c->umask };
	return path_is_normal(c->out_dir) && c->out_dir[1] ? 0 : -EINVAL;
}

static int
collect_env(struct cached *c, struct strv *ret, char **ret_why)
{
	_cleanup_(strv_done) struct strv withheld = STRV_INIT;
	_cleanup_(buf_done) struct buf parent = BUF_INIT;
	bool known = envscan_read_parent(&parent) == 0;
	struct envscan_in e = { .envp = environ,
		.parent = known ? &parent : NULL,
		.pass_env = c->in.conf->client.pass_env,
		.out_dir = c->out_dir,
		.alias = "\x01",
		.target_dir = "/",
		.sysroot = "/" };

	if (c->in.env)
		return c->in.env->n ? strv_add_all(ret, c->in.env->v) : 0;
	return envscan_collect(&e, ret, &withheld, ret_why);
}

static int
digest_of(void *arg, const char *path, struct digest *ret)
{
	return memo_digest_file(arg, path, ret, NULL);
}

/* For a bundle: the link reads the rest when it is made. */
static int
metadata_of(void *arg, const char *path, struct digest *ret)
{
	if (ends_with(path, ".rlib") && rlib_metadata_digest(arg, path, ret) == 0)
		return 0;
	return memo_digest_file(arg, path, ret, NULL);
}

int
cached_key(const struct cached_key_in *in, struct unit_key *ret)
{
	_cleanup_(freep) char *sources = path_join(in->toolchain->sysroot, MAPPING_SOURCES);
	bool has_sources = sources && key_sees_sources(in->toolchain->sysroot) &&
			   !mapping_has(in->call, sources);
	struct key_in k = { .namespace = in->namespace,
		.toolchain = &in->toolchain->id,
		.sysroot = in->bundle || has_sources ? in->toolchain->sysroot : NULL,
		.bundle = in->bundle,
		.call = in->call,
		.cwd = in->cwd,
		.target_dir = in->target_dir,
		.workspace = in->workspace,
		.cargo_home = in->cargo_home,
		.linker = in->bundle ? NULL : in->linker,
		.env = in->env,
		.digest = in->bundle && call_takes_metadata(in->call) ? metadata_of : digest_of,
		.arg = in->memo };

	return sources ? unit_key_make(&k, ret) : -ENOMEM;
}

int
cached_job_key(const struct cached *c, struct digest *ret)
{
	struct unit_key key;
	const struct job_key_in in = { .toolchain = &c->tc.id,
		.sysroot = c->tc.sysroot,
		.toolchain_dir = c->tc.sysroot,
		.call = c->in.call,
		.cwd = c->cwd,
		.env = &c->env,
		.digest = digest_of,
		.arg = c->in.memo };
	int r = job_key_make(&in, &key);

	if (r == 0)
		*ret = key.id;
	unit_key_done(&key);
	return r;
}

/* Where paths = shared, variables are compared with marks for places: of a unit that is not mapped,
 * too, since OUT_DIR and LD_LIBRARY_PATH name the target directory. */
static int
mark_env(struct cached *c)
{
	int r = marks_env(&c->place, environ, &c->marked);

	if (r == 0)
		r = marks_env(&c->place, c->env.v, &c->marked_env);
	c->place.marked = c->marked.v;
	c->place.cargo_env = &c->marked_env;
	return r;
}

static int
make_key(struct cached *c, char **ret_why)
{
	static const char *const linkers[] = { "auto", "mold", "lld", "rustc" };
	struct cached_key_in k = { .memo = c->in.memo,
		.call = c->in.call,
		.toolchain = &c->tc,
		.namespace = c->in.conf->client.namespace,
		.linker = c->in.call->calls_linker ? linkers[c->in.conf->client.linker] : NULL,
		.cwd = c->cwd,
		.target_dir = c->target_dir,
		.workspace = c->place.workspace,
		.cargo_home = c->place.cargo_home,
		.env = &c->env };
	int r = collect_env(c, &c->env, ret_why);

	if (r == 0 && c->in.conf->client.paths == PATHS_SHARED)
		r = mark_env(c);
	return r < 0 ? r : cached_key(&k, &c->key);
}

static int
open_all(struct cached *c, char **ret_why)
{
	struct depot_in d = { .dir = c->in.conf->client.store_dir,
		.max = c->in.conf->client.cache_max,
		.read_only = c->in.conf->client.cache == CACHE_READ,
		.group = c->in.conf->client.cache_group,
		.memo = c->in.memo };
	char why[SHARE_WHY_SIZE];
	int r = depot_open(&d, &c->depot);

	/* before the toolchain is looked at: that may take seconds, for nothing */
	if (r == -EPERM) {
		depot_why_refused(&d, why);
		*ret_why = strdup(why);
		if (d.group)
			refused_say(c->in.conf, why);
	}
	if (r == 0)
		r = find_place(c);
	if (r == 0 && !c->in.env)
		cached_ask_early(c);
	if (r == 0)
		r = identify_toolchain(c->in.memo, c->in.call, &c->tc, ret_why);
	c->place.sysroot = c->tc.sysroot;
	c->place.toolchain = c->in.mapping ? inputs_markable(c->tc.sysroot) : NULL;
	return r < 0 ? r : make_key(c, ret_why);
}

int
cached_open(const struct cached_in *in, struct cached **ret, char **ret_why)
{
	_cleanup_(cached_closep) struct cached *c = NULL;
	const char *why = off_reason(in);
	int r;

	*ret_why = NULL;
	if (why)
		return off(ret_why, why);
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = *in;
	c->lock = -1;
	c->umask = fs_umask();
	c->mask = c->umask;
	r = open_all(c, ret_why);
	if (r < 0)
		return *ret_why || r == -ENOMEM ? r : off(ret_why, strerror(-r));
	*ret = steal_ptr(c);
	return 0;
}

/* ---- what the unit was before */

/* By which what is probably the same unit is known again, whatever else has changed. */
static char *
recipe_name(const struct cached *c)
{
	const struct rustc_call *call = c->in.call;
	char *name;
	int n = call ? asprintf(&name, "recipe %s\n%s\n%s\n%s", c->cwd, call->source,
			       call->crate_name, call_kind_name(call))
		     : asprintf(&name, "recipe %s\n%s", c->cwd, c->run);

	return n < 0 ? NULL : name;
}

/* By which a package of a workspace is known again wherever that lies, as far as its key says.
 * NULL: it is none, or no memory. */
static char *
shape_name(const struct cached *c)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	char hex[DIGEST_HEX_SIZE], *name;
	struct digest d;

	if (!h || !c->in.call || c->place.workspace ||
		!mapping_suits(c->in.call, c->cwd, getenv("CARGO_MANIFEST_DIR")))
		return NULL;
	for (size_t i = 0; i < c->key.recipe.n; i++)
		if (!starts_with(c->key.recipe.v[i], "cwd="))
			hasher_field(h, c->key.recipe.v[i], strlen(c->key.recipe.v[i]));
	hasher_final(h, &d);
	digest_hex(&d, hex);
	return asprintf(&name, "shape %s", hex) < 0 ? NULL : name;
}

/* Where else it was compiled; empty: nowhere that is known. */
static void
find_elsewhere(struct cached *c, struct buf *ret)
{
	_cleanup_(freep) char *name = shape_name(c);

	if (!name || memo_get_note(c->in.memo, name, ret) < 0 || ret->n >= PATH_MAX ||
		(ret->n == strlen(c->cwd) && memcmp(ret->p, c->cwd, ret->n) == 0))
		ret->n = 0;
}

int
cached_former_recipe(struct cached *c, struct strv *ret)
{
	_cleanup_(freep) char *name = recipe_name(c);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = name ? memo_get_note(c->in.memo, name, &b) : -ENOMEM;

	if (r < 0 || b.n == 0 || b.p[b.n - 1] != '\0')
		return r < 0 ? r : -ENOENT;
	for (const char *p = (char *)b.p; r == 0 && p < (char *)b.p + b.n; p += strlen(p) + 1)
		r = strv_add(ret, p);
	return r;
}

static struct outside_in
outside_in(const struct cached *c)
{
	return (struct outside_in){ c->in.memo, c->in.call, c->cwd, &c->key.recipe };
}

/* Whether the package, or one that it depends on, lies outside of the workspace, and the unit was
 * kept where both lay elsewhere. */
static bool
say_outside(const struct cached *c, struct cached_said *said)
{
	const struct outside_in in = outside_in(c);
	_cleanup_(freep) char *outside = c->in.call ? outside_find(&in) : NULL;
	_cleanup_(freep) char *before = outside ? outside_before(&in) : NULL;

	if (before)
		cached_why(said,
			"new here: it was compiled in %s; %s lies outside of the workspace, and "
			"cargo's own hashes tell where",
			before, outside);
	return before;
}

void
cached_note_recipe(struct cached *c)
{
	const struct outside_in in = outside_in(c);
	_cleanup_(freep) char *outside = c->in.call ? outside_find(&in) : NULL;
	_cleanup_(freep) char *name = recipe_name(c);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = name ? 0 : -ENOMEM;

	if (outside)
		outside_note(&in);
	for (size_t i = 0; r == 0 && i < c->key.recipe.n; i++)
		r = buf_add(&b, c->key.recipe.v[i], strlen(c->key.recipe.v[i]) + 1);
	if (r == 0)
		memo_set_note(c->in.memo, name, b.p, b.n);
	free(name);
	name = r == 0 ? shape_name(c) : NULL;
	if (name)
		memo_set_note(c->in.memo, name, c->cwd, strlen(c->cwd));
}

void
cached_say_new_key(struct cached *c, struct cached_said *said)
{
	_cleanup_(strv_done) struct strv former = STRV_INIT;
	_cleanup_(buf_done) struct buf elsewhere = BUF_INIT;
	_cleanup_(freep) char *what = NULL;
	bool outside = say_outside(c, said);

	if (cached_former_recipe(c, &former) < 0) {
		if (outside)
			return;
		find_elsewhere(c, &elsewhere);
		if (elsewhere.n > 0)
			cached_why(said,
				"new here: it was compiled in %.*s (paths = shared may find it)",
				(int)elsewhere.n, (const char *)elsewhere.p);
		else
			cached_why(said, c->run ? "new: it was not run here before"
						: "new: it was not compiled here before");
		return;
	}
	what = unit_key_difference(former.v, former.n, &c->key.recipe);
	if (what)
		cached_why(said, "%s", what);
	else
		cached_why(said, "new: %s",
			c->run ? "its last run was not kept, or is not in the cache any more"
			       : "its entry is not in the cache any more");
}

/* ---- looking up */

int
cached_read_entry(struct cached *c, const struct digest *key, struct entry *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = depot_read_entry(c->depot, key, &b);

	if (r == 0)
		r = entry_decode(b.p, b.n, key, ret);
	if (r == -EBADMSG)
		depot_drop_entry(c->depot, key);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		*ret = (struct entry)ENTRY_INIT;
	return 0;
}

static int
restore_text(const struct cached *c, const struct output *o, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = cached_show(c, &o->text, &b);

	return r < 0 ? r
		     : depot_put_text(b.p ? b.p : (uint8_t *)"", b.n,
			       output_mode_here(o->mode, c->mask), path);
}

int
cached_restore_outputs(
	struct cached *c, const struct result *res, const char *late, struct cached_said *said)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->n_outputs; i++) {
		const struct output *o = &res->outputs[i];
		_cleanup_(freep) char *path = path_join(
			late && ledger_is_late(o->name) ? late : c->out_dir, o->name);

		if (!path)
			return -ENOMEM;
		said->bytes += o->size;
		if (c->first.rmeta && streq(o->name, c->first.rmeta))
			continue;
		r = o->is_blob
			    ? depot_restore(c->depot, &o->digest, o->size, cached_way(c, o->name),
				      output_mode_here(o->mode, c->mask), path)
			    : restore_text(c, o, path);
		if (r < 0)
			cached_why(said, "%s cannot be put in place: %s", o->name,
				r == -ENOENT	? "it is not in the cache any more"
				: r == -EBADMSG ? "it was damaged"
						: strerror(-r));
	}
	return r;
}

void
cached_print(const struct cached *c, int fd, const struct buf *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (text->n > 0 && cached_show(c, text, &b) == 0)
		child_write(fd, b.p, b.n);
}

/* Of stderr, what was not printed yet. */
static void
print_rest(const struct cached *c, const struct buf *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (text->n > 0 && cached_show(c, text, &b) == 0 && b.n > c->first.text)
		child_write(STDERR_FILENO, b.p + c->first.text, b.n - c->first.text);
}

/* All outputs are there before the first is put in place: an evicted blob is found out in time. */
bool
cached_has_all(struct cached *c, const struct result *res)
{
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob &&
			!depot_has(c->depot, &res->outputs[i].digest, res->outputs[i].size))
			return false;
	for (size_t i = 0; i < res->n_temporaries; i++)
		if (!depot_has(c->depot, &res->temporaries[i].digest, res->temporaries[i].size))
			return false;
	return true;
}

/* By its dep-info, or its OUT_DIR. */
void
cached_note_together(struct cached *c)
{
	const struct rustc_call *call = c->in.call;
	const struct together_in in = { c->depot, c->in.memo, c->in.conf->client.cache_dir,
		c->target_dir };
	_cleanup_(freep) char *made = NULL;

	if (c->in.conf->client.cache != CACHE_ON || !c->target_dir ||
		streq(c->target_dir, c->out_dir) || !path_is_below(c->out_dir, c->target_dir))
		return;
	if (!call)
		made = strdup(c->out_dir);
	else if (asprintf(&made, "%s/%s%s.d", c->out_dir, call->crate_name,
			 call->extra_filename ? call->extra_filename : "") < 0)
		made = NULL;
	if (made)
		together_note(&in, &c->key.id, made + strlen(c->target_dir) + 1);
}

void
cached_mark_used(struct cached *c, const struct digest *key, const struct result *res)
{
	together_mark_result(c->depot, key, res);
	if (digest_eq(key, &c->key.id))
		cached_note_together(c);
}

bool
cached_is_believed(const struct cached *c, const struct result *res)
{
	char reason[DISTRUST_REASON_MAX];

	return !res->producer || !distrust_find(c->in.conf->client.cache_dir, res->producer, "",
					 (uint64_t)time(NULL), reason);
}

bool
cached_put_result(struct cached *c, const struct result *res, struct cached_said *said)
{
	struct cached_said now = { .why = "" };

	if (!cached_has_all(c, res)) {
		cached_why(said, "its outputs are not in the cache any more");
		return false;
	}
	if (cached_restore_outputs(c, res, NULL, &now) < 0) {
		cached_why(said, "%s", now.why);
		return false;
	}
	if (!cached_first_agrees(c, res)) {
		cached_why(said, "its library has other metadata than cargo was told of");
		depot_drop_entry(c->depot, &c->key.id);
		return false;
	}
	cached_print(c, STDOUT_FILENO, &res->out);
	print_rest(c, &res->err);
	said->status = (int)res->status;
	snprintf(said->producer, sizeof(said->producer), "%s", res->producer ? res->producer : "");
	said->saved_us = res->compile_us;
	said->bytes = now.bytes;
	*said->why = '\0';
	cached_mark_used(c, &c->key.id, res);
	return true;
}

/* Whether this result was put in place. */
static bool
try_result(struct cached *c, const struct entry *e, size_t i, struct cached_said *said)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;

	if (entry_result(e, i, &res) < 0 || res.n_links > 0 || res.run)
		return false;
	if (!cached_is_believed(c, &res)) {
		if (i == 0)
			cached_why(said, "a worker made it that is not believed any more");
		return false;
	}
	if (inputs_check(&res.inputs, &c->place, &why) < 0) {
		/* the latest one is what the user has in mind */
		if (i == 0)
			cached_why(said, "%s", why ? why : "no memory");
		return false;
	}
	return cached_put_result(c, &res, said);
}

static bool
find_same(const struct entry *e, const struct buf *result, size_t *ret)
{
	for (size_t i = 0; i < e->n_results; i++)
		if (e->results[i].n == result->n &&
			memcmp(e->results[i].p, result->p, result->n) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* A miss is explained by what was used last, and the least lately used is dropped first. */
void
cached_note_order(struct cached *c, struct entry *e, size_t i)
{
	_cleanup_(entry_done) struct entry now = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int lock = -1;

	if (c->in.conf->client.cache != CACHE_ON)
		return;
	/* as it is now: another process may have added to it since */
	lock = depot_lock_entry(c->depot, &e->key);
	if (cached_read_entry(c, &e->key, &now) < 0 || !find_same(&now, &e->results[i], &i))
		return;
	entry_make_first(&now, i);
	if (entry_encode(&now, &b) == 0)
		depot_write_entry(c->depot, &now.key, b.p, b.n);
}

bool
cached_lookup(struct cached *c, struct cached_said *said)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	bool hit = false;

	memset(said, 0, sizeof(*said));
	digest_hex(&c->key.id, said->key);
	if (c->in.conf->client.recache) {
		cached_why(said, "nothing was looked up (recache)");
		return false;
	}
	if (cached_read_entry(c, &c->key.id, &e) < 0) {
		cached_why(said, "no memory");
		return false;
	}
	for (size_t i = 0; !hit && i < e.n_results; i++) {
		hit = try_result(c, &e, i, said);
		if (hit && i > 0)
			cached_note_order(c, &e, i);
	}
	if (!hit && !*said->why)
		cached_say_new_key(c, said);
	return hit;
}

/* For `dray status`. */
static void
say_twin(const struct cached *c, struct notices_place *place)
{
	_cleanup_(freep) char *dir = path_join(c->in.conf->client.cache_dir, "slots");
	_cleanup_(closep) int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	const struct rustc_call *call = c->in.call;
	struct notice n;

	if (fd < 0)
		return;
	if (c->run)
		notice_make(&n, "script", c->run, c->out_dir);
	else
		notice_make_unit(&n, "compile", call->crate_name ? call->crate_name : "",
			call_kind_name(call));
	n.state = NOTICE_TWIN;
	(void)notices_begin(fd, &n, place);
}

bool
cached_wait_twin(struct cached *c)
{
	_cleanup_(notices_end) struct notices_place place = NOTICES_PLACE_INIT;
	int r;

	if (c->in.conf->client.cache != CACHE_ON || c->lock >= 0)
		return false;
	for (;;) {
		r = depot_lock(c->depot, &c->key.id, false, &c->lock);
		if (r != -EWOULDBLOCK)
			return r == 0 && c->twin_until > 0;
		if (c->twin_until == 0)
			c->twin_until = clock_mono_ms() + TWIN_WAIT_MS;
		else if (clock_mono_ms() > c->twin_until)
			return false;
		if (place.fd < 0)
			say_twin(c, &place);
		r = depot_wait(c->depot, &c->key.id, TWIN_LOOK_MS);
		if (r == 0)
			return true;
		if (r != -EAGAIN || child_signal() || depot_is_held_in_vain(c->depot, &c->key.id))
			return false;
	}
}
