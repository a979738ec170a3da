/* Toolchains that admins have pinned: whose jobs are taken, what is said, and that it outlives the
 * coordinator. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include "coordinator/admin/audit.h"
#include "coordinator/admin/pins.h"
#include "toolchain/cpu.h"

#define OTHER "another toolchain that it offers" /* 32 bytes */
#define THIRD "nobody offers this toolchain yet" /* 32 bytes */
#define PIN DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_PIN
#define UNPIN DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_UNPIN
#define NOT_PINNED DRAY__VERDICT__VERDICT_NOT_PINNED

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
hex_of(const char *raw, char hex[DIGEST_HEX_SIZE])
{
	struct digest d;

	memcpy(d.b, raw, DIGEST_SIZE);
	digest_hex(&d, hex);
}

static void
act(void *socket, Dray__AdminWhat what, const char *words, bool done, const char *text)
{
	static uint32_t number;
	char copy[256];
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	const Dray__AdminDone *d;
	struct wire_msg answer;

	snprintf(copy, sizeof(copy), "%s", words);
	m.what = what;
	m.toolchain = copy;
	assert_int_equal(wire_send_job(socket, NULL, ++number, WIRE_ADMIN_ACT, &m.base, NULL), 0);
	answer = expect(socket, WIRE_ADMIN_DONE);
	d = (const Dray__AdminDone *)answer.body;
	if ((d->verdict == DRAY__VERDICT__VERDICT_NONE) != done || !strstr(d->text, text))
		fail_msg("%d, \"%s\" came for \"%s\"", (int)d->verdict, d->text, text);
	wire_msg_done(&answer);
}

/* Two toolchains, and the second one for native units on a CPU of zeros. */
static void *
make_worker_of_two(struct world *w, enum who who, const char *second)
{
	void *socket = greet(w, who, "worker");
	char name[65], endpoint[] = "tcp://127.0.0.1:9", first[] = "1.95.0 rustc x86", other[64],
		       native[80];
	struct digest id[3], cpu = { { 0 } };
	Dray__WorkerRegister m = DRAY__WORKER_REGISTER__INIT;
	Dray__Offer offers[3], *list[3];
	char *const texts[] = { first, other, native };

	memcpy(id[0].b, TOOLCHAIN, DIGEST_SIZE);
	memcpy(id[1].b, OTHER, DIGEST_SIZE);
	assert_int_equal(cpu_native_of(&id[1], &cpu, &id[2]), 0);
	snprintf(name, sizeof(name), "%s", names[who]);
	snprintf(other, sizeof(other), "%s", second);
	snprintf(native, sizeof(native), "%s target-cpu=native", second);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		list[i] = &offers[i];
		dray__offer__init(list[i]);
		offers[i].toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, id[i].b };
		offers[i].text = texts[i];
		offers[i].bytes = 1000 + i;
	}
	m.name = name;
	m.endpoint = endpoint;
	m.curve_public = w->id[who].curve_public;
	m.offers = list;
	m.n_offers = ARRAY_LEN(offers);
	m.cores = m.slots = 4;
	m.glibc = 36;
	m.cpu = (ProtobufCBinaryData){ DIGEST_SIZE, cpu.b };
	send_msg(socket, WIRE_WORKER_REGISTER, &m.base);
	assert_true(heartbeat(socket, 0));
	return socket;
}

static struct wire_msg
look(void *socket)
{
	Dray__AdminLook m = DRAY__ADMIN_LOOK__INIT;

	m.workers = true;
	assert_int_equal(wire_send_job(socket, NULL, 1, WIRE_ADMIN_LOOK, &m.base, NULL), 0);
	return expect(socket, WIRE_ADMIN_VIEW);
}

