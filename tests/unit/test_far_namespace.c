/* client/far/upload: a result is sealed for the namespace that the coordinator's list gives to the
 * client; so it waits until the coordinator has said it. */
#include "config.h"

#include "tests/unit/shared_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cache/entry.h"
#include "client/far/half_priv.h"
#include "client/far/queue.h"
#include "common/clock.h"
#include "common/fs.h"
#include "store/depot.h"
#include "store/place.h"

#define LIMIT_MS 20000

struct side {
	char *dir, *url;
	struct conf *conf;
	struct memo_stay memo;
	struct far_farm farm;
	struct far_half *half;
	atomic_int puts;
	atomic_bool will_vouch;
};

/* ---- a farm that keeps what it is given in a directory */

static int
share(void *arg, bool read_only, const struct store_in *in, struct store **ret)
{
	struct side *s = arg;
	char *why = NULL;
	int r = place_open(s->url, in, ret, &why);

	(void)read_only;
	free(why);
	return r;
}

static enum far_puts
puts_now(void *arg)
{
	return (enum far_puts)atomic_load(&((struct side *)arg)->puts);
}

static bool
no_refills(void *arg)
{
	(void)arg;
	return false;
}

static bool
will_vouch(void *arg)
{
	return atomic_load(&((struct side *)arg)->will_vouch);
}

static void
end(void *arg)
{
	(void)arg;
}

/* ---- a client with a result that is to be uploaded */

static void
set(struct side *s, const char *name, const char *value)
{
	_cleanup_(freep) char *text = NULL, *error = NULL;

	assert_true(asprintf(&text, "client.%s=%s", name, value) > 0);
	assert_int_equal(conf_set(s->conf, text, &error), 0);
}

static void
add_result(struct side *s)
{
	const struct depot_in in = { .dir = s->conf->client.store_dir };
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(depot_closep) struct depot *depot = NULL;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT;
	_cleanup_(freep) char *queue = NULL;
	struct queue_item item = { .key = key };
	struct output *o;

	add_digest(&r, INPUT_FILE, "/w/src/lib.rs", "source");
	o = result_add_output(&r, "a.d");
	assert_non_null(o);
	o->mode = 0666;
	assert_int_equal(buf_adds(&o->text, "\x01/a.d: src/lib.rs\n"), 0);
	r.compile_us = 12345;
	r.time_s = SOME_TIME;
	assert_int_equal(strv_add(&r.argv, "rustc"), 0);
	r.cwd = strdup("/home/me/w");
	r.from = strdup("local");
	r.rustc = strdup("1.95.0");
	e.key = key;
	assert_int_equal(entry_add_result(&e, &r), 0);
	assert_int_equal(entry_encode(&e, &bytes), 0);
	assert_int_equal(depot_open(&in, &depot), 0);
	assert_int_equal(depot_write_entry(depot, &key, bytes.p, bytes.n), 0);
	assert_int_equal(digest_bytes(e.results[0].p, e.results[0].n, &item.result), 0);
	assert_int_equal(queue_dir(s->conf, &queue), 0);
	assert_int_equal(queue_add(queue, &item, hermetic), 0);
}

static int
up(void **state)
{
	struct side *s = calloc(1, sizeof(*s));
	_cleanup_(freep) char *id = NULL, *cache = NULL, *error = NULL, *store = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-far-", &s->dir), 0);
	id = path_join(s->dir, "id");
	cache = path_join(s->dir, "cache");
	store = path_join(s->dir, "store");
	assert_int_equal(fs_mkdir_p(cache, 0700), 0);
	assert_int_equal(fs_mkdir_p(store, 0700), 0);
	assert_true(asprintf(&s->url, "file://%s", store) > 0);
	assert_int_equal(identity_save(&publisher, id), 0);
	assert_int_equal(conf_parse("", 0, "none", &s->conf, &error), 0);
	set(s, "cache_dir", cache);
	set(s, "cache", "on");
	set(s, "remote_mode", "readwrite");
	set(s, "identity", id);
	add_result(s);
	s->farm = (struct far_farm){ .arg = s,
		.share = share,
		.puts = puts_now,
		.will_vouch = will_vouch,
		.takes_refills = no_refills,
		.end = end };
	*state = s;
	return 0;
}

