/* Bundles: what the farm made of a unit before its link.
 *
 * A bundle's key is without the choice of a linker, and its inputs are what the compile read. The
 * link reads what it reads when it is made: so another linker, or an archive that the compile never
 * looked into, makes another link and no other compile.
 *
 * Invariant: a bundle is linked only where the compiler, run now, would call its linker with these
 * very arguments and these very temporaries; and where it is not, nothing of it stays. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cache/text.h"
#include "client/cached/cached_priv.h"
#include "client/link/link.h"
#include "client/wrap/ledger.h"
#include "common/fs.h"
#include "common/log/log.h"

/* Whether nothing of the link's inputs can have been taken out of an rlib. */
static bool
is_all_its_own(const struct cached *c, const struct strv *temporaries)
{
	for (size_t i = 0; i < temporaries->n; i++)
		if (!keep_is_own_temporary(temporaries->v[i] + strlen(c->out_dir) + 1))
			return false;
	return true;
}

/* ---- putting in place */

int
cached_show_link(const struct cached *c, const struct buf *link, struct buf *to)
{
	_cleanup_(buf_done) struct buf own = BUF_INIT;
	int r;

	if (c->in.mapping)
		return cached_show(c, link, to);
	r = text_show(link->p, link->n, c->out_dir, &own);
	return r < 0 ? r : text_show_as(INPUT_TARGET_DIR_MARK, own.p, own.n, c->target_dir, to);
}

/* What link_run reads; and what it will remove, to *listed. */
static int
stage_links(struct cached *c, struct ledger *ret, struct strv *listed)
{
	const struct result *res = &c->bundle;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < res->n_links; i++) {
		_cleanup_(link_call_done) struct link_call l = { 0 };
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(freep) char *path = NULL;

		if (asprintf(&path, "%s/link-%u", ret->staging, i) < 0)
			path = NULL;
		r = path ? cached_show_link(c, &res->links[i], &b) : -ENOMEM;
		if (r == 0)
			r = link_call_parse(b.p, b.n, c->out_dir, c->in.call, &l);
		if (r == 0 && l.temporaries.n > 0)
			r = strv_add_all(listed, l.temporaries.v);
		if (r == 0)
			r = fs_write_atomic(path, b.p, b.n, 0600);
		if (r == 0)
			ret->n_links = i + 1;
	}
	return r;
}

static bool
is_temporary(const struct cached *c, const char *path)
{
	const char *name = path + strlen(c->out_dir) + 1;

	for (size_t i = 0; i < c->bundle.n_temporaries; i++)
		if (streq(c->bundle.temporaries[i].name, name))
			return true;
	return false;
}

/* Those listed that are no files: a directory comes after what is in it. */
static int
make_dirs(const struct cached *c, const struct strv *listed)
{
	for (size_t i = listed->n; i-- > 0;)
		if (!is_temporary(c, listed->v[i]) && mkdir(listed->v[i], 0700) < 0 &&
			errno != EEXIST)
			return -errno;
	return 0;
}

/* One that is not listed would stay behind. */
static int
place_temporaries(struct cached *c, const struct strv *listed)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->bundle.n_temporaries; i++) {
		const struct output *o = &c->bundle.temporaries[i];
		_cleanup_(freep) char *path = path_join(c->out_dir, o->name);

		if (!path)
			return -ENOMEM;
		if (!strv_has(listed, path))
			return -EBADMSG;
		r = depot_restore(c->depot, &o->digest, o->size, DEPOT_SHARE,
			output_mode_here(o->mode, c->mask), path);
	}
	return r;
}

static int
stage(struct cached *c, struct ledger *ret)
{
	_cleanup_(strv_done) struct strv listed = STRV_INIT;
	struct cached_said said = { .bytes = 0 };
	int r = ledger_make_staging(ret, c->out_dir, getpid());
	_cleanup_(freep) char *late = path_join(ret->staging, LEDGER_LATE);

	if (r == 0 && (!late || mkdir(late, 0700) < 0))
		r = late ? -errno : -ENOMEM;
	if (r == 0)
		r = stage_links(c, ret, &listed);
	if (r == 0)
		r = make_dirs(c, &listed);
	if (r == 0)
		r = place_temporaries(c, &listed);
	return r < 0 ? r : cached_restore_outputs(c, &c->bundle, late, &said);
}

