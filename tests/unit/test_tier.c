/* tier and hub: the coordinator's shared cache as a store, by many threads over one connection, and
 * over one of its own; with the real coordinator. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "client/dispatch/hub.h"
#include "store/outgoing.h"
#include "store/tier/tier.h"
#include "store/store.h"

#define THREADS 8
#define ROUNDS 20
#define LARGE 1500000

struct side {
	struct world *w;
	struct conf *conf;
	void *zctx;
	struct hub *hub;
	pthread_t thread;
	atomic_bool stop;
};

static void *
turn(void *arg)
{
	struct side *x = arg;

	while (!atomic_load(&x->stop)) {
		zmq_pollitem_t items[HUB_ITEMS];
		size_t n = hub_items(x->hub, items);

		zmq_poll(items, (int)n, 20);
		hub_step(x->hub);
	}
	return NULL;
}

static void
option(struct conf *conf, const char *key, const char *value)
{
	char text[1024], *error = NULL;

	snprintf(text, sizeof(text), "client.%s=%s", key, value);
	if (conf_set(conf, text, &error) < 0)
		fail_msg("%s", error);
}

/* on_producers: NULL is fine. */
static void
side_up_with(struct side *x, struct world *w, enum who who, hub_producers_fn on_producers)
{
	char path[512], *why = NULL;

	*x = (struct side){ .w = w };
	assert_int_equal(conf_parse("", 0, "none", &x->conf, &why), 0);
	snprintf(path, sizeof(path), "%s/%s", w->dir, names[who]);
	(void)identity_save(&w->id[who], path);
	option(x->conf, "identity", path);
	snprintf(path, sizeof(path), "%s.pub", w->coord_path);
	option(x->conf, "coordinator_key", path);
	option(x->conf, "coordinator", w->endpoint);
	option(x->conf, "connect_ms", "10000");
	option(x->conf, "compress", who == CLIENT1 ? "always" : "auto");
	assert_int_equal(zmq_ctx_open(&x->zctx), 0);
	assert_int_equal(hub_open(x->zctx, x->conf, &x->hub, &why), 0);
	hub_on_producers(x->hub, on_producers, NULL);
	assert_int_equal(pthread_create(&x->thread, NULL, turn, x), 0);
}

static void
side_up(struct side *x, struct world *w, enum who who)
{
	side_up_with(x, w, who, NULL);
}

static void
side_down(struct side *x)
{
	atomic_store(&x->stop, true);
	pthread_join(x->thread, NULL);
	hub_closep(&x->hub);
	zmq_ctx_termp(&x->zctx);
	conf_free(x->conf);
}

static struct store *
open_share(struct side *x, bool read_only)
{
	const struct store_in in = { .request_ms = 5000 };
	struct store *s = NULL;

	assert_int_equal(hub_share(x->hub, read_only, &in, &s), 0);
	return s;
}

static void
await_state(struct side *x, enum tier_state state)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	while (hub_share_state(x->hub) != state && clock_mono_ms() < end)
		poll(NULL, 0, 5);
	assert_int_equal(hub_share_state(x->hub), state);
}

/* When the coordinator has said what this client may. */
static struct store *
share(struct side *x, enum tier_state state)
{
	struct store *s;

	await_state(x, state);
	s = open_share(x, false);
	/* as a chain does that has nothing to ask */
	store_work(s, 0);
	return s;
}

static uint8_t *
make(unsigned seed, size_t n, struct digest *ret)
{
	uint8_t *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 2654435761u + seed * 40503u) >> 7);
	assert_int_equal(digest_bytes(p, n, ret), 0);
	return p;
}

static void
put(struct store *s, const uint8_t *p, size_t n, const struct digest *name)
{
	struct store_writer *w;

	assert_int_equal(store_write_begin(s, &w), 0);
	assert_int_equal(store_write(w, p, n), 0);
	assert_int_equal(store_write_commit_now(w, name, n), 0);
}

struct reader {
	struct side *x;
	const struct digest *names;
	const size_t *sizes;
	size_t n;
	pthread_t thread;
	int error; /* asserts are the main thread's */
};

struct came {
	unsigned open;
	int error;
	struct digest of[4];
	uint64_t size[4];
	size_t n;
};

static void
on_blob(void *arg, const struct store_reply *r)
{
	struct came *c = arg;

	c->open--;
	if (r->error) {
		c->error = r->error;
		return;
	}
	c->size[c->n] = r->size;
	if (digest_fd(r->fd, &c->of[c->n++], NULL) < 0)
		c->error = -EIO;
	close(r->fd);
}

static void
on_put(void *arg, const struct store_reply *r)
{
	struct came *c = arg;

	c->open--;
	c->error = r->error;
}

