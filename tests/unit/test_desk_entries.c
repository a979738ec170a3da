/* The shared cache's entries: what two have written put together, whose results count, what is told
 * of them, and what is purged. */
#include "config.h"

#include "tests/unit/desk_fixture.h"
#include "tests/unit/shared_fixture.h"

#include "cache/key.h"
#include "cache/list.h"
#include "coordinator/cache/desk_priv.h"
#include "coordinator/cache/merge.h"

/* Two that have read nothing each put one result: both are there afterwards. */
static void
test_merge(void **state)
{
	struct room *d = *state;
	const char *const texts[] = { "from one", "from the other" };
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	const struct shared_by by[] = { by_worker(), by_publisher() };
	struct heard *h;

	make_identities(NULL);
	for (uint32_t i = 0; i < 2; i++) {
		_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;
		_cleanup_(buf_done) struct buf bytes = BUF_INIT;

		fill_result(&r, texts[i]);
		seal(&by[i], &r, &sealed);
		entry_of(&sealed, &one);
		assert_int_equal(shared_entry_encode(&one, &bytes), 0);
		assert_int_equal(put_all(d, 1, "", i, true, &key, bytes.p, bytes.n), 0);
		/* another key's, and one that is damaged */
		assert_int_equal(put_all(d, 1, "", 10 + i, true, &other_key, bytes.p, bytes.n),
			DRAY__VERDICT__VERDICT_INPUT_CHANGED);
		assert_int_equal(put_all(d, 1, "", 20 + i, true, &key, bytes.p, bytes.n - 1),
			DRAY__VERDICT__VERDICT_INPUT_CHANGED);
	}
	/* Nor is it written over by what is no such entry. */
	assert_int_equal(put_all(d, 1, "", 30, true, &key, "x", 1), DRAY__VERDICT__VERDICT_NO_ROOM);
	assert_int_equal(get_in(d, 2, 2, "", 1, true, &key, 1, 4), 0);
	room_work(d);
	h = heard_of(d, 2, 1);
	assert_int_equal(shared_entry_decode(h->content.p, h->content.n, &key, &e), 0);
	assert_int_equal(e.n, 2);
}

static void
put_sealed(struct room *d, uint32_t number, const struct digest *name, const char *source,
	size_t size, int expected)
{
	_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT;
	const struct shared_by by = by_worker();

	fill_result(&r, source);
	assert_int_equal(buf_reserve(&r.out, size), 0);
	memset(r.out.p + r.out.n, 'x', size);
	r.out.n += size;
	seal(&by, &r, &sealed);
	entry_of(&sealed, &one);
	one.key = *name;
	assert_int_equal(shared_entry_encode(&one, &bytes), 0);
	assert_int_equal(put_all(d, 1, "", number, true, name, bytes.p, bytes.n), expected);
}

/* Where all are too many bytes for an entry the oldest go, and no other. */
static void
test_merge_of_large_ones(void **state)
{
	struct room *d = *state;
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	struct heard *h;

	make_identities(NULL);
	put_sealed(d, 1, &key, "the first", 5u << 20, 0);
	put_sealed(d, 2, &key, "the second", 1, 0);
	put_sealed(d, 3, &key, "the third", 4u << 20, 0);
	assert_int_equal(get_in(d, 2, 2, "", 1, true, &key, 1, 64), 0);
	room_work(d);
	h = heard_of(d, 2, 1);
	assert_int_equal(shared_entry_decode(h->content.p, h->content.n, &key, &e), 0);
	assert_int_equal(e.n, 2);
	assert_true(e.sealed[0].n > 4u << 20);
	assert_true(e.sealed[1].n < 1u << 20);
}

