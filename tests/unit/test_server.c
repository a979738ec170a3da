/* Jobs, workers and clients of a real coordinator, and what it does when they go and come back. */
#include "config.h"

#include "tests/unit/server_fixture.h"

static void
test_one_job(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = connect_as(w, CLIENT1);

	/* The request right behind Hello. */
	hello_versions(client, "client", 1, 7);
	request(client, 1);
	expect_done(client, WIRE_WELCOME);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	request(client, 2);
	expect_done(client, WIRE_JOB_QUEUED);
	expect_done(client, WIRE_JOB_QUEUED); /* again, a second later */
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	say_job(client, WIRE_JOB_FINISHED, 1);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	say_job(client, WIRE_JOB_FINISHED, 2);
	await(client, 1, 0, 0);
	CLOSE(worker, client);
}

/* What a worker says of a twin is of no other try: the job has its slot after it as before. */
static void
test_a_twin_ends(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");
	Dray__WorkerJobEnded ended = DRAY__WORKER_JOB_ENDED__INIT;
	char name[33];

	job_name(name, 1);
	ended.job = name;
	ended.ok = ended.twin = true;
	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	send_msg(worker, WIRE_WORKER_JOB_ENDED, &ended.base);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	request(client, 2);
	expect_done(client, WIRE_JOB_QUEUED);
	send_msg(worker, WIRE_WORKER_JOB_ENDED, &ended.base);
	expect_done(client, WIRE_JOB_QUEUED);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	CLOSE(worker, client);
}

static void
test_status(void **state)
{
	struct world *w = *state;
	void *w1 = make_worker(w, WORKER1, 3), *w2 = make_worker(w, WORKER2, 2);
	void *admin = greet(w, ADMIN, "admin"), *client = greet(w, CLIENT1, "client");
	const Dray__Status *s;
	struct wire_msg m;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	m = status(admin);
	s = (const Dray__Status *)m.body;
	assert_string_equal(s->name, "coord");
	assert_string_equal(s->role, "admin");
	assert_int_equal(s->workers, 2);
	assert_int_equal(s->matching, 2);
	assert_int_equal(s->slots, 5);
	assert_int_equal(s->matching_slots, 5);
	assert_int_equal(s->running, 1);
	assert_int_equal(s->jobs_placed, 1);
	assert_int_equal(s->n_worker, 2);
	assert_int_equal(s->worker[0]->n_toolchains, 1);
	assert_string_equal(s->worker[0]->toolchains[0], "1.95.0 rustc 303132333435");
	assert_true(s->worker[0]->matching);
	assert_true(s->worker[0]->heard_ms < LIMIT_MS);
	wire_msg_done(&m);
	/* An admin asks; it does not compile. */
	request(admin, 2);
	expect_refused(admin, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "admin");
	CLOSE(w1, w2, admin, client);
}

static void
test_denials(void **state)
{
	struct world *w = *state;
	void *client = greet(w, CLIENT1, "client"), *worker;

	request(client, 1);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_WORKER, "no worker is connected");
	worker = make_worker(w, WORKER1, 1);
	request_for(client, 2, "another toolchain of 32 bytes...", 0);
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_NO_WORKER, "has the toolchain");
	request_for(client, 3, TOOLCHAIN, 99);
	expect_denied(client, 3, DRAY__VERDICT__VERDICT_NO_WORKER, "glibc 2.99");
	retry(client, 4, "worker1", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_denied(client, 4, DRAY__VERDICT__VERDICT_UNKNOWN_JOB, "does not know the job");
	CLOSE(client, worker);
}

