/* The client's conversation with a coordinator, the test being the coordinator: a ROUTER that comes
 * and goes, and says what a restarted one would. The client runs in a process of its own. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/dispatch/farm_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"

#define LIMIT_MS 20000
#define TOOLCHAIN "0123456789abcdef0123456789abcdef" /* 32 bytes */

/* What the client does after its first placement; or it only looks at the farm. */
enum plan { STAY_PLACED, RETRY, RETRY_AWAY, LOOK };

struct world {
	char *dir, *endpoint, *bound;
	void *ctx, *socket;
	struct wire_peer peer; /* of the last message */
	char job[JOB_ID_SIZE];
	pid_t pid;
	int to, from; /* pipes */
	bool hellos;  /* may come anywhere */
};

static void
tell(int fd, const char *text)
{
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

/* A line that the other process says. */
static void
hear(int fd, char *out, size_t size)
{
	size_t n = 0;

	do {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, LIMIT_MS) != 1 || read(fd, out + n, 1) != 1)
			fail_msg("nothing was said");
	} while (out[n] != '\n' && ++n < size - 1);
	out[n] = '\0';
}

static void
ask_and_say(struct farm *f, int to)
{
	struct tether tether = TETHER_INIT;
	struct placement place = { NULL, NULL, NULL, NULL, NULL };
	char *why = NULL, line[600];
	enum farm_answer a = farm_wait(f, &tether, NULL, NULL, &place, &why);

	snprintf(line, sizeof(line), "%s %s\n", a == FARM_PLACED ? "placed" : "home",
		a == FARM_PLACED ? place.worker : why);
	tell(to, line);
	placement_done(&place);
	free(why);
}

static void
look_and_say(struct farm *f, int to)
{
	struct wire_msg m = WIRE_MSG_INIT;
	char line[600], *why = NULL;
	int r = farm_ask_status(f, (const uint8_t *)TOOLCHAIN, LIMIT_MS, &m, &why);

	if (r == 0)
		snprintf(line, sizeof(line), "%u workers\n",
			((const Dray__Status *)m.body)->workers);
	else
		snprintf(line, sizeof(line), "%s\n", why ? why : strerror(-r));
	tell(to, line);
	wire_msg_done(&m);
	free(why);
}

static void
compile(struct farm *f, enum plan plan, int from, int to)
{
	struct farm_job job = {
		.toolchain = (const uint8_t *)TOOLCHAIN, .crate = "c", .kind = "lib"
	};
	char text[300];

	assert_int_equal(farm_request(f, &job), 0);
	ask_and_say(f, to);
	if (plan == STAY_PLACED)
		return;
	hear(from, text, sizeof(text));
	while (plan == RETRY_AWAY && !f->lost) {
		zmq_pollitem_t items[FARM_ITEMS];

		zmq_poll(items, (int)farm_items(f, items), 100);
		farm_mind(f);
	}
	assert_int_equal(farm_retry(f, "w1", DRAY__VERDICT__VERDICT_WORKER_FAULT, "no disk"), 0);
	tell(to, "retried\n");
	ask_and_say(f, to);
}

/* Leaves by exit, so that the leak checker has its say. */
static void
client(const char *endpoint, enum plan plan, int from, int to)
{
	char text[300], *error = NULL, *why = NULL;
	struct conf *conf = NULL;
	struct farm *f = NULL;
	void *ctx = zmq_ctx_new();

	log_init("client", LOG_LEVEL_NONE);
	snprintf(text, sizeof(text), "client.coordinator=%s", endpoint);
	assert_int_equal(conf_parse("", 0, "none", &conf, &error), 0);
	assert_int_equal(conf_set(conf, text, &error), 0);
	assert_int_equal(conf_set(conf, "client.connect_ms=10000", &error), 0);
	assert_int_equal(farm_open(ctx, conf, &f, &why), 0);
	if (plan == LOOK)
		look_and_say(f, to);
	else
		compile(f, plan, from, to);
	farm_close(f, 100);
	zmq_ctx_termp(&ctx);
	conf_free(conf);
	close(from);
	close(to);
}

static void
start(struct world *w, enum plan plan)
{
	int down[2], up[2];

	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	fflush(NULL);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		char *endpoint = w->endpoint;

		close(down[1]);
		close(up[0]);
		client(endpoint, plan, down[0], up[1]);
		free(endpoint);
		free(w->dir);
		free(w->bound);
		free(w);
		exit(0);
	}
	close(down[0]);
	close(up[1]);
	w->to = down[1];
	w->from = up[0];
}

static void
expect_said(struct world *w, const char *want)
{
	char line[600];

	hear(w->from, line, sizeof(line));
	assert_string_equal(line, want);
}

