/* Clients give workers toolchains (proto/client.proto, Pushes): where the configuration says so, to
 * whom, and what is removed again. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include "common/digest.h"

#define THIRD "nobody offers this toolchain yet" /* 32 bytes */
#define NOT_ALLOWED DRAY__VERDICT__VERDICT_NOT_ALLOWED
#define NO_WORKER DRAY__VERDICT__VERDICT_NO_WORKER

static int
setup_push(void **state)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	set_conf(*state, "toolchains", "push");
	start(*state);
	return 0;
}

static int
setup_offered(void **state)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	start(*state);
	return 0;
}

static void
setup_auto_with(void **state, const char *of_roles, const char *of_namespaces)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	set_conf(*state, "toolchains", "auto");
	if (of_roles)
		set_conf(*state, "toolchains_roles", of_roles);
	if (of_namespaces)
		set_conf(*state, "toolchains_namespaces", of_namespaces);
	start(*state);
}

static int
setup_auto(void **state)
{
	setup_auto_with(state, NULL, NULL);
	return 0;
}

static int
setup_publishers(void **state)
{
	setup_auto_with(state, "publisher", NULL);
	return 0;
}

static int
setup_one_namespace(void **state)
{
	setup_auto_with(state, NULL, "elsewhere team");
	return 0;
}

/* It has that toolchain, as a client's gift; NULL: none. */
static void *
make_taker(struct world *w, enum who who, const char *toolchain, bool takes)
{
	void *socket = greet(w, who, "worker");
	char name[65], endpoint[] = "tcp://127.0.0.1:9", text[] = "1.95.0 rustc x86";
	uint8_t id[DIGEST_SIZE];
	Dray__WorkerRegister m = DRAY__WORKER_REGISTER__INIT;
	Dray__Offer offer = DRAY__OFFER__INIT, *list[] = { &offer };

	snprintf(name, sizeof(name), "%s", names[who]);
	if (toolchain)
		memcpy(id, toolchain, DIGEST_SIZE);
	offer.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, id };
	offer.text = text;
	offer.pushed = true;
	m.name = name;
	m.endpoint = endpoint;
	m.curve_public = w->id[who].curve_public;
	m.offers = list;
	m.n_offers = toolchain != NULL;
	m.cores = m.slots = 2;
	m.glibc = 36;
	m.takes_toolchains = takes;
	send_msg(socket, WIRE_WORKER_REGISTER, &m.base);
	assert_true(heartbeat(socket, 0));
	return socket;
}

/* except: a worker that was asked before, or NULL. */
static void
ask(void *socket, unsigned job, const char *toolchain, const char *except)
{
	uint8_t id[DIGEST_SIZE];
	char name[33], worker[65];
	Dray__JobRequest m = DRAY__JOB_REQUEST__INIT;
	Dray__JobRetry asked = DRAY__JOB_RETRY__INIT, *list[] = { &asked };

	job_name(name, job);
	memcpy(id, toolchain, DIGEST_SIZE);
	m.job = name;
	m.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, id };
	m.push = true;
	if (except) {
		snprintf(worker, sizeof(worker), "%s", except);
		asked.worker = worker;
		m.failed = list;
		m.n_failed = 1;
	}
	send_msg(socket, WIRE_JOB_REQUEST, &m.base);
}

static void
denied(void *socket, Dray__Verdict verdict, const char *text, unsigned having)
{
	struct wire_msg m = expect(socket, WIRE_JOB_DENIED);
	const Dray__JobDenied *d = (const Dray__JobDenied *)m.body;

	if (d->verdict != verdict || !strstr(d->text, text) || d->having != having)
		fail_msg("%d, \"%s\", %u came for \"%s\"", (int)d->verdict, d->text, d->having,
			text);
	wire_msg_done(&m);
}

/* Its ticket is for a push, and for nothing else. */
static void
placed(struct world *w, void *socket, enum who client, enum who worker, const char *toolchain)
{
	_cleanup_(freep) char *job = NULL;
	struct wire_msg m = expect(socket, WIRE_JOB_PLACED);
	const Dray__JobPlaced *p = (const Dray__JobPlaced *)m.body;
	struct ticket_book *book = NULL;
	struct ticket_terms terms;

	assert_string_equal(p->worker, names[worker]);
	assert_int_equal(ticket_book_new(&book), 0);
	assert_int_equal(
		ticket_check(book, p->ticket.data, p->ticket.len, p->signature.data,
			p->signature.len, w->id[COORD].sign_public, w->id[client].curve_public,
			w->id[worker].curve_public, clock_wall_ms(), &job, &terms),
		0);
	assert_true(terms.push && !terms.refill && !terms.sample && !terms.twin && terms.one);
	assert_memory_equal(terms.toolchain.b, toolchain, DIGEST_SIZE);
	ticket_book_free(book);
	wire_msg_done(&m);
}

