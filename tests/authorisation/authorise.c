/* The table of who may say what, made from the code's own (proto/admit.c), and each message of each
 * role said to a coordinator and a worker that run.
 *
 *     authorise table COMMANDS         prints doc/authorisation.md; COMMANDS: see there
 *     authorise guest COORDINATOR COORDINATOR.pub IDENTITY
 *     authorise shut ENDPOINT PUBLIC IDENTITY…
 *     authorise run COORDINATOR COORDINATOR.pub WORKER WORKER.pub KEYS SECRET BLOB SPACE TOOLCHAIN
 *
 * KEYS: a directory with an identity for each role, by its name. SECRET: a word that is in what
 * another namespace than theirs, SPACE, has (crates, clients, blobs); BLOB: the name of one of its
 * blobs; TOOLCHAIN: one that the worker has. For each of (side, state, role, message) there is a
 * connection, by CURVE, on which it is said, and a Hello behind it. What may not be said has one
 * answer, Refused; what may be, or comes too late, has none of that kind. Nobody but an admin is
 * shown the secret word, nor given the blob, and an admin is: so it can be seen. A worker takes a
 * ticket once, of its client, as it is. Prints each fault, and how many of each there were; 1:
 * there was one. guest: the same of a key that is in no list, where one may join. shut: none of
 * these keys is let in at all. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fs.h"
#include "keys/ticket.h"
#include "proto/admit.h"
#include "proto/socket.h"
#include "tests/authorisation/bodies.h"
#include "tests/authorisation/table.h"

#define LIMIT_MS 20000 /* times DRAY_TEST_PATIENCE */
#define TALKS 512
#define SHUT_MAX 8
#define TYPES 1024 /* more than there will be */

struct side {
	enum admit_at at;
	const char *endpoint, *curve; /* of the listening program */
	unsigned from, hears;	      /* wire_side bits: of what it says, and takes */
};

struct talk {
	void *socket;
	const struct side *side;
	const struct wire_info *info;
	enum admit_state state;
	enum admit expected;
	unsigned hellos, welcomes;
	bool refused, answered, leaked;
	unsigned others; /* answers that are none of Welcome and Refused */
	char text[256];
};

static uint64_t
limit_ms(void)
{
	const char *patience = getenv("DRAY_TEST_PATIENCE");

	return LIMIT_MS * (patience ? (uint64_t)MAX2(atoi(patience), 1) : 1);
}

static struct run {
	void *ctx;
	struct identity id;
	enum role role;
	struct side coordinator, worker;
	struct digest offered; /* a toolchain that the worker has */
	struct bodies b;
	const char *secret;
	char word[16]; /* the role that Hello says */
	struct ticket {
		uint8_t b[1024], signature[SIGNATURE_SIZE];
		size_t n;
	} own, others; /* of the job that was placed last; and of the role before */
	unsigned refused, heard, late, tickets, faults, shown;
} x;

static struct talk talks[TALKS];
static size_t n_talks;

static _Noreturn void
die(const char *what, int err)
{
	fprintf(stderr, "authorise: %s: %s\n", what, strerror(-err));
	exit(2);
}

static void
fault(const struct talk *t, const char *what)
{
	x.faults++;
	printf("%s, %s, %s of the role %s: %s%s%s\n",
		t->side->at == ADMIT_COORDINATOR ? "coordinator" : "worker",
		t->state == ADMIT_NEW	    ? "before Hello"
		: t->state == ADMIT_GREETED ? "after it"
					    : "registered",
		t->info->name, role_name(x.role), what, *t->text ? ": " : "", t->text);
}

/* ---- saying */

static void
send_body(void *arg, const ProtobufCMessage *body)
{
	const struct talk *t = arg;
	zmq_msg_t payload;
	int r;

	zmq_msg_init(&payload);
	r = wire_send_job(t->socket, NULL, wire_is_of_job(t->info->type), t->info->type, body,
		t->info->payload_max ? &payload : NULL);
	zmq_msg_close(&payload);
	if (r < 0)
		die(t->info->name, r);
}

static void
say(struct talk *t, enum wire_type type)
{
	struct talk of = *t;

	of.info = wire_info(type);
	body_make(&x.b, of.info, send_body, &of);
	t->hellos += type == WIRE_HELLO;
}