/* No results take the place of the list of keys, which may revoke the key of who puts them. */
static void
test_list_of_keys_is_not_shut_out(void **state)
{
	struct room *d = *state;
	struct digest list;
	struct heard *h;

	make_identities(NULL);
	assert_int_equal(keys_object_name(&list), 0);
	put_sealed(d, 1, &list, "early", 1, DRAY__VERDICT__VERDICT_INPUT_CHANGED);
	assert_int_equal(put_all(d, 1, "", 2, true, &list, "one", 3), 0);
	put_sealed(d, 3, &list, "late", 1, DRAY__VERDICT__VERDICT_INPUT_CHANGED);
	assert_int_equal(put_all(d, 1, "", 4, true, &list, "two", 3), 0);
	assert_int_equal(get_in(d, 2, 2, "", 1, true, &list, 1, 4), 0);
	room_work(d);
	h = heard_of(d, 2, 1);
	assert_int_equal(h->content.n, 3);
	assert_memory_equal(h->content.p, "two", 3);
}

/* What its key is made of: a unit of a toolchain. */
static void
add_recipe(struct strv *to)
{
	static const char part[] =
		"toolchain=0101010101010101010101010101010101010101010101010101010101010101";

	assert_int_equal(strv_add(to, part), 0);
}

/* From now on `key` is that of a recipe. */
static void
make_keyed_identities(void)
{
	_cleanup_(strv_done) struct strv recipe = STRV_INIT;

	make_identities(NULL);
	add_recipe(&recipe);
	assert_int_equal(unit_key_of_recipe(&recipe, &key), 0);
}

/* An entry with one result of that producer. */
static void
put_by(struct room *d, uint32_t number, const struct shared_by *by, const char *source, bool forged,
	int expected)
{
	_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT;

	fill_result(&r, source);
	seal(by, &r, &sealed);
	/* the signature is the last field */
	if (forged)
		sealed.p[sealed.n - 1] ^= 1;
	entry_of(&sealed, &one);
	add_recipe(&one.recipe);
	assert_int_equal(shared_entry_encode(&one, &bytes), 0);
	assert_int_equal(put_all(d, 1, "", number, true, &key, bytes.p, bytes.n), expected);
}

static size_t
count_results(struct room *d, uint32_t number)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	struct heard *h;

	assert_int_equal(get_in(d, 2, 2, "", number, true, &key, 1, 4), 0);
	room_work(d);
	h = heard_of(d, 2, number);
	assert_int_equal(shared_entry_decode(h->content.p, h->content.n, &key, &e), 0);
	return e.n;
}

static struct identity second; /* another worker */

static void
name_signers(struct room *d, const char *of_worker, const char *of_publisher)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	struct trust t;

	add_line(&list, "worker", &worker, of_worker);
	add_line(&list, "worker", &second, "w2");
	add_line(&list, "publisher", &publisher, of_publisher);
	t = trust_of(&list, TRUST_PUBLISHERS);
	signers_release(d->signers);
	d->signers = signers_new(&t.keys, "team", NULL);
	assert_non_null(d->signers);
}