static void
test_not_by_default(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client");

	ask(client, 1, THIRD, NULL);
	denied(client, NOT_ALLOWED, "toolchains = push", 0);
	CLOSE(worker, client);
}

static void
test_who_is_given_it(void **state)
{
	struct world *w = *state;
	void *one = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client"),
	     *other = greet(w, CLIENT2, "client"), *two;

	ask(client, 1, THIRD, NULL);
	placed(w, client, CLIENT1, WORKER1, THIRD);
	/* one at a time, of a worker and of a key */
	ask(other, 2, THIRD, NULL);
	denied(other, DRAY__VERDICT__VERDICT_FULL, "being given others", 0);
	two = make_taker(w, WORKER2, NULL, false);
	ask(client, 3, THIRD, NULL);
	denied(client, DRAY__VERDICT__VERDICT_FULL, "another one just now", 0);
	say_job(one, WIRE_WORKER_JOB_ENDED, 1);
	say_job(client, WIRE_JOB_FINISHED, 1);
	assert_true(heartbeat(one, 0));
	/* one that was asked is not asked again; the second one takes none */
	ask(client, 4, THIRD, "worker1");
	denied(client, NO_WORKER, "takes toolchains", 0);
	CLOSE(two);
	two = make_taker(w, WORKER2, THIRD, true);
	ask(client, 5, THIRD, "worker1");
	denied(client, NO_WORKER, "no other worker", 1);
	ask(client, 6, THIRD, NULL);
	placed(w, client, CLIENT1, WORKER1, THIRD);
	/* it takes no slot */
	request_for(client, 7, THIRD, 0);
	expect_placed(w, client, 7, CLIENT1, WORKER2);
	CLOSE(one, two, client, other);
}

static void
test_by_others(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *reader = greet(w, READER, "client"),
	     *publisher = greet(w, PUBLISHER, "client");

	ask(publisher, 1, THIRD, NULL);
	placed(w, publisher, PUBLISHER, WORKER1, THIRD);
	ask(reader, 2, THIRD, NULL);
	expect_refused(reader, NOT_ALLOWED, "reader");
	CLOSE(worker, reader, publisher);
}

/* A unit's request is denied; whether its client is asked for the toolchain. */
static void
home(void *socket, unsigned job, const char *toolchain, bool give)
{
	struct wire_msg m;
	const Dray__JobDenied *d;

	request_for(socket, job, toolchain, 0);
	m = expect(socket, WIRE_JOB_DENIED);
	d = (const Dray__JobDenied *)m.body;
	assert_int_equal(d->verdict, NO_WORKER);
	if (d->give != give)
		fail_msg("job %u: %s asked for it", job, d->give ? "it is" : "it is not");
	wire_msg_done(&m);
}

static void
say_progress(void *socket, unsigned job, uint64_t done, uint64_t of)
{
	Dray__PushProgress m = DRAY__PUSH_PROGRESS__INIT;
	char name[33];

	job_name(name, job);
	m.job = name;
	m.done = done;
	m.of = of;
	send_msg(socket, WIRE_PUSH_PROGRESS, &m.base);
}

/* What admins see: how many go on and how many failed, and of the first how far it is. */
static void
seen(void *admin, size_t going, size_t failed, uint64_t done)
{
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	const Dray__AdminView *v;
	struct wire_msg m;
	size_t n[2] = { 0, 0 };

	look.workers = true;
	assert_int_equal(wire_send_job(admin, NULL, 900, WIRE_ADMIN_LOOK, &look.base, NULL), 0);
	m = expect(admin, WIRE_ADMIN_VIEW);
	v = (const Dray__AdminView *)m.body;
	for (size_t i = 0; i < v->n_push; i++) {
		assert_memory_equal(v->push[i]->id.data, THIRD, DIGEST_SIZE);
		assert_string_equal(v->push[i]->client, names[CLIENT1]);
		if (!v->push[i]->failed) {
			assert_string_equal(v->push[i]->worker, names[WORKER1]);
			assert_true(v->push[i]->done == done);
		}
		n[v->push[i]->failed]++;
	}
	assert_int_equal(n[0], going);
	assert_int_equal(n[1], failed);
	wire_msg_done(&m);
}

static void
test_nobody_is_asked(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client");

	home(client, 1, THIRD, false);
	CLOSE(worker, client);
}

