/* What is not in the local cache may be in a store that is shared (client/far/): then it is brought
 * here, and is as what was kept here before.
 *
 * Invariant: an entry gets a result only when all its blobs are in the local store; and it is one
 * whose inputs are, on this machine, what it says. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/far/ask.h"
#include "client/wrap/build_name.h"
#include "client/cached/cached_priv.h"
#include "client/wrap/farm_state.h"
#include "common/clock.h"
#include "common/log/joblog.h"

/* Of what takes a compile longer, more is known when its results are there. */
#define FIND_MIN_MS 100
#define FIND_MAX_MS 2000
#define BRING_MAX_MS 120000
/* Where cargo goes on with the metadata, dependents are compiled meanwhile, and a compile here
 * would have to make the very same: so the rest is given a compile's time from then on, and this at
 * least. */
#define REST_MIN_MS 1000

static unsigned
clamp_ms(uint64_t us, unsigned least, unsigned most)
{
	uint64_t ms = us / 1000;

	return (unsigned)(ms < least ? least : MIN2(ms, (uint64_t)most));
}

/* How long the answer may take: half of what the compile took that is known of this key. */
static unsigned
find_ms(struct cached *c, const struct digest *key)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result res = RESULT_INIT;

	if (cached_read_entry(c, key, &e) < 0 || e.n_results == 0 || entry_result(&e, 0, &res) < 0)
		return (unsigned)c->in.conf->client.store_wait_ms;
	return clamp_ms(res.compile_us / 2, FIND_MIN_MS, FIND_MAX_MS);
}

static void
why(struct cached_far *far, const char *store, const char *text)
{
	snprintf(far->why, sizeof(far->why), "%s%s%s", store, *store ? ": " : "", text);
}

/* Whether it is of the kind that is looked for: a compile, a bundle, or a run. */
static bool
is_wanted(const struct cached *c, const struct digest *key, const struct result *res)
{
	bool bundle = !digest_eq(key, &c->key.id);

	return res->run == (c->run != NULL) && (res->n_links > 0) == bundle &&
	       cached_is_believed(c, res);
}

/* The first result that holds here. */
static int
choose_result(struct cached *c, const struct entry *e, const struct far_answer *answer,
	struct result *ret, struct cached_far *far)
{
	const char *store = answer->store;

	for (size_t i = 0; i < e->n_results; i++) {
		_cleanup_(freep) char *differs = NULL;

		result_done(ret);
		if (entry_result(e, i, ret) < 0 || !is_wanted(c, &e->key, ret))
			continue;
		/* before it says which files are to be read */
		if (cached_check_stranger(c, ret, answer->publishers & (1u << i), &differs) < 0) {
			far->refused++;
			why(far, store, differs ? differs : "no memory");
			continue;
		}
		if (inputs_check(&ret->inputs, &c->place, &differs) == 0)
			return 0;
		if (!*far->why)
			why(far, store, differs ? differs : "no memory");
	}
	if (!*far->why)
		why(far, store, "it has no such result");
	return -ENOENT;
}

static int
add_missing(struct cached *c, const struct result *res, struct buf *to)
{
	const struct output *o;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (o = result_next_blob(res, &at)) != NULL) {
		struct far_blob b = { .size = o->size };

		if (depot_has(c->depot, &o->digest, o->size))
			continue;
		memcpy(b.digest, o->digest.b, DIGEST_SIZE);
		r = buf_add(to, &b, sizeof(b));
	}
	return r;
}

struct coming {
	struct cached *c;
	const struct result *res;
	const char *store;
	struct ledger *promise;
};

/* least: where a compile takes less. */
static unsigned
compile_ms(const struct result *res, unsigned least)
{
	return clamp_ms(res->compile_us, least, BRING_MAX_MS);
}

static unsigned
one_came(void *arg, const struct digest *blob)
{
	const struct coming *g = arg;
	bool told = g->c->first.rmeta != NULL;

	(void)blob;
	cached_say_first(g->c, g->res, g->store, g->promise);
	return !told && g->c->first.rmeta ? compile_ms(g->res, REST_MIN_MS) : 0;
}

