/* The coordinator's real loop in a process of its own, real sockets with CURVE over loopback, and
 * the test as its clients and workers. Waits are for conditions, with a limit that is never met
 * when all is well. One file: all of it stands on the peers that are made first. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "keys/identity.h"
#include "common/log.h"
#include "coordinator/server.h"
#include "proto/socket.h"
#include "keys/ticket.h"
#include "proto/wire.h"

#define LIMIT_MS 20000
#define TOOLCHAIN "0123456789abcdef0123456789abcdef" /* 32 bytes */

enum who { COORD, CLIENT1, CLIENT2, WORKER1, WORKER2, ADMIN, STRANGER, N_WHO };
static const char *const names[N_WHO] = { "coord", "client1", "client2", "worker1", "worker2",
	"admin", "stranger" };

struct world {
	char *dir;
	char *coord_path, *keys_path;
	struct identity id[N_WHO];
	struct conf *conf;
	char endpoint[256];
	pid_t pid;
	void *ctx;
	void *open[64]; /* sockets: a failed test leaves them to teardown */
};

static void
set_conf(struct world *w, const char *key, const char *value)
{
	char text[1024];
	char *error = NULL;

	snprintf(text, sizeof(text), "coordinator.%s=%s", key, value);
	if (conf_set(w->conf, text, &error) < 0)
		fail_msg("%s", error);
}

static void
write_keys(struct world *w, bool with_client2)
{
	char text[2048] = "# who may connect\n";

	for (int i = CLIENT1; i < STRANGER; i++) {
		const char *role = i <= CLIENT2 ? "client" : i <= WORKER2 ? "worker" : "admin";

		if (i != CLIENT2 || with_client2)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %s\n",
				role, w->id[i].curve_public, names[i]);
	}
	assert_int_equal(fs_write_atomic(w->keys_path, text, strlen(text), 0600), 0);
}

/* The server's process. Leaves by exit, so that the leak checker has its say. */
static void
serve(struct world *w, int fd)
{
	struct server *s = NULL;
	char *error = NULL;
	int r;

	log_init("coordinator", LOG_LEVEL_NONE);
	r = server_new(w->conf, &s, &error);
	if (r < 0) {
		fprintf(stderr, "%s\n", error);
		exit(3);
	}
	if (fs_write_all(fd, server_endpoint(s), strlen(server_endpoint(s))) < 0)
		exit(4);
	close(fd);
	r = server_run(s);
	server_free(s);
	conf_free(w->conf);
	free(w->dir);
	free(w->coord_path);
	free(w->keys_path);
	free(w);
	exit(r < 0 ? 5 : 0);
}

static void
start(struct world *w)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		close(fds[0]);
		serve(w, fds[1]);
	}
	close(fds[1]);
	n = read(fds[0], w->endpoint, sizeof(w->endpoint) - 1);
	assert_true(n > 0);
	w->endpoint[n] = '\0';
	close(fds[0]);
	w->ctx = zmq_ctx_new();
}

static void
stop(struct world *w, int sig)
{
	int status;

	if (w->pid <= 0)
		return;
	kill(w->pid, sig);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	if (sig == SIGKILL)
		return;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
make_world(void **state, bool ipc)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[512];
	char *error = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &w->dir), 0);
	w->coord_path = path_join(w->dir, "coord");
	w->keys_path = path_join(w->dir, "keys");
	for (int i = 0; i < N_WHO; i++)
		assert_int_equal(identity_generate(names[i], &w->id[i]), 0);
	assert_int_equal(identity_save(&w->id[COORD], w->coord_path), 0);
	write_keys(w, true);
	assert_int_equal(conf_parse("", 0, "none", &w->conf, &error), 0);
	snprintf(text, sizeof(text), "ipc://%s/socket", w->dir);
	set_conf(w, "listen", ipc ? text : "tcp://127.0.0.1:*");
	set_conf(w, "identity", w->coord_path);
	set_conf(w, "allowed_keys", w->keys_path);
	set_conf(w, "heartbeat_ms", "1000");
	*state = w;
	return 0;
}

static int
setup(void **state)
{
	make_world(state, false);
	start(*state);
	return 0;
}

