/* hub_ways: which of several coordinators the hub's jobs have, the test being all of them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/dispatch/farm_priv.h"
#include "client/dispatch/hub.h"
#include "client/wrap/farm_state.h"
#include "common/clock.h"
#include "common/fs.h"

#define LIMIT_MS 20000
#define TOOLCHAIN "0123456789abcdef0123456789abcdef" /* 32 bytes */
#define WAYS 3
#define UNITS 3
#define STEADY_MS 300
#define HEARD_MAX 64

struct coordinator {
	char *endpoint;
	void *ctx, *router;
	struct wire_peer peer;
	bool answers; /* Hello, at once */
	bool mute;    /* and no job */
	unsigned hellos;
	/* what came beside */
	enum wire_type type[HEARD_MAX];
	char job[HEARD_MAX][JOB_ID_SIZE];
	size_t n;
};

struct world {
	char *dir;
	struct coordinator at[WAYS];
	struct conf *conf;
	void *zctx;
	struct hub *hub;
	struct farm *farm[UNITS];
	struct farm_job job[UNITS];
};

static void
appear(struct coordinator *c)
{
	char *bound = NULL;

	c->ctx = zmq_ctx_new();
	c->n = 0;
	assert_int_equal(socket_listen(c->ctx, ADMIT_COORDINATOR, c->endpoint, NULL, 1000,
				 &c->router, &bound),
		0);
	free(bound);
}

static void
vanish(struct coordinator *c)
{
	socket_closep(&c->router);
	if (c->ctx)
		zmq_ctx_termp(&c->ctx);
}

static void
set(struct world *w, const char *assignment)
{
	_cleanup_(freep) char *error = NULL;

	if (conf_set(w->conf, assignment, &error) < 0)
		fail_msg("%s", error);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char *line = NULL, *cache = NULL, *error = NULL;

	if (!w || fs_make_temp_dir("/tmp", "dray-ways-", &w->dir) < 0)
		return -1;
	for (size_t i = 0; i < WAYS; i++) {
		w->at[i].answers = true;
		if (asprintf(&w->at[i].endpoint, "ipc://%s/%zu", w->dir, i) < 0)
			return -1;
	}
	if (asprintf(&line, "client.coordinator=%s,%s , %s", w->at[0].endpoint, w->at[1].endpoint,
		    w->at[2].endpoint) < 0 ||
		asprintf(&cache, "client.cache_dir=%s/cache", w->dir) < 0)
		return -1;
	assert_int_equal(conf_parse("", 0, "none", &w->conf, &error), 0);
	set(w, line);
	set(w, cache);
	free(w->conf->client.cache_dir);
	w->conf->client.cache_dir = strdup(w->conf->client.cache_set);
	set(w, "client.connect_ms=600");
	free(line);
	free(cache);
	*state = w;
	return 0;
}

static void
open_hub(struct world *w)
{
	char *why = NULL;

	assert_int_equal(zmq_ctx_open(&w->zctx), 0);
	assert_int_equal(hub_open(w->zctx, w->conf, &w->hub, &why), 0);
	hub_set_steady(w->hub, STEADY_MS);
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
	for (size_t i = 0; i < WAYS; i++) {
		vanish(&w->at[i]);
		free(w->at[i].endpoint);
	}
	conf_free(w->conf);
	r = fs_rm_rf(w->dir);
	free(w->dir);
	free(w);
	return r;
}

/* ---- the coordinators */

static void
welcome(struct coordinator *c)
{
	Dray__Welcome b = DRAY__WELCOME__INIT;
	char name[] = "c";

	b.version = WIRE_VERSION;
	b.name = name;
	assert_int_equal(wire_send(c->router, &c->peer, WIRE_WELCOME, &b.base, NULL, 0), 0);
}

static void
queue(const struct coordinator *c, char *job)
{
	Dray__JobQueued b = DRAY__JOB_QUEUED__INIT;

	b.job = job;
	assert_int_equal(wire_send(c->router, &c->peer, WIRE_JOB_QUEUED, &b.base, NULL, 0), 0);
}

