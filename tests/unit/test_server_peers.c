/* Which peers and messages a coordinator takes, when it starts, and how it ends. */
#include "config.h"

#include <dirent.h>

#include "tests/unit/server_fixture.h"

/* The Hello was lost with an earlier connection, or comes behind what was said before. */
static void
test_before_hello(void **state)
{
	struct world *w = *state;
	void *worker = connect_as(w, WORKER1), *client = connect_as(w, CLIENT1), *other;

	do_register(w, worker, WORKER1, "worker1", 4, 0);
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
	expect_placed(w, other, 3, CLIENT2, WORKER1);
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
	hang_up(w, &admin);
	/* Programs that only ask say that they are a client's, with any key. */
	admin = greet(w, ADMIN, "client");
	await(admin, 1, 0, 0);
	request(admin, 1);
	expect_refused(admin, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role admin");
	await(client, 1, 0, 0);
	request(client, 2);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	await(client, 1, 1, 0);
	CLOSE(worker, admin, client);
}

static void
test_roles(void **state)
{
	struct world *w = *state;
	void *good = greet(w, CLIENT1, "client"), *bad = connect_as(w, CLIENT2);

	/* A client's key cannot make a worker, in any order of words. */
	hello_versions(bad, "worker", WIRE_VERSION, WIRE_VERSION);
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
	hello_versions(bad, "emperor", WIRE_VERSION, WIRE_VERSION);
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
	expect_refused(bad, DRAY__VERDICT__VERDICT_VERSION, "versions 3 to 6");
	/* Refused is refused: not even a good Hello helps on this connection. */
	hello_versions(bad, "client", WIRE_VERSION, WIRE_VERSION);
	request(bad, 1);
	hang_up(w, &bad);
	bad = connect_as(w, CLIENT2);
	assert_int_equal(zmq_send(bad, frame, sizeof(frame), 0), (int)sizeof(frame));
	expect_refused(bad, DRAY__VERDICT__VERDICT_VERSION, "protocol version 2 only");
	await(good, 0, 0, 0);
	CLOSE(good, bad);
}

/* Old beside new: what a later Hello says more is no fault, and its range may go beyond ours. */
static void
test_later_versions(void **state)
{
	/* versions 1 to 9, role client, two features, a field of number 99 */
	static const uint8_t hello[] = { 'D', 'R', 'A', 'Y', 0, 9, 0, WIRE_HELLO, 0x08, 1, 0x10, 9,
		0x1a, 6, 'c', 'l', 'i', 'e', 'n', 't', 0x2a, 3, 'n', 'e', 'w', 0x2a, 1, 'x', 0x9a,
		0x06, 2, 'z', 'z' };
	struct world *w = *state;
	void *late = connect_as(w, CLIENT1), *early = connect_as(w, CLIENT2);
	struct wire_msg m;

	assert_int_equal(zmq_send(late, hello, sizeof(hello), 0), (int)sizeof(hello));
	m = expect(late, WIRE_WELCOME);
	assert_int_equal(((const Dray__Welcome *)m.body)->version, WIRE_VERSION);
	wire_msg_done(&m);
	await(late, 0, 0, 0);
	/* The one before. */
	hello_versions(early, "client", 1, 1);
	expect_refused(early, DRAY__VERDICT__VERDICT_VERSION, "versions 1 to 1");
	CLOSE(late, early);
}

/* A name in the list of keys is that key's alone. */
static void
test_names_are_bound(void **state)
{
	struct world *w = *state;
	void *bad = greet(w, WORKER1, "worker"), *good;

	do_register(w, bad, WORKER1, "worker9", 1, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "another name");
	hang_up(w, &bad);
	bad = greet(w, WORKER1, "worker");
	do_register(w, bad, WORKER1, "worker2", 1, 0);
	expect_refused(bad, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "another key");
	good = make_worker(w, WORKER1, 1);
	CLOSE(bad, good);
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
	static const uint8_t open_job[] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, WIRE_JOB_OPEN,
		0, 0, 0, 1 };
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
ask_for_producers(void *socket)
{
	Dray__ProducersAsk ask;

	dray__producers_ask__init(&ask);
	send_msg(socket, WIRE_PRODUCERS_ASK, &ask.base);
}

/* What it was told: of that namespace, and these two, whose bytes are all the same; 0: nobody. */
static void
expect_producers(void *socket, const char *namespace, int worker, int publisher, bool revoked)
{
	struct wire_msg m = expect(socket, WIRE_PRODUCERS);
	const Dray__Producers *p = (const Dray__Producers *)m.body;

	assert_string_equal(p->namespace_, namespace);
	assert_int_equal(p->n_producer, (worker != 0) + (publisher != 0));
	for (size_t i = 0; i < p->n_producer; i++) {
		const Dray__Producer *v = p->producer[i];
		bool is_worker = v->kind == DRAY__PRODUCER_KIND__PRODUCER_WORKER;

		assert_int_equal(v->key.len, SIGN_KEY_SIZE);
		assert_int_equal(v->key.data[0], is_worker ? worker : publisher);
		assert_int_equal(v->key.data[31], is_worker ? worker : publisher);
		assert_string_equal(v->name, is_worker ? "worker1" : "publisher");
		assert_int_equal(v->revoked, !is_worker && revoked);
	}
	wire_msg_done(&m);
}

static void
ask_for_purge(void *socket, size_t producer_n, bool in_namespace, const char *namespace)
{
	char copy[KEYS_NAME_MAX + 2];
	uint8_t producer[SIGN_KEY_SIZE + 1];
	Dray__CachePurge m;

	dray__cache_purge__init(&m);
	memset(producer, 1, sizeof(producer));
	snprintf(copy, sizeof(copy), "%s", namespace);
	m.producer = (ProtobufCBinaryData){ producer_n, producer };
	m.in_namespace = in_namespace;
	m.namespace_ = copy;
	send_msg(socket, WIRE_CACHE_PURGE, &m.base);
}

static void
expect_purged(void *socket, Dray__Verdict verdict, const char *text)
{
	struct wire_msg m = expect(socket, WIRE_CACHE_PURGED);
	const Dray__CachePurged *p = (const Dray__CachePurged *)m.body;

	assert_int_equal(p->verdict, verdict);
	assert_non_null(strstr(p->text, text));
	assert_int_equal(p->results + p->entries, 0);
	wire_msg_done(&m);
}

/* Results are removed for admins, and for nobody else. */
static void
test_purge(void **state)
{
	struct world *w = *state;
	const Dray__Verdict bad = DRAY__VERDICT__VERDICT_MALFORMED;
	void *admin = greet(w, ADMIN, "client"), *client = greet(w, CLIENT1, "client");
	void *publisher = greet(w, PUBLISHER, "client"), *worker = make_worker(w, WORKER1, 1);

	ask_for_purge(admin, SIGN_KEY_SIZE, false, "");
	expect_purged(admin, DRAY__VERDICT__VERDICT_NONE, "");
	ask_for_purge(admin, 0, true, "team");
	expect_purged(admin, DRAY__VERDICT__VERDICT_NONE, "");
	ask_for_purge(admin, 0, false, "");
	expect_purged(admin, bad, "nothing says which");
	ask_for_purge(admin, SIGN_KEY_SIZE + 1, false, "");
	expect_purged(admin, bad, "32 bytes");
	ask_for_purge(admin, 0, true, "../x");
	expect_purged(admin, bad, "a namespace is");
	ask_for_purge(client, SIGN_KEY_SIZE, false, "");
	expect_refused(client, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role client");
	ask_for_purge(publisher, SIGN_KEY_SIZE, false, "");
	expect_refused(publisher, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role publisher");
	ask_for_purge(worker, SIGN_KEY_SIZE, false, "");
	expect_refused(worker, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "role worker");
	CLOSE(admin, client, publisher, worker);
}

#define SIGN(x) "sign=" x x x x x x x x

static void
test_vouches(void **state)
{
	struct world *w = *state;
	const char *more[N_WHO] = { [WORKER1] = SIGN("11111111"),
		[CLIENT1] = "namespace=a " SIGN("22222222"),
		[READER] = "namespace=b",
		[PUBLISHER] = "namespace=a " SIGN("33333333") };
	void *a, *b, *admin = greet(w, ADMIN, "client"), *worker = greet(w, WORKER1, "worker");

	write_keys_with(w, true, more);
	kill(w->pid, SIGHUP);
	a = greet(w, CLIENT1, "client");
	b = greet(w, READER, "client");
	ask_for_producers(a);
	expect_producers(a, "a", 0x11, 0x33, false);
	ask_for_producers(b);
	expect_producers(b, "b", 0x11, 0, false);
	ask_for_producers(worker);
	expect_producers(worker, "", 0x11, 0, false);
	/* asked twice it says nothing more: the next word is of the change */
	ask_for_producers(a);
	more[PUBLISHER] = "namespace=a " SIGN("33333333") " revoked";
	more[WORKER1] = "";
	more[READER] = "namespace=a";
	write_keys_with(w, true, more);
	expect_producers(a, "a", 0, 0x33, true);
	expect_producers(b, "a", 0, 0x33, true);
	ask_for_producers(admin);
	expect_refused(admin, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "not for the role admin");
	CLOSE(a, b, admin, worker);
}

/* A status that was asked for the shared cache, when `n` of its namespaces are open. */
static struct wire_msg
cache_status(void *socket, size_t n)
{
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	struct wire_msg m = WIRE_MSG_INIT;
	const Dray__Status *s;
	unsigned tries = 0;
	size_t open;

	do {
		Dray__StatusRequest ask = DRAY__STATUS_REQUEST__INIT;

		/* not more often than a key may ask */
		poll(NULL, 0, tries++ ? 50 : 0);
		wire_msg_done(&m);
		ask.cache = true;
		send_msg(socket, WIRE_STATUS_REQUEST, &ask.base);
		m = expect(socket, WIRE_STATUS);
		s = (const Dray__Status *)m.body;
		open = 0;
		for (size_t i = 0; i < s->n_space; i++)
			open += s->space[i]->open;
	} while (open < n && clock_mono_ms() < end);
	assert_int_equal(open, n);
	return m;
}

/* What a key hears of the shared cache: of its namespace; an admin of all. */
static void
test_status_of_the_cache(void **state)
{
	struct world *w = *state;
	const char *more[N_WHO] = { [WORKER1] = SIGN("11111111"),
		[READER] = "namespace=b",
		[PUBLISHER] = SIGN("33333333") " revoked namespace=a",
		[CLIENT1] = "namespace=a" };
	void *client, *reader, *admin;
	const Dray__Status *s;
	struct wire_msg m;
	bool a = false, b = false;

	write_keys_with(w, true, more);
	kill(w->pid, SIGHUP);
	client = greet(w, CLIENT1, "client");
	reader = greet(w, READER, "client");
	admin = greet(w, ADMIN, "client");
	m = cache_status(client, 1);
	s = (const Dray__Status *)m.body;
	assert_true(s->says_cache && s->has_cache && !s->may_put);
	assert_string_equal(s->namespace_, "a");
	assert_int_equal(s->n_space, 1);
	assert_string_equal(s->space[0]->namespace_, "a");
	assert_int_equal(s->space[0]->entries, 0);
	assert_true(s->space[0]->max > 0);
	/* the worker of all, and the publisher, which is revoked */
	assert_int_equal(s->n_producer, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(s->producer[i]->revoked, s->producer[i]->key.data[0] == 0x33);
		assert_string_equal(
			s->producer[i]->name, s->producer[i]->revoked ? "publisher" : "worker1");
	}
	wire_msg_done(&m);
	m = cache_status(reader, 1);
	s = (const Dray__Status *)m.body;
	assert_string_equal(s->namespace_, "b");
	assert_int_equal(s->n_space, 1);
	assert_string_equal(s->space[0]->namespace_, "b");
	assert_int_equal(s->n_producer, 1);
	wire_msg_done(&m);
	m = cache_status(admin, 3);
	s = (const Dray__Status *)m.body;
	assert_int_equal(s->n_space, 3);
	for (size_t i = 0; i < s->n_space; i++) {
		a |= streq(s->space[i]->namespace_, "a");
		b |= streq(s->space[i]->namespace_, "b");
	}
	assert_true(a && b);
	assert_int_equal(s->n_producer, 2);
	wire_msg_done(&m);
	/* nothing of it where it was not asked for */
	m = status(client);
	s = (const Dray__Status *)m.body;
	assert_false(s->says_cache);
	assert_int_equal(s->n_space, 0);
	assert_int_equal(s->n_producer, 0);
	wire_msg_done(&m);
	CLOSE(client, reader, admin);
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
		hello_versions(v[i], "client", WIRE_VERSION, WIRE_VERSION);
		request(v[i], i + 1);
	}
	await(watcher, 1, 4, 36); /* one key gets half of the slots, as long as it opens none */
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

struct deaf {
	void *socket;
	unsigned asked;
};

/* Of the coordinator. */
static unsigned
descriptors(const struct world *w)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)w->pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Of CLIENT1's key; it takes nothing that it is sent. */
static void
deaf_new(struct world *w, struct deaf *ret)
{
	void *s = zmq_socket(w->ctx, ZMQ_DEALER);
	const struct {
		int option, value;
	} options[] = { { ZMQ_LINGER, 0 }, { ZMQ_RCVHWM, 1 }, { ZMQ_RCVBUF, 4096 } };

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		assert_int_equal(
			zmq_setsockopt(s, options[i].option, &options[i].value, sizeof(int)), 0);
	zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, w->id[COORD].curve_public, CURVE_KEY_SIZE);
	zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, w->id[CLIENT1].curve_public, CURVE_KEY_SIZE);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, w->id[CLIENT1].curve_secret, CURVE_KEY_SIZE);
	*ret = (struct deaf){ .socket = s };
	for (size_t i = 0; i < ARRAY_LEN(w->open); i++) {
		if (!w->open[i]) {
			w->open[i] = s;
			break;
		}
	}
	assert_int_equal(zmq_connect(s, w->endpoint), 0);
	hello_versions(s, "client", WIRE_VERSION, WIRE_VERSION);
}

