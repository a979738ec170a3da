/* Refills at a real coordinator: placed on a worker that shares what it makes while nobody waits,
 * and ended as soon as somebody does. */
#include "config.h"

#include "tests/unit/server_fixture.h"

/* One that shares what it makes. */
static void *
make_sharer(struct world *w, enum who who, unsigned slots)
{
	void *socket = greet(w, who, "worker");

	register_with(w, socket, who, names[who], slots, 0, 0, true);
	assert_true(heartbeat(socket, 0));
	return socket;
}

static void
ask_refill(void *socket, unsigned job, unsigned glibc)
{
	Dray__JobRequest m = DRAY__JOB_REQUEST__INIT;
	uint8_t id[32];
	char name[33];

	memcpy(id, TOOLCHAIN, sizeof(id));
	job_name(name, job);
	m.job = name;
	m.toolchain = (ProtobufCBinaryData){ sizeof(id), id };
	m.glibc = glibc;
	m.refill = true;
	send_msg(socket, WIRE_JOB_REQUEST, &m.base);
}

/* Placed, and its ticket says what it is. */
static void
expect_refill(struct world *w, void *socket, unsigned job, enum who client, enum who worker)
{
	struct wire_msg m = expect(socket, WIRE_JOB_PLACED);
	const Dray__JobPlaced *p = (const Dray__JobPlaced *)m.body;
	struct ticket_book *book = NULL;
	struct ticket_terms terms;
	char name[33], *ticket_job = NULL;

	job_name(name, job);
	assert_string_equal(p->job, name);
	assert_string_equal(p->worker, names[worker]);
	assert_int_equal(ticket_book_new(&book), 0);
	assert_int_equal(
		ticket_check(book, p->ticket.data, p->ticket.len, p->signature.data,
			p->signature.len, w->id[COORD].sign_public, w->id[client].curve_public,
			w->id[worker].curve_public, clock_wall_ms(), &ticket_job, &terms),
		0);
	assert_true(terms.refill && !terms.twin && !terms.sample);
	free(ticket_job);
	ticket_book_free(book);
	wire_msg_done(&m);
}

static void
expect_cancel(void *worker, unsigned job)
{
	struct wire_msg m = expect(worker, WIRE_WORKER_CANCEL);
	char name[33];

	job_name(name, job);
	assert_string_equal(((const Dray__WorkerCancel *)m.body)->job, name);
	wire_msg_done(&m);
}

/* Its compiler runs: its slot is one that its client uses. */
static void
say_compiles(void *worker, unsigned job)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;
	char name[33];

	say_job(worker, WIRE_WORKER_JOB_STARTED, job);
	job_name(name, job);
	m.job = name;
	m.compiles = true;
	send_msg(worker, WIRE_WORKER_JOB_STARTED, &m.base);
	assert_true(heartbeat(worker, 1));
}

/* The worker is told of the client, as one that has shown nothing yet, or not. */
static void
expect_named(void *worker, bool on_trial)
{
	struct wire_msg m = expect(worker, WIRE_WORKER_EXPECT);

	assert_int_equal(((const Dray__WorkerExpect *)m.body)->on_trial, on_trial);
	wire_msg_done(&m);
}

static void
test_one(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");

	ask_refill(client, 1, 0);
	/* whatever it has compiled as one */
	expect_named(worker, true);
	expect_refill(w, client, 1, CLIENT1, WORKER1);
	/* it has no slot: a job gets that */
	request(client, 2);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 2);
	/* one at a time */
	ask_refill(client, 3, 0);
	expect_denied(client, 3, DRAY__VERDICT__VERDICT_FULL, "another one of this client");
	/* whatever its client says: until the worker has ended it */
	say_job(client, WIRE_JOB_FINISHED, 1);
	ask_refill(client, 6, 0);
	expect_denied(client, 6, DRAY__VERDICT__VERDICT_FULL, "another one of this client");
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	assert_true(heartbeat(worker, 1));
	/* and none where no slot is free */
	ask_refill(client, 4, 0);
	expect_denied(client, 4, DRAY__VERDICT__VERDICT_FULL, "no worker is idle");
	say_job(worker, WIRE_WORKER_JOB_ENDED, 2);
	say_job(client, WIRE_JOB_FINISHED, 2);
	await(client, 1, 0, 0);
	ask_refill(client, 5, 0);
	expect_refill(w, client, 5, CLIENT1, WORKER1);
	CLOSE(worker, client);
}

