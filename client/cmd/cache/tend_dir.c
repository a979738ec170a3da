/* A directory that is a store, looked after.
 *
 * Invariants: reading changes nothing there, also not when it was used. An output is removed only
 * if no entry that was seen names it, or its age is a reason by itself: what is lacking is a miss
 * for a reader, and never wrong. */
#include "config.h"

#include "client/cmd/cache/tend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cache/shared.h"
#include "client/cmd/doctor/probe.h"
#include "cache/list.h"
#include "common/fs.h"
#include "store/admin/walk.h"
#include "store/shared_dir.h"
#include "store/url.h"

/* An upload puts outputs before the entry that names them. */
#define YOUNG_S 86400

struct dir {
	struct tend *t;
	json_t *o;
	const char *path, *below;
	char *tmp;
	struct store *reads, *writes;
	struct walk entries, blobs;
	struct trust trust; /* with the list that is in it */
	struct names there, named, dropped;
	uint64_t lists; /* of builds, which are no entries */
	bool unsure;	/* there are entries whose outputs are not known */
};

typedef int (*entry_fn)(
	struct dir *d, const struct walk_object *o, struct shared_entry *e, int error);

/* The list of keys, and what doctor wrote. */
static bool
is_reserved(const struct digest *name)
{
	struct digest keys, probe;

	return (keys_object_name(&keys) == 0 && digest_eq(&keys, name)) ||
	       (probe_name(&probe) == 0 && digest_eq(&probe, name));
}

static int
each_entry(struct dir *d, entry_fn fn)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->entries.n; i++) {
		_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		const struct walk_object *o = &d->entries.v[i];
		int error;

		cmd_progress(&d->t->progress, "entries", i, d->entries.n);
		if (is_reserved(&o->name))
			continue;
		error = store_read_now(d->reads, STORE_ENTRY, &o->name, SHARED_MAX, &b);
		if (error == 0 && list_is(b.p, b.n)) {
			d->lists++; /* a build's */
			continue;
		}
		if (error == 0)
			error = shared_entry_decode(b.p, b.n, &o->name, &e);
		if (error == -ENOENT)
			continue;
		if (error == -ENOMEM)
			return error;
		d->unsure |= error < 0 && error != -EBADMSG && error != -EFBIG;
		r = fn(d, o, &e, error);
	}
	return r;
}

static int
add_blobs(struct names *to, const struct result *res)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->n_outputs; i++)
		if (res->outputs[i].is_blob)
			r = names_add(to, &res->outputs[i].digest);
	for (size_t i = 0; r == 0 && i < res->n_temporaries; i++)
		r = names_add(to, &res->temporaries[i].digest);
	return r;
}

static bool
lacks_blobs(const struct dir *d, const struct result *res)
{
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob && !names_has(&d->there, &res->outputs[i].digest))
			return true;
	for (size_t i = 0; i < res->n_temporaries; i++)
		if (!names_has(&d->there, &res->temporaries[i].digest))
			return true;
	return false;
}

/* Damage, and what is not known: whether there is anything in it to look at. */
static bool
count_error(struct dir *d, int error)
{
	if (error == 0)
		return true;
	if (error == -EPROTONOSUPPORT)
		tend_add(d->o, "later", 1);
	else if (error == -EBADMSG || error == -EFBIG)
		tend_add(d->o, "damaged", 1);
	else
		tend_error(d->o, "an entry cannot be read: %s", strerror(-error));
	return false;
}

static enum trust_verdict
judge(const struct dir *d, const struct shared_said *s)
{
	return trust_judge(&d->trust, s->seal.producer, s->seal.kind, s->namespace);
}

static void
producer_hex(const struct shared_said *s, char ret[DIGEST_HEX_SIZE])
{
	struct digest key;

	memcpy(key.b, s->seal.producer, SIGN_KEY_SIZE);
	digest_hex(&key, ret);
}