static void *
read_all(void *arg)
{
	struct reader *r = arg;
	const struct store_in in = { .request_ms = 5000 };
	struct store *s = NULL;

	r->error = hub_share(r->x->hub, false, &in, &s);
	for (unsigned i = 0; i < ROUNDS && r->error == 0; i++) {
		struct came c = { .open = (unsigned)r->n };

		for (size_t k = 0; k < r->n; k++)
			store_get(s, STORE_BLOB, &r->names[k], UINT64_MAX, on_blob, &c);
		while (c.open)
			store_work(s, -1);
		r->error = c.error;
		for (size_t k = 0; k < r->n && r->error == 0; k++)
			if (!digest_eq(&c.of[k], &r->names[k]) || c.size[k] != r->sizes[k])
				r->error = -EBADMSG;
	}
	store_close(s);
	return NULL;
}

static void
test_many_threads(void **state)
{
	static const size_t sizes[] = { LARGE, 0, 77 };
	struct world *w = *state;
	struct digest names_of[3], key, none = { { 1 } };
	struct reader readers[THREADS];
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct side writer, client;
	struct store *s;
	uint64_t size = 0;

	side_up(&writer, w, PUBLISHER);
	s = share(&writer, TIER_WRITES);
	for (unsigned i = 0; i < 3; i++) {
		_cleanup_(freep) uint8_t *p = make(i, sizes[i], &names_of[i]);

		put(s, p, sizes[i], &names_of[i]);
	}
	memset(key.b, 5, sizeof(key.b));
	assert_int_equal(store_put_entry_now(s, &key, "an entry", 8), 0);
	store_close(s);
	side_down(&writer);
	side_up(&client, w, CLIENT1);
	s = share(&client, TIER_READS);
	assert_int_equal(store_read_now(s, STORE_ENTRY, &key, 1000, &b), 0);
	assert_int_equal(b.n, 8);
	assert_int_equal(store_read_now(s, STORE_ENTRY, &key, 7, &b), -ENOENT);
	assert_int_equal(store_has_now(s, STORE_BLOB, &names_of[0], &size), 0);
	assert_int_equal(size, LARGE);
	assert_int_equal(store_has_now(s, STORE_BLOB, &none, &size), -ENOENT);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, &size), -ENOENT);
	/* A client may not put, and does not try. */
	assert_int_equal(store_put_entry_now(s, &key, "x", 1), -EROFS);
	for (size_t i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){ &client, names_of, sizes, 3, 0, 0 };
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].error, 0);
	}
	store_close(s);
	side_down(&client);
}

/* The coordinator goes: what was asked for ends at once, and so does what is asked for then. */
static void
test_lost(void **state)
{
	struct world *w = *state;
	struct side client;
	struct digest none = { { 1 } };
	struct store *s, *again;
	uint64_t begun;
	int r;

	side_up(&client, w, CLIENT1);
	s = share(&client, TIER_READS);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOENT);
	kill(w->pid, SIGSTOP);
	{
		struct came c = { .open = 1 };

		store_get(s, STORE_BLOB, &none, UINT64_MAX, on_blob, &c);
		store_work(s, 0);
		stop(w, SIGKILL);
		begun = clock_mono_ms();
		while (c.open)
			store_work(s, -1);
		assert_int_equal(c.error, -ENOTCONN);
		assert_true(clock_mono_ms() - begun < 4500);
	}
	r = store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL);
	assert_int_equal(r, -ENOTCONN);
	assert_int_equal(hub_share_state(client.hub), TIER_AWAY);
	again = open_share(&client, false);
	assert_int_equal(store_get_now(again, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOTCONN);
	assert_non_null(strstr(store_why(again), "no connection"));
	store_close(again);
	store_close(s);
	side_down(&client);
}

/* What is asked for before there is a connection waits for it, and is answered; also by one that
 * has no cache, or that does not let this client in. */