static void
test_somebody_waits(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");
	void *other = greet(w, CLIENT2, "client");

	ask_refill(client, 1, 0);
	expect_refill(w, client, 1, CLIENT1, WORKER1);
	request(other, 2);
	expect_placed(w, other, 2, CLIENT2, WORKER1);
	say_compiles(worker, 2);
	request(other, 3);
	expect_done(other, WIRE_JOB_QUEUED);
	/* what runs ends, and none begins */
	expect_cancel(worker, 1);
	ask_refill(client, 4, 0);
	expect_denied(client, 4, DRAY__VERDICT__VERDICT_FULL, "others wait");
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 2);
	say_job(other, WIRE_JOB_FINISHED, 2);
	expect_placed(w, other, 3, CLIENT2, WORKER1);
	say_job(other, WIRE_JOB_CANCEL, 3);
	await(other, 1, 0, 0);
	ask_refill(client, 5, 0);
	expect_refill(w, client, 5, CLIENT1, WORKER1);
	CLOSE(worker, client, other);
}

/* Jobs of a key that opens none of them keep nobody's refills from running: they wait for nothing
 * but that key. */
static void
test_nobody_opens(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 2), *client = greet(w, CLIENT1, "client");
	void *other = greet(w, CLIENT2, "client");

	request(other, 2);
	expect_placed(w, other, 2, CLIENT2, WORKER1);
	request(other, 3);
	request(other, 4);
	expect_done(other, WIRE_JOB_QUEUED);
	ask_refill(client, 1, 0);
	expect_refill(w, client, 1, CLIENT1, WORKER1);
	CLOSE(worker, client, other);
}

static void
test_not_there(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");
	void *sharer;

	/* it shares nothing */
	ask_refill(client, 1, 0);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_WORKER, "no worker that shares");
	sharer = make_sharer(w, WORKER2, 1);
	ask_refill(client, 2, 99);
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_NO_WORKER, "no worker that shares");
	ask_refill(client, 3, 0);
	expect_refill(w, client, 3, CLIENT1, WORKER2);
	CLOSE(worker, sharer, client);
}

/* Its client goes, or wants it no more: its worker is told. A worker that goes, or does not take
 * it, leaves nothing. */
static void
test_left(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");

	ask_refill(client, 1, 0);
	expect_refill(w, client, 1, CLIENT1, WORKER1);
	say_job(client, WIRE_JOB_CANCEL, 1);
	expect_cancel(worker, 1);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	assert_true(heartbeat(worker, 0));
	ask_refill(client, 2, 0);
	expect_refill(w, client, 2, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_REFUSED, 2);
	assert_true(heartbeat(worker, 0));
	ask_refill(client, 3, 0);
	expect_refill(w, client, 3, CLIENT1, WORKER1);
	hang_up(w, &client);
	expect_cancel(worker, 3);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 3);
	assert_true(heartbeat(worker, 0));
	client = greet(w, CLIENT1, "client");
	ask_refill(client, 4, 0);
	expect_refill(w, client, 4, CLIENT1, WORKER1);
	hang_up(w, &worker);
	await(client, 0, 0, 0);
	worker = make_sharer(w, WORKER1, 1);
	/* what it had is gone with it */
	ask_refill(client, 5, 0);
	expect_refill(w, client, 5, CLIENT1, WORKER1);
	CLOSE(worker, client);
}

/* Nothing is taken of what a worker makes whose line in the list has no sign=. */
static void
test_without_sign(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");

	ask_refill(client, 1, 0);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_WORKER, "no worker that shares");
	CLOSE(worker, client);
}

/* What a worker says of a job is of one thing alone. */
static void
test_other_job(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 2), *client = greet(w, CLIENT1, "client");

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	ask_refill(client, 1, 0);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_FULL, "such a job already");
	CLOSE(worker, client);
}

/* The lines of workers say what they sign with. */
static int
setup_signs(void **state)
{
	char sign[N_WHO][sizeof("sign=") + SIGN_HEX_SIZE], hex[SIGN_HEX_SIZE];
	const char *more[N_WHO] = { NULL };
	struct world *w;

	make_world(state, false);
	w = *state;
	for (int i = WORKER1; i <= WORKER2; i++) {
		identity_sign_hex(&w->id[i], hex);
		snprintf(sign[i], sizeof(sign[i]), "sign=%s", hex);
		more[i] = sign[i];
	}
	write_keys_with(w, true, more);
	start(w);
	return 0;
}

#define S(name) cmocka_unit_test_setup_teardown(name, setup_signs, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		S(test_one),
		S(test_somebody_waits),
		S(test_nobody_opens),
		S(test_not_there),
		S(test_left),
		T(test_without_sign),
		S(test_other_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