static int
remove_one(struct dir *d, const struct walk_object *o)
{
	int r = walk_remove(d->path, d->below, o);

	if (r < 0 && r != -EAGAIN)
		tend_error(d->o, "there are files that cannot be removed: %s", strerror(-r));
	return r;
}

/* ---- status */

static void
set_files(const struct dir *d, json_t *o)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < d->entries.n; i++)
		bytes += d->entries.v[i].size;
	for (size_t i = 0; i < d->blobs.n; i++)
		bytes += d->blobs.v[i].size;
	tend_set(o, "entries", d->entries.n);
	tend_set(o, "outputs", d->blobs.n);
	tend_set(o, "bytes", bytes);
}

static int
status_entry(struct dir *d, const struct walk_object *o, struct shared_entry *e, int error)
{
	(void)o;
	if (!count_error(d, error))
		return 0;
	for (size_t i = 0; i < e->n; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		char hex[DIGEST_HEX_SIZE];
		struct shared_said s;
		int r = shared_look(e, i, &s, &res);

		if (r == -ENOMEM)
			return r;
		tend_add(d->o, r < 0 || !s.right ? "forged" : "results", 1);
		if (r < 0 || !s.right)
			continue;
		producer_hex(&s, hex);
		tend_count_maker(&d->trust.keys, d->o, s.namespace, trust_kind_name(s.seal.kind),
			hex, judge(d, &s));
	}
	return 0;
}

static int
do_status(struct dir *d)
{
	uint64_t all = 0;
	int r;

	set_files(d, d->o);
	r = each_entry(d, status_entry);
	for (size_t i = 0; i < d->entries.n; i++)
		all += !is_reserved(&d->entries.v[i].name);
	tend_set(d->o, "entries", all - d->lists);
	tend_set(d->o, "lists", d->lists);
	return r;
}

/* ---- verify */

/* What is wrong goes, where it may. */
static void
discard(struct dir *d, const struct walk_object *o)
{
	if (d->writes && remove_one(d, o) == 0)
		tend_add(d->o, "removed", 1);
}

static int
rewrite(struct dir *d, const struct walk_object *o, struct shared_entry *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (e->n == 0)
		return remove_one(d, o);
	r = shared_entry_encode(e, &b);
	if (r == 0)
		r = store_put_entry_now(d->writes, &e->key, b.p, b.n);
	if (r < 0)
		tend_error(d->o, "an entry cannot be written: %s", strerror(-r));
	return r;
}

static int
verify_entry(struct dir *d, const struct walk_object *o, struct shared_entry *e, int error)
{
	uint64_t forged = 0;

	if (!count_error(d, error)) {
		if (error == -EBADMSG || error == -EFBIG)
			discard(d, o);
		return 0;
	}
	tend_add(d->o, "entries", 1);
	for (size_t i = e->n; i-- > 0;) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		struct shared_said s;
		int r = shared_look(e, i, &s, &res);

		if (r == -ENOMEM)
			return r;
		if (r < 0 || !s.right) {
			shared_entry_drop(e, i);
			forged++;
			continue;
		}
		tend_add(d->o, "results", 1);
		tend_add(d->o, "untrusted", judge(d, &s) != TRUST_OK);
		tend_add(d->o, "lacking", lacks_blobs(d, &res));
	}
	tend_add(d->o, "forged", forged);
	if (forged && d->writes && rewrite(d, o, e) == 0)
		tend_add(d->o, "removed", forged);
	return 0;
}

static int
verify_blobs(struct dir *d)
{
	for (size_t i = 0; i < d->blobs.n; i++) {
		const struct walk_object *o = &d->blobs.v[i];
		_cleanup_(closep) int fd = -1;
		uint64_t size = 0;

		cmd_progress(&d->t->progress, "outputs", i, d->blobs.n);
		fd = store_get_now(d->reads, STORE_BLOB, &o->name, SHARED_BYTES_MAX, &size);
		if (fd >= 0) {
			tend_add(d->o, "outputs", 1);
			tend_add(d->o, "bytes", size);
		} else if (fd == -EBADMSG) {
			tend_add(d->o, "damaged", 1);
			discard(d, o);
		} else if (fd != -ENOENT) {
			tend_error(d->o, "an output cannot be read: %s", strerror(-fd));
		}
	}
	return 0;
}