static void
test_retry(void **state)
{
	struct world *w = *state;
	void *w1 = make_worker(w, WORKER1, 1), *w2 = make_worker(w, WORKER2, 1);
	void *client = greet(w, CLIENT1, "client");

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(w1, WIRE_WORKER_JOB_STARTED, 1);
	await(client, 2, 1, 0);
	retry(client, 1, "worker1", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_done(w1, WIRE_WORKER_CANCEL);
	expect_placed(w, client, 1, CLIENT1, WORKER2);
	retry(client, 1, "worker2", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT, "no worker is left");
	await(client, 2, 0, 0);
	CLOSE(w1, w2, client);
}

/* What the client says to a coordinator that was restarted: its worker has failed meanwhile. */
static void
test_retry_after_our_restart(void **state)
{
	struct world *w = *state;
	void *w1 = make_worker(w, WORKER1, 1), *w2 = make_worker(w, WORKER2, 1);
	void *client = connect_as(w, CLIENT1);

	retry(client, 1, "worker1", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_UNKNOWN_JOB, "does not know the job");
	request_anew(client, 1, TOOLCHAIN, 0, "worker1");
	expect_placed(w, client, 1, CLIENT1, WORKER2);
	retry(client, 1, "worker2", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT, "no worker is left");
	/* One that nobody knows keeps it from nobody. */
	request_anew(client, 2, TOOLCHAIN, 0, "worker9");
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	hang_up(w, &w2);
	await(greet(w, CLIENT2, "client"), 1, 1, 0);
	request_anew(client, 3, TOOLCHAIN, 0, "worker1");
	expect_denied(client, 3, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT, "no worker is left");
	CLOSE(w1, client);
}

/* The end of a client's old connection was not seen yet when it asks on the new one. */
static void
test_client_on_a_new_connection(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *old = greet(w, CLIENT1, "client");
	void *waiting = greet(w, CLIENT1, "client"), *new, *thief;

	request(old, 1);
	expect_placed(w, old, 1, CLIENT1, WORKER1);
	request(waiting, 2);
	expect_done(waiting, WIRE_JOB_QUEUED);
	/* Waiting, and taken over where it waits. */
	new = greet(w, CLIENT1, "client");
	request(new, 2);
	expect_done(new, WIRE_JOB_QUEUED);
	hang_up(w, &waiting);
	/* Placed, and never opened; the queue's first gets that slot. */
	request(new, 1);
	expect_done(worker, WIRE_WORKER_CANCEL);
	expect_placed(w, new, 2, CLIENT1, WORKER1);
	say_job(new, WIRE_JOB_FINISHED, 2);
	expect_placed(w, new, 1, CLIENT1, WORKER1);
	hang_up(w, &old); /* takes nothing along */
	await(new, 1, 1, 0);
	/* Another client, under another's job. */
	thief = greet(w, CLIENT2, "client");
	request(thief, 1);
	expect_refused(thief, DRAY__VERDICT__VERDICT_MALFORMED, "is there already");
	await(new, 1, 1, 0);
	CLOSE(worker, new, thief);
}

static void
test_cancel_and_client_gone(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *watcher = greet(w, CLIENT2, "client");
	void *client = greet(w, CLIENT1, "client");
	uint64_t begin;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(client, WIRE_JOB_CANCEL, 1);
	expect_done(worker, WIRE_WORKER_CANCEL);
	request(client, 2);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 2);
	request(client, 3);
	await(watcher, 1, 1, 1);
	begin = clock_mono_ms();
	hang_up(w, &client);
	expect_done(worker, WIRE_WORKER_CANCEL);
	/* sooner than by three heartbeats */
	assert_true(clock_mono_ms() - begin < 3000);
	await(watcher, 1, 1, 0); /* its slot is in use until the worker has ended it */
	say_job(worker, WIRE_WORKER_JOB_ENDED, 2);
	await(watcher, 1, 0, 0);
	CLOSE(worker, watcher);
}

static void
test_worker_gone(void **state)
{
	struct world *w = *state;
	void *w1 = make_worker(w, WORKER1, 1), *w2, *client = greet(w, CLIENT1, "client");

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(w1, WIRE_WORKER_JOB_STARTED, 1);
	request(client, 2);
	expect_done(client, WIRE_JOB_QUEUED);
	hang_up(w, &w1);
	/* Nobody is left for the one that waits; the one that ran is its client's to move. */
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_NO_WORKER, "no worker is connected");
	await(client, 0, 0, 0);
	w2 = make_worker(w, WORKER2, 1);
	retry(client, 1, "worker1", DRAY__VERDICT__VERDICT_WORKER_FAULT);
	expect_placed(w, client, 1, CLIENT1, WORKER2);
	CLOSE(w2, client);
}

static void
test_worker_silent(void **state)
{
	struct world *w = *state;
	void *worker, *client;

	set_conf(w, "heartbeat_ms", "100");
	start(w);
	worker = make_worker(w, WORKER1, 1);
	client = greet(w, CLIENT1, "client");
	await(client, 1, 0, 0);
	await(client, 0, 0, 0); /* connected, but it says nothing */
	assert_false(heartbeat(worker, 0));
	do_register(w, worker, WORKER1, "worker1", 1, 0);
	assert_true(heartbeat(worker, 0));
	await(client, 1, 0, 0);
	CLOSE(worker, client);
}

static void
test_restart_with_running_jobs(void **state)
{
	struct world *w = *state;
	void *worker = connect_as(w, WORKER1), *client;

	/* To this coordinator the worker is new, and speaks as to one that knows it. */
	say_job(worker, WIRE_WORKER_JOB_ENDED, 5);
	assert_false(heartbeat(worker, 1));
	hello_versions(worker, "worker", WIRE_VERSION, WIRE_VERSION);
	do_register(w, worker, WORKER1, "worker1", 1, 7);
	expect_done(worker, WIRE_WELCOME);
	client = greet(w, CLIENT1, "client");
	await(client, 1, 1, 0);
	request(client, 1);
	expect_done(client, WIRE_JOB_QUEUED);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 7);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	CLOSE(worker, client);
}

