/* A worker that clients say lacks what it offers, at a coordinator that runs: who gets what, what
 * admins see, and how it ends. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#define LACKS DRAY__VERDICT__VERDICT_NO_TOOLCHAIN
#define NO_TRIES DRAY__VERDICT__VERDICT_NO_TRIES_LEFT

/* With time for a busy machine: no worker is given up meanwhile. */
static int
setup_patient(void **state)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	start(*state);
	return 0;
}

static void
denounce(struct world *w, void *client, enum who who, unsigned job)
{
	request(client, job);
	expect_placed(w, client, job, who, WORKER1);
	retry(client, job, names[WORKER1], LACKS);
	expect_denied(client, job, NO_TRIES, "has not failed it");
}

static unsigned
doubted(void *admin)
{
	Dray__AdminLook m = DRAY__ADMIN_LOOK__INIT;
	const Dray__AdminView *v;
	struct wire_msg answer;
	unsigned n;

	m.workers = true;
	assert_int_equal(wire_send_job(admin, NULL, 1, WIRE_ADMIN_LOOK, &m.base, NULL), 0);
	answer = expect(admin, WIRE_ADMIN_VIEW);
	v = (const Dray__AdminView *)answer.body;
	assert_int_equal(v->n_worker, 1);
	assert_string_equal(v->worker[0]->trust, "trusted");
	n = v->worker[0]->doubted;
	wire_msg_done(&answer);
	return n;
}

/* An event of that worker whose text has these words. */
static bool
has_event(void *admin, const char *words)
{
	Dray__AdminFollow m = DRAY__ADMIN_FOLLOW__INIT;
	const Dray__AdminEvents *e;
	struct wire_msg answer;
	bool found = false;

	assert_int_equal(wire_send_job(admin, NULL, 2, WIRE_ADMIN_FOLLOW, &m.base, NULL), 0);
	answer = expect(admin, WIRE_ADMIN_EVENTS);
	e = (const Dray__AdminEvents *)answer.body;
	for (size_t i = 0; i < e->n_event; i++)
		found |= strstr(e->event[i]->text, words) &&
			 streq(e->event[i]->worker, names[WORKER1]);
	wire_msg_done(&answer);
	return found;
}

static void
resume(void *admin, bool done, const char *text)
{
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	const Dray__AdminDone *d;
	struct wire_msg answer;
	char name[65];

	snprintf(name, sizeof(name), "%s", names[WORKER1]);
	m.what = DRAY__ADMIN_WHAT__ADMIN_RESUME;
	m.worker = name;
	assert_int_equal(wire_send_job(admin, NULL, 3, WIRE_ADMIN_ACT, &m.base, NULL), 0);
	answer = expect(admin, WIRE_ADMIN_DONE);
	d = (const Dray__AdminDone *)answer.body;
	assert_int_equal(d->verdict == DRAY__VERDICT__VERDICT_NONE, done);
	assert_non_null(strstr(d->text, text));
	wire_msg_done(&answer);
}

/* It was told to end the jobs that went elsewhere. */
static void
take_cancels(void *worker, unsigned n)
{
	while (n-- > 0)
		expect_done(worker, WIRE_WORKER_CANCEL);
}

static void
test_two_keys(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 4), *one = greet(w, CLIENT1, "client"),
	     *two = greet(w, CLIENT2, "client"), *three = greet(w, PUBLISHER, "publisher"),
	     *admin = greet(w, ADMIN, "admin");

	/* one key's word, however often, is about its own jobs */
	denounce(w, one, CLIENT1, 1);
	for (unsigned job = 2; job < 6; job++) {
		request(one, job);
		expect_denied(one, job, NO_TRIES, "has not failed it");
	}
	assert_int_equal(doubted(admin), 0);
	request(three, 10);
	expect_placed(w, three, 10, PUBLISHER, WORKER1);
	say_job(three, WIRE_JOB_CANCEL, 10);
	resume(admin, false, "neither drained nor removed");
	assert_false(has_event(admin, "gets no job of the toolchain"));
	/* a second one's */
	denounce(w, two, CLIENT2, 20);
	assert_int_equal(doubted(admin), 1);
	assert_true(has_event(admin, "gets no job of the toolchain"));
	request(three, 11);
	expect_denied(three, 11, DRAY__VERDICT__VERDICT_NO_WORKER, "clients say that they lack it");
	/* it says it all again */
	take_cancels(worker, 3);
	do_register(w, worker, WORKER1, names[WORKER1], 4, 0);
	assert_true(heartbeat(worker, 0));
	assert_int_equal(doubted(admin), 1);
	resume(admin, true, "all toolchains that it offers");
	assert_int_equal(doubted(admin), 0);
	request(three, 12);
	expect_placed(w, three, 12, PUBLISHER, WORKER1);
	CLOSE(worker, one, two, three, admin);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_keys, setup_patient, teardown),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