/* Asks most times about a job that is not there: each time it is answered. */
static void
deaf_ask(struct deaf *d, unsigned most)
{
	char job[33], worker[] = "nobody";
	Dray__JobRetry m = DRAY__JOB_RETRY__INIT;

	job_name(job, 1);
	m.job = job;
	m.worker = worker;
	while (d->asked < most && wire_send(d->socket, NULL, WIRE_JOB_RETRY, &m.base, NULL, 0) == 0)
		d->asked++;
}

/* What n connections of one key ask for and do not read, `most` answers each, is not kept: one of
 * them is ended. */
static void
unread_answers(struct world *w, unsigned n, unsigned most)
{
	void *good = greet(w, CLIENT2, "client");
	uint64_t end = clock_mono_ms() + LIMIT_MS;
	unsigned before = descriptors(w);
	struct deaf v[32];
	bool all = false;

	assert_true(n <= ARRAY_LEN(v));
	for (unsigned i = 0; i < n; i++)
		deaf_new(w, &v[i]);
	/* libzmq does not connect anew before it has read what there is */
	while (!all || descriptors(w) == before + n) {
		all = all || descriptors(w) == before + n;
		if (clock_mono_ms() > end)
			fail_msg("all are kept");
		for (unsigned i = 0; i < n; i++)
			deaf_ask(&v[i], most);
		poll(NULL, 0, 1);
	}
	await(good, 0, 0, 0);
	for (unsigned i = 0; i < n; i++)
		hang_up(w, &v[i].socket);
	CLOSE(good);
}

static void
test_unread_answers(void **state)
{
	unread_answers(*state, 1, UINT32_MAX);
}

static void
test_unread_answers_of_many(void **state)
{
	/* fewer than may wait for one connection */
	unread_answers(*state, 20, 3500);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_before_hello),
		T(test_look_before_hello),
		T(test_roles),
		T(test_versions),
		T(test_later_versions),
		T(test_names_are_bound),
		T(test_garbage),
		T(test_bad_fields),
		T(test_raw_bytes),
		T(test_strangers_and_revoked_keys),
		T(test_vouches),
		T(test_status_of_the_cache),
		T(test_purge),
		T(test_shutdown),
		T(test_second_signal_ends_at_once),
		cmocka_unit_test_setup_teardown(test_ipc, setup_ipc, teardown),
		T(test_many_clients),
		T(test_unread_answers),
		T(test_unread_answers_of_many),
		cmocka_unit_test_setup_teardown(test_refuses_to_start, setup_only, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
