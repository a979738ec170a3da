/* hub: many jobs on one connection, the test being the coordinator: each hears of its own job, all
 * of the connection, and all ask anew after it was lost. pool: what was lost is not handed out. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/dispatch/farm_priv.h"
#include "client/dispatch/hub.h"
#include "client/dispatch/pool.h"
#include "common/clock.h"
#include "common/fs.h"

#define LIMIT_MS 20000
#define TOOLCHAIN "0123456789abcdef0123456789abcdef" /* 32 bytes */
#define UNITS 3

struct world {
	char *dir, *endpoint;
	void *ctx, *router;
	struct wire_peer peer;
	struct conf *conf;
	void *zctx;
	struct hub *hub;
	struct farm *farm[UNITS];
	struct farm_job job[UNITS];
	bool stop;
};

static void
appear(struct world *w)
{
	char *bound = NULL;

	w->ctx = zmq_ctx_new();
	assert_int_equal(socket_listen(w->ctx, ADMIT_COORDINATOR, w->endpoint, NULL, 1000,
				 &w->router, &bound),
		0);
	free(bound);
}

static void
vanish(struct world *w)
{
	socket_closep(&w->router);
	zmq_ctx_termp(&w->ctx);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char *set = NULL, *error = NULL, *why = NULL;

	if (!w || fs_make_temp_dir("/tmp", "dray-hub-", &w->dir) < 0 ||
		asprintf(&w->endpoint, "ipc://%s/s", w->dir) < 0 ||
		asprintf(&set, "client.coordinator=%s", w->endpoint) < 0)
		return -1;
	assert_int_equal(conf_parse("", 0, "none", &w->conf, &error), 0);
	assert_int_equal(conf_set(w->conf, set, &error), 0);
	free(set);
	appear(w);
	assert_int_equal(zmq_ctx_open(&w->zctx), 0);
	assert_int_equal(hub_open(w->zctx, w->conf, &w->hub, &why), 0);
	*state = w;
	return 0;
}

static int
done(void **state)
{
	struct world *w = *state;
	int r;

	for (size_t i = 0; i < UNITS; i++)
		farm_closep(&w->farm[i]);
	hub_closep(&w->hub);
	zmq_ctx_termp(&w->zctx);
	vanish(w);
	conf_free(w->conf);
	r = fs_rm_rf(w->dir);
	free(w->dir);
	free(w->endpoint);
	free(w);
	return r;
}

/* The next message that the coordinator gets, while the hub does its work. */
static struct wire_msg
expect(struct world *w, enum wire_type type)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	while (clock_mono_ms() < end) {
		zmq_pollitem_t items[HUB_ITEMS + 1];
		struct wire_msg m = WIRE_MSG_INIT;
		size_t n = hub_items(w->hub, items);
		int r;

		items[n] = (zmq_pollitem_t){ w->router, 0, ZMQ_POLLIN, 0 };
		zmq_poll(items, (int)n + 1, 100);
		hub_step(w->hub);
		r = wire_recv(w->router, &w->peer, WIRE_FROM_CLIENT, &m);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, 0);
		assert_string_equal(m.info->name, wire_info(type)->name);
		return m;
	}
	fail_msg("no %s came", wire_info(type)->name);
	return (struct wire_msg)WIRE_MSG_INIT;
}

static void
answer_hello(struct world *w)
{
	struct wire_msg m = expect(w, WIRE_HELLO);
	Dray__Welcome b = DRAY__WELCOME__INIT;
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	char name[] = "c";

	wire_msg_done(&m);
	b.version = WIRE_VERSION;
	b.name = name;
	assert_int_equal(wire_send(w->router, &w->peer, WIRE_WELCOME, &b.base, NULL, 0), 0);
	while (hub_away_since(w->hub)) {
		zmq_pollitem_t items[HUB_ITEMS];

		assert_true(clock_mono_ms() < end);
		zmq_poll(items, (int)hub_items(w->hub, items), 100);
		hub_step(w->hub);
	}
}

static void
expect_request(struct world *w, size_t unit)
{
	struct wire_msg m = expect(w, WIRE_JOB_REQUEST);

	assert_string_equal(((Dray__JobRequest *)m.body)->job, w->job[unit].id);
	wire_msg_done(&m);
}

static void
deny(struct world *w, size_t unit, const char *text)
{
	Dray__JobDenied b = DRAY__JOB_DENIED__INIT;

	b.job = w->job[unit].id;
	b.verdict = DRAY__VERDICT__VERDICT_QUEUE_FULL;
	b.text = (char *)text;
	assert_int_equal(wire_send(w->router, &w->peer, WIRE_JOB_DENIED, &b.base, NULL, 0), 0);
}