static int
setup_ipc(void **state)
{
	make_world(state, true);
	start(*state);
	return 0;
}

/* Not started: the test changes the configuration first. */
static int
setup_only(void **state)
{
	return make_world(state, false);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	stop(w, SIGTERM);
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++)
		socket_closep(&w->open[i]);
	zmq_ctx_termp(&w->ctx);
	fs_rm_rf(w->dir);
	conf_free(w->conf);
	free(w->dir);
	free(w->coord_path);
	free(w->keys_path);
	free(w);
	return 0;
}

static void *
connect_as(struct world *w, enum who who)
{
	void *socket = NULL;

	assert_int_equal(socket_connect(w->ctx, w->endpoint, &w->id[who], w->id[COORD].curve_public,
				 500, &socket),
		0);
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++) {
		if (!w->open[i]) {
			w->open[i] = socket;
			return socket;
		}
	}
	fail_msg("too many sockets");
	return NULL;
}

static void
hang_up(struct world *w, void **socket)
{
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++)
		if (w->open[i] == *socket)
			w->open[i] = NULL;
	socket_closep(socket);
}

static void
send_msg(void *socket, enum wire_type type, const ProtobufCMessage *body)
{
	assert_int_equal(wire_send(socket, NULL, type, body, NULL, 0), 0);
}

/* The next message of this type; notices and acknowledgements that were not asked for are skipped.
 */
static struct wire_msg
expect(void *socket, enum wire_type type)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	struct wire_msg m;

	for (;;) {
		zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };
		int r;

		if (clock_mono_ms() > end)
			fail_msg("no %s came", wire_info(type)->name);
		zmq_poll(&item, 1, 100);
		r = wire_recv(socket, NULL, WIRE_FROM_COORDINATOR, &m);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, 0);
		if (m.info->type == type)
			return m;
		if (m.info->type != WIRE_JOB_QUEUED && m.info->type != WIRE_HEARTBEAT_ACK)
			fail_msg("%s came instead of %s", m.info->name, wire_info(type)->name);
		wire_msg_done(&m);
	}
}

static void
expect_done(void *socket, enum wire_type type)
{
	struct wire_msg m = expect(socket, type);

	wire_msg_done(&m);
}

static void
expect_refused(void *socket, Dray__Verdict verdict, const char *text)
{
	struct wire_msg m = expect(socket, WIRE_REFUSED);
	const Dray__Refused *r = (const Dray__Refused *)m.body;

	assert_int_equal(r->verdict, verdict);
	if (!strstr(r->text, text))
		fail_msg("\"%s\" is not in: %s", text, r->text);
	wire_msg_done(&m);
}

static void
hello_versions(void *socket, const char *role, unsigned min, unsigned max)
{
	char role_copy[32];
	Dray__Hello m;

	snprintf(role_copy, sizeof(role_copy), "%s", role);
	dray__hello__init(&m);
	m.version_min = min;
	m.version_max = max;
	m.role = role_copy;
	send_msg(socket, WIRE_HELLO, &m.base);
}

static void *
greet(struct world *w, enum who who, const char *role)
{
	void *socket = connect_as(w, who);
	struct wire_msg m;

	hello_versions(socket, role, WIRE_VERSION, WIRE_VERSION);
	m = expect(socket, WIRE_WELCOME);
	assert_int_equal(((const Dray__Welcome *)m.body)->version, WIRE_VERSION);
	wire_msg_done(&m);
	return socket;
}

static void
job_name(char out[33], unsigned n)
{
	snprintf(out, 33, "%032x", n);
}

/* failed_by: a worker that failed it before, or NULL. */
static void
request_anew(
	void *socket, unsigned job, const char *toolchain, unsigned glibc, const char *failed_by)
{
	uint8_t id[32];
	char name[33], worker[65];
	Dray__JobRequest m;
	Dray__JobRetry failed;
	Dray__JobRetry *list[] = { &failed };

	dray__job_request__init(&m);
	job_name(name, job);
	memcpy(id, toolchain, sizeof(id));
	m.job = name;
	m.toolchain.data = id;
	m.toolchain.len = sizeof(id);
	m.glibc = glibc;
	m.may_wait = true;
	if (failed_by) {
		dray__job_retry__init(&failed);
		snprintf(worker, sizeof(worker), "%s", failed_by);
		failed.worker = worker;
		failed.verdict = DRAY__VERDICT__VERDICT_WORKER_FAULT;
		m.failed = list;
		m.n_failed = 1;
	}
	send_msg(socket, WIRE_JOB_REQUEST, &m.base);
}