static void
hear(struct coordinator *c)
{
	for (;;) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
		const char *job = "";

		struct wire_peer peer = { .fd = -1 };

		if (wire_recv(c->router, &peer, WIRE_FROM_CLIENT, &m) < 0)
			return;
		c->peer = peer;
		if (m.info->type == WIRE_HELLO) {
			c->hellos++;
			if (c->answers)
				welcome(c);
			continue;
		}
		if (m.info->type == WIRE_JOB_REQUEST)
			job = ((const Dray__JobRequest *)m.body)->job;
		else if (m.info->type == WIRE_JOB_CANCEL)
			job = ((const Dray__JobCancel *)m.body)->job;
		assert_true(c->n < HEARD_MAX);
		snprintf(c->job[c->n], sizeof(c->job[0]), "%s", job);
		if (m.info->type == WIRE_JOB_REQUEST && !c->mute)
			queue(c, c->job[c->n]);
		c->type[c->n++] = m.info->type;
	}
}

static bool
has_heard(const struct coordinator *c, enum wire_type type, const char *job)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->type[i] == type && streq(c->job[i], job))
			return true;
	return false;
}

/* All work for a moment, as they would side by side. */
static void
work(struct world *w)
{
	zmq_pollitem_t items[HUB_ITEMS + WAYS];
	size_t n = hub_items(w->hub, items);

	for (size_t i = 0; i < WAYS; i++)
		if (w->at[i].router)
			items[n++] = (zmq_pollitem_t){ w->at[i].router, 0, ZMQ_POLLIN, 0 };
	zmq_poll(items, (int)n, (long)MIN2(hub_wait(w->hub, clock_mono_ms()), (uint64_t)10));
	hub_step(w->hub);
	for (size_t i = 0; i < WAYS; i++)
		if (w->at[i].router)
			hear(&w->at[i]);
	for (size_t i = 0; i < UNITS; i++)
		if (w->farm[i] && !w->farm[i]->waiting)
			farm_mind(w->farm[i]);
		else if (w->farm[i])
			farm_connection_events(w->farm[i], clock_mono_ms());
}

#define UNTIL(w, what)                                          \
	do {                                                    \
		uint64_t end_ = clock_mono_ms() + LIMIT_MS;     \
		while (!(what)) {                               \
			if (clock_mono_ms() > end_)             \
				fail_msg("in vain: %s", #what); \
			work(w);                                \
		}                                               \
	} while (0)

static bool
is_up(struct world *w)
{
	return hub_away_since(w->hub) == 0;
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

static bool
was_asked(struct world *w, size_t way, size_t unit)
{
	return has_heard(&w->at[way], WIRE_JOB_REQUEST, w->job[unit].id);
}

static void
deny(struct world *w, size_t way, size_t unit)
{
	Dray__JobDenied b = DRAY__JOB_DENIED__INIT;
	char text[] = "no";

	b.job = w->job[unit].id;
	b.verdict = DRAY__VERDICT__VERDICT_QUEUE_FULL;
	b.text = text;
	assert_int_equal(
		wire_send(w->at[way].router, &w->at[way].peer, WIRE_JOB_DENIED, &b.base, NULL, 0),
		0);
}

/* The unit takes its mail up to that message. */
static bool
is_denied(struct world *w, size_t unit)
{
	for (;;) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;

		if (farm_receive(w->farm[unit], &m) < 0)
			return false;
		farm_heard(w->farm[unit], m.info->type);
		if (m.info->type == WIRE_JOB_DENIED)
			return true;
	}
}

/* ---- tests */

static void
test_in_turn(void **state)
{
	struct world *w = *state;
	uint64_t ms;
	bool up;

	appear(&w->at[1]);
	appear(&w->at[2]);
	open_hub(w);
	ask(w, 0);
	UNTIL(w, was_asked(w, 1, 0));
	assert_int_equal(w->at[1].hellos, 1);
	deny(w, 1, 0);
	UNTIL(w, is_denied(w, 0));
	assert_false(was_asked(w, 2, 0));
	/* noted for those who ask by themselves; the first one when its time is over */
	UNTIL(w, farm_state_since(w->conf->client.cache_dir, w->at[1].endpoint, &up, &ms) && up);
	UNTIL(w, farm_state_since(w->conf->client.cache_dir, w->at[0].endpoint, &up, &ms) && !up);
	assert_false(hub_is_refused(w->hub));
}

/* One that is not needed is not connected to. */
static void
test_first_alone(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WAYS; i++)
		appear(&w->at[i]);
	open_hub(w);
	UNTIL(w, is_up(w));
	ask(w, 0);
	UNTIL(w, was_asked(w, 0, 0));
	deny(w, 0, 0);
	UNTIL(w, is_denied(w, 0));
	assert_int_equal(w->at[0].hellos, 1);
	assert_int_equal(w->at[1].hellos + w->at[2].hellos, 0);
}