static void
begin(const struct side *side, enum admit_state state, const struct wire_info *info)
{
	struct talk *t = &talks[n_talks++];
	int r;

	*t = (struct talk){ .side = side, .state = state, .info = info };
	t->expected = admit_look(side->at, state, x.role, info->type);
	r = socket_connect(x.ctx, side->endpoint, &x.id, side->curve, JOB_HEARTBEAT_MS, &t->socket);
	if (r < 0)
		die(side->endpoint, r);
	if (state != ADMIT_NEW)
		say(t, WIRE_HELLO);
	if (state == ADMIT_REGISTERED)
		say(t, WIRE_WORKER_REGISTER);
	say(t, info->type);
	/* what is not to be answered at all is known by the answer to this one */
	say(t, WIRE_HELLO);
}

/* ---- hearing */

static bool
has_secret(const void *p, size_t n)
{
	return memmem(p, n, x.secret, strlen(x.secret)) != NULL;
}

static void
take(struct talk *t, struct wire_raw *raw)
{
	enum wire_type type = raw->info->type, answer = body_answer(t->info->type);
	struct wire_msg m = WIRE_MSG_INIT;

	t->leaked |= has_secret(zmq_msg_data(&raw->header), zmq_msg_size(&raw->header)) ||
		     has_secret(zmq_msg_data(&raw->payload), zmq_msg_size(&raw->payload)) ||
		     (type == WIRE_SHARED_DATA && x.role != ROLE_ADMIN);
	if (wire_open(raw, &m) < 0)
		die("an answer cannot be decoded", -EBADMSG);
	t->welcomes += type == WIRE_WELCOME;
	t->refused |= type == WIRE_REFUSED;
	t->others += type != WIRE_WELCOME && type != WIRE_REFUSED;
	t->answered |= type == answer || (type == WIRE_SHARED_END && answer == WIRE_SHARED_CREDIT);
	if (type == WIRE_REFUSED)
		snprintf(t->text, sizeof(t->text), "%s", ((Dray__Refused *)m.body)->text);
	wire_msg_done(&m);
}

static void
hear(struct talk *t)
{
	for (;;) {
		_cleanup_(wire_raw_done) struct wire_raw raw;
		int r = wire_take(t->socket, NULL, t->side->from, &raw);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			die("an answer", r);
		take(t, &raw);
	}
}

static bool
is_done(const struct talk *t)
{
	/* nothing is heard behind a Join */
	if (t->refused || (t->info->type == WIRE_JOIN && t->answered))
		return true;
	if (t->welcomes < t->hellos)
		return false;
	return t->answered || t->expected != ADMIT_YES || !body_answer(t->info->type);
}

/* What proto/admit.c refuses, in the words of both programs: they say other things where a body
 * makes no sense to them. */
static bool
is_denial(const char *text)
{
	static const char *const words[] = { " is not for ", "is not allowed", "before Hello",
		"Hello must come first", "this key may not send" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

static void
judge(const struct talk *t)
{
	/* one that only a listening program says is not even looked up */
	bool backwards = !(t->info->senders & t->side->hears);
	bool denied = t->refused && (backwards || is_denial(t->text));

	x.shown += t->leaked;
	if (t->leaked && x.role != ROLE_ADMIN)
		fault(t, "it is shown what is another namespace's");
	if (!is_done(t))
		fault(t, "no answer");
	else if (t->expected == ADMIT_YES && denied)
		fault(t, "refused, and it is allowed");
	else if (t->expected == ADMIT_UNHEARD && t->refused)
		fault(t, "refused, and it should be left unheard");
	else if (t->expected == ADMIT_UNHEARD && t->others)
		fault(t, "answered, and it should be left unheard");
	else if (t->expected > ADMIT_UNHEARD && !denied)
		fault(t, t->refused ? "refused for something else" : "not refused");
	else if (t->expected > ADMIT_UNHEARD && t->others)
		fault(t, "served before it was refused");
	x.heard += t->expected == ADMIT_YES;
	x.late += t->expected == ADMIT_UNHEARD;
	x.refused += t->expected > ADMIT_UNHEARD;
}

static void
hear_all(void)
{
	static zmq_pollitem_t items[TALKS];
	uint64_t end = clock_mono_ms() + limit_ms();
	size_t left = n_talks;

	while (left > 0 && clock_mono_ms() < end) {
		for (size_t i = 0; i < n_talks; i++)
			items[i] = (zmq_pollitem_t){ talks[i].socket, 0,
				is_done(&talks[i]) ? 0 : ZMQ_POLLIN, 0 };
		zmq_poll(items, (int)n_talks, 50);
		left = 0;
		for (size_t i = 0; i < n_talks; i++) {
			hear(&talks[i]);
			left += !is_done(&talks[i]);
		}
	}
	for (size_t i = 0; i < n_talks; i++) {
		judge(&talks[i]);
		socket_closep(&talks[i].socket);
	}
	n_talks = 0;
}

/* ---- roles */

static void
all_of(const struct side *side, enum admit_state state)
{
	for (unsigned type = 0; type < TYPES; type++)
		if (wire_info(type) && n_talks < TALKS)
			begin(side, state, wire_info(type));
}

static void
keep_ticket(const Dray__JobPlaced *m)
{
	x.others = x.own;
	if (m->ticket.len > sizeof(x.own.b) || m->signature.len != SIGNATURE_SIZE)
		die("its ticket", -EMSGSIZE);
	memcpy(x.own.b, m->ticket.data, m->ticket.len);
	memcpy(x.own.signature, m->signature.data, SIGNATURE_SIZE);
	x.own.n = m->ticket.len;
}

static void
open_job(void *socket, uint32_t number, struct ticket *ticket)
{
	Dray__JobOpen m = DRAY__JOB_OPEN__INIT;

	m.ticket = (ProtobufCBinaryData){ ticket->n, ticket->b };
	m.signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, ticket->signature };
	m.credit = 1;
	m.unit_size = 1000;
	m.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, x.offered.b };
	if (wire_send_job(socket, NULL, number, WIRE_JOB_OPEN, &m.base, NULL) < 0)
		die("JobOpen", -EIO);
}