/* Whether this one is in place now. */
static bool
try_bundle(struct cached *c, const struct entry *e, size_t i, struct ledger *ret)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	result_done(&c->bundle);
	if (entry_result(e, i, &c->bundle) < 0 || c->bundle.n_links == 0 ||
		!cached_is_believed(c, &c->bundle) ||
		inputs_check(&c->bundle.inputs, &c->place, &why) < 0 ||
		!cached_has_all(c, &c->bundle))
		return false;
	memset(ret, 0, sizeof(*ret));
	r = stage(c, ret);
	if (r == 0) {
		cached_mark_used(c, &c->bundle_key.id, &c->bundle);
		return true;
	}
	log_debug("a bundle cannot be put in place: %s", strerror(-r));
	link_clean(c->in.call, ret);
	cached_drop_bundle(c);
	return false;
}

/* A note in the memo: some bundle was kept in this cache. Without one there is no key to make, for
 * which every extern is read. */
static const char some_kept[] = "bundles";

/* No memo has no notes. */
static bool
may_have_any(struct cached *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return !c->in.memo || memo_get_note(c->in.memo, some_kept, &b) == 0;
}

void
cached_note_bundles(struct cached *c)
{
	memo_set_note(c->in.memo, some_kept, "1", 1);
}

bool
cached_stage_bundle(struct cached *c, struct ledger *ret)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	bool staged = false;

	memset(ret, 0, sizeof(*ret));
	if (!c->in.call->calls_linker || c->in.conf->client.recache || !may_have_any(c) ||
		cached_bundle_key(c) < 0 || cached_read_entry(c, &c->bundle_key.id, &e) < 0 ||
		e.n_results == 0)
		return false;
	/* before anything is looked at that the link will read */
	cached_begin(c);
	for (size_t i = 0; !staged && i < e.n_results; i++) {
		staged = try_bundle(c, &e, i, ret);
		if (staged && i > 0)
			cached_note_order(c, &e, i);
	}
	return staged;
}

/* ---- afterwards */

void
cached_drop_bundle(struct cached *c)
{
	for (size_t i = 0; i < c->bundle.n_outputs; i++) {
		const char *name = c->bundle.outputs[i].name;
		_cleanup_(freep) char *path = path_join(c->out_dir, name);

		if (path && !ledger_is_late(name))
			unlink(path);
	}
	result_done(&c->bundle);
}

void
cached_say_bundle(struct cached *c, struct cached_said *said)
{
	const struct result *res = &c->bundle;

	cached_print(c, STDOUT_FILENO, &res->out);
	cached_print(c, STDERR_FILENO, &res->err);
	cached_print(c, STDERR_FILENO, &res->tail);
	*said->why = '\0';
	snprintf(said->producer, sizeof(said->producer), "%s", res->producer ? res->producer : "");
	said->status = 0;
	said->saved_us = res->compile_us;
	said->bytes = 0;
	for (size_t i = 0; i < res->n_outputs; i++)
		said->bytes += res->outputs[i].size;
	for (size_t i = 0; i < res->n_temporaries; i++)
		said->bytes += res->temporaries[i].size;
}

/* As if the compile had made it: what was there for the link is no input. */
static int
add_made(const struct cached *c, const struct output *v, size_t n, struct buf *record)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_(freep) char *path = path_join(c->out_dir, v[i].name);
		const char *slash = strchr(v[i].name, '/');

		if (!path)
			return -ENOMEM;
		r = buf_addf(record, "w%s%c", path, '\0');
		if (r == 0 && slash)
			r = buf_addf(record, "w%s/%.*s%c", c->out_dir, (int)(slash - v[i].name),
				v[i].name, '\0');
	}
	return r;
}