static void
test_pinned_alone(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	char hex[DIGEST_HEX_SIZE];

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	request(client, 2);
	expect_done(client, WIRE_JOB_QUEUED);
	hex_of(THIRD, hex);
	/* what waits is denied, what has a slot goes on */
	act(admin, PIN, hex, true, "0 workers have it");
	expect_denied(client, 2, NOT_PINNED, "limited to");
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	say_job(client, WIRE_JOB_FINISHED, 1);
	request(client, 3);
	expect_denied(client, 3, NOT_PINNED, "limited to");
	request_for(client, 4, THIRD, 0);
	expect_denied(client, 4, DRAY__VERDICT__VERDICT_NO_WORKER, "has the toolchain");
	act(admin, PIN, "1.95.0", true, "1 workers have it");
	request(client, 5);
	expect_placed(w, client, 5, CLIENT1, WORKER1);
	say_job(client, WIRE_JOB_FINISHED, 5);
	act(admin, PIN, "1.95.0 rustc", true, "already");
	act(admin, UNPIN, hex, true, "pinned no more");
	act(admin, UNPIN, "1.95", false, "no toolchain \"1.95\" is pinned");
	request_for(client, 6, THIRD, 0);
	expect_denied(client, 6, NOT_PINNED, "limited to");
	act(admin, UNPIN, "1.95.0", true, "all toolchains are taken again");
	request_for(client, 7, THIRD, 0);
	expect_denied(client, 7, DRAY__VERDICT__VERDICT_NO_WORKER, "has the toolchain");
	CLOSE(worker, client, admin);
}

static void
test_words(void **state)
{
	struct world *w = *state;
	void *worker = make_worker_of_two(w, WORKER1, "1.95.0 clippy-driver x86"),
	     *admin = greet(w, ADMIN, "admin");
	char hex[DIGEST_HEX_SIZE], few[7];

	act(admin, PIN, "", false, "no worker offers");
	act(admin, PIN, "1.95", false, "no worker offers");
	act(admin, PIN, "1.95.0 rust", false, "no worker offers");
	act(admin, PIN, "beta\033[2J", false, "no worker offers a toolchain \"beta?[2J\"");
	act(admin, PIN, "1.95.0", true, "2 toolchains pinned");
	act(admin, UNPIN, "1.95.0 clippy-driver", true, "jobs of it are taken no more");
	hex_of(OTHER, hex);
	memcpy(few, hex, 6);
	few[6] = '\0';
	act(admin, PIN, few, true, "1.95.0 clippy-driver x86 (");
	few[5] = '\0'; /* too few for an id */
	act(admin, UNPIN, few, false, "is pinned");
	act(admin, UNPIN, "1.95.0", true, "all toolchains are taken again");
	CLOSE(worker, admin);
}

static void
test_called_alike(void **state)
{
	struct world *w = *state;
	void *worker = make_worker_of_two(w, WORKER1, "1.95.0 rustc x86"),
	     *admin = greet(w, ADMIN, "admin");

	act(admin, PIN, "1.95.0", false, "by its id");
	CLOSE(worker, admin);
}

/* What is for native units is made here, of a pinned id and the CPU of a worker. */
static void
test_native(void **state)
{
	struct world *w = *state;
	void *worker = make_worker_of_two(w, WORKER1, "1.95.0 clippy-driver x86"),
	     *client = greet(w, CLIENT1, "client"), *admin = greet(w, ADMIN, "admin");
	struct digest id, cpu = { { 0 } }, native;
	char raw[DIGEST_SIZE];

	memcpy(id.b, OTHER, DIGEST_SIZE);
	assert_int_equal(cpu_native_of(&id, &cpu, &native), 0);
	memcpy(raw, native.b, DIGEST_SIZE);
	act(admin, PIN, "1.95.0 rustc", true, "pinned");
	request_for(client, 1, raw, 0);
	expect_denied(client, 1, NOT_PINNED, "limited to");
	act(admin, PIN, "1.95.0 clippy-driver", true, "1.95.0 clippy-driver x86 (");
	request_for(client, 2, raw, 0);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	CLOSE(worker, client, admin);
}