/* Of a message about a job; CANCELLED: it is no answer to JobOpen. */
static Dray__Verdict
said_of_ticket(const struct wire_msg *m)
{
	if (m->info->type == WIRE_JOB_ACCEPTED)
		return DRAY__VERDICT__VERDICT_NONE;
	if (m->info->type == WIRE_JOB_REJECTED)
		return ((const Dray__JobRejected *)m->body)->verdict;
	return DRAY__VERDICT__VERDICT_CANCELLED;
}

static Dray__Verdict
verdict_of(void *socket, uint32_t number)
{
	uint64_t end = clock_mono_ms() + limit_ms();
	Dray__Verdict v = DRAY__VERDICT__VERDICT_CANCELLED;

	while (v == DRAY__VERDICT__VERDICT_CANCELLED && clock_mono_ms() < end) {
		zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m = WIRE_MSG_INIT;

		zmq_poll(&item, 1, 50);
		if (wire_recv(socket, NULL, WIRE_FROM_WORKER, &m) == 0 && m.job == number)
			v = said_of_ticket(&m);
		wire_msg_done(&m);
	}
	return v;
}

/* Each that is wrong in one way, then the right one, and that again. */
static void
try_tickets(void)
{
	struct talk t = {
		.side = &x.worker, .info = wire_info(WIRE_JOB_OPEN), .state = ADMIT_GREETED
	};
	struct ticket altered = x.own, forged = x.own;
	const struct {
		struct ticket *ticket;
		const char *what;
		bool good;
	} tries[] = { { &altered, "an altered ticket is taken", false },
		{ &forged, "a ticket with an altered signature is taken", false },
		{ &x.others, "another client's ticket is taken", false },
		{ &x.own, "a good ticket is not taken", true },
		{ &x.own, "a ticket that was used is taken", false } };

	altered.b[altered.n / 2] ^= 1;
	forged.signature[7] ^= 1;
	if (socket_connect(
		    x.ctx, t.side->endpoint, &x.id, t.side->curve, JOB_HEARTBEAT_MS, &t.socket) < 0)
		die("a connection", -EIO);
	say(&t, WIRE_HELLO);
	for (uint32_t i = 0; i < ARRAY_LEN(tries); i++) {
		Dray__Verdict v;

		if (tries[i].ticket->n == 0)
			continue;
		open_job(t.socket, i + 1, tries[i].ticket);
		v = verdict_of(t.socket, i + 1);
		snprintf(t.text, sizeof(t.text), "verdict %d", (int)v);
		if (v != (tries[i].good ? DRAY__VERDICT__VERDICT_NONE
					: DRAY__VERDICT__VERDICT_BAD_TICKET))
			fault(&t, tries[i].what);
		x.tickets++;
	}
	socket_closep(&t.socket);
}

/* The coordinator names it to the worker when it places a job of it there: of a toolchain that the
 * worker has. */
