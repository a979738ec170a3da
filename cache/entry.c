/* Invariant: an entry holds at most ENTRY_RESULTS_MAX results, of which no two that can be decoded
 * have the same inputs. */
#include "config.h"

#include "cache/entry.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/entry.pb-c.h"

static const char magic[] = "drayent4";
#define MAGIC_SIZE (sizeof(magic) - 1)

void
entry_done(struct entry *e)
{
	strv_done(&e->recipe);
	for (size_t i = 0; i < e->n_results; i++)
		buf_done(&e->results[i]);
	free(e->results);
	*e = (struct entry)ENTRY_INIT;
}

void
entry_drop_result(struct entry *e, size_t i)
{
	buf_done(&e->results[i]);
	memmove(e->results + i, e->results + i + 1, (e->n_results - i - 1) * sizeof(*e->results));
	e->n_results--;
}

void
entry_make_first(struct entry *e, size_t i)
{
	struct buf b = e->results[i];

	memmove(e->results + 1, e->results, i * sizeof(*e->results));
	e->results[0] = b;
}

size_t
entry_drop_made(struct entry *e, const char *producer, uint64_t before_s)
{
	size_t dropped = 0;

	for (size_t i = e->n_results; i-- > 0;) {
		_cleanup_(result_done) struct result res = RESULT_INIT;

		if (entry_result(e, i, &res) < 0 ||
			(producer && (!res.producer || !streq(res.producer, producer))) ||
			(before_s && res.time_s >= before_s))
			continue;
		entry_drop_result(e, i);
		dropped++;
	}
	return dropped;
}

/* ---- from disk */

static int
take_results(const Dray__CacheEntry *m, struct entry *ret)
{
	ret->results = calloc(m->n_results + 1, sizeof(*ret->results));
	if (!ret->results)
		return -ENOMEM;
	for (; ret->n_results < m->n_results; ret->n_results++) {
		const ProtobufCBinaryData *d = &m->results[ret->n_results];

		if (buf_add(&ret->results[ret->n_results], d->data, d->len) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
take_entry(const Dray__CacheEntry *m, const struct digest *key, struct entry *ret)
{
	int r = 0;

	if (m->key.len != DIGEST_SIZE || memcmp(m->key.data, key->b, DIGEST_SIZE) != 0 ||
		m->n_results > ENTRY_RESULTS_MAX)
		return -EBADMSG;
	ret->key = *key;
	for (size_t i = 0; r == 0 && i < m->n_recipe; i++)
		r = strv_add(&ret->recipe, m->recipe[i]);
	return r < 0 ? r : take_results(m, ret);
}

int
entry_decode(const void *p, size_t n, const struct digest *key, struct entry *ret)
{
	const uint8_t *bytes = p;
	Dray__CacheEntry *m;
	struct digest d;
	int r;

	if (n < MAGIC_SIZE + DIGEST_SIZE || n > ENTRY_MAX || memcmp(p, magic, MAGIC_SIZE) != 0)
		return -EBADMSG;
	r = digest_bytes(p, n - DIGEST_SIZE, &d);
	if (r < 0)
		return r;
	if (memcmp(d.b, bytes + n - DIGEST_SIZE, DIGEST_SIZE) != 0)
		return -EBADMSG;
	m = dray__cache_entry__unpack(NULL, n - MAGIC_SIZE - DIGEST_SIZE, bytes + MAGIC_SIZE);
	if (!m)
		return -EBADMSG;
	r = take_entry(m, key, ret);
	dray__cache_entry__free_unpacked(m, NULL);
	if (r < 0)
		entry_done(ret);
	return r;
}

int
entry_result(const struct entry *e, size_t i, struct result *ret)
{
	return result_decode(e->results[i].p, e->results[i].n, ret);
}

/* ---- to disk */

/* Drops results that cannot be decoded, too. */
static void
drop_equal(struct entry *e, const struct result *r)
{
	for (size_t i = e->n_results; i-- > 0;) {
		_cleanup_(result_done) struct result old = RESULT_INIT;
		int k = entry_result(e, i, &old);

		if (k == -EBADMSG || (k == 0 && inputs_equal(&old.inputs, &r->inputs)))
			entry_drop_result(e, i);
	}
}

int
entry_add_result(struct entry *e, const struct result *r)
{
	struct buf *v, b = BUF_INIT;
	int k = result_encode(r, &b);

	if (k == 0)
		drop_equal(e, r);
	while (k == 0 && e->n_results >= ENTRY_RESULTS_MAX)
		entry_drop_result(e, e->n_results - 1);
	v = k == 0 ? reallocarray(e->results, e->n_results + 1, sizeof(*v)) : NULL;
	if (!v) {
		buf_done(&b);
		return -ENOMEM;
	}
	e->results = v;
	memmove(v + 1, v, e->n_results * sizeof(*v));
	v[0] = b;
	e->n_results++;
	return 0;
}

static int
pack_entry(Dray__CacheEntry *m, struct buf *ret)
{
	size_t n = dray__cache_entry__get_packed_size(m);
	struct digest d;
	int r;

	if (n > ENTRY_MAX - MAGIC_SIZE - DIGEST_SIZE)
		return -EFBIG;
	r = buf_add(ret, magic, MAGIC_SIZE);
	if (r == 0)
		r = buf_reserve(ret, n + DIGEST_SIZE);
	if (r < 0)
		return r;
	ret->n += dray__cache_entry__pack(m, ret->p + ret->n);
	r = digest_bytes(ret->p, ret->n, &d);
	return r < 0 ? r : buf_add(ret, d.b, DIGEST_SIZE);
}

int
entry_encode(const struct entry *e, struct buf *ret)
{
	_cleanup_(freep) ProtobufCBinaryData *results = calloc(e->n_results + 1, sizeof(*results));
	Dray__CacheEntry m;
	struct digest key = e->key;

	if (!results)
		return -ENOMEM;
	dray__cache_entry__init(&m);
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, key.b };
	m.recipe = e->recipe.v;
	m.n_recipe = e->recipe.n;
	for (size_t i = 0; i < e->n_results; i++)
		results[i] = (ProtobufCBinaryData){ e->results[i].n, e->results[i].p };
	m.results = results;
	m.n_results = e->n_results;
	return pack_entry(&m, ret);
}
