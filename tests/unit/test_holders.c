/* Which worker has which blob, as the real coordinator hears it and tells it. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include "common/digest.h"

static struct digest
blob(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

/* One that a job made, and one that its client has sent. */
static void
holds(void *worker, unsigned job, unsigned made, unsigned sent)
{
	struct digest d[2] = { blob(made), blob(sent) };
	ProtobufCBinaryData of_job = { DIGEST_SIZE, d[0].b }, of_client = { DIGEST_SIZE, d[1].b };
	Dray__WorkerHolds m = DRAY__WORKER_HOLDS__INIT;
	char name[33];

	job_name(name, job);
	m.job = name;
	m.made = &of_job;
	m.n_made = made != 0;
	m.sent = &of_client;
	m.n_sent = sent != 0;
	send_msg(worker, WIRE_WORKER_HOLDS, &m.base);
	/* it was heard */
	assert_true(heartbeat(worker, 0));
}

#define BLOBS 4

/* Asks for the blobs 0 … 3. */
static struct wire_msg
seek(void *worker, unsigned job)
{
	struct digest d[BLOBS];
	ProtobufCBinaryData v[BLOBS];
	Dray__WorkerSeek m = DRAY__WORKER_SEEK__INIT;
	char name[33];

	for (unsigned i = 0; i < BLOBS; i++) {
		d[i] = blob(i);
		v[i] = (ProtobufCBinaryData){ DIGEST_SIZE, d[i].b };
	}
	job_name(name, job);
	m.job = name;
	m.blob = v;
	m.n_blob = BLOBS;
	send_msg(worker, WIRE_WORKER_SEEK, &m.base);
	return expect(worker, WIRE_WORKER_FOUND);
}

static void
finds_nothing(void *worker, unsigned job)
{
	struct wire_msg m = seek(worker, job);

	assert_int_equal(((const Dray__WorkerFound *)m.body)->n_holder, 0);
	wire_msg_done(&m);
}

static int
check(struct world *w, const Dray__Holder *h, enum who asker, enum who holder,
	char owner[CURVE_KEY_SIZE])
{
	return ticket_check_blobs(h->ticket.data, h->ticket.len, h->signature.data,
		h->signature.len, w->id[COORD].sign_public, w->id[asker].curve_public,
		w->id[holder].curve_public, clock_wall_ms(), owner);
}

/* Two workers of one slot, and a job on each. */
struct farm {
	void *w1, *w2, *client, *other;
};

/* Its compiler runs, so its key may have another slot. */
static void
compiles(void *worker, unsigned job)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;
	char name[33];

	job_name(name, job);
	m.job = name;
	m.compiles = true;
	send_msg(worker, WIRE_WORKER_JOB_STARTED, &m.base);
	assert_true(heartbeat(worker, 1));
}

static struct farm
farm_up(struct world *w, enum who second)
{
	struct farm f = { make_worker(w, WORKER1, 1), NULL, greet(w, CLIENT1, "client"),
		greet(w, CLIENT2, "client") };

	request(f.client, 1);
	expect_placed(w, f.client, 1, CLIENT1, WORKER1);
	say_job(f.w1, WIRE_WORKER_JOB_STARTED, 1);
	compiles(f.w1, 1);
	f.w2 = make_worker(w, WORKER2, 1);
	request(second == CLIENT1 ? f.client : f.other, 2);
	expect_placed(w, second == CLIENT1 ? f.client : f.other, 2, second, WORKER2);
	say_job(f.w2, WIRE_WORKER_JOB_STARTED, 2);
	return f;
}

static void
test_who_has_what(void **state)
{
	struct world *w = *state;
	struct farm f = farm_up(w, CLIENT1);
	const Dray__WorkerFound *found;
	const Dray__Holder *h;
	char owner[CURVE_KEY_SIZE], name[33];
	struct wire_msg m, e;

	job_name(name, 2);
	finds_nothing(f.w2, 2);
	holds(f.w1, 1, 1, 3);
	m = seek(f.w2, 2);
	found = (const Dray__WorkerFound *)m.body;
	assert_string_equal(found->job, name);
	assert_int_equal(found->n_holder, 1);
	h = found->holder[0];
	assert_string_equal(h->name, "worker1");
	assert_string_equal(h->endpoint, "tcp://127.0.0.1:9");
	assert_string_equal(h->curve_public, w->id[WORKER1].curve_public);
	assert_int_equal(h->n_blob, 2);
	assert_int_equal(h->blob[0], 1);
	assert_int_equal(h->blob[1], 3);
	assert_int_equal(check(w, h, WORKER2, WORKER1, owner), 0);
	assert_string_equal(owner, w->id[CLIENT1].curve_public);
	assert_int_equal(check(w, h, CLIENT1, WORKER1, owner), -EACCES);
	/* it lets in the other one; before, it was told of its client */
	e = expect(f.w1, WIRE_WORKER_EXPECT);
	if (streq(((const Dray__WorkerExpect *)e.body)->curve_public,
		    w->id[CLIENT1].curve_public)) {
		wire_msg_done(&e);
		e = expect(f.w1, WIRE_WORKER_EXPECT);
	}
	assert_string_equal(
		((const Dray__WorkerExpect *)e.body)->curve_public, w->id[WORKER2].curve_public);
	wire_msg_done(&e);
	wire_msg_done(&m);
	/* one does not name itself, and it is asked for a job that it has */
	finds_nothing(f.w1, 1);
	finds_nothing(f.w2, 1);
	finds_nothing(f.w2, 77);
	holds(f.w1, 2, 2, 0);
	m = seek(f.w2, 2);
	found = (const Dray__WorkerFound *)m.body;
	assert_int_equal(found->holder[0]->n_blob, 2);
	wire_msg_done(&m);
	/* what the other one has now is known, too; then its process is gone, and this one's stays
	 */
	holds(f.w2, 2, 0, 3);
	hang_up(w, &f.w2);
	await(f.client, 1, 1, 0);
	finds_nothing(f.w1, 1);
	CLOSE(f.w1, f.client, f.other);
}

