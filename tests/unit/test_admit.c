/* Which peer may say what, over every (side, state, message, role): the table, and both listening
 * programs with bodies that cannot be decoded: what is not allowed is dropped without a look at its
 * body. A message, state or role that is new and not in here fails. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include <glob.h>

#include "common/buf.h"
#include "proto/admit.h"
#include "worker/job/job_priv.h"
#include "worker/service_priv.h"

static const enum admit_state states[ADMIT_STATES] = { ADMIT_NEW, ADMIT_GREETED, ADMIT_REGISTERED,
	ADMIT_OPENING, ADMIT_FEEDING, ADMIT_RUNNING, ADMIT_DROPPED };

/* For each state in that order the roles whose message is heard: none (a key that is in no list),
 * client, reader, publisher, worker, admin, local. Behind a '-' those of which it is left unheard.
 */
struct expected {
	enum wire_type type;
	const char *heard[ADMIT_STATES];
};

static const struct expected coordinator[] = {
	{ WIRE_HELLO, { "crpwal", "crpwa", "crpwa", "", "", "", "" } },
	{ WIRE_JOIN, { "ncrpwal", "", "", "", "", "", "" } },
	{ WIRE_ROTATE, { "-crpwal", "crpwa", "", "", "", "", "" } },
	{ WIRE_JOB_REQUEST, { "cpl", "cp", "", "", "", "", "" } },
	{ WIRE_JOB_RETRY, { "cpl", "cp", "", "", "", "", "" } },
	{ WIRE_JOB_FINISHED, { "cpl", "cp", "", "", "", "", "" } },
	{ WIRE_JOB_CANCEL, { "cpl", "cp", "", "", "", "", "" } },
	{ WIRE_PUSH_PROGRESS, { "-cpl", "cp", "", "", "", "", "" } },
	{ WIRE_STATUS_REQUEST, { "crpal", "crpa", "", "", "", "", "" } },
	{ WIRE_PRODUCERS_ASK, { "-crpwl", "crpw", "crpw", "", "", "", "" } },
	{ WIRE_CACHE_PURGE, { "-al", "a", "", "", "", "", "" } },
	{ WIRE_WORKER_REGISTER, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_HEARTBEAT, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_JOB_STARTED, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_JOB_ENDED, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_JOB_REFUSED, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_BYE, { "wl", "w", "w", "", "", "", "" } },
	{ WIRE_WORKER_LENT, { "-wl", "-w", "w", "", "", "", "" } },
	{ WIRE_WORKER_HOLDS, { "-wl", "-w", "w", "", "", "", "" } },
	{ WIRE_WORKER_SEEK, { "-wl", "-w", "w", "", "", "", "" } },
	{ WIRE_SHARED_GET, { "-crpwl", "crpw", "crpw", "", "", "", "" } },
	{ WIRE_SHARED_CREDIT, { "-crpwl", "crpw", "crpw", "", "", "", "" } },
	{ WIRE_SHARED_STOP, { "-crpwl", "crpw", "crpw", "", "", "", "" } },
	{ WIRE_SHARED_PUT, { "-pwl", "pw", "pw", "", "", "", "" } },
	{ WIRE_SHARED_DATA, { "-pwl", "pw", "pw", "", "", "", "" } },
	{ WIRE_ADMIN_LOOK, { "-al", "a", "", "", "", "", "" } },
	{ WIRE_ADMIN_ACT, { "-al", "a", "", "", "", "", "" } },
	{ WIRE_ADMIN_FOLLOW, { "-al", "a", "", "", "", "", "" } },
};

static const struct expected worker[] = {
	{ WIRE_HELLO, { "cpl", "cp", "", "", "", "", "" } },
	{ WIRE_JOB_OPEN, { "", "cp", "", "", "", "", "" } },
	{ WIRE_JOB_UNIT, { "", "-cp", "", "cp", "", "", "" } },
	{ WIRE_BLOB_CHUNK, { "", "-cp", "", "", "cp", "cp", "" } },
	{ WIRE_FILE_ANSWER, { "", "-cp", "", "", "", "cp", "" } },
	{ WIRE_CREDIT, { "", "-cp", "", "cp", "cp", "cp", "" } },
	{ WIRE_JOB_STOP, { "", "-cp", "", "cp", "cp", "cp", "" } },
	{ WIRE_SHARED_GET, { "", "cp", "", "", "", "", "" } },
	{ WIRE_SHARED_CREDIT, { "", "cp", "", "", "", "", "" } },
	{ WIRE_SHARED_STOP, { "", "cp", "", "", "", "", "" } },
};