static void
be_named(void)
{
	struct talk t = { .side = &x.coordinator, .info = wire_info(WIRE_JOB_REQUEST) };
	uint64_t end = clock_mono_ms() + limit_ms();
	bool placed = false;

	if (socket_connect(
		    x.ctx, t.side->endpoint, &x.id, t.side->curve, JOB_HEARTBEAT_MS, &t.socket) < 0)
		die("a connection", -EIO);
	say(&t, WIRE_HELLO);
	x.b.toolchain = x.offered;
	say(&t, WIRE_JOB_REQUEST);
	x.b.toolchain = (struct digest){ { 0 } };
	while (!placed && clock_mono_ms() < end) {
		zmq_pollitem_t item = { t.socket, 0, ZMQ_POLLIN, 0 };
		struct wire_msg m = WIRE_MSG_INIT;

		zmq_poll(&item, 1, 50);
		if (wire_recv(t.socket, NULL, WIRE_FROM_COORDINATOR, &m) == 0)
			placed = m.info->type == WIRE_JOB_PLACED;
		if (placed)
			keep_ticket((const Dray__JobPlaced *)m.body);
		wire_msg_done(&m);
	}
	if (!placed)
		die("no job was placed", -ETIMEDOUT);
	socket_closep(&t.socket);
}

/* A key that is not let in says nothing: no handshake of it succeeds. That may take seconds: all
 * are tried at once. */
struct shut {
	struct talk t;
	enum role role;
	struct monitor *monitor;
};

static void
shut_begin(struct shut *h, const struct side *side)
{
	h->role = x.role;
	h->t = (struct talk){ .side = side, .info = wire_info(WIRE_HELLO), .state = ADMIT_NEW };
	if (socket_connect_monitored(x.ctx, side->endpoint, &x.id, side->curve, JOB_HEARTBEAT_MS,
		    &h->t.socket, &h->monitor) < 0)
		die("a connection", -EIO);
	say(&h->t, WIRE_HELLO);
}

static void
shut_end(struct shut *h)
{
	uint64_t end = clock_mono_ms() + limit_ms();
	enum monitor_event e = MONITOR_NONE;
	bool heard = false;

	while (e != MONITOR_PUT_OFF && e != MONITOR_REFUSED && !heard && clock_mono_ms() < end) {
		zmq_pollitem_t items[] = { { monitor_socket(h->monitor), 0, ZMQ_POLLIN, 0 },
			{ h->t.socket, 0, ZMQ_POLLIN, 0 } };

		zmq_poll(items, ARRAY_LEN(items), 50);
		e = monitor_next(h->monitor, NULL);
		hear(&h->t);
		heard = h->t.refused || h->t.welcomes || h->t.others;
	}
	x.role = h->role;
	if (heard)
		fault(&h->t, "let in");
	else if (e != MONITOR_PUT_OFF && e != MONITOR_REFUSED)
		fault(&h->t, "nothing came of it");
	x.refused++;
	monitor_free(h->monitor);
	socket_closep(&h->t.socket);
}

static void
load_file(const char *path, enum role role)
{
	int r = identity_load(path, &x.id, NULL);

	if (r < 0)
		die(path, r);
	x.role = role;
	snprintf(x.word, sizeof(x.word), "%s", role_name(role == ROLE_NONE ? ROLE_CLIENT : role));
	x.b.role = x.word;
	x.b.name = x.id.name;
	x.b.curve = x.id.curve_public;
}

static void
load(const char *keys, enum role role)
{
	_cleanup_(freep) char *path = path_join(keys, role_name(role));

	if (!path)
		die("memory", -ENOMEM);
	load_file(path, role);
}

/* By a coordinator, of somebody. */
static bool
is_heard_here(unsigned type)
{
	return wire_info(type) && admit_look(ADMIT_COORDINATOR, ADMIT_GREETED, ROLE_ADMIN,
					  (enum wire_type)type) != ADMIT_NOT_HERE;
}

/* A worker hears of those alone. */
static bool
is_clients(enum role role)
{
	return role == ROLE_CLIENT || role == ROLE_PUBLISHER;
}

/* At the coordinator as one that has greeted it, and at the worker, if that knows the key. */
static void
try_role(const char *keys, enum role role)
{
	load(keys, role);
	all_of(&x.coordinator, ADMIT_GREETED);
	hear_all();
	if (is_clients(role)) {
		be_named();
		/* whatever else its key may do */
		snprintf(x.word, sizeof(x.word), "%s", role_name(ROLE_CLIENT));
		try_tickets();
		all_of(&x.worker, ADMIT_NEW);
		all_of(&x.worker, ADMIT_GREETED);
		hear_all();
	}
	identity_done(&x.id);
}

/* In the other states that the coordinator has for peers. (In a minute it writes down so many that
 * try to be admins: of each role in each way comes first.) */
