/* Units that are alike, at a real coordinator: while one is made the others like it are kept back,
 * for a bounded time. Here no result ever comes: tests/scenario/0981 has those. */
#include "config.h"

#include "coordinator/server_priv.h"
#include "tests/unit/server_fixture.h"

static struct digest
digest_of(unsigned n)
{
	struct digest d;

	assert_int_equal(digest_bytes(&n, sizeof(n), &d), 0);
	return d;
}

/* place: where the unit lies, by which two are twins; 0: alone. */
static void
ask_at(void *socket, unsigned job, unsigned key, unsigned content, unsigned place)
{
	Dray__JobRequest m = DRAY__JOB_REQUEST__INIT;
	struct digest sought = digest_of(key), alike = digest_of(content), hint = digest_of(place);
	uint8_t id[32];
	char name[33];

	memcpy(id, TOOLCHAIN, sizeof(id));
	job_name(name, job);
	m.job = name;
	m.toolchain = (ProtobufCBinaryData){ sizeof(id), id };
	m.may_wait = true;
	m.sought = (ProtobufCBinaryData){ DIGEST_SIZE, sought.b };
	m.alike = (ProtobufCBinaryData){ DIGEST_SIZE, alike.b };
	if (place)
		m.hint = (ProtobufCBinaryData){ DIGEST_SIZE, hint.b };
	send_msg(socket, WIRE_JOB_REQUEST, &m.base);
}

static void
ask(void *socket, unsigned job, unsigned key, unsigned content)
{
	ask_at(socket, job, key, content, 0);
}

static void
expect_kept_back(void *socket, unsigned job)
{
	char name[33];
	bool made;

	job_name(name, job);
	/* news of the queue may be on their way */
	do {
		struct wire_msg m = expect(socket, WIRE_JOB_QUEUED);
		const Dray__JobQueued *q = (const Dray__JobQueued *)m.body;

		assert_string_equal(q->job, name);
		made = q->made;
		wire_msg_done(&m);
	} while (!made);
}

static void *
make_teller(struct world *w, enum who who, unsigned slots, bool tells, unsigned twins)
{
	void *socket = greet(w, who, "worker");
	Dray__WorkerRegister m = DRAY__WORKER_REGISTER__INIT;
	Dray__Offer offer = DRAY__OFFER__INIT, *offers[] = { &offer };
	char name[16], endpoint[] = "tcp://127.0.0.1:9", text[] = "1.95.0 rustc";
	uint8_t id[32];

	memcpy(id, TOOLCHAIN, sizeof(id));
	snprintf(name, sizeof(name), "%s", names[who]);
	offer.toolchain = (ProtobufCBinaryData){ sizeof(id), id };
	offer.text = text;
	m.name = name;
	m.endpoint = endpoint;
	m.curve_public = w->id[who].curve_public;
	m.offers = offers;
	m.n_offers = 1;
	m.cores = m.slots = slots;
	m.glibc = 36;
	m.twins = twins;
	m.samples = true;
	m.tells_alike = tells;
	send_msg(socket, WIRE_WORKER_REGISTER, &m.base);
	assert_true(heartbeat(socket, 0));
	return socket;
}

static void *
make_sharer(struct world *w, enum who who, unsigned slots)
{
	return make_teller(w, who, slots, true, 0);
}

/* The worker opens it, and then its compiler runs on that content; 0: it does not say. */
static void
say_compiles(void *worker, unsigned job, unsigned content)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;
	struct digest alike = digest_of(content);
	char name[33];

	say_job(worker, WIRE_WORKER_JOB_STARTED, job);
	job_name(name, job);
	m.job = name;
	m.compiles = true;
	if (content)
		m.alike = (ProtobufCBinaryData){ DIGEST_SIZE, alike.b };
	send_msg(worker, WIRE_WORKER_JOB_STARTED, &m.base);
}

static void
say_ended(void *worker, unsigned job, bool shares)
{
	Dray__WorkerJobEnded m = DRAY__WORKER_JOB_ENDED__INIT;
	char name[33];

	job_name(name, job);
	m.job = name;
	m.ok = true;
	m.end = DRAY__JOB_END__END_WHOLE;
	m.shares = shares;
	send_msg(worker, WIRE_WORKER_JOB_ENDED, &m.base);
}

/* The first one of a pair runs, and the second one is kept back. */
struct pair {
	void *worker, *one, *two;
};