/* What a coordinator or a worker says to who has connected to it. */
static const enum wire_type answers[] = { WIRE_WELCOME, WIRE_REFUSED, WIRE_JOB_QUEUED,
	WIRE_JOB_PLACED, WIRE_JOB_DENIED, WIRE_STATUS, WIRE_HEARTBEAT_ACK, WIRE_WORKER_CANCEL,
	WIRE_WORKER_EXPECT, WIRE_JOB_ACCEPTED, WIRE_JOB_REJECTED, WIRE_BLOB_NEED, WIRE_JOB_STARTED,
	WIRE_JOB_TEXT, WIRE_OUTPUT_BEGIN, WIRE_OUTPUT_CHUNK, WIRE_JOB_RESULT, WIRE_FILE_NEED,
	WIRE_SHARED_END, WIRE_PRODUCERS, WIRE_CACHE_PURGED, WIRE_WORKER_LEND, WIRE_WORKER_UNSHARED,
	WIRE_WORKER_FOUND, WIRE_WORKER_DROP, WIRE_ADMIN_VIEW, WIRE_ADMIN_DONE, WIRE_ADMIN_EVENTS,
	WIRE_JOINED, WIRE_ROTATED, WIRE_SUCCESSOR };

/* Messages of the schemas that are parts of others, or of files. */
static const char *const parts[] = { "WorkerStatus", "Offer", "Blob", "UnitFile", "FileTimes",
	"EnvVar", "Unit", "LinkCall", "Trace", "FileRead", "Ticket", "CacheInput", "CacheOutput",
	"CacheResult", "CacheEntry", "SharedResult", "SharedEntry", "Producer", "CacheSpace",
	"SampleMade", "UnsharedPackage", "ShunnedStatus", "Holder", "AdminToolchain", "AdminWorker",
	"AdminJob", "AdminClient", "AdminCache", "AdminKey", "AdminEvent", "AdminToken",
	"AdminSpace", "AdminPush", "PushedToolchain", "PushedFile" };

#define TYPES 1024 /* more than there will be */

static const struct {
	enum role role;
	char letter;
} letters[] = {
	{ ROLE_NONE, 'n' },
	{ ROLE_CLIENT, 'c' },
	{ ROLE_READER, 'r' },
	{ ROLE_PUBLISHER, 'p' },
	{ ROLE_WORKER, 'w' },
	{ ROLE_ADMIN, 'a' },
	{ ROLE_LOCAL, 'l' },
};

static const char *
heard(enum admit_at at, unsigned type, size_t state)
{
	const struct expected *e = at == ADMIT_COORDINATOR ? coordinator : worker;
	size_t n = at == ADMIT_COORDINATOR ? ARRAY_LEN(coordinator) : ARRAY_LEN(worker);

	for (size_t i = 0; i < n; i++)
		if ((unsigned)e[i].type == type)
			return e[i].heard[state];
	return NULL;
}

/* v: of that table, or NULL. */
static bool
may_say(const char *v, char letter)
{
	const char *at = v && letter ? strchr(v, letter) : NULL;

	return at && !memchr(v, '-', (size_t)(at - v));
}

static bool
is_late(const char *v, char letter)
{
	return v && letter && strchr(v, letter) && !may_say(v, letter);
}

static bool
is_answer(unsigned type)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if ((unsigned)answers[i] == type)
			return true;
	return false;
}

static unsigned
type_named(const char *name)
{
	for (unsigned type = 0; type < TYPES; type++)
		if (wire_info(type) && streq(wire_info(type)->name, name))
			return type;
	return 0;
}

/* Each message of a schema is in the table, an answer, or a part. */
static void
know_schema(const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *rest, *line;

	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n"))) {
		char name[64];
		bool part = false;

		if (sscanf(line, "message %63[A-Za-z0-9]", name) != 1)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			part = part || streq(parts[i], name);
		if (part == (type_named(name) != 0))
			fail_msg("%s of %s: no message of the wire, and no part", name, path);
	}
}

