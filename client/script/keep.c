/* Keeps a build script's run. Invariant: what is kept is what the script makes in an empty OUT_DIR,
 * and says all that it depends on. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/marks.h"
#include "cache/text.h"
#include "client/far/ask.h"
#include "client/script/place.h"
#include "client/script/run_priv.h"
#include "client/script/tree.h"
#include "client/wrap/target_dir.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/layout.h"
#include "common/text/why.h"
#include "toolchain/elf.h"

#define TRIM_FILES 4096
#define LEFT_MAX 256 /* of more it is enough to look for these */

static bool
is_in_out_dir(const struct input *in)
{
	return *in->name == INPUT_OUT_DIR_MARK && in->kind != INPUT_ENV;
}

/* dray itself, which a script finds as RUSTC_WRAPPER, becomes the compiler in it: another version
 * makes no other result. */
static bool
is_dray(const struct input *in)
{
	char real[PATH_MAX], own[PATH_MAX];

	return in->kind == INPUT_FILE && ends_with(in->name, "/dray") && realpath(in->name, real) &&
	       realpath("/proc/self/exe", own) && streq(real, own);
}

/* A hit empties OUT_DIR first. So what the script saw there is no input, if it saw that there was
 * nothing: either there was nothing, or not there where it looked. */
static int
leave_out_dir(struct run *r, struct inputs *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct input *in = &s->v[i];

		if (is_in_out_dir(in) && in->name[1] && !r->was_empty && in->kind != INPUT_ABSENT)
			return why_set(&r->not_stored, -ENOTSUP,
				"it looked at %s, which an earlier run left in OUT_DIR",
				in->name + 1);
	}
	for (size_t i = 0; i < s->n; i++) {
		struct input *in = &s->v[i];

		if (is_in_out_dir(in) || is_dray(in)) {
			free(in->name);
			buf_done(&in->value);
		} else {
			s->v[n++] = *in;
		}
	}
	s->n = n;
	return 0;
}

/* Whether cargo puts libraries of all kinds there while scripts run. The newer layout has a
 * directory for each unit; that of a script's run has another one, "run", beside it. */
static bool
is_filled_by_cargo(const char *dir)
{
	_cleanup_(freep) char *above = path_dirname(dir);
	_cleanup_(freep) char *run = above ? path_join(above, "run") : NULL;
	size_t profile;

	if (!run)
		return false;
	return target_dir_is_profile(dir) ||
	       (ends_with(dir, "/deps") && target_dir_is_profile(above)) ||
	       (layout_find(dir, &profile) == LAYOUT_UNIT && access(run, F_OK) < 0);
}

/* bindgen looks for libclang in all directories of LD_LIBRARY_PATH. What it found and opened there
 * is an input. */
static int
ignore_cargos_lists(struct cached *c)
{
	const char *s = getenv("LD_LIBRARY_PATH");
	int k = 0;

	for (size_t n; k == 0 && s && *s; s += n + (s[n] == ':')) {
		_cleanup_(freep) char *dir = strndup(s, n = strcspn(s, ":"));
		char real[PATH_MAX];

		if (!dir)
			return -ENOMEM;
		if (!path_is_below(dir, c->target_dir) || !is_filled_by_cargo(dir))
			continue;
		k = strv_add(&c->dirs, dir);
		if (k == 0 && realpath(dir, real) && !streq(real, dir))
			k = strv_add(&c->dirs, real);
	}
	return k;
}

/* The record is silent about listings of OUT_DIR: of what an earlier run left they would tell. */
static int
check_listings(struct run *r)
{
	const char *p = (const char *)r->seen.record.p, *end = p + r->seen.record.n;

	for (; !r->was_empty && p < end; p += strlen(p) + 1)
		if (*p == 'd' && (path_is_below(p + 1, r->c->out_dir) ||
					 path_is_below(p + 1, r->c->real_out_dir)))
			return why_set(&r->not_stored, -ENOTSUP,
				"it listed OUT_DIR, in which an earlier run left files");
	return 0;
}

/* By an instruction, which nothing sees: std's is_x86_feature_detected and what crates have for it.
 */
static bool
asks_processor(struct memo *memo, const char *program)
{
	static const char *const names[] = { "std_detect", "cpuid" };
	_cleanup_(buf_done) struct buf known = BUF_INIT;
	char hex[DIGEST_HEX_SIZE], note[DIGEST_HEX_SIZE + 32];
	struct digest d;
	char asks;

	if (memo_digest_file(memo, program, &d, NULL) < 0)
		return true;
	digest_hex(&d, hex);
	snprintf(note, sizeof(note), "asks processor %s", hex);
	if (memo_get_note(memo, note, &known) == 0 && known.n == 1)
		return known.p[0] == '1';
	asks = text_file_has_any(program, names, ARRAY_LEN(names)) != 0 ? '1' : '0';
	memo_set_note(memo, note, &asks, 1);
	return asks == '1';
}