static int
do_verify(struct dir *d)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->blobs.n; i++)
		r = names_add(&d->there, &d->blobs.v[i].name);
	names_sort(&d->there);
	if (r == 0)
		r = each_entry(d, verify_entry);
	return r < 0 ? r : verify_blobs(d);
}

/* ---- purge */

static bool
is_meant(const struct tend *t, const struct shared_said *s)
{
	char hex[DIGEST_HEX_SIZE];

	producer_hex(s, hex);
	return (!t->namespace || streq(t->namespace, s->namespace)) &&
	       (!t->producer || streq(t->producer, hex)) &&
	       (!t->before_s || s->seal.time_s < t->before_s);
}

static int
purge_entry(struct dir *d, const struct walk_object *o, struct shared_entry *e, int error)
{
	uint64_t dropped = 0;

	if (error < 0)
		return 0;
	for (size_t i = e->n; i-- > 0;) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		struct shared_said s;
		int r = shared_look(e, i, &s, &res);
		bool meant = r == 0 && is_meant(d->t, &s);

		if (r == 0)
			r = add_blobs(meant ? &d->dropped : &d->named, &res);
		if (r == -ENOMEM)
			return r;
		if (meant) {
			shared_entry_drop(e, i);
			dropped++;
		}
	}
	if (dropped && rewrite(d, o, e) == 0) {
		tend_add(d->o, "results", dropped);
		tend_add(d->o, "entries", 1);
	}
	return 0;
}

static void
remove_blob(struct dir *d, const struct walk_object *o)
{
	if (remove_one(d, o) < 0)
		return;
	tend_add(d->o, "outputs", 1);
	tend_add(d->o, "bytes", o->size);
}

/* With the outputs that no result names any more. */
static int
do_purge(struct dir *d)
{
	int r = each_entry(d, purge_entry);

	names_sort(&d->named);
	names_sort(&d->dropped);
	for (size_t i = 0; r == 0 && !d->unsure && i < d->blobs.n; i++)
		if (names_has(&d->dropped, &d->blobs.v[i].name) &&
			!names_has(&d->named, &d->blobs.v[i].name))
			remove_blob(d, &d->blobs.v[i]);
	return r;
}

/* ---- gc */