static void
test_lost(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WAYS; i++)
		appear(&w->at[i]);
	open_hub(w);
	UNTIL(w, is_up(w));
	ask(w, 0);
	ask(w, 1);
	UNTIL(w, was_asked(w, 0, 0) && was_asked(w, 0, 1));
	/* this one is at a worker */
	w->farm[1]->waiting = false;
	vanish(&w->at[0]);
	UNTIL(w, was_asked(w, 1, 0));
	UNTIL(w, !w->farm[1]->lost);
	assert_false(was_asked(w, 1, 1));
	deny(w, 1, 0);
	UNTIL(w, is_denied(w, 0));
	assert_int_equal(w->at[2].hellos, 0);
}

/* What was asked for at the second stays there, with its connection, when the first is back. */
static void
test_back(void **state)
{
	struct world *w = *state;
	uint64_t at;

	appear(&w->at[1]);
	open_hub(w);
	ask(w, 0);
	UNTIL(w, was_asked(w, 1, 0));
	appear(&w->at[0]);
	UNTIL(w, w->at[0].hellos == 1);
	at = clock_mono_ms();
	for (size_t n = 0; n < 2; n++) {
		farm_closep(&w->farm[1]);
		ask(w, 1);
		UNTIL(w, was_asked(w, 0, 1) || was_asked(w, 1, 1));
		if (n == 0 && clock_mono_ms() - at < STEADY_MS / 2)
			assert_false(was_asked(w, 0, 1));
		while (n == 0 && clock_mono_ms() - at < 2 * STEADY_MS)
			work(w);
	}
	assert_true(was_asked(w, 0, 1));
	deny(w, 1, 0);
	UNTIL(w, is_denied(w, 0));
	/* then it is let go: another one that comes there is greeted anew */
	assert_int_equal(w->at[1].hellos, 1);
	farm_closep(&w->farm[0]);
	deny(w, 0, 1);
	UNTIL(w, is_denied(w, 1));
	/* all that was asked for there is answered: the next step lets the second go */
	work(w);
	vanish(&w->at[0]);
	UNTIL(w, w->at[1].hellos == 2);
}

/* It stands, and says nothing: what waits there is taken back, what runs stays. */
static void
test_mute(void **state)
{
	struct world *w = *state;

	appear(&w->at[0]);
	appear(&w->at[1]);
	open_hub(w);
	UNTIL(w, is_up(w));
	ask(w, 0);
	UNTIL(w, was_asked(w, 0, 0));
	deny(w, 0, 0);
	UNTIL(w, is_denied(w, 0));
	w->farm[0]->waiting = false;
	w->at[0].mute = true;
	ask(w, 1);
	UNTIL(w, was_asked(w, 1, 1));
	UNTIL(w, has_heard(&w->at[0], WIRE_JOB_CANCEL, w->job[1].id));
	assert_false(has_heard(&w->at[0], WIRE_JOB_CANCEL, w->job[0].id));
	assert_false(was_asked(w, 1, 0));
	assert_int_equal(w->at[0].hellos, 1);
	/* it is greeted again when nothing of it is left here */
	farm_closep(&w->farm[0]);
	UNTIL(w, w->at[0].hellos == 2);
}

static void
test_nobody(void **state)
{
	struct world *w = *state;

	open_hub(w);
	UNTIL(w, !hub_serves(w->hub, clock_mono_ms()));
	assert_false(is_up(w));
	/* the last one of the line, late */
	appear(&w->at[2]);
	UNTIL(w, is_up(w));
	assert_true(hub_serves(w->hub, clock_mono_ms()));
	ask(w, 0);
	UNTIL(w, was_asked(w, 2, 0));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, done)
	const struct CMUnitTest tests[] = {
		TEST(test_in_turn),
		TEST(test_first_alone),
		TEST(test_lost),
		TEST(test_back),
		TEST(test_mute),
		TEST(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