static void
try_states(const char *keys, enum role role)
{
	load(keys, role);
	all_of(&x.coordinator, ADMIT_NEW);
	hear_all();
	/* a worker is registered by one connection at a time */
	for (unsigned type = 0; role == ROLE_WORKER && type < TYPES; type++) {
		if (!is_heard_here(type))
			continue;
		begin(&x.coordinator, ADMIT_REGISTERED, wire_info(type));
		hear_all();
	}
	identity_done(&x.id);
}

static void
take_side(struct side *s, enum admit_at at, const char *endpoint, const char *file)
{
	static struct identity ids[ADMIT_SIDES];
	int r = identity_load(file, &ids[at], NULL);

	if (r < 0)
		die(file, r);
	*s = (struct side){ at, endpoint, ids[at].curve_public,
		at == ADMIT_COORDINATOR ? WIRE_FROM_COORDINATOR : WIRE_FROM_WORKER,
		at == ADMIT_COORDINATOR ? WIRE_FROM_CLIENT | WIRE_FROM_WORKER : WIRE_FROM_CLIENT };
}

/* Of an address a few guests are let in at a time. */
#define GUESTS_OF_ONE 12

/* What a coordinator hears of anybody; a Join that is wrong costs its address much, and is last. */
static int
run_guest(char **argv)
{
	char endpoint[128], space[] = "";
	struct side side;
	unsigned n = 0, type;

	take_side(&x.coordinator, ADMIT_COORDINATOR, argv[0], argv[1]);
	load_file(argv[2], ROLE_NONE);
	x.b.space = space;
	x.secret = "nothing of that kind";
	side = x.coordinator;
	side.endpoint = endpoint;
	for (type = 0; type < TYPES; type++) {
		if (!is_heard_here(type) || type == WIRE_JOIN)
			continue;
		snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.%u:0;%s",
			2 + n++ / GUESTS_OF_ONE, argv[0] + strlen("tcp://"));
		begin(&side, ADMIT_NEW, wire_info(type));
	}
	snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.99:0;%s", argv[0] + strlen("tcp://"));
	begin(&side, ADMIT_NEW, wire_info(WIRE_JOIN));
	hear_all();
	return x.heard != 1;
}

static int
run_shut(char **argv)
{
	struct shut all[SHUT_MAX];
	size_t n = 0;

	x.secret = "nothing of that kind";
	take_side(&x.coordinator, ADMIT_COORDINATOR, argv[0], argv[1]);
	for (argv += 2; argv[n] && n < SHUT_MAX; n++) {
		load_file(argv[n], ROLE_NONE);
		shut_begin(&all[n], &x.coordinator);
		identity_done(&x.id);
	}
	for (size_t i = 0; i < n; i++)
		shut_end(&all[i]);
	return 0;
}

static int
run_all(char **argv)
{
	static const enum role roles[] = { ROLE_CLIENT, ROLE_READER, ROLE_PUBLISHER, ROLE_ADMIN,
		ROLE_WORKER };

	take_side(&x.coordinator, ADMIT_COORDINATOR, argv[0], argv[1]);
	take_side(&x.worker, ADMIT_WORKER, argv[2], argv[3]);
	x.secret = argv[5];
	if (digest_parse(argv[6], &x.b.blob) < 0 || digest_parse(argv[8], &x.offered) < 0)
		die("a digest has 64 digits", -EINVAL);
	x.b.space = argv[7];
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		try_role(argv[4], roles[i]);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		try_states(argv[4], roles[i]);
	if (x.shown > 0)
		return 0;
	puts("nobody was shown the secret word, not even an admin: it proves nothing");
	return 1;
}

static int
run(int (*what)(char **argv), char **argv)
{
	int r = zmq_ctx_open(&x.ctx);

	if (r < 0)
		die("libzmq", r);
	r = what(argv);
	zmq_ctx_termp(&x.ctx);
	printf("%u refused, %u heard, %u left unheard, %u tickets, %u faults\n", x.refused, x.heard,
		x.late, x.tickets, x.faults);
	return x.faults > 0 || r;
}

int
main(int argc, char **argv)
{
	if (argc == 3 && streq(argv[1], "table"))
		return table_print(argv[2]);
	if (argc == 11 && streq(argv[1], "run"))
		return run(run_all, argv + 2);
	if (argc == 5 && streq(argv[1], "guest"))
		return run(run_guest, argv + 2);
	if (argc > 4 && streq(argv[1], "shut"))
		return run(run_shut, argv + 2);
	fputs("usage: see the head of authorise.c\n", stderr);
	return 2;
}