/* Where the list of keys names producers nobody else's results come in. */
static void
test_only_named(void **state)
{
	struct room *d = *state;
	struct shared_by by = by_worker(), other = by_worker(), pub = by_publisher();
	const int no = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	char source[32];

	make_keyed_identities();
	assert_int_equal(identity_generate("second", &second), 0);
	other.id = &stranger;
	/* nobody is named yet */
	put_by(d, 1, &other, "before", false, 0);
	by = by_worker();
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	/* unsigned; a stranger's; another's; no results at all; one of another namespace */
	put_by(d, 2, &by, "forged", true, no);
	put_by(d, 3, &other, "a stranger's", false, no);
	put_by(d, 4, &pub, "another's", false, no);
	by.id = &second;
	put_by(d, 15, &by, "another worker's", false, no);
	by.id = &worker;
	assert_int_equal(put_all(d, 1, "", 5, true, &key, "x", 1), no);
	by.namespace = "elsewhere";
	put_by(d, 6, &by, "of elsewhere", false, no);
	assert_int_equal(count_results(d, 1), 1);
	/* its own; what was there of somebody who is not named goes */
	by = by_worker();
	put_by(d, 7, &by, "mine", false, 0);
	assert_int_equal(count_results(d, 2), 1);
	/* a worker's key signs no publisher's results, and a publisher puts none of a worker's */
	by.kind = TRUST_PUBLISHER;
	put_by(d, 8, &by, "as a publisher", false, no);
	d->signer.kind = TRUST_PUBLISHER;
	put_by(d, 9, &by, "as a publisher", false, no);
	memcpy(d->signer.key, publisher.sign_public, SIGN_KEY_SIZE);
	put_by(d, 10, &pub, "the publisher's", false, 0);
	assert_int_equal(count_results(d, 3), 2);
	/* of one whose line has no key any publisher's */
	d->signer.signs = false;
	put_by(d, 11, &pub, "again", false, 0);
	by = by_worker();
	put_by(d, 12, &by, "of a worker", false, no);
	for (uint32_t i = 0; i < 3 * SHARED_RESULTS_MAX; i++) {
		snprintf(source, sizeof(source), "flood %u", i);
		put_by(d, 20 + i, &other, source, false, no);
	}
	assert_int_equal(count_results(d, 4), 3);
	/* revoked: it puts nothing, and what is there goes with the next put */
	name_signers(d, "w1 revoked", "ci");
	put_by(d, 13, &pub, "after that", false, 0);
	assert_int_equal(count_results(d, 5), 3);
	d->signer.kind = TRUST_WORKER;
	put_by(d, 14, &by, "revoked", false, no);
}

/* The list of a build, by a publisher; it takes no result's place. */
static void
test_list_of_build(void **state)
{
	struct room *d = *state;
	static const char damaged[] = "draylst1, and no keys";
	_cleanup_(buf_done) struct buf bytes = BUF_INIT;
	struct shared_by by = by_worker();
	struct list l = { NULL, 0 };
	const int no = DRAY__VERDICT__VERDICT_NOT_ALLOWED;

	make_keyed_identities();
	assert_int_equal(list_add(&l, &other_key), 0);
	assert_int_equal(list_encode(&l, &bytes), 0);
	list_done(&l);
	/* where nobody is named, anybody's */
	assert_int_equal(put_all(d, 1, "", 1, true, &other_key, bytes.p, bytes.n), 0);
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(put_all(d, 1, "", 2, true, &key, bytes.p, bytes.n), no);
	d->signer.kind = TRUST_PUBLISHER;
	assert_int_equal(put_all(d, 1, "", 3, true, &key, damaged, sizeof(damaged)),
		DRAY__VERDICT__VERDICT_INPUT_CHANGED);
	assert_int_equal(put_all(d, 1, "", 4, true, &key, bytes.p, bytes.n), 0);
	assert_int_equal(get_in(d, 2, 2, "", 5, true, &key, 1, 4), 0);
	room_work(d);
	assert_int_equal(heard_of(d, 2, 5)->content.n, bytes.n);
	assert_memory_equal(heard_of(d, 2, 5)->content.p, bytes.p, bytes.n);
	/* a result comes under that name, and stays there */
	d->signer.kind = TRUST_WORKER;
	put_by(d, 6, &by, "a result", false, 0);
	assert_int_equal(count_results(d, 7), 1);
	d->signer.kind = TRUST_PUBLISHER;
	assert_int_equal(
		put_all(d, 1, "", 8, true, &key, bytes.p, bytes.n), DRAY__VERDICT__VERDICT_NO_ROOM);
	assert_int_equal(count_results(d, 9), 1);
}

