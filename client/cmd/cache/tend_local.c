/* The local cache, looked after. */
#include "config.h"

#include "client/cmd/cache/tend.h"

#include <errno.h>

#include "cache/entry.h"
#include "client/cmd/cache/purge.h"
#include "client/far/queue.h"

struct local {
	struct tend *t;
	json_t *o;
	struct depot *depot;
};

typedef int (*local_fn)(struct local *l, const struct digest *key, struct entry *e, int error);

static int
each_entry(struct local *l, local_fn fn)
{
	_cleanup_(freep) struct digest *keys = NULL;
	size_t n = 0;
	int r = depot_list_entries(l->depot, &keys, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_(entry_done) struct entry e = ENTRY_INIT;
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		int error = depot_read_entry(l->depot, &keys[i], &b);

		cmd_progress(&l->t->progress, "entries", i, n);
		if (error == 0)
			error = entry_decode(b.p, b.n, &keys[i], &e);
		if (error == -ENOENT)
			continue;
		r = error == -ENOMEM ? error : fn(l, &keys[i], &e, error);
	}
	return r;
}

/* ---- status */

/* What was made here has no producer; a farm's worker has a key that trust_keys does not name. */
static enum trust_verdict
judge(const struct local *l, const char *producer)
{
	const struct trust_key *k;
	struct digest key;

	if (digest_parse(producer, &key) < 0)
		return TRUST_VERDICTS;
	k = trust_keys_find(&l->t->trust.keys, key.b);
	return !k ? TRUST_VERDICTS : k->revoked ? TRUST_REVOKED : TRUST_OK;
}

static int
status_entry(struct local *l, const struct digest *key, struct entry *e, int error)
{
	(void)key;
	tend_add(l->o, "damaged", error < 0);
	for (size_t i = 0; error == 0 && i < e->n_results; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		const char *producer;

		if (entry_result(e, i, &res) < 0)
			continue;
		producer = res.producer ? res.producer : "";
		tend_add(l->o, "results", 1);
		tend_count_maker(&l->t->trust.keys, l->o, "",
			!res.producer		 ? "here"
			: strlen(producer) == 64 ? "shared"
						 : "worker",
			producer, judge(l, producer));
	}
	return 0;
}

static void
count_waiting(struct local *l)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	_cleanup_(freep) char *dir = NULL;
	size_t n = 0;

	if (queue_dir(l->t->conf, &dir) < 0 || queue_list(dir, &v, &n) < 0)
		n = 0;
	tend_set(l->o, "waiting", n);
}

static void
set_files(json_t *o, const struct store_stats *s)
{
	tend_set(o, "entries", s->entries);
	tend_set(o, "outputs", s->blobs);
	tend_set(o, "bytes", s->bytes);
}

static int
do_status(struct local *l)
{
	struct store_stats s;
	int r = depot_get_stats(l->depot, &s);

	if (r < 0)
		return r;
	set_files(l->o, &s);
	tend_set(l->o, "max", s.max);
	count_waiting(l);
	return each_entry(l, status_entry);
}

/* ---- gc */

static int
do_gc(struct local *l)
{
	const struct disk_goal goal = { .max = l->t->max, .unused_since = l->t->unused_since_s };
	struct store_stats before = { .max = 0 }, after = { .max = 0 };
	json_t *b = json_object(), *a = json_object();
	int r = depot_gc(l->depot, &goal, &before, &after);

	set_files(b, &before);
	set_files(a, &after);
	json_object_set_new(l->o, "before", b);
	json_object_set_new(l->o, "after", a);
	return r;
}

/* ---- verify */

/* Of a result: whether its outputs are what they were when it was kept. One that is damaged is gone
 * then, where it may go. */
static void
verify_blob(struct local *l, const struct output *out, bool *lacks)
{
	_cleanup_(closep) int fd = depot_open_blob(l->depot, &out->digest, out->size);

	if (fd >= 0) {
		tend_add(l->o, "outputs", 1);
		tend_add(l->o, "bytes", out->size);
		return;
	}
	*lacks = true;
	if (fd == -EBADMSG) {
		tend_add(l->o, "damaged", 1);
		tend_add(l->o, "removed", !depot_has(l->depot, &out->digest, out->size));
	}
}

static void
verify_result(struct local *l, const struct result *res)
{
	bool lacks = false;

	tend_add(l->o, "results", 1);
	tend_add(l->o, "untrusted", res->producer && judge(l, res->producer) == TRUST_REVOKED);
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob)
			verify_blob(l, &res->outputs[i], &lacks);
	for (size_t i = 0; i < res->n_temporaries; i++)
		verify_blob(l, &res->temporaries[i], &lacks);
	tend_add(l->o, "lacking", lacks);
}

static int
verify_entry(struct local *l, const struct digest *key, struct entry *e, int error)
{
	if (error < 0) {
		tend_add(l->o, "damaged", 1);
		tend_add(l->o, "removed", depot_drop_entry(l->depot, key) == 0);
		return 0;
	}
	tend_add(l->o, "entries", 1);
	for (size_t i = 0; i < e->n_results; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;

		if (entry_result(e, i, &res) == 0)
			verify_result(l, &res);
	}
	return 0;
}

static int
do_verify(struct local *l)
{
	return each_entry(l, verify_entry);
}

/* ---- purge */

static int
do_purge(struct local *l)
{
	struct purged p = { .results = 0 };
	int r;

	if (l->t->namespace) {
		tend_error(l->o, "what is kept here has no namespace: leave out --namespace");
		return 0;
	}
	if (l->t->conf->client.cache == CACHE_READ)
		return -EROFS;
	r = purge_depot(l->depot, l->t->producer, l->t->before_s, &p);
	tend_set(l->o, "results", p.results);
	tend_set(l->o, "entries", p.entries);
	return r;
}

void
tend_local(struct tend *t, json_t *o)
{
	static int (*const what[TEND_N])(struct local *) = { [TEND_STATUS] = do_status,
		[TEND_GC] = do_gc,
		[TEND_VERIFY] = do_verify,
		[TEND_PURGE] = do_purge };
	struct local l = { .t = t, .o = o };
	int r = cmd_open_depot(&cmd_cache, t->conf, NULL, &l.depot);

	if (r == 0) {
		depot_on_progress(l.depot, cmd_progress, &t->progress);
		r = what[t->what](&l);
	}
	if (r == -EROFS)
		tend_error(o, "it is only read here (cache = read)");
	else if (r < 0)
		tend_error(o, "%s", strerror(-r));
	depot_close(l.depot);
}