/* Brings what of it is not here. */
static int
bring(struct cached *c, const struct result *res, const char *store, struct cached_far *far)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	struct coming coming = { c, res, store, far->promise };
	struct far_answer answer;
	int r = add_missing(c, res, &list);

	if (r < 0 || list.n == 0)
		return r;
	cached_say_first(c, res, store, far->promise);
	r = far_ask_bring(c->far, (const struct far_blob *)list.p, list.n / sizeof(struct far_blob),
		compile_ms(res,
			c->first.rmeta ? REST_MIN_MS : (unsigned)c->in.conf->client.store_wait_ms),
		one_came, &coming, &answer);
	far->bytes = MAX2(far->bytes, answer.bytes);
	if (r < 0)
		why(far, store, answer.why);
	return r;
}

/* As cached_write_result, but that nothing is learned from it: it was made elsewhere. */
static int
add_to_entry(struct cached *c, const struct entry *from, const struct result *res)
{
	_cleanup_(closep) int lock = depot_lock_entry(c->depot, &from->key);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = cached_read_entry(c, &from->key, &e);

	(void)lock; /* held to the end */
	e.key = from->key;
	for (size_t i = 0; r == 0 && e.recipe.n < from->recipe.n; i++)
		r = strv_add(&e.recipe, from->recipe.v[i]);
	if (r == 0)
		r = entry_add_result(&e, res);
	if (r == 0)
		r = entry_encode(&e, &b);
	return r < 0 ? r : depot_write_entry(c->depot, &from->key, b.p, b.n);
}

static int
fetch(struct cached *c, const struct digest *key, struct cached_far *far, struct result *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	struct far_answer answer;
	struct digest list;
	bool listed = build_name(c->in.memo, &list) == 0;
	int r = far_ask_find(c->far, key, listed ? &list : NULL, find_ms(c, key), &b, &answer);

	far->refused += answer.refused;
	far->bytes += answer.bytes;
	if (r < 0) {
		why(far, answer.store, answer.why);
		return r;
	}
	r = entry_decode(b.p, b.n, key, &e);
	if (r == 0)
		r = choose_result(c, &e, &answer, ret, far);
	if (r == 0)
		r = bring(c, ret, answer.store, far);
	if (r == 0)
		r = add_to_entry(c, &e, ret);
	if (r == 0) {
		*far->why = '\0';
		snprintf(far->store, sizeof(far->store), "%s",
			*answer.store ? answer.store : "store");
	} else if (!*far->why) {
		why(far, answer.store, strerror(-r));
	}
	return r;
}

/* There is nothing but the farm's cache, and the farm did not answer a moment ago. */
static bool
is_away(const struct conf *conf)
{
	return !(conf->client.store && *conf->client.store) &&
	       farm_state_is_down(
		       conf->client.cache_dir, conf->client.coordinator, conf->client.retry_s);
}

static bool
fetch_key(struct cached *c, const struct digest *key, struct cached_far *far, struct result *ret)
{
	uint64_t start = clock_mono_us();
	int r;

	*far->why = '\0';
	if (c->in.conf->client.recache || !far_may_read(c->in.conf))
		return false;
	if (is_away(c->in.conf)) {
		why(far, "", "the coordinator is away");
		r = -ENOTCONN;
	} else if (cached_open_far(c)) {
		r = fetch(c, key, far, ret);
	} else {
		why(far, "", "the farm half, which asks them, cannot be started");
		r = -ENOTCONN;
	}
	far->us += clock_mono_us() - start;
	far->answered = r == 0 || r == -ENOENT || r == -EACCES;
	return r == 0;
}

bool
cached_fetch(struct cached *c, struct cached_far *far, struct cached_said *said)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;

	/* its inputs were looked at just now */
	return fetch_key(c, &c->key.id, far, &res) && (!said || cached_put_result(c, &res, said));
}

bool
cached_fetch_bundle(struct cached *c, struct cached_far *far)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	struct cached_far before = *far;

	if (!c->in.call->calls_linker || !far->answered || cached_bundle_key(c) < 0)
		return false;
	if (!fetch_key(c, &c->bundle_key.id, far, &res)) {
		/* that there is no bundle either is no news: why the whole was not taken is */
		if (before.refused > 0 && before.refused == far->refused)
			memcpy(far->why, before.why, sizeof(far->why));
		return false;
	}
	cached_note_bundles(c);
	return true;
}

void
cached_far_log(const struct cached_far *far, bool hit, struct joblog_entry *e)
{
	bool linked = e->cache && streq(e->cache, "bundle");

	e->tier = *far->store && (hit || linked) ? far->store : hit ? "local" : NULL;
	e->far_why = *far->why ? far->why : NULL;
	e->not_shared = *far->not_shared ? far->not_shared : NULL;
	e->far_refused = far->refused;
	e->far_us = far->us;
	e->far_bytes = far->bytes;
}
