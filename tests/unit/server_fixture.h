/* The coordinator's real loop in a process of its own, real sockets with CURVE over loopback, and
 * the test as its clients and workers. Waits are for conditions, with a limit that is never met
 * when all is well. */
#ifndef DRAY_TESTS_UNIT_SERVER_FIXTURE_H
#define DRAY_TESTS_UNIT_SERVER_FIXTURE_H

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
#include "common/log/log.h"
#include "coordinator/server.h"
#include "proto/socket.h"
#include "keys/ticket.h"
#include "proto/wire.h"

#define LIMIT_MS 20000
#define TOOLCHAIN "0123456789abcdef0123456789abcdef" /* 32 bytes */

enum who { COORD, CLIENT1, CLIENT2, WORKER1, WORKER2, ADMIN, READER, PUBLISHER, STRANGER, N_WHO };
static const char *const names[N_WHO] = { "coord", "client1", "client2", "worker1", "worker2",
	"admin", "reader", "publisher", "stranger" };
static const char *const roles[N_WHO] = { "", "client", "client", "worker", "worker", "admin",
	"reader", "publisher", "" };

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

static inline void
set_conf(struct world *w, const char *key, const char *value)
{
	char text[1024];
	char *error = NULL;

	snprintf(text, sizeof(text), "coordinator.%s=%s", key, value);
	if (conf_set(w->conf, text, &error) < 0)
		fail_msg("%s", error);
}

/* more: behind each one's line; NULL: nothing. */
static inline void
write_keys_with(struct world *w, bool with_client2, const char *const more[N_WHO])
{
	char text[4096] = "# who may connect\n";

	for (int i = CLIENT1; i < STRANGER; i++) {
		if (i != CLIENT2 || with_client2)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %s%s%s\n",
				roles[i], w->id[i].curve_public, names[i],
				more && more[i] ? " " : "", more && more[i] ? more[i] : "");
	}
	assert_int_equal(fs_write_atomic(w->keys_path, text, strlen(text), 0600), 0);
}

static inline void
write_keys(struct world *w, bool with_client2)
{
	write_keys_with(w, with_client2, NULL);
}

/* The server's process. Leaves by exit, so that the leak checker has its say. */
static inline void
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

static inline void
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

static inline void
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

static inline int
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
	snprintf(text, sizeof(text), "%s/cache", w->dir);
	set_conf(w, "cache_dir", text);
	*state = w;
	return 0;
}

static inline int
setup(void **state)
{
	make_world(state, false);
	start(*state);
	return 0;
}

static inline int
setup_ipc(void **state)
{
	make_world(state, true);
	start(*state);
	return 0;
}

/* Not started: the test changes the configuration first. */
static inline int
setup_only(void **state)
{
	return make_world(state, false);
}

static inline int
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

static inline void *
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

static inline void
hang_up(struct world *w, void **socket)
{
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++)
		if (w->open[i] == *socket)
			w->open[i] = NULL;
	socket_closep(socket);
}

static inline void
send_msg(void *socket, enum wire_type type, const ProtobufCMessage *body)
{
	assert_int_equal(wire_send(socket, NULL, type, body, NULL, 0), 0);
}

/* The next message of this type; notices and acknowledgements that were not asked for are skipped.
 */
static inline struct wire_msg
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
		if (m.info->type != WIRE_JOB_QUEUED && m.info->type != WIRE_HEARTBEAT_ACK &&
			m.info->type != WIRE_WORKER_EXPECT)
			fail_msg("%s came instead of %s", m.info->name, wire_info(type)->name);
		wire_msg_done(&m);
	}
}

static inline void
expect_done(void *socket, enum wire_type type)
{
	struct wire_msg m = expect(socket, type);

	wire_msg_done(&m);
}

static inline void
expect_refused(void *socket, Dray__Verdict verdict, const char *text)
{
	struct wire_msg m = expect(socket, WIRE_REFUSED);
	const Dray__Refused *r = (const Dray__Refused *)m.body;

	assert_int_equal(r->verdict, verdict);
	if (!strstr(r->text, text))
		fail_msg("\"%s\" is not in: %s", text, r->text);
	wire_msg_done(&m);
}

static inline void
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

static inline void *
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

static inline void
job_name(char out[33], unsigned n)
{
	snprintf(out, 33, "%032x", n);
}

/* failed_by: a worker that failed it before, or NULL. */
static inline void
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

static inline void
request_for(void *socket, unsigned job, const char *toolchain, unsigned glibc)
{
	request_anew(socket, job, toolchain, glibc, NULL);
}

static inline void
request(void *socket, unsigned job)
{
	request_for(socket, job, TOOLCHAIN, 0);
}