static void
test_same_worker_on_a_new_connection(void **state)
{
	struct world *w = *state;
	void *old = make_worker(w, WORKER1, 2), *client = greet(w, CLIENT1, "client"), *new, *thief;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(old, WIRE_WORKER_JOB_STARTED, 1);
	await(client, 1, 1, 0);
	new = greet(w, WORKER1, "worker");
	do_register(w, new, WORKER1, "worker1", 2, 1);
	assert_true(heartbeat(new, 1));
	assert_false(heartbeat(old, 1));
	await(client, 1, 1, 0);
	hang_up(w, &old); /* takes nothing along */
	say_job(client, WIRE_JOB_CANCEL, 1);
	expect_done(new, WIRE_WORKER_CANCEL);
	await(client, 1, 1, 0);
	/* Another node under that name. */
	thief = greet(w, WORKER2, "worker");
	do_register(w, thief, WORKER2, "worker1", 2, 0);
	expect_refused(thief, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "another key for the name");
	assert_true(heartbeat(new, 1));
	CLOSE(new, thief, client);
}

/* Of two processes with one identity the elder stays, and the younger hears why. */
static void
test_elder_stays(void **state)
{
	struct world *w = *state;
	void *elder = greet(w, WORKER1, "worker"), *younger = greet(w, WORKER1, "worker"), *again;

	register_as(w, elder, WORKER1, "worker1", 1, 0, 1);
	assert_true(heartbeat(elder, 0));
	register_as(w, younger, WORKER1, "worker1", 1, 0, 2);
	expect_refused(younger, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"Another worker with this key is connected: worker1 at tcp://127.0.0.1:9");
	assert_true(heartbeat(elder, 0));
	/* The same process, on a new connection. */
	again = greet(w, WORKER1, "worker");
	register_as(w, again, WORKER1, "worker1", 1, 0, 1);
	assert_true(heartbeat(again, 0));
	assert_false(heartbeat(elder, 0));
	/* With its elder gone the younger may come. */
	hang_up(w, &elder);
	hang_up(w, &again);
	hang_up(w, &younger);
	await(greet(w, CLIENT1, "client"), 0, 0, 0);
	younger = greet(w, WORKER1, "worker");
	register_as(w, younger, WORKER1, "worker1", 1, 0, 2);
	assert_true(heartbeat(younger, 0));
	CLOSE(younger);
}

/* A worker hears of a client's key before the client has its ticket. */
static void
test_client_is_named(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 2), *client = greet(w, PUBLISHER, "client");
	struct wire_msg m;
	const Dray__WorkerExpect *e;

	request(client, 1);
	expect_placed(w, client, 1, PUBLISHER, WORKER1);
	m = expect(worker, WIRE_WORKER_EXPECT);
	e = (const Dray__WorkerExpect *)m.body;
	assert_string_equal(e->curve_public, w->id[PUBLISHER].curve_public);
	assert_string_equal(e->role, "publisher");
	assert_string_equal(e->namespace_, "");
	wire_msg_done(&m);
	CLOSE(worker, client);
}

/* A worker that has no slot says so itself; its client's word comes second. */
static void
test_refused_by_its_worker(void **state)
{
	struct world *w = *state;
	void *w1 = make_worker(w, WORKER1, 1), *w2, *client = greet(w, CLIENT1, "client");

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	w2 = make_worker(w, WORKER2, 1);
	say_job(w1, WIRE_WORKER_JOB_REFUSED, 1);
	await(client, 2, 1, 0);
	retry(client, 1, "worker1", DRAY__VERDICT__VERDICT_FULL);
	expect_placed(w, client, 1, CLIENT1, WORKER2);
	await(client, 2, 2, 0);
	CLOSE(w1, w2, client);
}

/* More of it than anybody needs is not answered, and nobody else notices. */
static void
test_status_is_bounded(void **state)
{
	struct world *w = *state;
	void *greedy = greet(w, CLIENT1, "client"), *other = greet(w, CLIENT2, "client");
	unsigned answered = 0;

	for (unsigned i = 0; i < 1000; i++)
		ask_status(greedy);
	await(other, 0, 0, 0);
	for (zmq_pollitem_t item = { greedy, 0, ZMQ_POLLIN, 0 }; zmq_poll(&item, 1, 100) > 0;
		answered++)
		expect_done(greedy, WIRE_STATUS);
	assert_true(answered >= 64 && answered < 200);
	CLOSE(greedy, other);
}

static void
test_bye(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 2), *client = greet(w, CLIENT1, "client");
	Dray__WorkerBye bye;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	dray__worker_bye__init(&bye);
	send_msg(worker, WIRE_WORKER_BYE, &bye.base);
	assert_true(heartbeat(worker, 1));
	request(client, 2);
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_NO_WORKER, "draining");
	say_job(client, WIRE_JOB_FINISHED, 1);
	CLOSE(worker, client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_job),
		T(test_a_twin_ends),
		T(test_status),
		T(test_denials),
		T(test_retry),
		T(test_retry_after_our_restart),
		T(test_client_on_a_new_connection),
		T(test_cancel_and_client_gone),
		T(test_worker_gone),
		cmocka_unit_test_setup_teardown(test_worker_silent, setup_only, teardown),
		T(test_restart_with_running_jobs),
		T(test_same_worker_on_a_new_connection),
		T(test_elder_stays),
		T(test_client_is_named),
		T(test_refused_by_its_worker),
		T(test_status_is_bounded),
		T(test_bye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