static void
test_history(void **state)
{
	struct room *d = *state;
	struct history_unit u;
	struct history_facts f = {
		.wall_us = 1000, .cpu_us = 4000, .peak_rss = 7, .source_bytes = 9
	};
	_cleanup_(freep) char *path = path_join(d->dir, "history.sqlite");
	uint8_t toolchain[DIGEST_SIZE] = { 1 };

	history_name(&u, "team", "serde", "lib", toolchain, sizeof(toolchain));
	history_ran(desk_history(d->c), &u, &f);
	f.wall_us = 2000;
	f.peak_rss = 5;
	history_ran(desk_history(d->c), &u, &f);
	history_hit(desk_history(d->c), &u);
	d->now += 2000;
	desk_tick(d->c, d->now);
	room_work(d);
	assert_int_equal(history_read(path, &u, &f), 0);
	assert_int_equal(f.runs, 2);
	assert_int_equal(f.hits, 1);
	assert_int_equal(f.wall_us, 1250);
	assert_int_equal(f.cpu_us, 4000);
	assert_int_equal(f.peak_rss, 7);
	/* What waits is written at the end. */
	history_hit(desk_history(d->c), &u);
	desk_free(d->c);
	assert_int_equal(history_read(path, &u, &f), 0);
	assert_int_equal(f.hits, 2);
	/* A damaged file is begun anew. */
	assert_int_equal(
		fs_write_atomic(path, "no database, but long enough to be one", 38, 0600), 0);
	room_open(d);
	history_hit(desk_history(d->c), &u);
	d->now += 2000;
	desk_tick(d->c, d->now);
	room_work(d);
	assert_int_equal(history_read(path, &u, &f), 0);
	assert_int_equal(f.hits, 1);
	assert_int_equal(f.runs, 0);
	u.kind[0] = 'x';
	assert_int_equal(history_read(path, &u, &f), -ENOENT);
}