static int
down(void **state)
{
	struct side *s = *state;

	far_half_closep(&s->half);
	memo_stay_done(&s->memo);
	conf_free(s->conf);
	fs_rm_rf(s->dir);
	free(s->url);
	free(s->dir);
	free(s);
	return 0;
}

static void
begin(struct side *s, enum far_puts puts, bool vouches)
{
	atomic_store(&s->puts, (int)puts);
	atomic_store(&s->will_vouch, vouches);
	memo_stay_init(&s->memo, s->conf->client.cache_dir);
	assert_int_equal(far_half_open(s->conf, &s->memo, &s->farm, &s->half), 0);
	assert_non_null(s->half);
	assert_non_null(s->half->upload);
}

static void
hear(struct side *s, const char *namespace)
{
	Dray__Producers m;

	dray__producers__init(&m);
	m.namespace_ = (char *)namespace;
	far_half_hear(s->half, &m);
}

/* Until it has looked, and says so. */
static void
await_why(struct side *s, const char *text)
{
	uint64_t until = clock_mono_ms() + LIMIT_MS;
	char why[256] = "";

	for (;;) {
		assert_int_equal(upload_kick(s->half->upload, why, sizeof(why)), 1);
		if (strstr(why, text))
			return;
		if (clock_mono_ms() > until)
			fail_msg("it says: %s", why);
		poll(NULL, 0, 5);
	}
}

static void
await_uploaded(struct side *s)
{
	uint64_t until = clock_mono_ms() + LIMIT_MS;
	char why[256] = "";

	while (upload_kick(s->half->upload, why, sizeof(why)) > 0) {
		if (clock_mono_ms() > until)
			fail_msg("it waits still: %s", why);
		poll(NULL, 0, 5);
	}
}

/* -ENOENT: nothing is there; else as of shared_open. */
static int
read_as(struct side *s, const char *namespace)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(store_closep) struct store *store = NULL;
	const struct store_in in = { .request_ms = LIMIT_MS };
	struct trust trust = trust_both(TRUST_PUBLISHERS);
	const struct shared_reader reader = { &trust, namespace };
	char *why = NULL;
	int error;

	assert_int_equal(place_open(s->url, &in, &store, &why), 0);
	error = store_read_now(store, STORE_ENTRY, &key, SHARED_MAX, &b);
	if (error == 0)
		error = shared_entry_decode(b.p, b.n, &key, &e);
	if (error == 0)
		error = shared_open(&e, 0, &reader, &r, NULL, NULL);
	trust_keys_done(&trust.keys);
	return error;
}

/* ---- */

static void
test_waits(void **state)
{
	struct side *s = *state;

	/* it may be put, but for whom is not said yet */
	begin(s, FAR_PUTS, true);
	await_why(s, "the coordinator is away");
	assert_int_equal(read_as(s, ""), -ENOENT);
	hear(s, "team");
	await_uploaded(s);
	assert_int_equal(read_as(s, "team"), 0);
	assert_int_equal(read_as(s, ""), -EKEYREJECTED);
}

/* While there is no connection it may be said later. */
static void
test_waits_for_the_connection(void **state)
{
	struct side *s = *state;

	begin(s, FAR_PUTS_LATER, false);
	await_why(s, "the coordinator is away");
	assert_int_equal(read_as(s, ""), -ENOENT);
	/* an older one, which vouches for nobody, and knows no namespaces */
	atomic_store(&s->puts, (int)FAR_PUTS);
	await_uploaded(s);
	assert_int_equal(read_as(s, ""), 0);
}

/* What the configuration says needs nobody's word. */
static void
test_own_namespace(void **state)
{
	struct side *s = *state;

	set(s, "namespace", "own");
	/* it is a queue of its own, too */
	add_result(s);
	begin(s, FAR_PUTS, true);
	await_uploaded(s);
	assert_int_equal(read_as(s, "own"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits, up, down),
		cmocka_unit_test_setup_teardown(test_waits_for_the_connection, up, down),
		cmocka_unit_test_setup_teardown(test_own_namespace, up, down),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