static struct pair
begin(struct world *w, unsigned slots)
{
	struct pair p = { make_sharer(w, WORKER1, slots), greet(w, CLIENT1, "client"),
		greet(w, CLIENT2, "client") };

	ask(p.one, 1, 7, 7);
	expect_placed(w, p.one, 1, CLIENT1, WORKER1);
	ask(p.two, 2, 7, 7);
	expect_kept_back(p.two, 2);
	return p;
}

static void
test_kept_back(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	/* and is told so, again and again */
	expect_kept_back(p.two, 2);
	/* of another state, or another unit */
	ask(p.two, 3, 7, 8);
	expect_placed(w, p.two, 3, CLIENT2, WORKER1);
	ask(p.two, 4, 8, 7);
	expect_placed(w, p.two, 4, CLIENT2, WORKER1);
	say_compiles(p.worker, 1, 7);
	/* nobody waits for a slot */
	await(p.one, 1, 3, 0);
	/* its client wants it no more, and it makes nothing: the second one is made, and leads */
	say_job(p.one, WIRE_JOB_CANCEL, 1);
	say_job(p.worker, WIRE_WORKER_JOB_ENDED, 1);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	ask(p.one, 5, 7, 7);
	expect_kept_back(p.one, 5);
	CLOSE(p.worker, p.one, p.two);
}

static void
test_client_gone(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_compiles(p.worker, 1, 7);
	hang_up(w, &p.one);
	say_job(p.worker, WIRE_WORKER_JOB_ENDED, 1);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	CLOSE(p.worker, p.two);
}

static void
test_worker_gone(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);
	void *other = make_sharer(w, WORKER2, 8);

	say_compiles(p.worker, 1, 7);
	assert_true(heartbeat(p.worker, 1));
	hang_up(w, &p.worker);
	expect_placed(w, p.two, 2, CLIENT2, WORKER2);
	CLOSE(other, p.one, p.two);
}

/* Those that wait may go as well. */
static void
test_left(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_job(p.two, WIRE_JOB_CANCEL, 2);
	ask(p.two, 3, 7, 7);
	expect_kept_back(p.two, 3);
	hang_up(w, &p.two);
	say_job(p.one, WIRE_JOB_FINISHED, 1);
	say_job(p.worker, WIRE_WORKER_JOB_ENDED, 1);
	await(p.one, 1, 0, 0);
	ask(p.one, 4, 7, 7);
	expect_placed(w, p.one, 4, CLIENT1, WORKER1);
	CLOSE(p.worker, p.one);
}

/* The worker's word counts: what it compiles is something else, or it does not say. */
static void
test_not_what_it_says(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_compiles(p.worker, 1, 8);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	ask(p.one, 3, 7, 7);
	expect_kept_back(p.one, 3);
	say_compiles(p.worker, 2, 0);
	expect_placed(w, p.one, 3, CLIENT1, WORKER1);
	CLOSE(p.worker, p.one, p.two);
}

/* What is made is not shared: that is remembered. */
static void
test_unshared(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_compiles(p.worker, 1, 7);
	say_ended(p.worker, 1, false);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	ask(p.one, 3, 7, 7);
	expect_placed(w, p.one, 3, CLIENT1, WORKER1);
	ask(p.two, 4, 7, 7);
	expect_placed(w, p.two, 4, CLIENT2, WORKER1);
	CLOSE(p.worker, p.one, p.two);
}

/* A result that is on its way, and does not come. */
static void
test_does_not_come(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_compiles(p.worker, 1, 7);
	say_ended(p.worker, 1, true);
	say_job(p.one, WIRE_JOB_FINISHED, 1);
	ask(p.one, 3, 7, 7);
	expect_kept_back(p.one, 3);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	CLOSE(p.worker, p.one, p.two);
}

/* One that claims a unit, and never opens its job; and then claims it again. */
static void
test_never_opened(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 2);

	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	assert_true(heartbeat(p.worker, 0));
	CLOSE(p.worker, p.one, p.two);
}

/* One that opens it, and does not send what is lacking: nobody waits for that twice. */
static void
test_never_compiles(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_job(p.worker, WIRE_WORKER_JOB_STARTED, 1);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	await(p.one, 1, 2, 0);
	CLOSE(p.worker, p.one, p.two);
}

/* One that compiles for ever. */
static void
test_long(void **state)
{
	struct world *w = *state;
	struct pair p = begin(w, 8);

	say_compiles(p.worker, 1, 7);
	expect_placed(w, p.two, 2, CLIENT2, WORKER1);
	CLOSE(p.worker, p.one, p.two);
}