/* What a client has sent is for its own jobs alone; what a job made, within its namespace. */
static void
test_others(void **state)
{
	struct world *w = *state;
	static const char *const more[N_WHO] = {
		[CLIENT1] = "namespace=a", [CLIENT2] = "namespace=a"
	};
	struct farm f;
	struct wire_msg m;

	write_keys_with(w, true, more);
	start(w);
	f = farm_up(w, CLIENT2);
	holds(f.w1, 1, 1, 3);
	m = seek(f.w2, 2);
	assert_int_equal(((const Dray__WorkerFound *)m.body)->n_holder, 1);
	assert_int_equal(((const Dray__WorkerFound *)m.body)->holder[0]->n_blob, 1);
	assert_int_equal(((const Dray__WorkerFound *)m.body)->holder[0]->blob[0], 1);
	wire_msg_done(&m);
	CLOSE(f.w1, f.w2, f.client, f.other);
}

static void
test_other_namespaces(void **state)
{
	struct world *w = *state;
	static const char *const more[N_WHO] = {
		[CLIENT1] = "namespace=a", [CLIENT2] = "namespace=b"
	};
	struct farm f;

	write_keys_with(w, true, more);
	start(w);
	f = farm_up(w, CLIENT2);
	holds(f.w1, 1, 1, 3);
	finds_nothing(f.w2, 2);
	CLOSE(f.w1, f.w2, f.client, f.other);
}

/* How a request for a blob for a job ends. */
static Dray__Verdict
get_ends(void *socket, uint32_t number, unsigned job, bool entry)
{
	struct digest d = blob(1);
	ProtobufCBinaryData v = { DIGEST_SIZE, d.b };
	Dray__SharedGet m = DRAY__SHARED_GET__INIT;
	struct wire_msg end;
	Dray__Verdict verdict;
	char name[33];

	job_name(name, job);
	m.job = name;
	m.name = &v;
	m.n_name = 1;
	m.credit = 1;
	m.entry = entry;
	m.near = true;
	assert_int_equal(wire_send_job(socket, NULL, number, WIRE_SHARED_GET, &m.base, NULL), 0);
	end = expect(socket, WIRE_SHARED_END);
	verdict = ((const Dray__SharedEnd *)end.body)->verdict;
	wire_msg_done(&end);
	return verdict;
}

/* Of the cache a worker has blobs, of the namespaces of its own jobs. */
static void
test_the_cache(void **state)
{
	struct world *w = *state;
	static const char *const more[N_WHO] = {
		[CLIENT1] = "namespace=a", [CLIENT2] = "namespace=b"
	};
	struct farm f;
	void *second;

	write_keys_with(w, true, more);
	start(w);
	f = farm_up(w, CLIENT2);
	second = greet(w, WORKER2, "worker");
	assert_int_equal(get_ends(second, 1, 2, false), DRAY__VERDICT__VERDICT_NONE);
	assert_int_equal(get_ends(second, 2, 2, true), DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(get_ends(second, 3, 1, false), DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_int_equal(get_ends(f.client, 4, 1, false), DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	say_job(f.w2, WIRE_WORKER_JOB_ENDED, 2);
	say_job(f.other, WIRE_JOB_FINISHED, 2);
	await(f.client, 2, 1, 0);
	assert_int_equal(get_ends(second, 5, 2, false), DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	CLOSE(second, f.w1, f.w2, f.client, f.other);
}

static void
test_too_many(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1);
	ProtobufCBinaryData v[WIRE_SEEK_MAX + 1];
	Dray__WorkerSeek m = DRAY__WORKER_SEEK__INIT;
	char name[33];

	memset(v, 0, sizeof(v));
	job_name(name, 1);
	m.job = name;
	m.blob = v;
	m.n_blob = ARRAY_LEN(v);
	send_msg(worker, WIRE_WORKER_SEEK, &m.base);
	expect_refused(worker, DRAY__VERDICT__VERDICT_MALFORMED, "1024 blobs at most");
	CLOSE(worker);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_has_what, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup_only, teardown),
		cmocka_unit_test_setup_teardown(test_other_namespaces, setup_only, teardown),
		cmocka_unit_test_setup_teardown(test_the_cache, setup_only, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