static void
test_nothing_is_missing(void **state)
{
	const char *dir = getenv("DRAY_TEST_SRCDIR");
	_cleanup_(freep) char *pattern = path_join(dir ? dir : ".", "proto/*.proto");
	unsigned bits = 0;
	glob_t g;

	for (unsigned type = 0; type < TYPES; type++) {
		bool heard_here = heard(ADMIT_COORDINATOR, type, 0) || heard(ADMIT_WORKER, type, 0);

		if ((heard_here || is_answer(type)) != (wire_info(type) != NULL))
			fail_msg("type %u: not known here, or there", type);
		/* Credit goes both ways. */
		if (heard_here && is_answer(type))
			fail_msg("type %u is heard, and an answer", type);
	}
	for (size_t s = 0; s < ADMIT_STATES; s++)
		bits |= states[s];
	assert_int_equal(bits, (1u << ADMIT_STATES) - 1);
	assert_int_equal(ARRAY_LEN(letters), ROLE_LOCAL + 1);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		assert_int_equal(letters[i].role, i);
	/* A role that is new has the next number, and a name. */
	assert_string_equal(role_name((enum role)(ROLE_LOCAL + 1)), role_name(ROLE_NONE));
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 6);
	for (size_t i = 0; i < g.gl_pathc; i++)
		know_schema(g.gl_pathv[i]);
	globfree(&g);
}

static void
test_table(void **state)
{
	unsigned yes = 0;

	for (int at = 0; at < ADMIT_SIDES; at++)
		for (unsigned type = 0; type < TYPES; type++)
			for (size_t s = 0; s < ADMIT_STATES; s++)
				for (size_t r = 0; r < ARRAY_LEN(letters); r++) {
					const char *v = heard((enum admit_at)at, type, s);
					char c = letters[r].letter;
					bool may = may_say(v, c), late = is_late(v, c);
					enum admit a = admit_look((enum admit_at)at, states[s],
						letters[r].role, (enum wire_type)type);

					assert_true(may == (a == ADMIT_YES));
					assert_true((a == ADMIT_UNHEARD) ==
						    (late || states[s] == ADMIT_DROPPED));
					yes += may;
				}
	assert_true(yes > 80);
	/* Only a worker's registration is larger than a few pages. */
	assert_int_equal(admit_frame_max(ADMIT_COORDINATOR),
		WIRE_HEADER_MAX + wire_info(WIRE_WORKER_REGISTER)->body_max);
}

/* A message of that type whose body is no protobuf. */
static void
send_torn(void *socket, const struct wire_info *info, uint32_t job)
{
	uint8_t frame[WIRE_HEADER_MAX + 2] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION,
		(uint8_t)((unsigned)info->type >> 8), (uint8_t)info->type };
	size_t head = wire_header_size(info->type);

	if (wire_is_of_job(info->type))
		frame[11] = (uint8_t)job;
	frame[head] = 10;
	frame[head + 1] = 99;
	assert_int_equal(zmq_send(socket, frame, head + 2, info->payload_max ? ZMQ_SNDMORE : 0),
		(int)head + 2);
	if (info->payload_max)
		assert_int_equal(zmq_send(socket, "x", 1, 0), 1);
}

static void *
in_state(struct world *w, enum who who, enum admit_state state)
{
	void *socket = state == ADMIT_NEW ? connect_as(w, who) : greet(w, who, roles[who]);

	if (state == ADMIT_REGISTERED) {
		do_register(w, socket, who, names[who], 1, 0);
		assert_true(heartbeat(socket, 0));
	}
	return socket;
}

static void
coordinator_hears(struct world *w, enum who who, enum admit_state state, size_t index, char letter)
{
	for (unsigned type = 0; type < TYPES; type++) {
		const struct wire_info *info = wire_info(type);
		const char *v = heard(ADMIT_COORDINATOR, type, index);
		const Dray__Refused *r;
		struct wire_msg m;
		void *socket;

		if (!info)
			continue;
		socket = in_state(w, who, state);
		send_torn(socket, info, 1);
		if (is_late(v, letter)) {
			/* Not a word of it; a Hello behind it is answered. */
			hello_versions(socket, roles[who], WIRE_VERSION, WIRE_VERSION);
			expect_done(socket, WIRE_WELCOME);
			hang_up(w, &socket);
			continue;
		}
		m = expect(socket, WIRE_REFUSED);
		r = (const Dray__Refused *)m.body;
		if (may_say(v, letter) != (strstr(r->text, "cannot be decoded") != NULL))
			fail_msg("%s of %s in state %d: %s", info->name, names[who], (int)state,
				r->text);
		wire_msg_done(&m);
		hang_up(w, &socket);
	}
}