/* A worker's own result that was not there before is told of, with what it is: nothing else. */
static void
test_kept(void **state)
{
	struct room *d = *state;
	struct shared_by by = by_worker(), pub = by_publisher();
	_cleanup_(result_done) struct result r = RESULT_INIT;
	struct same same;

	make_keyed_identities();
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	put_by(d, 1, &by, "mine", false, 0);
	assert_int_equal(d->n_kept, 1);
	fill_result(&r, "mine");
	assert_int_equal(same_of(&r, &same), 0);
	assert_true(same_eq(&same, &d->kept.same));
	assert_true(digest_eq(&d->kept_key, &key));
	assert_memory_equal(d->kept.producer, worker.sign_public, SIGN_KEY_SIZE);
	/* the same again is not new; what is refused is none */
	put_by(d, 2, &by, "mine", false, 0);
	put_by(d, 3, &by, "forged", true, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(d->n_kept, 1);
	put_by(d, 4, &by, "another", false, 0);
	assert_int_equal(d->n_kept, 2);
	d->signer.kind = TRUST_PUBLISHER;
	memcpy(d->signer.key, publisher.sign_public, SIGN_KEY_SIZE);
	pub = by_publisher();
	put_by(d, 5, &pub, "the publisher's", false, 0);
	assert_int_equal(d->n_kept, 2);
}

/* One that goes as its result is stored: it is stored, and told of. */
static void
test_kept_of_one_gone(void **state)
{
	struct room *d = *state;
	_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT, bytes = BUF_INIT;
	struct shared_by by;

	make_keyed_identities();
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	fill_result(&r, "mine");
	seal(&by, &r, &sealed);
	entry_of(&sealed, &one);
	add_recipe(&one.recipe);
	assert_int_equal(shared_entry_encode(&one, &bytes), 0);
	assert_int_equal(put_in(d, 1, "", 1, true, &key, bytes.n), 0);
	room_work(d);
	assert_int_equal(data(d, 1, 1, 0, bytes.p, bytes.n, true), 0);
	desk_gone(d->c, 1);
	room_work(d);
	assert_int_equal(count_results(d, 9), 1);
	assert_int_equal(d->n_kept, 1);
}

/* What could be compiled again by nobody, or of which one alone would be looked at. */
static void
test_kept_of_none(void **state)
{
	struct room *d = *state;
	_cleanup_(shared_entry_done) struct shared_entry two = SHARED_ENTRY_INIT;
	_cleanup_(shared_entry_done) struct shared_entry bare = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT, plain = BUF_INIT;
	struct shared_by by;

	make_keyed_identities();
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;

		fill_result(&r, i ? "one" : "two");
		seal(&by, &r, &sealed);
		if (i == 0)
			entry_of(&sealed, &bare);
		two.key = key;
		assert_int_equal(shared_entry_add(&two, &sealed), 0);
	}
	assert_int_equal(shared_entry_encode(&bare, &plain), 0);
	assert_int_equal(put_all(d, 1, "", 1, true, &key, plain.p, plain.n),
		DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(d->n_kept, 0);
	add_recipe(&two.recipe);
	assert_int_equal(two.n, 2);
	assert_int_equal(shared_entry_encode(&two, &bytes), 0);
	assert_int_equal(put_all(d, 1, "", 2, true, &key, bytes.p, bytes.n), 0);
	assert_int_equal(d->n_kept, 1);
	assert_int_equal(count_results(d, 9), 1);
}

static void
on_purged(void *arg, const struct desk_purged *p)
{
	struct desk_purged *to = arg;

	assert_int_equal(to->error, -EINPROGRESS);
	*to = *p;
}

static void
purge(struct room *d, const struct desk_purge *what, uint64_t results, uint64_t entries)
{
	struct desk_purged done = { .error = -EINPROGRESS };

	assert_int_equal(desk_purge(d->c, what, on_purged, &done), 0);
	room_work(d);
	assert_int_equal(done.error, 0);
	assert_int_equal(done.results, results);
	assert_int_equal(done.entries, entries);
}

static bool
is_here(struct room *d, const char *namespace, uint32_t number, bool entry, struct digest *name)
{
	struct heard *h;

	assert_int_equal(get_in(d, 2, 2, namespace, number, entry, name, 1, 4), 0);
	room_work(d);
	h = heard_of(d, 2, number);
	assert_true(h->ended);
	return h->n_absent == 0;
}

static void
test_purge(void **state)
{
	struct room *d = *state;
	struct shared_by by = by_worker(), other = by_worker();
	struct desk_purge what = { .of_producer = true };
	struct digest blob;
	_cleanup_(freep) uint8_t *p = make_blob(1, 5000, &blob);

	make_keyed_identities();
	assert_int_equal(identity_generate("second", &second), 0);
	by = by_worker();
	by.time_s = 100;
	other = by;
	other.id = &second;
	other.time_s = 200;
	put_by(d, 1, &by, "one", false, 0);
	put_by(d, 2, &by, "two", false, 0);
	put_by(d, 3, &other, "three", false, 0);
	assert_int_equal(put_all(d, 1, "", 4, false, &blob, p, 5000), 0);
	assert_int_equal(count_results(d, 1), 3);
	/* of nobody */
	memset(what.producer, 1, SIGN_KEY_SIZE);
	purge(d, &what, 0, 0);
	/* of one of them; of another namespace alone; made before */
	memcpy(what.producer, worker.sign_public, SIGN_KEY_SIZE);
	what.in_namespace = true;
	snprintf(what.namespace, sizeof(what.namespace), "team");
	purge(d, &what, 0, 0);
	what.in_namespace = false;
	what.before_s = 100;
	purge(d, &what, 0, 0);
	assert_int_equal(count_results(d, 2), 3);
	what.before_s = 101;
	purge(d, &what, 2, 1);
	assert_int_equal(count_results(d, 3), 1);
	/* by age */
	what = (struct desk_purge){ .before_s = 200 };
	purge(d, &what, 0, 0);
	what.before_s = 201;
	purge(d, &what, 1, 1);
	assert_false(is_here(d, "", 4, true, &key));
	assert_true(is_here(d, "", 5, false, &blob));
	/* by its key, also what is none of sealed results */
	assert_int_equal(put_all(d, 1, "", 5, true, &key, "any", 3), 0);
	what = (struct desk_purge){ .of_key = true, .key = key, .in_namespace = true };
	purge(d, &what, 0, 1);
	assert_false(is_here(d, "", 6, true, &key));
	purge(d, &what, 0, 0);
	/* of a namespace all, and of no other */
	put_by(d, 6, &by, "one", false, 0);
	assert_int_equal(put_all(d, 1, "team", 7, false, &blob, p, 5000), 0);
	what = (struct desk_purge){ .in_namespace = true };
	purge(d, &what, 1, 1);
	assert_false(is_here(d, "", 7, true, &key));
	assert_false(is_here(d, "", 8, false, &blob));
	assert_true(is_here(d, "team", 9, false, &blob));
}

/* What was begun before is refused when it is whole. */
static void
test_purge_open(void **state)
{
	struct room *d = *state;
	struct desk_purge what = { .of_producer = true };
	struct desk_purged done = { .error = -EINPROGRESS };
	_cleanup_(shared_entry_done) struct shared_entry one = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT, bytes = BUF_INIT;
	struct shared_by by = by_worker();

	make_keyed_identities();
	name_signers(d, "w1", "ci");
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	fill_result(&r, "late");
	seal(&by, &r, &sealed);
	entry_of(&sealed, &one);
	assert_int_equal(shared_entry_encode(&one, &bytes), 0);
	assert_int_equal(put_in(d, 1, "", 1, true, &key, bytes.n), 0);
	room_work(d);
	memcpy(what.producer, worker.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(desk_purge(d->c, &what, on_purged, &done), 0);
	assert_int_equal(data(d, 1, 1, 0, bytes.p, bytes.n, true), 0);
	room_work(d);
	assert_int_equal(done.error, 0);
	assert_true(heard_of(d, 1, 1)->ended);
	assert_int_equal(heard_of(d, 1, 1)->verdict, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(d->n_kept, 0);
	assert_false(is_here(d, "", 9, true, &key));
}

/* A package that comes out differently each time. */
static void
test_unshared(void **state)
{
	struct room *d = *state;
	struct judged_package p = { .crate = "", .source = "" };
	struct judged judged = { .packages = &p, .n_packages = 1 };
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	struct shared_by by = by_worker();
	struct trust t;

	make_keyed_identities();
	add_line(&list, "worker", &worker, "w1");
	t = trust_of(&list, TRUST_PUBLISHERS);
	/* entries of these tests have no recipe: their crate has no name */
	d->signers = signers_new(&t.keys, "team", &judged);
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	put_by(d, 1, &by, "of another namespace", false, 0);
	signers_release(d->signers);
	snprintf(p.namespace, sizeof(p.namespace), "team");
	t = trust_of(&list, TRUST_PUBLISHERS);
	d->signers = signers_new(&t.keys, "team", &judged);
	put_by(d, 2, &by, "of this one", false, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
}

/* What a worker makes of a toolchain that no other one has is not taken. */
static void
test_limited(void **state)
{
	struct room *d = *state;
	_cleanup_(buf_done) struct buf list = BUF_INIT;
	struct shared_by by;
	struct trust t;

	make_keyed_identities();
	add_line(&list, "worker", &worker, "w1");
	t = trust_of(&list, TRUST_PUBLISHERS);
	d->signers = signers_new(&t.keys, "team", NULL);
	d->signer = (struct signer){ .kind = TRUST_WORKER, .signs = true, .limited = true };
	memcpy(d->signer.key, worker.sign_public, SIGN_KEY_SIZE);
	by = by_worker();
	put_by(d, 1, &by, "nobody has any", false, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	memset(d->signer.toolchains, 2, sizeof(d->signer.toolchains));
	d->signer.n_toolchains = 1;
	put_by(d, 2, &by, "others have another", false, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(d->n_kept, 0);
	/* as add_recipe says */
	memset(&d->signer.toolchains[1], 1, sizeof(d->signer.toolchains[1]));
	d->signer.n_toolchains = 2;
	put_by(d, 3, &by, "another one has it, too", false, 0);
	assert_int_equal(d->n_kept, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_up, room_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_merge),
		TEST(test_merge_of_large_ones),
		TEST(test_list_of_keys_is_not_shut_out),
		TEST(test_only_named),
		TEST(test_list_of_build),
		TEST(test_history),
		TEST(test_kept),
		TEST(test_kept_of_none),
		TEST(test_kept_of_one_gone),
		TEST(test_purge),
		TEST(test_purge_open),
		TEST(test_unshared),
		TEST(test_limited),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