static void
test_listed(void **state)
{
	struct world *w = *state;
	void *worker = make_worker_of_two(w, WORKER1, "1.95.0 clippy-driver x86"),
	     *client = greet(w, CLIENT1, "client"), *admin = greet(w, ADMIN, "admin");
	const Dray__AdminView *v;
	char hex[DIGEST_HEX_SIZE];
	struct wire_msg m = look(admin);

	v = (const Dray__AdminView *)m.body;
	assert_false(v->has_pins);
	assert_int_equal(v->n_toolchain, 3);
	assert_false(v->toolchain[1]->pinned);
	assert_int_equal(v->toolchain[1]->bytes, 1001);
	assert_true(v->toolchain[1]->used_ms == 0);
	wire_msg_done(&m);
	act(admin, PIN, "1.95.0 clippy-driver", true, "pinned");
	hex_of(THIRD, hex);
	act(admin, PIN, hex, true, "pinned");
	request_for(client, 1, OTHER, 0);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	m = look(admin);
	v = (const Dray__AdminView *)m.body;
	assert_true(v->has_pins);
	assert_int_equal(v->n_toolchain, 4);
	assert_false(v->toolchain[0]->pinned);
	assert_true(v->toolchain[1]->pinned);
	assert_true(v->toolchain[1]->used_ms > 0);
	assert_true(v->toolchain[2]->pinned); /* its native one */
	assert_true(v->toolchain[3]->pinned); /* which nobody has */
	assert_memory_equal(v->toolchain[3]->id.data, THIRD, DIGEST_SIZE);
	assert_string_equal(v->toolchain[3]->text, "");
	wire_msg_done(&m);
	CLOSE(worker, client, admin);
}

static void
test_status_says_it(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 2), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	uint8_t id[DIGEST_SIZE];
	char hex[DIGEST_HEX_SIZE];
	Dray__StatusRequest ask = DRAY__STATUS_REQUEST__INIT;
	const Dray__Status *v;
	struct wire_msg m;

	memcpy(id, TOOLCHAIN, DIGEST_SIZE);
	ask.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, id };
	hex_of(THIRD, hex);
	act(admin, PIN, hex, true, "pinned");
	send_msg(client, WIRE_STATUS_REQUEST, &ask.base);
	m = expect(client, WIRE_STATUS);
	v = (const Dray__Status *)m.body;
	assert_true(v->not_pinned);
	assert_int_equal(v->matching, 0);
	assert_int_equal(v->matching_slots, 0);
	wire_msg_done(&m);
	act(admin, UNPIN, hex, true, "");
	send_msg(client, WIRE_STATUS_REQUEST, &ask.base);
	m = expect(client, WIRE_STATUS);
	v = (const Dray__Status *)m.body;
	assert_false(v->not_pinned);
	assert_int_equal(v->matching, 1);
	wire_msg_done(&m);
	CLOSE(worker, client, admin);
}

static void
test_outlives_the_coordinator(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"), *path = path_join(dir, PINS_FILE),
			      *audit = path_join(dir, AUDIT_FILE), *bad = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	void *admin = greet(w, ADMIN, "admin"), *client, *worker;
	char hex[DIGEST_HEX_SIZE];

	hex_of(THIRD, hex);
	act(admin, PIN, hex, true, "pinned");
	CLOSE(admin);
	stop(w, SIGKILL);
	zmq_ctx_termp(&w->ctx);
	start(w);
	worker = make_worker(w, WORKER1, 1);
	client = greet(w, CLIENT1, "client");
	request(client, 1);
	expect_denied(client, 1, NOT_PINNED, "limited to");
	CLOSE(worker, client);
	stop(w, SIGTERM);
	zmq_ctx_termp(&w->ctx);
	/* what cannot be read is kept beside it, and nothing is pinned */
	assert_int_equal(fs_write_atomic(path, "damaged", 7, 0600), 0);
	start(w);
	worker = make_worker(w, WORKER1, 1);
	client = greet(w, CLIENT1, "client");
	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	assert_true(asprintf(&bad, "%s.bad", path) > 0);
	assert_int_equal(fs_read_file(bad, 100, &b), 0);
	assert_int_equal(b.n, 7);
	assert_false(fs_exists(path));
	/* what was done was written down */
	b.n = 0;
	assert_int_equal(fs_read_file(audit, 1 << 20, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_non_null(strstr((char *)b.p, "\"act\":\"toolchain pin\""));
	assert_non_null(strstr((char *)b.p, hex));
	CLOSE(worker, client);
}

#define P(name) cmocka_unit_test_setup_teardown(name, setup_patient, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		P(test_pinned_alone),
		P(test_words),
		P(test_called_alike),
		P(test_native),
		P(test_listed),
		P(test_status_says_it),
		P(test_outlives_the_coordinator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
