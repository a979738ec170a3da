/* A job's thread and what its client still sends when the job has ended. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "proto/socket.h"
#include "worker/job/job_priv.h"
#include "tests/unit/store_fixture.h"

#define PATIENCE_MS 30000

struct place {
	char *dir;
	struct conf *conf;
	struct sysroot sysroot;
	struct offer offer;
	struct job_shared shared;
	struct job *job;
};

static int
make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char *error = NULL, *store;

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-job-", &p->dir), 0);
	assert_int_equal(conf_parse("", 0, "test", &p->conf, &error), 0);
	store = path_join(p->dir, "store");
	assert_int_equal(open_own_store(store, 0, &p->shared.store), 0);
	free(store);
	p->offer.sysroot = &p->sysroot;
	p->shared.ctx = zmq_ctx_new();
	assert_non_null(p->shared.ctx);
	p->shared.conf = p->conf;
	p->shared.name = "w1";
	*state = p;
	return 0;
}

static int
remove_place(void **state)
{
	struct place *p = *state;

	if (p->job)
		job_join(p->job);
	zmq_ctx_termp(&p->shared.ctx);
	store_close(p->shared.store);
	conf_free(p->conf);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p);
	return 0;
}

/* A JobOpen of a unit of that size. */
static void
open_job(struct place *p, uint32_t size, struct wire_msg *ret)
{
	Dray__JobOpen open = DRAY__JOB_OPEN__INIT;
	void *a = zmq_socket(p->shared.ctx, ZMQ_PAIR), *b = zmq_socket(p->shared.ctx, ZMQ_PAIR);

	open.unit_size = size;
	assert_int_equal(zmq_bind(a, "inproc://open"), 0);
	assert_int_equal(zmq_connect(b, "inproc://open"), 0);
	assert_int_equal(wire_send(b, NULL, WIRE_JOB_OPEN, &open.base, NULL, 0), 0);
	assert_int_equal(wire_recv(a, NULL, WIRE_FROM_CLIENT, ret), 0);
	socket_closep(&a);
	socket_closep(&b);
}

static int
start_job(struct place *p, const struct wire_peer *peer, struct wire_msg *open)
{
	struct job_in in = { .id = "0123456789abcdef0123456789abcdef",
		.offer = &p->offer,
		.peer = peer,
		.namespace = "",
		.open = open };

	return job_start(&p->shared, &in, &p->job);
}