static void
request_for(void *socket, unsigned job, const char *toolchain, unsigned glibc)
{
	request_anew(socket, job, toolchain, glibc, NULL);
}

static void
request(void *socket, unsigned job)
{
	request_for(socket, job, TOOLCHAIN, 0);
}

static void
do_register(struct world *w, void *socket, enum who who, const char *name, unsigned slots,
	unsigned running)
{
	uint8_t id[32];
	char name_copy[300], endpoint[] = "tcp://127.0.0.1:9", text[] = "1.95.0 rustc", job[33];
	char *jobs[] = { job };
	Dray__WorkerRegister m;
	Dray__Offer offer;
	Dray__Offer *offers[] = { &offer, &offer };

	dray__worker_register__init(&m);
	dray__offer__init(&offer);
	memcpy(id, TOOLCHAIN, sizeof(id));
	offer.toolchain.data = id;
	offer.toolchain.len = sizeof(id);
	offer.text = text;
	snprintf(name_copy, sizeof(name_copy), "%s", name);
	m.name = name_copy;
	m.endpoint = endpoint;
	m.curve_public = w->id[who].curve_public;
	m.offers = offers;
	m.n_offers = 2; /* twice the same: counts once */
	m.cores = m.slots = slots;
	m.glibc = 36;
	job_name(job, running);
	m.running = jobs;
	m.n_running = running != 0;
	send_msg(socket, WIRE_WORKER_REGISTER, &m.base);
}

/* Acknowledged by the first heartbeat that says "known". */
static bool
heartbeat(void *socket, unsigned running)
{
	Dray__WorkerHeartbeat m;
	struct wire_msg ack;
	bool known;

	dray__worker_heartbeat__init(&m);
	m.sequence = clock_mono_us();
	m.running = running;
	send_msg(socket, WIRE_WORKER_HEARTBEAT, &m.base);
	do {
		ack = expect(socket, WIRE_HEARTBEAT_ACK);
		known = ((const Dray__HeartbeatAck *)ack.body)->known;
		if (((const Dray__HeartbeatAck *)ack.body)->sequence == m.sequence)
			break;
		wire_msg_done(&ack);
	} while (true);
	wire_msg_done(&ack);
	return known;
}

static void *
make_worker(struct world *w, enum who who, unsigned slots)
{
	void *socket = greet(w, who, "worker");

	do_register(w, socket, who, names[who], slots, 0);
	assert_true(heartbeat(socket, 0));
	return socket;
}

static void
say_job(void *socket, enum wire_type type, unsigned job)
{
	Dray__JobFinished finished;
	Dray__JobCancel cancel;
	Dray__WorkerJobStarted started;
	Dray__WorkerJobEnded ended;
	char name[33];

	job_name(name, job);
	dray__job_finished__init(&finished);
	dray__job_cancel__init(&cancel);
	dray__worker_job_started__init(&started);
	dray__worker_job_ended__init(&ended);
	finished.job = cancel.job = started.job = ended.job = name;
	ended.ok = true;
	send_msg(socket, type,
		type == WIRE_JOB_FINISHED	  ? &finished.base
		: type == WIRE_JOB_CANCEL	  ? &cancel.base
		: type == WIRE_WORKER_JOB_STARTED ? &started.base
						  : &ended.base);
}

static void
retry(void *socket, unsigned job, const char *worker, Dray__Verdict verdict)
{
	char name[33], worker_copy[65], text[] = "lost\nconnection";
	Dray__JobRetry m;

	dray__job_retry__init(&m);
	job_name(name, job);
	snprintf(worker_copy, sizeof(worker_copy), "%s", worker);
	m.job = name;
	m.worker = worker_copy;
	m.verdict = verdict;
	m.text = text;
	send_msg(socket, WIRE_JOB_RETRY, &m.base);
}