static void
ask(struct world *w, size_t unit)
{
	assert_int_equal(hub_sit(w->hub, w->conf, &w->farm[unit]), 0);
	w->job[unit] = (struct farm_job){
		.toolchain = (const uint8_t *)TOOLCHAIN, .crate = "c", .kind = "lib"
	};
	assert_int_equal(farm_request(w->farm[unit], &w->job[unit]), 0);
}

static void
begin(struct world *w, size_t unit)
{
	ask(w, unit);
	expect_request(w, unit);
}

/* A unit's own thread would poll its seat: here the hub works in between. */
static void
expect_mail(struct world *w, size_t unit)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	for (;;) {
		zmq_pollitem_t item = { NULL, w->farm[unit]->line->fd(w->farm[unit]->seat),
			ZMQ_POLLIN, 0 };

		hub_step(w->hub);
		zmq_poll(&item, 1, 10);
		if (item.revents)
			return;
		if (clock_mono_ms() > end)
			fail_msg("unit %zu heard nothing", unit);
	}
}

static void
expect_denied(struct world *w, size_t unit, const char *text)
{
	struct wire_msg m = WIRE_MSG_INIT;
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		expect_mail(w, unit);
		farm_connection_events(w->farm[unit], clock_mono_ms());
		r = farm_receive(w->farm[unit], &m);
		if (r == 0 && m.info->type == WIRE_WELCOME) {
			wire_msg_done(&m);
			r = -EAGAIN;
		}
	}
	assert_int_equal(r, 0);
	assert_int_equal(m.info->type, WIRE_JOB_DENIED);
	assert_string_equal(((Dray__JobDenied *)m.body)->text, text);
	wire_msg_done(&m);
}

static void
expect_silence(struct world *w, size_t unit)
{
	struct wire_msg m = WIRE_MSG_INIT;

	hub_step(w->hub);
	assert_int_equal(farm_receive(w->farm[unit], &m), -EAGAIN);
}

static void
test_each_its_own(void **state)
{
	struct world *w = *state;

	answer_hello(w);
	for (size_t i = 0; i < UNITS; i++)
		begin(w, i);
	deny(w, 2, "third");
	expect_denied(w, 2, "third");
	deny(w, 0, "first");
	expect_denied(w, 0, "first");
	expect_silence(w, 1);
	/* one that is gone gets no more, and hurts nobody */
	farm_closep(&w->farm[1]);
	deny(w, 1, "second");
	deny(w, 0, "again");
	expect_denied(w, 0, "again");
	/* nor does what a unit said last get lost with its seat */
	farm_heard(w->farm[2], WIRE_WELCOME);
	farm_cancel(w->farm[2]);
	farm_closep(&w->farm[2]);
	{
		struct wire_msg m = expect(w, WIRE_JOB_CANCEL);

		assert_string_equal(((Dray__JobCancel *)m.body)->job, w->job[2].id);
		wire_msg_done(&m);
	}
}

/* Takes the unit's mail as its thread would. */
static void
mind_until(struct world *w, size_t unit, bool lost)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	while (w->farm[unit]->lost != lost) {
		assert_true(clock_mono_ms() < end);
		hub_step(w->hub);
		farm_mind(w->farm[unit]);
	}
}

static void
test_lost_and_back(void **state)
{
	struct world *w = *state;

	answer_hello(w);
	begin(w, 0);
	begin(w, 1);
	assert_int_equal(hub_away_since(w->hub), 0);
	vanish(w);
	mind_until(w, 0, true);
	mind_until(w, 1, true);
	assert_true(hub_away_since(w->hub) > 0);
	appear(w);
	/* Hello comes first, and once */
	answer_hello(w);
	mind_until(w, 1, false);
	expect_request(w, 1);
	mind_until(w, 0, false);
	expect_request(w, 0);
	deny(w, 1, "after");
	expect_denied(w, 1, "after");
}

/* What a unit says while there is no connection is not what the next one begins with: a
 * coordinator refuses who says anything before Hello. */
static void
test_begun_while_away(void **state)
{
	struct world *w = *state;
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	answer_hello(w);
	vanish(w);
	while (!hub_away_since(w->hub)) {
		assert_true(clock_mono_ms() < end);
		hub_step(w->hub);
	}
	ask(w, 0);
	hub_step(w->hub);
	appear(w);
	answer_hello(w);
	mind_until(w, 0, false);
	expect_request(w, 0);
	deny(w, 0, "after");
	expect_denied(w, 0, "after");
}

/* A unit that begins where the coordinator has answered already need not wait for that. */
static void
test_welcomed_already(void **state)
{
	struct world *w = *state;
	struct tether tether = TETHER_INIT;
	char *why = NULL;

	answer_hello(w);
	assert_int_equal(hub_sit(w->hub, w->conf, &w->farm[0]), 0);
	assert_int_equal(farm_greet(w->farm[0], &tether, &why), 0);
	assert_null(why);
}