static void
test_coming(void **state)
{
	struct world *w = *state;
	struct digest name, none = { { 1 } };
	_cleanup_(freep) uint8_t *p = make(7, LARGE, &name);
	struct object object = { .fd = -1 };
	struct came c = { .open = 1 };
	struct side x, strange;
	struct store *s;
	int fd = memfd_create("content", MFD_CLOEXEC);

	kill(w->pid, SIGSTOP);
	side_up(&x, w, PUBLISHER);
	s = open_share(&x, false);
	store_get(s, STORE_BLOB, &none, UINT64_MAX, on_blob, &c);
	store_work(s, 100);
	assert_int_equal(c.open, 1);
	assert_int_equal(hub_share_state(x.hub), TIER_COMING);
	/* nothing is put meanwhile */
	assert_int_equal(store_put_entry_now(s, &none, "x", 1), -EROFS);
	kill(w->pid, SIGCONT);
	while (c.open)
		store_work(s, -1);
	assert_int_equal(c.error, -ENOENT);
	/* an object that was made for other places, too */
	assert_int_equal(fs_write_all(fd, p, LARGE), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(outgoing_blob(NULL, OBJECT_ZSTD, fd, &object), 0);
	assert_true(object.length < LARGE);
	c = (struct came){ .open = 1 };
	s->type->put(s, &object, on_put, &c);
	while (c.open)
		store_work(s, -1);
	assert_int_equal(c.error, 0);
	c = (struct came){ .open = 1 };
	store_get(s, STORE_BLOB, &name, UINT64_MAX, on_blob, &c);
	while (c.open)
		store_work(s, -1);
	assert_int_equal(c.error, 0);
	assert_true(digest_eq(&c.of[0], &name));
	store_close(s);
	/* nothing is put where that is not wanted */
	s = open_share(&x, true);
	store_work(s, 0);
	assert_int_equal(store_put_entry_now(s, &none, "x", 1), -EROFS);
	store_close(s);
	side_down(&x);
	side_up(&strange, w, STRANGER);
	s = open_share(&strange, false);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOTCONN);
	store_close(s);
	side_down(&strange);
	close(fd);
}

/* The shares end before the hub does, and nobody turns it any more. */
static void
test_end(void **state)
{
	struct world *w = *state;
	struct digest none = { { 1 } };
	struct came c = { .open = 1 };
	struct side x;
	struct store *s;

	side_up(&x, w, CLIENT1);
	s = share(&x, TIER_READS);
	kill(w->pid, SIGSTOP);
	store_get(s, STORE_BLOB, &none, UINT64_MAX, on_blob, &c);
	store_work(s, 0);
	hub_end_shares(x.hub);
	while (c.open)
		store_work(s, -1);
	assert_int_equal(c.error, -ENOTCONN);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOTCONN);
	store_close(s);
	kill(w->pid, SIGCONT);
	side_down(&x);
}

/* One that has no cache. */
static void
test_none(void **state)
{
	struct world *w = *state;
	struct digest none = { { 1 } };
	struct side x;
	struct store *s;

	set_conf(w, "cache", "no");
	start(w);
	side_up(&x, w, CLIENT1);
	s = open_share(&x, false);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOTSUP);
	assert_non_null(strstr(store_why(s), "no shared cache"));
	store_close(s);
	side_down(&x);
}

/* Whom it vouches for is heard at once, and again when the list has changed. */
static atomic_uint heard;

static void
on_producers(void *arg, const Dray__Producers *m)
{
	(void)arg;
	atomic_store(&heard, (unsigned)m->n_producer + 1);
}

static void
await_heard(unsigned n)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	while (atomic_load(&heard) != n + 1 && clock_mono_ms() < end)
		poll(NULL, 0, 5);
	assert_int_equal(atomic_load(&heard), n + 1);
}

static void
test_producers(void **state)
{
	struct world *w = *state;
	const char *more[N_WHO] = {
		[WORKER1] = "sign=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			    "aaaaaaaaaaaaaaaaa"
	};
	struct side x;

	kill(w->pid, SIGSTOP);
	side_up_with(&x, w, CLIENT1, on_producers);
	assert_true(hub_will_vouch(x.hub));
	kill(w->pid, SIGCONT);
	await_heard(0);
	assert_false(hub_will_vouch(x.hub));
	write_keys_with(w, true, more);
	await_heard(1);
	side_down(&x);
}

/* One that says nothing: there is an answer in time. */
static void
test_silent(void **state)
{
	struct world *w = *state;
	struct side client;
	struct digest none = { { 1 } };
	const struct store_in in = { .request_ms = 300 };
	struct store *s;
	char *why = NULL;

	side_up(&client, w, CLIENT1);
	assert_int_equal(tier_connect(client.zctx, client.conf, &in, &s, &why), 0);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOENT);
	kill(w->pid, SIGSTOP);
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ETIMEDOUT);
	assert_non_null(strstr(store_why(s), "silent"));
	kill(w->pid, SIGCONT);
	/* What comes late disturbs nothing. */
	assert_int_equal(store_get_now(s, STORE_BLOB, &none, UINT64_MAX, NULL), -ENOENT);
	store_close(s);
	side_down(&client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_many_threads),
		T(test_lost),
		T(test_silent),
		T(test_coming),
		T(test_end),
		cmocka_unit_test_setup_teardown(test_none, setup_only, teardown),
		T(test_producers),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