static int
make_record(const struct cached *c, const struct buf *linked, struct buf *record)
{
	const struct result *res = &c->bundle;
	int r = add_made(c, res->outputs, res->n_outputs, record);

	if (r == 0)
		r = add_made(c, res->temporaries, res->n_temporaries, record);
	if (r == 0)
		r = cached_add_linked(linked, record);
	return r < 0 ? r : buf_add(record, "e0", sizeof("e0"));
}

bool
cached_keep_linked(struct cached *c, const struct buf *linked, uint64_t link_us,
	struct cached_said *said, struct cached_far *far)
{
	const struct result *res = &c->bundle;
	_cleanup_(buf_done) struct buf record = BUF_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(buf_done) struct buf err = BUF_INIT;
	struct cached_made made = { .record = &record,
		.out = &out,
		.err = &err,
		.from = res->from,
		.producer = res->producer,
		.compile_us = res->compile_us + link_us,
		.known = &res->inputs };
	uint64_t bytes = said->bytes;
	bool kept;
	int r = make_record(c, linked, &record);

	if (r == 0)
		r = cached_show(c, &res->out, &out);
	if (r == 0)
		r = cached_show(c, &res->err, &err);
	if (r == 0)
		r = cached_show(c, &res->tail, &err);
	if (r < 0) {
		cached_why(said, "%s", strerror(-r));
		return false;
	}
	kept = cached_keep(c, &made, said, far);
	/* what was restored counts */
	said->bytes = bytes;
	return kept;
}

/* ---- keeping one */

/* Whether the linkers' records say that they changed one of these; or do not say all. */
static bool
has_changed(const struct buf *linked, const struct strv *temporaries)
{
	const char *p = (const char *)linked->p, *end = p + linked->n;

	for (; p < end; p += strlen(p) + 1)
		if (*p == '!' || (*p == 'w' && strv_has(temporaries, p + 1)))
			return true;
	return linked->n == 0;
}

/* Whether its links' inputs are as the farm made them; *metadata: whether none comes out of an
 * rlib. */
static bool
is_as_it_came(const struct cached *c, const struct ledger *staged, const struct buf *linked,
	bool *metadata)
{
	for (unsigned i = 0; i < staged->n_links; i++) {
		_cleanup_(link_call_done) struct link_call l = { 0 };
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		char name[32];

		snprintf(name, sizeof(name), "link-%u", i);
		if (cached_read_staged(staged, name, &b) < 0 ||
			link_call_parse(b.p, b.n, c->out_dir, c->in.call, &l) < 0 ||
			has_changed(linked, &l.temporaries))
			return false;
		*metadata &= is_all_its_own(c, &l.temporaries);
	}
	return true;
}

bool
cached_keep_bundle(struct cached *c, const struct ledger *staged, const struct buf *linked)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(buf_done) struct buf err = BUF_INIT;
	_cleanup_(buf_done) struct buf tail = BUF_INIT;
	struct cached_made made = { .record = &record,
		.out = &out,
		.err = &err,
		.tail = &tail,
		.from = "farm",
		.producer = staged->worker_key,
		.metadata = call_takes_metadata(c->in.call),
		.compile_us = staged->compile_us,
		.staged = staged };
	struct cached_said said = { .why = "" };
	struct cached_far far = { .why = "" };

	if (!is_as_it_came(c, staged, linked, &made.metadata) ||
		cached_read_staged(staged, FARM_RECORD, &record) < 0 ||
		cached_read_staged(staged, FARM_RECORD_OUT, &out) < 0 ||
		cached_read_staged(staged, FARM_RECORD_ERR, &err) < 0 ||
		cached_read_staged(staged, "tail", &tail) < 0)
		return false;
	if (cached_keep(c, &made, &said, &far)) {
		cached_note_bundles(c);
		return true;
	}
	log_debug("the bundle is not kept: %s", said.why);
	return false;
}