static int
add_inputs(struct run *r, struct result *res, struct strv *made)
{
	struct cached *c = r->c;
	struct inputs_from from = { .place = &c->place,
		.ignored_lists = &c->dirs,
		.cwd = c->cwd,
		.run = true,
		.walks_environ = elf_uses_symbol(r->argv.v[0], "environ") != 0,
		.asks_processor = asks_processor(r->memo, r->argv.v[0]),
		.started = c->started };
	int k = check_listings(r);

	if (k == 0)
		k = ignore_cargos_lists(c);
	if (k == 0)
		k = inputs_from_record(&from, &r->seen.record, &res->inputs, made, &r->not_stored);
	if (k == -EBADMSG && !r->not_stored)
		return why_set(&r->not_stored, k, "its trace is not whole");
	return k < 0 ? k : leave_out_dir(r, &res->inputs);
}

static int
add_text(struct run *r, const struct place_ways *ways, const struct buf *text, struct buf *to,
	const char *name, bool *bound)
{
	int k = marks_hide(&r->c->place, text->p, text->n, to);

	if (k < 0 && k != -EBADMSG)
		return k;
	if (k == 0 && !place_ways_in(ways, to)) {
		keep_look_for_home(&r->c->keep, to);
		return 0;
	}
	buf_done(to);
	if (keep_has_mark(&r->c->keep, text))
		return why_set(&r->not_stored, -ENOTSUP, "an odd character in its text");
	*bound = true;
	if (!r->bound)
		r->bound = strdup(name);
	return buf_add(to, text->p, text->n);
}

/* How it was called, for `dray verify`. */
static int
add_call(struct run *r, struct result *res)
{
	int k = strv_add_all(&res->argv, r->argv.v);

	if (k == 0)
		k = place_cargo_env(r->c->place.envp, &res->env);
	if (k == 0) {
		res->cwd = strdup(r->c->cwd);
		res->from = strdup("local");
		res->rustc = strdup("");
	}
	res->time_s = (uint64_t)time(NULL);
	res->compile_us = r->run_us;
	return k < 0 ? k : res->cwd && res->from && res->rustc ? 0 : -ENOMEM;
}

/* ---- what it left in temporary directories */

/* Adds what of these paths is there and not in OUT_DIR, each by the topmost directory that was made
 * for it. */
static int
find_left(const struct cached *c, const struct strv *made, struct strv *ret)
{
	int k = 0;

	for (size_t i = 0; k == 0 && i < made->n && ret->n < LEFT_MAX; i++) {
		_cleanup_(freep) char *top = NULL;
		struct stat st;

		if (path_is_below(made->v[i], c->out_dir) ||
			path_is_below(made->v[i], c->real_out_dir) || lstat(made->v[i], &st) < 0)
			continue;
		top = strdup(made->v[i]);
		for (char *up; top && (up = path_dirname(top));) {
			if (!strv_has(made, up)) {
				free(up);
				break;
			}
			free(top);
			top = up;
		}
		k = !top ? -ENOMEM : strv_has(ret, top) ? 0 : strv_add(ret, top);
	}
	return k;
}

static bool
names_any(const struct buf *b, const struct strv *what)
{
	for (size_t i = 0; b->n && i < what->n; i++)
		if (memmem(b->p, b->n, what->v[i], strlen(what->v[i])))
			return true;
	return false;
}

/* Something may read what the run left, where the run tells of it; it would not be put back. */
static int
check_left(struct run *r, const struct strv *made, const struct result *res)
{
	_cleanup_(strv_done) struct strv left = STRV_INIT;
	int k = find_left(r->c, made, &left);
	const char *told = NULL;

	if (k < 0 || left.n == 0)
		return k;
	if (names_any(&r->seen.out, &left) || names_any(&r->seen.err, &left))
		told = "its text";
	for (size_t i = 0; !told && i < res->n_outputs; i++) {
		const struct output *o = &res->outputs[i];
		_cleanup_(freep) char *path = path_join(r->c->out_dir, o->name);

		if (!path)
			return -ENOMEM;
		if (o->kind == OUTPUT_DIR)
			continue;
		if (o->kind == OUTPUT_LINK
				? names_any(&o->text, &left)
				: text_file_has_any(path, (const char *const *)left.v, left.n) != 0)
			told = o->name;
	}
	return !told ? 0
		     : why_set(&r->not_stored, -ENOTSUP, "it left %s, and tells of it in %s",
			       left.v[0], told);
}

/* What it made may be taken to another checkout, unless it tells where this one is; and to another
 * user, unless it tells of cargo's home. */