static void
test_coordinator(void **state)
{
	struct world *w = *state;
	static const enum who whos[] = { CLIENT1, READER, PUBLISHER, WORKER1, ADMIN };
	void *quiet = connect_as(w, CLIENT2), *watcher = greet(w, ADMIN, "admin");
	zmq_pollitem_t item = { quiet, 0, ZMQ_POLLIN, 0 };

	for (size_t i = 0; i < ARRAY_LEN(whos); i++) {
		coordinator_hears(w, whos[i], ADMIT_NEW, 0, roles[whos[i]][0]);
		coordinator_hears(w, whos[i], ADMIT_GREETED, 1, roles[whos[i]][0]);
	}
	coordinator_hears(w, WORKER1, ADMIT_REGISTERED, 2, 'w');
	/* Dropped: not a word. */
	send_torn(quiet, wire_info(WIRE_WORKER_BYE), 1);
	expect_done(quiet, WIRE_REFUSED);
	for (unsigned type = 0; type < TYPES; type++)
		if (wire_info(type))
			send_torn(quiet, wire_info(type), 1);
	await(watcher, 0, 0, 0);
	await(watcher, 0, 0, 0);
	assert_int_equal(zmq_poll(&item, 1, 50), 0);
	CLOSE(quiet, watcher);
}

/* The worker's side of its clients, without toolchains or a coordinator. */
struct worker_side {
	struct service s;
	struct upstream up;
	struct job job;
	void *thread_end;
	struct world *w;
	enum role role; /* of the client's key, as the coordinator names it */
};

static void
worker_up(struct worker_side *x, struct world *w)
{
	memset(x, 0, sizeof(*x));
	x->w = w;
	x->s.ctx = w->ctx = zmq_ctx_new();
	x->s.slots = 1;
	assert_int_equal(door_new(&x->s.door), 0);
	assert_int_equal(door_new(&x->up.door), 0);
	x->up.service = &x->s;
	x->s.up = &x->up;
	x->s.n_up = 1;
	x->s.jobs = calloc(1, sizeof(*x->s.jobs));
	assert_int_equal(clients_init(&x->s), 0);
	x->role = ROLE_CLIENT;
	assert_int_equal(zap_new(x->s.ctx, NULL, NULL, &x->s.zap), 0);
	assert_int_equal(socket_listen(x->s.ctx, ADMIT_WORKER, "tcp://127.0.0.1:*", &w->id[COORD],
				 500, &x->s.socket, &x->s.endpoint),
		0);
	assert_int_equal(monitor_new(x->s.ctx, x->s.socket, &x->s.monitor), 0);
	snprintf(w->endpoint, sizeof(w->endpoint), "%s", x->s.endpoint);
	x->job.main_end = zmq_socket(x->s.ctx, ZMQ_PAIR);
	x->thread_end = zmq_socket(x->s.ctx, ZMQ_PAIR);
	assert_int_equal(zmq_bind(x->job.main_end, "inproc://job"), 0);
	assert_int_equal(zmq_connect(x->thread_end, "inproc://job"), 0);
}

static void
worker_down(struct worker_side *x)
{
	socket_closep(&x->thread_end);
	socket_closep(&x->job.main_end);
	monitor_free(x->s.monitor);
	socket_closep(&x->s.socket);
	zap_free(x->s.zap);
	clients_done(&x->s);
	door_free(x->s.door);
	door_free(x->up.door);
	free(x->s.endpoint);
	free(x->s.jobs);
}

/* Turns until the client hears that type; false: it heard nothing for a while. */
static bool
worker_says(struct worker_side *x, void *client, enum wire_type type, struct wire_msg *ret)
{
	uint64_t end = clock_mono_ms() + (type ? LIMIT_MS : 100);

	while (clock_mono_ms() < end) {
		zmq_pollitem_t items[] = { { x->s.socket, 0, ZMQ_POLLIN, 0 },
			{ zap_socket(x->s.zap), 0, ZMQ_POLLIN, 0 }, { client, 0, ZMQ_POLLIN, 0 } };
		int r;

		zmq_poll(items, ARRAY_LEN(items), 10);
		zap_step(x->s.zap);
		clients_receive(&x->s);
		clients_gone(&x->s);
		r = wire_recv(client, NULL, WIRE_FROM_WORKER, ret);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, 0);
		if (type)
			assert_int_equal(ret->info->type, type);
		return true;
	}
	return false;
}

static struct client *
only_client(struct worker_side *x)
{
	struct table_node *node = table_walk(&x->s.clients, NULL);

	assert_non_null(node);
	return table_entry(node, struct client, by_id);
}