static int
note_entry(struct dir *d, const struct walk_object *o, struct shared_entry *e, int error)
{
	(void)o;
	for (size_t i = 0; error == 0 && i < e->n; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		struct shared_said s;
		int r = shared_look(e, i, &s, &res);

		if (r == 0)
			r = add_blobs(&d->named, &res);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

/* By use: of both kinds what is older than that, then the oldest until within max. */
static int
remove_old(struct dir *d)
{
	_cleanup_(walk_done) struct walk all = WALK_INIT;
	uint64_t bytes = 0, max = d->t->max;
	int r = walk_add(d->path, d->below, STORE_ENTRY, &all);

	if (r == 0)
		r = walk_add(d->path, d->below, STORE_BLOB, &all);
	walk_sort_by_use(&all);
	for (size_t i = 0; i < all.n; i++)
		bytes += all.v[i].size;
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		const struct walk_object *o = &all.v[i];

		if (o->used_s >= (int64_t)d->t->unused_since_s && (!max || bytes <= max))
			break;
		if (o->kind == STORE_ENTRY && is_reserved(&o->name))
			continue;
		if (remove_one(d, o) == 0)
			bytes -= o->size;
	}
	return r;
}

static int
list(struct dir *d)
{
	int r;

	walk_done(&d->entries);
	walk_done(&d->blobs);
	r = walk_add(d->path, d->below, STORE_ENTRY, &d->entries);
	return r < 0 ? r : walk_add(d->path, d->below, STORE_BLOB, &d->blobs);
}

/* Outputs that no entry names. */
static int
remove_unnamed(struct dir *d)
{
	int64_t young = (int64_t)time(NULL) - YOUNG_S;
	int r = each_entry(d, note_entry);

	names_sort(&d->named);
	for (size_t i = 0; r == 0 && !d->unsure && i < d->blobs.n; i++)
		if (d->blobs.v[i].used_s < young && !names_has(&d->named, &d->blobs.v[i].name))
			remove_one(d, &d->blobs.v[i]);
	return r;
}

static int
do_gc(struct dir *d)
{
	json_t *before = json_object(), *after = json_object();
	int r;

	set_files(d, before);
	json_object_set_new(d->o, "before", before);
	r = remove_old(d);
	if (r == 0)
		r = list(d);
	if (r == 0)
		r = remove_unnamed(d);
	if (r == 0)
		r = list(d);
	set_files(d, after);
	json_object_set_new(d->o, "after", after);
	return r;
}

/* ---- */

static int
open_stores(struct dir *d, const struct store_url *u, bool read_only)
{
	struct store_url reads = *u;
	char ro[] = "ro";
	int r;

	d->tmp = path_join(d->t->conf->client.cache_dir, "tmp");
	r = d->tmp ? fs_mkdir_p(d->tmp, 0700) : -ENOMEM;
	reads.params[STORE_PARAM_MODE] = ro;
	if (r == 0)
		r = store_open(&store_shared_dir,
			&(struct store_in){ .url = &reads, .tmp = d->tmp }, &d->reads);
	if (r == 0 && !read_only)
		r = store_open(&store_shared_dir, &(struct store_in){ .url = u, .tmp = d->tmp },
			&d->writes);
	return r;
}

/* What its list of keys says counts as well. */
static int
load_trust(struct dir *d)
{
	_cleanup_(keys_object_done) struct keys_object keys = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest name;
	int r = keys_object_name(&name);

	d->trust.level = d->t->trust.level;
	if (r == 0)
		r = trust_keys_add(&d->trust.keys, &d->t->trust.keys);
	if (r < 0)
		return r;
	if (store_read_now(d->reads, STORE_ENTRY, &name, KEYS_OBJECT_MAX, &b) == 0 &&
		keys_object_read(b.p, b.n, &d->t->trust.keys, (uint64_t)time(NULL), 0, &keys) == 0)
		r = trust_keys_add(&d->trust.keys, &keys.keys);
	return r;
}

void
tend_dir(struct tend *t, const struct store_url *u, bool read_only, json_t *o)
{
	static int (*const what[TEND_N])(struct dir *) = { [TEND_STATUS] = do_status,
		[TEND_GC] = do_gc,
		[TEND_VERIFY] = do_verify,
		[TEND_PURGE] = do_purge };
	struct dir d = {
		.t = t, .o = o, .path = u->path, .below = store_url_get(u, STORE_PARAM_BELOW)
	};
	int r;

	if (read_only && (t->what == TEND_GC || t->what == TEND_PURGE)) {
		tend_error(o, "it is only read here (ro)");
		return;
	}
	r = list(&d);
	if (r == 0)
		r = open_stores(&d, u, read_only);
	if (r == 0)
		r = load_trust(&d);
	if (r == 0)
		r = what[t->what](&d);
	if (r < 0)
		tend_error(o, "%s", r == -ENODEV ? "the directory is not there" : strerror(-r));
	store_close(d.reads);
	store_close(d.writes);
	walk_done(&d.entries);
	walk_done(&d.blobs);
	names_done(&d.there);
	names_done(&d.named);
	names_done(&d.dropped);
	trust_keys_done(&d.trust.keys);
	free(d.tmp);
}