/* Of two that wait for a slot none waits for the other; the one that gets it leads. */
static void
test_queued(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 1), *one = greet(w, CLIENT1, "client");
	void *two = greet(w, CLIENT2, "client"), *other;

	request(one, 1);
	expect_placed(w, one, 1, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	ask(one, 2, 7, 7);
	ask(two, 3, 7, 7);
	await(one, 1, 1, 2);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	/* the other key's turn: it has used nothing */
	expect_placed(w, two, 3, CLIENT2, WORKER1);
	say_compiles(worker, 3, 7);
	/* one more slot: what would get it is kept back, and it is free again */
	other = make_sharer(w, WORKER2, 1);
	expect_kept_back(one, 2);
	request(one, 4);
	expect_placed(w, one, 4, CLIENT1, WORKER2);
	CLOSE(worker, other, one, two);
}

/* At one place they are twins, and get more of each other. */
static void
test_twins(void **state)
{
	struct world *w = *state;
	void *worker = make_teller(w, WORKER1, 8, true, 8), *one = greet(w, CLIENT1, "client");
	void *two = greet(w, CLIENT2, "client");

	ask_at(one, 1, 7, 7, 1);
	expect_placed(w, one, 1, CLIENT1, WORKER1);
	ask_at(two, 2, 7, 7, 1);
	expect_placed(w, two, 2, CLIENT2, WORKER1);
	await(one, 1, 1, 0);
	ask_at(two, 3, 7, 7, 2);
	expect_kept_back(two, 3);
	CLOSE(worker, one, two);
}

/* Behind a worker that shares nothing, or does not say of what, nobody waits. */
static void
test_nothing_shared(void **state)
{
	struct world *w = *state;
	void *worker = make_teller(w, WORKER1, 8, false, 0), *one = greet(w, CLIENT1, "client");
	void *two = greet(w, CLIENT2, "client");

	ask(one, 1, 7, 7);
	expect_placed(w, one, 1, CLIENT1, WORKER1);
	ask(two, 2, 7, 7);
	expect_placed(w, two, 2, CLIENT2, WORKER1);
	CLOSE(worker, one, two);
}

/* The lines of workers say what they sign with. */
static int
make_signs(void **state, const char *more_of_client2)
{
	char sign[N_WHO][sizeof("sign=") + SIGN_HEX_SIZE], hex[SIGN_HEX_SIZE];
	const char *more[N_WHO] = { [CLIENT2] = more_of_client2 };
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

static int
setup_signs(void **state)
{
	alike_limits = (struct alike_limits){ 60000, 60000, 60000, 50 };
	return make_signs(state, NULL);
}

/* One limit is short, so that none of the others can stand for it. */
static int
setup_short_unproved(void **state)
{
	alike_limits = (struct alike_limits){ 300, 60000, 60000, 50 };
	return make_signs(state, NULL);
}

static int
setup_short_grace(void **state)
{
	alike_limits = (struct alike_limits){ 60000, 300, 60000, 50 };
	return make_signs(state, NULL);
}

static int
setup_short_wait(void **state)
{
	alike_limits = (struct alike_limits){ 60000, 60000, 600, 50 };
	return make_signs(state, NULL);
}

static int
setup_namespaces(void **state)
{
	alike_limits = (struct alike_limits){ 60000, 60000, 60000, 50 };
	return make_signs(state, "namespace=other");
}

/* Of another namespace nobody is like one. */
static void
test_namespaces(void **state)
{
	struct world *w = *state;
	void *worker = make_sharer(w, WORKER1, 8), *one = greet(w, CLIENT1, "client");
	void *two = greet(w, CLIENT2, "client");

	ask(one, 1, 7, 7);
	expect_placed(w, one, 1, CLIENT1, WORKER1);
	ask(two, 2, 7, 7);
	expect_placed(w, two, 2, CLIENT2, WORKER1);
	CLOSE(worker, one, two);
}

#define S(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		S(test_kept_back, setup_signs),
		S(test_client_gone, setup_signs),
		S(test_worker_gone, setup_signs),
		S(test_left, setup_signs),
		S(test_not_what_it_says, setup_signs),
		S(test_unshared, setup_signs),
		S(test_does_not_come, setup_short_grace),
		S(test_never_opened, setup_short_unproved),
		S(test_never_compiles, setup_short_unproved),
		S(test_long, setup_short_wait),
		S(test_queued, setup_signs),
		S(test_twins, setup_signs),
		S(test_nothing_shared, setup_signs),
		S(test_namespaces, setup_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