/* Placed on that worker, with a ticket that it would accept from this client. */
static void
expect_placed(struct world *w, void *socket, unsigned job, enum who client, enum who worker)
{
	struct wire_msg m = expect(socket, WIRE_JOB_PLACED);
	const Dray__JobPlaced *p = (const Dray__JobPlaced *)m.body;
	struct ticket_book *book = NULL;
	char name[33], *ticket_job = NULL;
	uint64_t now = clock_wall_ms();

	job_name(name, job);
	assert_string_equal(p->job, name);
	assert_string_equal(p->worker, names[worker]);
	assert_string_equal(p->endpoint, "tcp://127.0.0.1:9");
	assert_string_equal(p->curve_public, w->id[worker].curve_public);
	assert_int_equal(ticket_book_new(&book), 0);
	assert_int_equal(
		ticket_check(book, p->ticket.data, p->ticket.len, p->signature.data,
			p->signature.len, w->id[COORD].sign_public, w->id[STRANGER].curve_public,
			w->id[worker].curve_public, now, &ticket_job),
		endpoint_is_local(w->endpoint) ? 0 : -EACCES);
	free(steal_ptr(ticket_job));
	if (!endpoint_is_local(w->endpoint)) {
		assert_int_equal(ticket_check(book, p->ticket.data, p->ticket.len,
					 p->signature.data, p->signature.len,
					 w->id[COORD].sign_public, w->id[client].curve_public,
					 w->id[worker].curve_public, now, &ticket_job),
			0);
		assert_string_equal(ticket_job, name);
		free(ticket_job);
	}
	ticket_book_free(book);
	wire_msg_done(&m);
}

static void
expect_denied(void *socket, unsigned job, Dray__Verdict verdict, const char *text)
{
	struct wire_msg m = expect(socket, WIRE_JOB_DENIED);
	const Dray__JobDenied *d = (const Dray__JobDenied *)m.body;
	char name[33];

	job_name(name, job);
	assert_string_equal(d->job, name);
	assert_int_equal(d->verdict, verdict);
	if (!strstr(d->text, text))
		fail_msg("\"%s\" is not in: %s", text, d->text);
	wire_msg_done(&m);
}

static void
ask_status(void *socket)
{
	uint8_t id[32];
	Dray__StatusRequest m;

	dray__status_request__init(&m);
	memcpy(id, TOOLCHAIN, sizeof(id));
	m.toolchain.data = id;
	m.toolchain.len = sizeof(id);
	send_msg(socket, WIRE_STATUS_REQUEST, &m.base);
}

static struct wire_msg
status(void *socket)
{
	ask_status(socket);
	return expect(socket, WIRE_STATUS);
}

/* Waits until the farm is like that. */
static void
await(void *socket, unsigned workers, unsigned running, unsigned queued)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	unsigned is[3];

	do {
		struct wire_msg m = status(socket);
		const Dray__Status *s = (const Dray__Status *)m.body;

		is[0] = s->workers;
		is[1] = s->running;
		is[2] = s->queued;
		wire_msg_done(&m);
		if (is[0] == workers && is[1] == running && is[2] == queued)
			return;
		poll(NULL, 0, 5);
	} while (clock_mono_ms() < end);
	fail_msg("the farm has %u workers, %u running, %u queued", is[0], is[1], is[2]);
}

static void
close_all(struct world *w, void **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hang_up(w, &v[i]);
}
#define CLOSE(...)                                           \
	do {                                                 \
		void *sockets_[] = { __VA_ARGS__ };          \
		close_all(w, sockets_, ARRAY_LEN(sockets_)); \
	} while (0)

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