static void
expect_end(struct world *w)
{
	int status;

	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The client was forked before: libzmq's threads are not there then. */
static void
appear(struct world *w)
{
	char *bound = NULL;

	if (!w->ctx)
		w->ctx = zmq_ctx_new();
	assert_int_equal(socket_listen(w->ctx, ADMIT_COORDINATOR, w->endpoint, NULL, 1000,
				 &w->socket, &bound),
		0);
	free(w->bound);
	w->bound = bound;
}

static void
vanish(struct world *w)
{
	socket_closep(&w->socket);
	/* The end of the context is the end of the connections. */
	zmq_ctx_termp(&w->ctx);
}

static struct wire_msg
expect(struct world *w, enum wire_type type)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;

	for (;;) {
		zmq_pollitem_t item = { w->socket, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m = WIRE_MSG_INIT;
		int r;

		if (clock_mono_ms() > end)
			fail_msg("no %s came", wire_info(type)->name);
		zmq_poll(&item, 1, 100);
		r = wire_recv(w->socket, &w->peer, WIRE_FROM_CLIENT, &m);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, 0);
		if (m.info->type == type)
			return m;
		if (m.info->type != WIRE_HELLO || !w->hellos)
			fail_msg("%s came instead of %s", m.info->name, wire_info(type)->name);
		wire_msg_done(&m);
	}
}

static void
expect_hello(struct world *w)
{
	struct wire_msg m = expect(w, WIRE_HELLO);

	wire_msg_done(&m);
}

static void
send_msg(struct world *w, enum wire_type type, const ProtobufCMessage *body)
{
	assert_int_equal(wire_send(w->socket, &w->peer, type, body, NULL, 0), 0);
}

static void
welcome(struct world *w)
{
	char name[] = "c";
	Dray__Welcome m;

	dray__welcome__init(&m);
	m.version = WIRE_VERSION;
	m.name = name;
	send_msg(w, WIRE_WELCOME, &m.base);
}

/* failed: by whom it says it was, in that order; the job is the one asked for first. */
static void
expect_request(struct world *w, unsigned n_failed)
{
	struct wire_msg m = expect(w, WIRE_JOB_REQUEST);
	const Dray__JobRequest *r = (const Dray__JobRequest *)m.body;

	if (!w->job[0])
		snprintf(w->job, sizeof(w->job), "%s", r->job);
	assert_string_equal(r->job, w->job);
	assert_int_equal(r->toolchain.len, 32);
	assert_memory_equal(r->toolchain.data, TOOLCHAIN, 32);
	assert_string_equal(r->crate, "c");
	assert_int_equal(r->n_failed, n_failed);
	for (unsigned i = 0; i < n_failed; i++) {
		assert_string_equal(r->failed[i]->worker, "w1");
		assert_int_equal(r->failed[i]->verdict, DRAY__VERDICT__VERDICT_WORKER_FAULT);
	}
	wire_msg_done(&m);
}

static void
expect_retry(struct world *w)
{
	struct wire_msg m = expect(w, WIRE_JOB_RETRY);
	const Dray__JobRetry *r = (const Dray__JobRetry *)m.body;

	assert_string_equal(r->job, w->job);
	assert_string_equal(r->worker, "w1");
	assert_string_equal(r->text, "no disk");
	wire_msg_done(&m);
}

static void
place(struct world *w, const char *worker)
{
	char name[20], endpoint[] = "tcp://127.0.0.1:9", curve[] = "";
	Dray__JobPlaced m;

	snprintf(name, sizeof(name), "%s", worker);
	dray__job_placed__init(&m);
	m.job = w->job;
	m.worker = name;
	m.endpoint = endpoint;
	m.curve_public = curve;
	send_msg(w, WIRE_JOB_PLACED, &m.base);
}

static void
deny(struct world *w, Dray__Verdict verdict)
{
	char text[] = "no";
	Dray__JobDenied m;

	dray__job_denied__init(&m);
	m.job = w->job;
	m.verdict = verdict;
	m.text = text;
	send_msg(w, WIRE_JOB_DENIED, &m.base);
}

#define UNKNOWN DRAY__VERDICT__VERDICT_UNKNOWN_JOB
#define NO_WORKER DRAY__VERDICT__VERDICT_NO_WORKER

/* Up to where the client has its job on w1. */
static void
begin(struct world *w, enum plan plan)
{
	start(w, plan);
	appear(w);
	expect_hello(w);
	expect_request(w, 0);
	welcome(w);
	place(w, "w1");
	expect_said(w, "placed w1");
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &w->dir), 0);
	assert_true(asprintf(&w->endpoint, "ipc://%s/socket", w->dir) > 0);
	w->to = w->from = -1;
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	vanish(w);
	closep(&w->to);
	closep(&w->from);
	fs_rm_rf(w->dir);
	free(w->dir);
	free(w->endpoint);
	free(w->bound);
	free(w);
	return 0;
}