/* instance: of its process; 0: not told. samples: it shares what it makes. */
static inline void
register_with(struct world *w, void *socket, enum who who, const char *name, unsigned slots,
	unsigned running, uint8_t instance, bool samples)
{
	uint8_t process[16] = { instance };
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
	m.peers = true;
	m.instance.data = process;
	m.instance.len = instance ? sizeof(process) : 0;
	m.samples = samples;
	send_msg(socket, WIRE_WORKER_REGISTER, &m.base);
}

static inline void
register_as(struct world *w, void *socket, enum who who, const char *name, unsigned slots,
	unsigned running, uint8_t instance)
{
	register_with(w, socket, who, name, slots, running, instance, false);
}

static inline void
do_register(struct world *w, void *socket, enum who who, const char *name, unsigned slots,
	unsigned running)
{
	register_as(w, socket, who, name, slots, running, 0);
}

/* Acknowledged by the first heartbeat that says "known". */
static inline bool
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

static inline void *
make_worker(struct world *w, enum who who, unsigned slots)
{
	void *socket = greet(w, who, "worker");

	do_register(w, socket, who, names[who], slots, 0);
	assert_true(heartbeat(socket, 0));
	return socket;
}

static inline void
say_job(void *socket, enum wire_type type, unsigned job)
{
	Dray__JobFinished finished;
	Dray__JobCancel cancel;
	Dray__WorkerJobStarted started;
	Dray__WorkerJobEnded ended;
	Dray__WorkerJobRefused refused;
	char name[33];

	job_name(name, job);
	dray__job_finished__init(&finished);
	dray__job_cancel__init(&cancel);
	dray__worker_job_started__init(&started);
	dray__worker_job_ended__init(&ended);
	dray__worker_job_refused__init(&refused);
	finished.job = cancel.job = started.job = ended.job = refused.job = name;
	ended.ok = true;
	send_msg(socket, type,
		type == WIRE_JOB_FINISHED	  ? &finished.base
		: type == WIRE_JOB_CANCEL	  ? &cancel.base
		: type == WIRE_WORKER_JOB_STARTED ? &started.base
		: type == WIRE_WORKER_JOB_REFUSED ? &refused.base
						  : &ended.base);
}

static inline void
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
static inline void
expect_placed(struct world *w, void *socket, unsigned job, enum who client, enum who worker)
{
	struct wire_msg m = expect(socket, WIRE_JOB_PLACED);
	const Dray__JobPlaced *p = (const Dray__JobPlaced *)m.body;
	struct ticket_book *book = NULL;
	char name[33], *ticket_job = NULL;
	uint64_t now = clock_wall_ms();
	struct ticket_terms terms;

	job_name(name, job);
	assert_string_equal(p->job, name);
	assert_string_equal(p->worker, names[worker]);
	assert_string_equal(p->endpoint, "tcp://127.0.0.1:9");
	assert_string_equal(p->curve_public, w->id[worker].curve_public);
	assert_int_equal(ticket_book_new(&book), 0);
	assert_int_equal(
		ticket_check(book, p->ticket.data, p->ticket.len, p->signature.data,
			p->signature.len, w->id[COORD].sign_public, w->id[STRANGER].curve_public,
			w->id[worker].curve_public, now, &ticket_job, &terms),
		endpoint_is_local(w->endpoint) ? 0 : -EACCES);
	free(steal_ptr(ticket_job));
	if (!endpoint_is_local(w->endpoint)) {
		assert_int_equal(ticket_check(book, p->ticket.data, p->ticket.len,
					 p->signature.data, p->signature.len,
					 w->id[COORD].sign_public, w->id[client].curve_public,
					 w->id[worker].curve_public, now, &ticket_job, &terms),
			0);
		assert_string_equal(ticket_job, name);
		free(ticket_job);
	}
	ticket_book_free(book);
	wire_msg_done(&m);
}

static inline void
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

static inline void
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

static inline struct wire_msg
status(void *socket)
{
	ask_status(socket);
	return expect(socket, WIRE_STATUS);
}

/* Waits until the farm is like that. */
static inline void
await(void *socket, unsigned workers, unsigned running, unsigned queued)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	unsigned is[3], tries = 0;

	do {
		struct wire_msg m = status(socket);
		const Dray__Status *s = (const Dray__Status *)m.body;

		is[0] = s->workers;
		is[1] = s->running;
		is[2] = s->queued;
		wire_msg_done(&m);
		if (is[0] == workers && is[1] == running && is[2] == queued)
			return;
		/* not more often than a key may ask */
		poll(NULL, 0, ++tries < 10 ? 5 : 100);
	} while (clock_mono_ms() < end);
	fail_msg("the farm has %u workers, %u running, %u queued", is[0], is[1], is[2]);
}

static inline void
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