/* The Hello was lost with an earlier connection, or comes behind what was said before. */
static void
test_before_hello(void **state)
{
	struct world *w = *state;
	void *worker = connect_as(w, WORKER1), *client = connect_as(w, CLIENT1), *other;

	do_register(w, worker, WORKER1, "worker1", 2, 0);
	assert_true(heartbeat(worker, 0));
	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	hello_versions(client, "client", WIRE_VERSION, WIRE_VERSION);
	/* Said twice, and answered once. */
	request(client, 1);
	request(client, 2);
	expect_done(client, WIRE_WELCOME);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	/* A role is what the key has, no matter which peer speaks first. */
	other = connect_as(w, CLIENT2);
	request(other, 3);
	expect_done(other, WIRE_JOB_QUEUED);
	hello_versions(other, "worker", WIRE_VERSION, WIRE_VERSION);
	expect_refused(other, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "not as worker");
	await(client, 1, 2, 0);
	CLOSE(worker, client, other);
}

/* A peer that looks at the farm, too; and goes on as what its key is. */
static void
test_look_before_hello(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 2), *admin = connect_as(w, ADMIN);
	void *client = connect_as(w, CLIENT1);

	await(admin, 1, 0, 0);
	hello_versions(admin, "admin", WIRE_VERSION, WIRE_VERSION);
	expect_done(admin, WIRE_WELCOME);
	request(admin, 1);
	expect_refused(admin, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role admin");
	await(client, 1, 0, 0);
	request(client, 2);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	await(client, 1, 1, 0);
	CLOSE(worker, admin, client);
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
	assert_true(clock_mono_ms() - begin < 1000);
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
	expect_refused(thief, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "Another worker");
	assert_true(heartbeat(new, 1));
	CLOSE(new, thief, client);
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

static void
test_roles(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client"), *bad = connect_as(w, CLIENT2);

	/* A client's key cannot make a worker, in any order of words. */
	hello_versions(bad, "worker", 1, 1);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "allowed as client, not as worker");
	do_register(w, bad, CLIENT2, "evil", 4, 0);
	await(good, 0, 0, 0);
	hang_up(w, &bad);
	bad = greet(w, CLIENT2, "client");
	do_register(w, bad, CLIENT2, "evil", 4, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"WorkerRegister is not for the role client");
	hang_up(w, &bad);
	bad = connect_as(w, CLIENT2);
	do_register(w, bad, CLIENT2, "evil", 4, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"WorkerRegister is not for the role client");
	hang_up(w, &bad);
	bad = connect_as(w, WORKER2);
	ask_status(bad);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"StatusRequest is not for the role worker");
	hang_up(w, &bad);
	bad = connect_as(w, WORKER2);
	request(bad, 1);
	expect_refused(
		bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "JobRequest is not for the role worker");
	hang_up(w, &bad);
	/* Nor a worker one that goes by another's key, nor a client. */
	bad = greet(w, WORKER1, "worker");
	do_register(w, bad, WORKER2, "worker1", 1, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "another key");
	hang_up(w, &bad);
	bad = greet(w, WORKER1, "worker");
	request(bad, 1);
	expect_refused(
		bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "JobRequest is not for the role worker");
	hang_up(w, &bad);
	bad = connect_as(w, CLIENT2);
	hello_versions(bad, "emperor", 1, 1);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "emperor");
	await(good, 0, 0, 0);
	CLOSE(good, bad);
}

static void
test_versions(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client"), *bad = connect_as(w, CLIENT2);
	uint8_t frame[] = { 'D', 'R', 'A', 'Y', 0, 9, 0, WIRE_JOB_REQUEST };

	hello_versions(bad, "client", WIRE_VERSION + 1, WIRE_VERSION + 4);
	expect_refused(bad, DRAY__VERDICT__VERDICT_VERSION, "versions 2 to 5");
	/* Refused is refused: not even a good Hello helps on this connection. */
	hello_versions(bad, "client", 1, 1);
	request(bad, 1);
	hang_up(w, &bad);
	bad = connect_as(w, CLIENT2);
	assert_int_equal(zmq_send(bad, frame, sizeof(frame), 0), (int)sizeof(frame));
	expect_refused(bad, DRAY__VERDICT__VERDICT_VERSION, "protocol version 1 only");
	await(good, 0, 0, 0);
	CLOSE(good, bad);
}

static void
send_raw(void *socket, const void *p, size_t n, int more)
{
	assert_int_equal(zmq_send(socket, p, n, more), (int)n);
}