static void
test_one_is_asked(void **state)
{
	struct world *w = *state;
	void *one = make_taker(w, WORKER1, NULL, false), *client = greet(w, CLIENT1, "client"),
	     *other = greet(w, CLIENT2, "client"), *admin = greet(w, ADMIN, "admin");

	/* nobody takes it */
	home(client, 1, THIRD, false);
	CLOSE(one);
	one = make_taker(w, WORKER1, NULL, true);
	home(client, 2, THIRD, true);
	home(client, 3, THIRD, false);
	home(other, 4, THIRD, false);
	ask(client, 5, THIRD, NULL);
	placed(w, client, CLIENT1, WORKER1, THIRD);
	say_progress(client, 5, 7, 10);
	/* another's is nobody's to tell of */
	say_progress(other, 5, 1, 1);
	home(client, 6, THIRD, false);
	home(other, 9, THIRD, false);
	seen(admin, 1, 0, 7);
	/* it could not: then another one may, and it itself not again */
	say_job(one, WIRE_WORKER_JOB_ENDED, 5);
	say_job(client, WIRE_JOB_CANCEL, 5);
	home(client, 7, THIRD, false);
	seen(admin, 0, 1, 0);
	home(other, 8, THIRD, true);
	CLOSE(one, client, other, admin);
}

static void
test_it_is_there(void **state)
{
	struct world *w = *state;
	void *one = make_taker(w, WORKER1, THIRD, true), *two = make_taker(w, WORKER2, NULL, true),
	     *client = greet(w, CLIENT1, "client");
	Dray__WorkerBye bye = DRAY__WORKER_BYE__INIT;

	/* one worker has it, and is going away */
	send_msg(one, WIRE_WORKER_BYE, &bye.base);
	assert_true(heartbeat(one, 0));
	home(client, 1, THIRD, false);
	CLOSE(one, two, client);
}

static void
test_by_role(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client"),
	     *publisher = greet(w, PUBLISHER, "client");

	home(client, 1, THIRD, false);
	ask(client, 2, THIRD, NULL);
	denied(client, NOT_ALLOWED, "other clients than this one", 0);
	home(publisher, 3, THIRD, true);
	ask(publisher, 4, THIRD, NULL);
	placed(w, publisher, PUBLISHER, WORKER1, THIRD);
	CLOSE(worker, client, publisher);
}

static void
test_by_namespace(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client");

	home(client, 1, THIRD, false);
	ask(client, 2, THIRD, NULL);
	denied(client, NOT_ALLOWED, "toolchains_namespaces", 0);
	CLOSE(worker, client);
}

static void
act(void *socket, Dray__AdminWhat what, const char *words, bool done, const char *text)
{
	static uint32_t number;
	char copy[128];
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

static void
test_removed(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, THIRD, true), *admin = greet(w, ADMIN, "admin"),
	     *own = make_worker(w, WORKER2, 1);
	struct wire_msg m;

	act(admin, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_REMOVE, "1.96.0", false, "no worker offers");
	act(admin, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_REMOVE, "1.95.0 rustc x86", true,
		"1 workers are told");
	m = expect(worker, WIRE_WORKER_DROP);
	assert_memory_equal(((const Dray__WorkerDrop *)m.body)->toolchain.data, THIRD, DIGEST_SIZE);
	wire_msg_done(&m);
	CLOSE(worker, own, admin);
}

static void
test_pins_hold(void **state)
{
	struct world *w = *state;
	void *worker = make_taker(w, WORKER1, NULL, true), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	struct digest d;
	char hex[DIGEST_HEX_SIZE];

	memcpy(d.b, TOOLCHAIN, DIGEST_SIZE);
	digest_hex(&d, hex);
	act(admin, DRAY__ADMIN_WHAT__ADMIN_TOOLCHAIN_PIN, hex, true, "pinned");
	ask(client, 1, THIRD, NULL);
	denied(client, DRAY__VERDICT__VERDICT_NOT_PINNED, "not among those", 0);
	ask(client, 2, TOOLCHAIN, NULL);
	placed(w, client, CLIENT1, WORKER1, TOOLCHAIN);
	CLOSE(worker, client, admin);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_by_default, setup_offered, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_given_it, setup_push, teardown),
		cmocka_unit_test_setup_teardown(test_by_others, setup_push, teardown),
		cmocka_unit_test_setup_teardown(test_removed, setup_push, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_is_asked, setup_push, teardown),
		cmocka_unit_test_setup_teardown(test_one_is_asked, setup_auto, teardown),
		cmocka_unit_test_setup_teardown(test_it_is_there, setup_auto, teardown),
		cmocka_unit_test_setup_teardown(test_by_role, setup_publishers, teardown),
		cmocka_unit_test_setup_teardown(test_by_namespace, setup_one_namespace, teardown),
		cmocka_unit_test_setup_teardown(test_pins_hold, setup_push, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