static unsigned
threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
expect_message(struct job *j, enum wire_type type)
{
	zmq_pollitem_t item = { .socket = job_socket(j), .events = ZMQ_POLLIN };
	struct wire_msg m = WIRE_MSG_INIT;

	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
	assert_int_equal(wire_recv(job_socket(j), NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.info->type, type);
	wire_msg_done(&m);
}

/* Hands it a Credit as it came from a client. */
static int
hand_credit(struct place *p, struct job *j)
{
	_cleanup_(wire_raw_done) struct wire_raw raw;
	static unsigned count;
	char name[32];
	Dray__Credit body = DRAY__CREDIT__INIT;
	void *a = zmq_socket(p->shared.ctx, ZMQ_PAIR), *b = zmq_socket(p->shared.ctx, ZMQ_PAIR);

	snprintf(name, sizeof(name), "inproc://credit-%u", count++);
	body.n = 1;
	assert_int_equal(zmq_bind(a, name), 0);
	assert_int_equal(zmq_connect(b, name), 0);
	assert_int_equal(wire_send(b, NULL, WIRE_CREDIT, &body.base, NULL, 0), 0);
	assert_int_equal(wire_take(a, NULL, WIRE_FROM_CLIENT, &raw), 0);
	socket_closep(&a);
	socket_closep(&b);
	return job_hand(j, &raw);
}

/* Its last Credit may be on the way when the thread has sent its last message and has ended: it is
 * taken until the job is joined, and is no fault of the client's. */
static void
test_credit_after_the_end(void **state)
{
	struct place *p = *state;
	struct wire_peer peer = { .fd = -1 };
	struct wire_msg open = WIRE_MSG_INIT;
	struct job *j;
	unsigned before;
	uint64_t deadline;

	/* An empty unit, which cannot be laid out: the job ends at once. */
	open_job(p, 0, &open);
	before = threads();
	assert_int_equal(start_job(p, &peer, &open), 0);
	j = p->job;
	wire_msg_done(&open);
	expect_message(j, WIRE_JOB_ACCEPTED);
	expect_message(j, WIRE_JOB_REJECTED);
	expect_message(j, WIRE_WORKER_JOB_ENDED);
	for (deadline = clock_mono_ms() + PATIENCE_MS; threads() > before;)
		assert_true(clock_mono_ms() < deadline);
	for (unsigned i = 0; i < 50; i++) {
		zmq_pollitem_t item = { .socket = job_socket(j), .events = ZMQ_POLLIN };

		/* Nothing comes; but an end that was closed would be seen here. */
		assert_int_equal(zmq_poll(&item, 1, 2), 0);
		assert_int_equal(hand_credit(p, j), 0);
	}
	job_stop(j, "too late");
}

/* A client that owes its unit, and says nothing: its slot is not kept for it. */
static void
test_silent_client(void **state)
{
	struct place *p = *state;
	struct wire_peer peer = { .fd = -1 };
	struct wire_msg open = WIRE_MSG_INIT, m = WIRE_MSG_INIT;
	uint64_t begin = clock_mono_ms();
	zmq_pollitem_t item;

	p->shared.owed_ms = 200;
	open_job(p, 1000, &open);
	assert_int_equal(start_job(p, &peer, &open), 0);
	wire_msg_done(&open);
	expect_message(p->job, WIRE_JOB_ACCEPTED);
	item = (zmq_pollitem_t){ .socket = job_socket(p->job), .events = ZMQ_POLLIN };
	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
	assert_int_equal(wire_recv(job_socket(p->job), NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.info->type, WIRE_JOB_REJECTED);
	assert_int_equal(
		((const Dray__JobRejected *)m.body)->verdict, DRAY__VERDICT__VERDICT_CANCELLED);
	assert_non_null(strstr(((const Dray__JobRejected *)m.body)->text, "silent"));
	assert_true(clock_mono_ms() - begin >= 200);
	wire_msg_done(&m);
	/* Which is no fault of the worker's. */
	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
	assert_int_equal(wire_recv(job_socket(p->job), NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.info->type, WIRE_WORKER_JOB_ENDED);
	assert_true(((const Dray__WorkerJobEnded *)m.body)->ok);
	assert_int_equal(((const Dray__WorkerJobEnded *)m.body)->end, DRAY__JOB_END__END_CLIENT);
	assert_true(((const Dray__WorkerJobEnded *)m.body)->wasted_ms >= 200);
	wire_msg_done(&m);
}

/* One of a key on trial that says something again and again, but gives nothing, while others wait:
 * what is not silent is slow. */
static void
test_slow_client(void **state)
{
	struct place *p = *state;
	struct wire_peer peer = { .fd = -1 };
	struct wire_msg open = WIRE_MSG_INIT, m = WIRE_MSG_INIT;
	uint64_t begin = clock_mono_ms();
	zmq_pollitem_t item;

	p->shared.wanted = true;
	open_job(p, 1000, &open);
	assert_int_equal(start_job(p, &peer, &open), 0);
	job_put_on_trial(p->job);
	wire_msg_done(&open);
	expect_message(p->job, WIRE_JOB_ACCEPTED);
	item = (zmq_pollitem_t){ .socket = job_socket(p->job), .events = ZMQ_POLLIN };
	while (zmq_poll(&item, 1, 50) == 0) {
		(void)hand_credit(p, p->job);
		assert_true(clock_mono_ms() - begin < PATIENCE_MS);
	}
	assert_true(clock_mono_ms() - begin >= JOB_OWED_TRIAL_MS);
	/* without the bound on all of its time this would be for ever */
	expect_message(p->job, WIRE_JOB_REJECTED);
	assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
	assert_int_equal(wire_recv(job_socket(p->job), NULL, WIRE_FROM_WORKER, &m), 0);
	assert_int_equal(m.info->type, WIRE_WORKER_JOB_ENDED);
	assert_int_equal(((const Dray__WorkerJobEnded *)m.body)->end, DRAY__JOB_END__END_CLIENT);
	wire_msg_done(&m);
}

/* More than it has credit for is not kept; and the job can be stopped all the same. */
static void
test_more_than_credit(void **state)
{
	struct place *p = *state;
	struct wire_peer peer = { .fd = -1 };
	struct wire_msg open = WIRE_MSG_INIT;
	unsigned taken = 0;

	p->shared.credit = 4;
	open_job(p, 0, &open);
	assert_int_equal(start_job(p, &peer, &open), 0);
	wire_msg_done(&open);
	expect_message(p->job, WIRE_JOB_ACCEPTED);
	expect_message(p->job, WIRE_JOB_REJECTED);
	expect_message(p->job, WIRE_WORKER_JOB_ENDED);
	/* Nobody reads any more. */
	while (taken < 1000 && hand_credit(p, p->job) == 0)
		taken++;
	assert_true(taken >= 4 && taken <= 32);
	job_stop(p->job, "enough");
}

/* Of a key that has shown nothing the unit is not laid out for long while others wait. What its
 * client takes to send something is not a part of that. */
static void
test_long_layout(void **state)
{
	Dray__Unit unit = DRAY__UNIT__INIT;
	struct job_shared shared = { .wanted = true };
	struct job j = { .shared = &shared, .unit = &unit };
	const uint64_t long_us = 1000 * JOB_LAID_TRIAL_MS;

	job_put_on_trial(&j);
	assert_false(job_laying_ends(&j));
	job_lay(&j, true);
	assert_false(job_laying_ends(&j));
	j.laying_us -= long_us;
	assert_true(job_laying_ends(&j));
	job_lay(&j, false);
	assert_true(j.staged_us >= long_us);
	assert_true(job_laying_ends(&j));

	shared.wanted = false;
	assert_false(job_laying_ends(&j));
	shared.wanted = true;
	j.on_trial = false;
	assert_false(job_laying_ends(&j));
	j.on_trial = true;
	j.staged_us = long_us / 2;
	assert_false(job_laying_ends(&j));

	j.staged_us = long_us;
	assert_int_equal(job_laying_ended(&j), -ECANCELED);
	assert_int_equal(j.verdict, DRAY__VERDICT__VERDICT_CANCELLED);
	assert_true(j.wasted_ms >= JOB_LAID_TRIAL_MS);
	assert_non_null(strstr(j.text, "lay out"));
}

static void
test_blame(void **state)
{
	assert_int_equal(job_blame(-ENOSPC), DRAY__VERDICT__VERDICT_WORKER_FAULT);
	assert_int_equal(job_blame(-ENOMEM), DRAY__VERDICT__VERDICT_WORKER_FAULT);
	assert_int_equal(job_blame(-EMSGSIZE), DRAY__VERDICT__VERDICT_LIMIT);
	assert_int_equal(job_blame(-EACCES), DRAY__VERDICT__VERDICT_BAD_UNIT);
	assert_int_equal(job_blame(-ENAMETOOLONG), DRAY__VERDICT__VERDICT_BAD_UNIT);
	assert_int_equal(job_blame(-ENOTDIR), DRAY__VERDICT__VERDICT_BAD_UNIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_credit_after_the_end, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_silent_client, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_slow_client, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_more_than_credit, make_place, remove_place),
		cmocka_unit_test(test_long_layout),
		cmocka_unit_test(test_blame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