static void
test_garbage(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client"), *bad;
	static const uint8_t placed[] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, WIRE_JOB_PLACED };
	static const uint8_t open_job[] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, WIRE_JOB_OPEN };
	static const uint8_t torn[] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, WIRE_JOB_REQUEST,
		10, 99 };
	static const struct {
		const void *p;
		size_t n;
		bool greeted;
	} cases[] = {
		{ "", 0, false },
		{ "GET / HTTP/1.0\r\n\r\n", 18, false },
		{ "DRAY", 4, true },
		{ placed, sizeof(placed), true },
		{ open_job, sizeof(open_job), true },
		{ torn, sizeof(torn), true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bad = cases[i].greeted ? greet(w, CLIENT2, "client") : connect_as(w, CLIENT2);
		send_raw(bad, cases[i].p, cases[i].n, 0);
		expect_done(bad, WIRE_REFUSED);
		request(bad, 1); /* unheard */
		hang_up(w, &bad);
	}
	bad = greet(w, CLIENT2, "client");
	send_raw(bad, "a", 1, ZMQ_SNDMORE);
	send_raw(bad, "b", 1, ZMQ_SNDMORE);
	send_raw(bad, "c", 1, ZMQ_SNDMORE);
	send_raw(bad, "d", 1, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "decoded");
	await(good, 0, 0, 0);
	CLOSE(good, bad);
}

static void
test_bad_fields(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client"), *bad = greet(w, CLIENT2, "client");
	char not_id[] = "not\nan id", hex[33];
	Dray__JobRequest m;

	dray__job_request__init(&m);
	m.job = not_id;
	send_msg(bad, WIRE_JOB_REQUEST, &m.base);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "not?an id");
	hang_up(w, &bad);
	bad = greet(w, CLIENT2, "client");
	job_name(hex, 1);
	m.job = hex; /* and no toolchain */
	send_msg(bad, WIRE_JOB_REQUEST, &m.base);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "32 bytes");
	hang_up(w, &bad);
	bad = greet(w, WORKER1, "worker");
	do_register(w, bad, WORKER1, "a b", 1, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "a name is");
	hang_up(w, &bad);
	bad = greet(w, WORKER1, "worker");
	do_register(w, bad, WORKER1, "worker1", 0, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "slots");
	hang_up(w, &bad);
	bad = greet(w, WORKER1, "worker");
	do_register(w, bad, WORKER1, "worker1", 4000000000u, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_MALFORMED, "slots");
	await(good, 0, 0, 0);
	CLOSE(good, bad);
}

/* Bytes that are not even ZMTP, and many connections that end at once. */
static void
test_raw_bytes(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client");
	struct sockaddr_in a = { .sin_family = AF_INET };
	char junk[4096];

	memset(junk, 0xa5, sizeof(junk));
	a.sin_port = htons((uint16_t)atoi(strrchr(w->endpoint, ':') + 1));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 50; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_true(fd >= 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		if (i % 2)
			(void)!send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
		close(fd);
	}
	await(good, 0, 0, 0);
	CLOSE(good);
}

static void
test_strangers_and_revoked_keys(void **state)
{
	struct world *w = *state;
	void *stranger = connect_as(w, STRANGER), *good = greet(w, CLIENT1, "client"), *revoked;
	void *worker = make_worker(w, WORKER1, 1);
	zmq_pollitem_t item = { stranger, 0, ZMQ_POLLIN, 0 };

	revoked = greet(w, CLIENT2, "client");
	request(revoked, 1);
	expect_placed(w, revoked, 1, CLIENT2, WORKER1);
	/* -EAGAIN when it was turned away already: libzmq has then taken the connection from it. */
	(void)!zmq_send(stranger, "DRAY", 4, ZMQ_DONTWAIT);
	write_keys(w, false);
	heartbeat(worker, 0);
	expect_refused(revoked, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "no longer allowed");
	expect_done(worker, WIRE_WORKER_CANCEL);
	await(good, 1, 0, 0);
	assert_int_equal(zmq_poll(&item, 1, 0), 0); /* a second later it has still heard nothing */
	/* A file that is broken changes nothing; a good one lets the key in again. */
	assert_int_equal(fs_write_atomic(w->keys_path, "nonsense\n", 9, 0600), 0);
	kill(w->pid, SIGHUP);
	await(good, 1, 0, 0);
	write_keys(w, true);
	kill(w->pid, SIGHUP);
	hang_up(w, &revoked);
	revoked = greet(w, CLIENT2, "client");
	CLOSE(stranger, good, revoked, worker);
}