static void
test_placed(void **state)
{
	struct world *w = *state;

	begin(w, STAY_PLACED);
	expect_end(w);
}

/* A job that the coordinator does not know (it was restarted) is asked for anew, with the same id,
 * and names the worker that failed it. */
static void
test_retry_of_an_unknown_job(void **state)
{
	struct world *w = *state;

	begin(w, RETRY);
	tell(w->to, "go\n");
	expect_said(w, "retried");
	expect_retry(w);
	deny(w, UNKNOWN);
	expect_request(w, 1);
	place(w, "w2");
	expect_said(w, "placed w2");
	expect_end(w);
}

/* Once a retry: no coordinator can make it go round for ever. */
static void
test_unknown_again(void **state)
{
	struct world *w = *state;

	begin(w, RETRY);
	tell(w->to, "go\n");
	expect_said(w, "retried");
	expect_retry(w);
	deny(w, UNKNOWN);
	expect_request(w, 1);
	deny(w, UNKNOWN);
	expect_said(w, "home farm: no");
	expect_end(w);
}

/* The retry went into a connection that is lost: libzmq sends it on the next one, before Hello. */
static void
test_retry_comes_before_hello(void **state)
{
	struct world *w = *state;

	begin(w, RETRY);
	vanish(w);
	tell(w->to, "go\n");
	expect_said(w, "retried");
	appear(w);
	expect_retry(w);
	deny(w, UNKNOWN);
	/* It asks for the new connection's sake, and because of the answer. */
	w->hellos = true;
	expect_request(w, 1);
	expect_request(w, 1);
	place(w, "w2");
	expect_said(w, "placed w2");
	expect_end(w);
}

/* The coordinator is away when the worker fails. */
static void
test_retry_while_away(void **state)
{
	struct world *w = *state;

	begin(w, RETRY_AWAY);
	tell(w->to, "go\n");
	vanish(w);
	expect_said(w, "retried");
	appear(w);
	expect_hello(w);
	expect_request(w, 1);
	welcome(w);
	place(w, "w2");
	expect_said(w, "placed w2");
	expect_end(w);
}

/* Away for longer than it is worth. */
static void
test_away_for_good(void **state)
{
	struct world *w = *state;

	begin(w, RETRY_AWAY);
	tell(w->to, "go\n");
	vanish(w);
	expect_said(w, "retried");
	expect_said(w, "home farm lost");
	expect_end(w);
}

/* A restarted coordinator's workers may come after its clients. */
static void
test_workers_come_later(void **state)
{
	struct world *w = *state;

	begin(w, RETRY);
	tell(w->to, "go\n");
	expect_said(w, "retried");
	expect_retry(w);
	deny(w, UNKNOWN);
	expect_request(w, 1);
	deny(w, NO_WORKER);
	expect_request(w, 1);
	deny(w, NO_WORKER);
	expect_request(w, 1);
	place(w, "w2");
	expect_said(w, "placed w2");
	expect_end(w);
}

/* One that was there all the time knows its workers. */
static void
test_no_worker(void **state)
{
	struct world *w = *state;

	start(w, STAY_PLACED);
	appear(w);
	expect_hello(w);
	expect_request(w, 0);
	welcome(w);
	deny(w, NO_WORKER);
	expect_said(w, "home farm: no");
	expect_end(w);
}

static void
expect_look(struct world *w)
{
	struct wire_msg m = expect(w, WIRE_STATUS_REQUEST);
	const Dray__StatusRequest *r = (const Dray__StatusRequest *)m.body;

	assert_int_equal(r->toolchain.len, 32);
	assert_memory_equal(r->toolchain.data, TOOLCHAIN, 32);
	wire_msg_done(&m);
}

/* The coordinator goes before it has answered; the next one is asked the same. */
static void
test_look_over_a_restart(void **state)
{
	struct world *w = *state;
	char name[] = "c";
	Dray__Status m;

	start(w, LOOK);
	appear(w);
	expect_hello(w);
	expect_look(w);
	vanish(w);
	appear(w);
	w->hellos = true;
	expect_look(w);
	dray__status__init(&m);
	m.name = name;
	m.workers = 3;
	send_msg(w, WIRE_STATUS, &m.base);
	expect_said(w, "3 workers");
	expect_end(w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_placed),
		T(test_retry_of_an_unknown_job),
		T(test_unknown_again),
		T(test_retry_comes_before_hello),
		T(test_retry_while_away),
		T(test_away_for_good),
		T(test_workers_come_later),
		T(test_no_worker),
		T(test_look_over_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