static void *
drive(void *arg)
{
	struct world *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
		zmq_pollitem_t items[HUB_ITEMS];

		zmq_poll(items, (int)hub_items(w->hub, items), 20);
		hub_step(w->hub);
	}
	return NULL;
}

/* Where nobody answers on a connection that stands, a unit finds that out as it would on a new one.
 */
static void
test_dead_already(void **state)
{
	struct world *w = *state;
	struct tether tether = TETHER_INIT;
	struct placement place = { NULL, NULL, NULL, NULL, NULL };
	pthread_t thread;
	char *why = NULL;

	answer_hello(w);
	assert_true(hub_serves(w->hub, clock_mono_ms()));
	begin(w, 0);
	assert_int_equal(pthread_create(&thread, NULL, drive, w), 0);
	assert_int_equal(farm_wait(w->farm[0], &tether, NULL, NULL, &place, &why), FARM_HOME);
	__atomic_store_n(&w->stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_true(farm_wrong(w->farm[0]));
	assert_non_null(strstr(why, "unreachable"));
	free(why);
}

/* While it tries in vain, and has no connection any more, units go on without it. */
static void
test_serves(void **state)
{
	struct world *w = *state;
	uint64_t now = clock_mono_ms(), end = now + LIMIT_MS;

	assert_true(hub_serves(w->hub, now));
	assert_false(hub_serves(w->hub, now + 500));
	answer_hello(w);
	assert_true(hub_serves(w->hub, clock_mono_ms() + 3600000));
	vanish(w);
	while (hub_serves(w->hub, clock_mono_ms())) {
		assert_true(clock_mono_ms() < end);
		hub_step(w->hub);
	}
	appear(w);
	answer_hello(w);
	assert_true(hub_serves(w->hub, clock_mono_ms()));
}

static bool
try_take(struct pool *p, const char *endpoint, void **s, struct monitor **m)
{
	return pool_take(p, endpoint, "", s, m);
}

static void
wait_connected(struct monitor *m)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	while (monitor_next(m, NULL) != MONITOR_CONNECTED)
		assert_true(clock_mono_ms() < end);
}

static void
test_pool(void **state)
{
	struct world *w = *state;
	struct pool *p = NULL;
	struct monitor *m = NULL;
	void *s = NULL, *given;
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	assert_int_equal(pool_new(&p), 0);
	assert_false(try_take(p, w->endpoint, &s, &m));
	assert_int_equal(
		socket_connect_monitored(w->zctx, w->endpoint, NULL, NULL, 1000, &s, &m), 0);
	wait_connected(m);
	given = s;
	pool_give(p, w->endpoint, "", s, m);
	assert_false(try_take(p, "ipc:///nowhere", &s, &m));
	assert_true(try_take(p, w->endpoint, &s, &m));
	assert_ptr_equal(s, given);
	/* it is one caller's */
	assert_false(try_take(p, w->endpoint, &given, &m));
	pool_give(p, w->endpoint, "", s, m);
	vanish(w);
	while (p && try_take(p, w->endpoint, &s, &m)) {
		assert_true(clock_mono_ms() < end);
		pool_give(p, w->endpoint, "", s, m);
	}
	pool_tick(p, clock_mono_ms() + 3600000);
	pool_freep(&p);
}

/* Two connections, and room for one of them. */
static void
test_pool_is_bounded(void **state)
{
	struct world *w = *state;
	struct pool *p = NULL;
	struct monitor *m = NULL;
	void *s = NULL;

	assert_int_equal(pool_new(&p), 0);
	pool_bound(p, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
			socket_connect_monitored(w->zctx, w->endpoint, NULL, NULL, 1000, &s, &m),
			0);
		wait_connected(m);
		pool_give(p, w->endpoint, "", s, m);
	}
	assert_true(try_take(p, w->endpoint, &s, &m));
	monitor_freep(&m);
	socket_closep(&s);
	assert_false(try_take(p, w->endpoint, &s, &m));
	pool_freep(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_its_own, setup, done),
		cmocka_unit_test_setup_teardown(test_lost_and_back, setup, done),
		cmocka_unit_test_setup_teardown(test_begun_while_away, setup, done),
		cmocka_unit_test_setup_teardown(test_welcomed_already, setup, done),
		cmocka_unit_test_setup_teardown(test_dead_already, setup, done),
		cmocka_unit_test_setup_teardown(test_serves, setup, done),
		cmocka_unit_test_setup_teardown(test_pool, setup, done),
		cmocka_unit_test_setup_teardown(test_pool_is_bounded, setup, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