static void
test_shutdown(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client");

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	request(client, 2);
	await(client, 1, 1, 1);
	kill(w->pid, SIGTERM);
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_DRAINING, "shutting down");
	request(client, 3);
	expect_denied(client, 3, DRAY__VERDICT__VERDICT_DRAINING, "shutting down");
	stop(w, 0); /* exit status 0, no leak */
	CLOSE(worker, client);
}

static void
test_second_signal_ends_at_once(void **state)
{
	struct world *w = *state;

	kill(w->pid, SIGTERM);
	stop(w, SIGINT);
}

static void
test_ipc(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"), *other;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	other = greet(w, WORKER2, "worker");
	do_register(w, other, WORKER1, "worker1", 1, 0); /* same place: taken over */
	assert_true(heartbeat(other, 0));
	assert_false(heartbeat(worker, 0));
	request(other, 2);
	expect_refused(other, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role worker");
	await(client, 0, 0, 0);
	CLOSE(worker, client, other);
}

static void
test_many_clients(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 8), *v[40], *watcher = greet(w, CLIENT2, "client");

	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = connect_as(w, CLIENT1);
		hello_versions(v[i], "client", 1, 1);
		request(v[i], i + 1);
	}
	await(watcher, 1, 8, 32);
	/* All go at once, in every state. */
	close_all(w, v, ARRAY_LEN(v));
	await(watcher, 1, 0, 0);
	CLOSE(watcher, worker);
}

static void
expect_no_start(struct world *w, const char *key, const char *value, const char *text)
{
	struct server *s = NULL;
	char *error = NULL;

	set_conf(w, key, value);
	assert_true(server_new(w->conf, &s, &error) < 0);
	assert_null(s);
	assert_non_null(error);
	if (!strstr(error, text))
		fail_msg("\"%s\" is not in: %s", text, error);
	free(error);
}

static void
test_refuses_to_start(void **state)
{
	struct world *w = *state;
	char pub[512];

	assert_int_equal(fs_write_atomic(w->keys_path, "client\n", 7, 0600), 0);
	expect_no_start(w, "listen", "tcp://127.0.0.1:*", "line 1");
	expect_no_start(w, "allowed_keys", "/nonexistent/keys", "/nonexistent/keys");
	expect_no_start(w, "allowed_keys", "", "allowed_keys is not set");
	snprintf(pub, sizeof(pub), "%s.pub", w->coord_path);
	expect_no_start(w, "identity", pub, "secret keys");
	assert_int_equal(chmod(w->coord_path, 0644), 0);
	expect_no_start(w, "identity", w->coord_path, "others can read");
	expect_no_start(w, "identity", "", "identity is not set");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_job),
		T(test_status),
		T(test_denials),
		T(test_retry),
		T(test_retry_after_our_restart),
		T(test_before_hello),
		T(test_look_before_hello),
		T(test_client_on_a_new_connection),
		T(test_cancel_and_client_gone),
		T(test_worker_gone),
		cmocka_unit_test_setup_teardown(test_worker_silent, setup_only, teardown),
		T(test_restart_with_running_jobs),
		T(test_same_worker_on_a_new_connection),
		T(test_bye),
		T(test_roles),
		T(test_versions),
		T(test_garbage),
		T(test_bad_fields),
		T(test_raw_bytes),
		T(test_strangers_and_revoked_keys),
		T(test_shutdown),
		T(test_second_signal_ends_at_once),
		cmocka_unit_test_setup_teardown(test_ipc, setup_ipc, teardown),
		T(test_many_clients),
		cmocka_unit_test_setup_teardown(test_refuses_to_start, setup_only, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