/* A greeted client; with a job of number 1 in that phase, or without. */
static void *
client_in(struct worker_side *x, enum admit_state phase)
{
	void *client = connect_as(x->w, CLIENT1);
	struct wire_msg m;

	assert_int_equal(
		door_name(x->up.door, x->w->id[CLIENT1].curve_public, x->role, "", clock_mono_ms()),
		0);
	if (phase == ADMIT_NEW)
		return client;
	hello_versions(client, "client", WIRE_VERSION, WIRE_VERSION);
	assert_true(worker_says(x, client, WIRE_WELCOME, &m));
	wire_msg_done(&m);
	x->s.n_jobs = 0;
	if (phase == ADMIT_GREETED)
		return client;
	x->job.peer = only_client(x)->peer;
	x->job.number = 1;
	job_set_phase(&x->job, phase);
	x->s.jobs[0] = &x->job;
	x->s.n_jobs = 1;
	return client;
}

static void
worker_hears(
	struct worker_side *x, char letter, enum admit_state phase, size_t index, unsigned type)
{
	const struct wire_info *info = wire_info(type);
	const char *v = heard(ADMIT_WORKER, type, index);
	void *client = client_in(x, phase);
	bool may = may_say(v, letter), late = is_late(v, letter);
	bool to_job = may && phase >= ADMIT_OPENING;
	struct wire_msg m = WIRE_MSG_INIT;
	zmq_pollitem_t item = { x->thread_end, 0, ZMQ_POLLIN, 0 };

	send_torn(client, info, 1);
	if (late || to_job) {
		/* It is the job's to decode, or nobody's; a Hello behind it is answered. */
		hello_versions(client, "client", WIRE_VERSION, WIRE_VERSION);
		assert_true(worker_says(x, client, WIRE_WELCOME, &m));
	} else {
		const Dray__Refused *r;

		assert_true(worker_says(x, client, WIRE_REFUSED, &m));
		r = (const Dray__Refused *)m.body;
		if (may != (strstr(r->text, "cannot be decoded") && info->senders & 1))
			if (info->senders & WIRE_FROM_CLIENT)
				fail_msg("%s in state %d: %s", info->name, (int)phase, r->text);
	}
	wire_msg_done(&m);
	assert_int_equal(zmq_poll(&item, 1, 0), to_job || phase >= ADMIT_OPENING);
	while (zmq_poll(&item, 1, 0) > 0) {
		_cleanup_(wire_raw_done) struct wire_raw raw;

		assert_int_equal(wire_take(x->thread_end, NULL, WIRE_FROM_CLIENT, &raw), 0);
		/* A client that was dropped loses its job. */
		assert_int_equal(raw.info->type, to_job ? type : WIRE_JOB_STOP);
		assert_int_equal(raw.job, to_job);
	}
	x->s.n_jobs = 0;
	hang_up(x->w, &client);
	for (uint64_t end = clock_mono_ms() + LIMIT_MS; x->s.clients.n > 0;) {
		zmq_pollitem_t gone = { monitor_socket(x->s.monitor), 0, ZMQ_POLLIN, 0 };

		assert_true(clock_mono_ms() < end);
		zmq_poll(&gone, 1, 20);
		clients_receive(&x->s);
		clients_gone(&x->s);
	}
}

static void
test_worker(void **state)
{
	struct world *w = *state;
	struct worker_side x;
	void *quiet;
	struct wire_msg m;

	worker_up(&x, w);
	for (size_t r = 1; letters[r].role != ROLE_LOCAL; r++) {
		bool client = letters[r].role == ROLE_CLIENT || letters[r].role == ROLE_PUBLISHER;

		x.role = letters[r].role;
		for (size_t s = 0; s < ADMIT_STATES; s++)
			for (unsigned type = 0; type < TYPES; type++)
				if (wire_info(type) && states[s] != ADMIT_REGISTERED &&
					states[s] != ADMIT_DROPPED &&
					(client || states[s] == ADMIT_NEW) &&
					!(type == WIRE_HELLO && states[s] >= ADMIT_OPENING))
					worker_hears(&x, letters[r].letter, states[s], s, type);
	}
	x.role = ROLE_CLIENT;
	/* Dropped: not a word. */
	quiet = client_in(&x, ADMIT_NEW);
	send_torn(quiet, wire_info(WIRE_CREDIT), 1);
	assert_true(worker_says(&x, quiet, WIRE_REFUSED, &m));
	wire_msg_done(&m);
	for (unsigned type = 0; type < TYPES; type++)
		if (wire_info(type))
			send_torn(quiet, wire_info(type), 1);
	assert_false(worker_says(&x, quiet, 0, &m));
	hang_up(w, &quiet);
	worker_down(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_missing),
		cmocka_unit_test(test_table),
		T(test_coordinator),
		cmocka_unit_test_setup_teardown(test_worker, setup_only, teardown),
	};

	log_init("test", LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