static int
tie_to_places(struct run *r, struct result *res)
{
	struct cached *c = r->c;
	int k = 0;

	for (size_t i = 0; k == 0 && i < res->n_outputs; i++) {
		const struct output *o = &res->outputs[i];
		_cleanup_(freep) char *path = o->kind == OUTPUT_FILE
						      ? path_join(c->out_dir, o->name)
						      : NULL;

		if (o->kind == OUTPUT_FILE)
			k = path ? keep_look_above(&c->keep, path) : -ENOMEM;
		else if (o->kind == OUTPUT_LINK)
			k = keep_look_above_text(&c->keep, &o->text);
	}
	if (k == 0)
		k = keep_look_above_text(&c->keep, &r->seen.out);
	if (k == 0)
		k = keep_look_above_text(&c->keep, &r->seen.err);
	if (k == 0)
		k = keep_look_at_inputs(&c->keep, &res->inputs);
	if (k == 0)
		k = keep_look_for_names(&c->keep, res, r->argv.v[0]);
	return k < 0 ? k : keep_add_places(&c->keep, res);
}

static bool
has_longer_name(const char *path, const char *dir)
{
	return dir && starts_with(path, dir) && path[strlen(dir)] && path[strlen(dir)] != '/';
}

/* A C compiler takes letters for the prefix that it maps, and no whole names: what lies beside a
 * place by a longer name ("ws-include" beside "ws") has got a name that another place does not
 * give it. */
static bool
is_named_wrong(const struct run *r, const char *path)
{
	const struct inputs_place *p = &r->c->place;

	return has_longer_name(path, p->target_dir) || has_longer_name(path, p->real_target_dir) ||
	       has_longer_name(path, p->workspace);
}

static bool
has_wrong_names(const struct run *r, const struct result *res)
{
	bool has = is_named_wrong(r, r->c->cwd);

	for (size_t i = 0; !has && i < res->inputs.n; i++)
		has = res->inputs.v[i].kind == INPUT_FILE &&
		      is_named_wrong(r, res->inputs.v[i].name);
	return has && r->maps.n > 0;
}

static int
make_result(struct run *r, struct result *res)
{
	_cleanup_(place_ways_done) struct place_ways ways = { .n = 0 };
	_cleanup_(strv_done) struct strv made = STRV_INIT;
	struct cached *c = r->c;
	struct tree t = {
		.place = &c->place, .ways = &ways, .depot = c->depot, .started = &c->started
	};
	bool bound = false;
	int k;

	res->run = true;
	k = place_ways_find(&c->place, c->cwd, &ways);
	ways.mapped = r->maps.n > 0;
	if (k == 0)
		k = add_inputs(r, res, &made);
	if (k == 0)
		k = tree_keep(&t, r->was_empty ? NULL : &made, res, &r->not_stored);
	r->bound = steal_ptr(t.bound_by);
	if (k == 0)
		k = check_left(r, &made, res);
	if (k == 0)
		k = add_text(r, &ways, &r->seen.out, &res->out, "stdout", &bound);
	if (k == 0)
		k = add_text(r, &ways, &r->seen.err, &res->err, "stderr", &bound);
	/* which of its two names is meant nobody looked */
	c->keep.names_real = true;
	bound |= t.bound || has_wrong_names(r, res);
	if (k == 0 && bound)
		k = keep_add_bound(&c->keep, res);
	if (k == 0 && t.names_unit)
		k = keep_add_place(res, INPUT_UNIT_NAME, inputs_unit_way(&c->place));
	c->keep.named |= bound ? inputs_places(&c->place) : t.named;
	if (k == 0)
		k = tie_to_places(r, res);
	r->said.bytes = t.bytes;
	return k < 0 ? k : add_call(r, res);
}

static void
offer(struct run *r, const struct result *res)
{
	_cleanup_(strv_done) struct strv env = STRV_INIT;

	cached_note_together(r->c);
	if (far_may_write(r->conf) && place_cargo_env(r->marked.v, &env) == 0)
		cached_offer(r->c, &r->c->key.id, res, env.v, &r->far);
}

void
run_keep(struct run *r, int status)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	uint64_t start = clock_mono_us();
	int k = 0;

	r->said.bytes = 0;
	if (r->not_stored)
		return;
	if (r->conf->client.cache != CACHE_ON)
		k = why_set(&r->not_stored, -EROFS, "the cache is only read");
	else if (status != 0)
		k = why_set(&r->not_stored, -ENOTSUP, "it failed");
	else
		k = make_result(r, &res);
	if (k == 0)
		k = cached_write_result(r->c, &r->c->key, &res);
	if (k < 0 && !r->not_stored)
		why_set(&r->not_stored, k, "%s", strerror(-k));
	if (r->not_stored)
		run_give_up(r);
	else
		offer(r, &res);
	cached_note_recipe(r->c);
	depot_trim(r->c->depot, TRIM_FILES);
	r->store_us = clock_mono_us() - start;
}
