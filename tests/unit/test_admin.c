/* Admins and the coordinator (proto/admin.proto), over CURVE and on the socket of its machine: who
 * may ask, what is done, and that it is written down. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include <sys/stat.h>

#include "common/buf.h"
#include "coordinator/admin/audit.h"

static uint32_t last_number;

/* With time for a busy machine: no worker is given up meanwhile. */
static int
setup_patient(void **state, bool ipc)
{
	make_world(state, ipc);
	set_conf(*state, "heartbeat_ms", "20000");
	start(*state);
	return 0;
}

static int
setup_tcp(void **state)
{
	return setup_patient(state, false);
}

static int
setup_local(void **state)
{
	return setup_patient(state, true);
}

static void
send_numbered(void *socket, enum wire_type type, const ProtobufCMessage *body)
{
	assert_int_equal(wire_send_job(socket, NULL, ++last_number, type, body, NULL), 0);
}

static struct wire_msg
expect_numbered(void *socket, enum wire_type type)
{
	struct wire_msg m = expect(socket, type);

	assert_int_equal(m.job, last_number);
	return m;
}

static struct wire_msg
look(void *socket)
{
	Dray__AdminLook m = DRAY__ADMIN_LOOK__INIT;

	m.workers = m.jobs = m.clients = m.caches = m.keys = true;
	send_numbered(socket, WIRE_ADMIN_LOOK, &m.base);
	return expect_numbered(socket, WIRE_ADMIN_VIEW);
}

static void
send_act(void *socket, Dray__AdminWhat what, const char *worker, bool now)
{
	char name[65];
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;

	snprintf(name, sizeof(name), "%s", worker);
	m.what = what;
	m.worker = name;
	m.now = now;
	send_numbered(socket, WIRE_ADMIN_ACT, &m.base);
}

/* text: part of what is said. Returns how many jobs run there. */
static unsigned
expect_act(void *socket, Dray__Verdict verdict, const char *text)
{
	struct wire_msg m = expect_numbered(socket, WIRE_ADMIN_DONE);
	const Dray__AdminDone *d = (const Dray__AdminDone *)m.body;
	unsigned running = d->running;

	if (d->verdict != verdict || !strstr(d->text, text))
		fail_msg("%d, \"%s\" came for \"%s\"", (int)d->verdict, d->text, text);
	wire_msg_done(&m);
	return running;
}

#define DONE DRAY__VERDICT__VERDICT_NONE
#define NOT_ALLOWED DRAY__VERDICT__VERDICT_NOT_ALLOWED
#define DRAIN DRAY__ADMIN_WHAT__ADMIN_DRAIN
#define RESUME DRAY__ADMIN_WHAT__ADMIN_RESUME
#define REMOVE DRAY__ADMIN_WHAT__ADMIN_REMOVE

static unsigned
act(void *socket, Dray__AdminWhat what, const char *worker, bool now, Dray__Verdict verdict,
	const char *text)
{
	send_act(socket, what, worker, now);
	return expect_act(socket, verdict, text);
}

static void
read_file(struct world *w, const char *name, struct buf *b)
{
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"), *path = path_join(dir, name);

	assert_int_equal(fs_read_file(path, 1 << 20, b), 0);
	assert_int_equal(buf_add(b, "", 1), 0);
}

/* That many lines of the file have both; 0 without it. */
static unsigned
count_lines(struct world *w, const char *file, const char *one, const char *other)
{
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"), *path = path_join(dir, file);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	unsigned n = 0;
	char *rest, *line;

	if (access(path, F_OK) < 0)
		return 0;
	read_file(w, file, &b);
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n")))
		n += strstr(line, one) && strstr(line, other);
	return n;
}

/* What is refused is in its own file alone, and nothing else is in that. */
static unsigned
count_audit(struct world *w, const char *one, const char *other)
{
	assert_int_equal(count_lines(w, AUDIT_FILE, "\"result\":\"refused\"", ""), 0);
	assert_int_equal(count_lines(w, AUDIT_REFUSED_FILE, "\"result\":\"", ""),
		count_lines(w, AUDIT_REFUSED_FILE, "\"result\":\"refused\"", ""));
	return count_lines(w, AUDIT_FILE, one, other) +
	       count_lines(w, AUDIT_REFUSED_FILE, one, other);
}

/* ---- who may */

static const enum wire_type of_admins[] = { WIRE_ADMIN_LOOK, WIRE_ADMIN_ACT, WIRE_ADMIN_FOLLOW,
	WIRE_CACHE_PURGE };

static void
say_as_admin(void *socket, enum wire_type type)
{
	Dray__AdminLook ask = DRAY__ADMIN_LOOK__INIT;
	Dray__AdminFollow follow = DRAY__ADMIN_FOLLOW__INIT;
	Dray__CachePurge purge = DRAY__CACHE_PURGE__INIT;

	purge.before_s = 1;
	if (type == WIRE_ADMIN_LOOK)
		send_numbered(socket, type, &ask.base);
	else if (type == WIRE_ADMIN_ACT)
		send_act(socket, DRAIN, "worker1", false);
	else if (type == WIRE_ADMIN_FOLLOW)
		send_numbered(socket, type, &follow.base);
	else
		send_msg(socket, type, &purge.base);
}

static void
test_other_roles(void **state)
{
	struct world *w = *state;
	static const enum who whos[] = { CLIENT1, READER, PUBLISHER, WORKER1 };
	void *worker = make_worker(w, WORKER2, 1), *admin;
	struct wire_msg m;
	const Dray__AdminView *v;

	for (size_t i = 0; i < ARRAY_LEN(whos); i++)
		for (size_t k = 0; k < ARRAY_LEN(of_admins); k++) {
			void *socket = greet(w, whos[i], roles[whos[i]]);
			char why[64];

			say_as_admin(socket, of_admins[k]);
			expect_refused(socket, NOT_ALLOWED, "is not for the role");
			hang_up(w, &socket);
			snprintf(why, sizeof(why), "it is no admin, but %s", roles[whos[i]]);
			assert_int_equal(count_audit(w, why, wire_info(of_admins[k])->name), 1);
			assert_true(count_audit(w, why, w->id[whos[i]].curve_public) > 0);
		}
	/* nothing of it was done */
	admin = greet(w, ADMIN, "admin");
	m = look(admin);
	v = (const Dray__AdminView *)m.body;
	assert_int_equal(v->n_worker, 1);
	assert_string_equal(v->worker[0]->standing, "");
	wire_msg_done(&m);
	assert_int_equal(count_audit(w, "\"done\"", ""), 0);
	CLOSE(worker, admin);
}

/* The record is not theirs to fill. */
static void
test_refusals_are_bounded(void **state)
{
	struct world *w = *state;
	uint64_t begun = clock_mono_ms();
	unsigned n;

	for (int i = 0; i < 40; i++) {
		void *socket = greet(w, CLIENT1, "client");

		say_as_admin(socket, WIRE_ADMIN_LOOK);
		expect_refused(socket, NOT_ALLOWED, "is not for the role");
		hang_up(w, &socket);
	}
	n = count_audit(w, "refused", "AdminLook");
	assert_true(n >= 32 && n <= 40);
	/* on a machine that was busy it may have been two minutes */
	if (clock_mono_ms() - begun < 60000)
		assert_int_equal(n, 32);
}

/* What an admin may ask for in principle, and not so. */
static void
test_refused_acts_are_written_down(void **state)
{
	static const uint8_t torn[] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0, WIRE_ADMIN_ACT, 0,
		0, 0, 1, 10, 99 };
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	Dray__CachePurge purge = DRAY__CACHE_PURGE__INIT;
	char space[] = "a/b", long_space[200];
	struct wire_msg m;

	/* of nothing; of a namespace that is none, with a name longer than any */
	send_msg(admin, WIRE_CACHE_PURGE, &purge.base);
	m = expect(admin, WIRE_CACHE_PURGED);
	assert_int_equal(
		((const Dray__CachePurged *)m.body)->verdict, DRAY__VERDICT__VERDICT_MALFORMED);
	wire_msg_done(&m);
	assert_int_equal(count_audit(w, "\"act\":\"cache purge\"", "nothing says which"), 1);
	purge.in_namespace = true;
	purge.namespace_ = space;
	send_msg(admin, WIRE_CACHE_PURGE, &purge.base);
	expect_done(admin, WIRE_CACHE_PURGED);
	memset(long_space, 'n', sizeof(long_space) - 1);
	long_space[sizeof(long_space) - 1] = '\0';
	purge.namespace_ = long_space;
	purge.before_s = UINT64_MAX;
	send_msg(admin, WIRE_CACHE_PURGE, &purge.base);
	expect_done(admin, WIRE_CACHE_PURGED);
	assert_int_equal(count_audit(w, "\"what\":\"namespace=a/b\"", "\"refused\""), 1);
	assert_int_equal(count_audit(w, "\"what\":\"namespace=nnnn", "\"refused\""), 1);
	assert_int_equal(count_audit(w, "\"who\":\"admin\"", "cache purge"), 3);
	/* and what cannot be read */
	assert_int_equal(zmq_send(admin, torn, sizeof(torn), 0), (int)sizeof(torn));
	expect_refused(admin, DRAY__VERDICT__VERDICT_MALFORMED, "decoded");
	assert_int_equal(count_audit(w, "AdminAct", "cannot be decoded"), 1);
	CLOSE(admin);
}

static void
test_feature(void **state)
{
	struct world *w = *state;
	static const enum who whos[] = { CLIENT1, ADMIN };

	for (size_t i = 0; i < ARRAY_LEN(whos); i++) {
		void *socket = connect_as(w, whos[i]);
		const Dray__Welcome *welcome;
		struct wire_msg m;
		bool named = false;

		hello_versions(socket, roles[whos[i]], WIRE_VERSION, WIRE_VERSION);
		m = expect(socket, WIRE_WELCOME);
		welcome = (const Dray__Welcome *)m.body;
		for (size_t k = 0; k < welcome->n_features; k++)
			named = named || streq(welcome->features[k], WIRE_ADMIN);
		assert_int_equal(named, whos[i] == ADMIN);
		wire_msg_done(&m);
		hang_up(w, &socket);
	}
}

/* ---- looking */

static void
test_look(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	struct wire_msg m;
	const Dray__AdminView *v;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	request(client, 2);
	expect_done(client, WIRE_JOB_QUEUED);
	m = look(admin);
	v = (const Dray__AdminView *)m.body;
	assert_string_equal(v->name, "coord");
	assert_int_equal(v->workers, 1);
	assert_int_equal(v->queued, 1);
	assert_int_equal(v->n_worker, 1);
	assert_string_equal(v->worker[0]->name, "worker1");
	assert_string_equal(v->worker[0]->curve_public, w->id[WORKER1].curve_public);
	assert_string_equal(v->worker[0]->trust, "trusted");
	assert_true(v->worker[0]->here);
	assert_int_equal(v->worker[0]->used, 1);
	assert_int_equal(v->worker[0]->n_toolchain, 1);
	assert_string_equal(v->toolchain[v->worker[0]->toolchain[0]]->text, "1.95.0 rustc");
	assert_int_equal(v->n_job, 2);
	assert_string_equal(v->job[0]->state, "placed");
	assert_string_equal(v->job[0]->worker, "worker1");
	assert_string_equal(v->job[0]->client, "client1");
	assert_string_equal(v->job[1]->state, "queued");
	assert_int_equal(v->n_client, 2);
	assert_string_equal(v->client[0]->name, "admin");
	assert_string_equal(v->client[1]->name, "client1");
	assert_int_equal(v->client[1]->jobs, 2);
	assert_true(v->has_keys);
	assert_int_equal(v->n_key, STRANGER - CLIENT1);
	for (size_t i = 0; i < v->n_key; i++)
		if (streq(v->key[i]->name, "client1"))
			assert_int_equal(v->key[i]->connections, 1);
	wire_msg_done(&m);
	CLOSE(worker, client, admin);
}

/* ---- drain, resume, remove */

static void
test_drain(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 2), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	struct wire_msg m;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	assert_int_equal(act(admin, DRAIN, "worker1", false, DONE, "no new jobs"), 1);
	/* it is the only one */
	request(client, 2);
	expect_denied(client, 2, DRAY__VERDICT__VERDICT_NO_WORKER, "are draining");
	/* what runs ends as ever */
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	say_job(client, WIRE_JOB_FINISHED, 1);
	await(admin, 1, 0, 0);
	m = look(admin);
	assert_string_equal(((const Dray__AdminView *)m.body)->worker[0]->standing, "drained");
	assert_false(((const Dray__AdminView *)m.body)->worker[0]->leaving);
	wire_msg_done(&m);
	/* it holds on another connection */
	hang_up(w, &worker);
	await(admin, 0, 0, 0);
	worker = make_worker(w, WORKER1, 2);
	request(client, 3);
	expect_denied(client, 3, DRAY__VERDICT__VERDICT_NO_WORKER, "are draining");
	act(admin, RESUME, "worker1", false, DONE, "gets jobs again");
	request(client, 4);
	expect_placed(w, client, 4, CLIENT1, WORKER1);
	act(admin, RESUME, "worker1", false, NOT_ALLOWED, "neither drained nor removed");
	act(admin, DRAIN, "nobody", false, NOT_ALLOWED, "no worker nobody is here");
	assert_int_equal(count_audit(w, "\"act\":\"drain\"", "\"result\":\"done\""), 1);
	assert_int_equal(count_audit(w, "\"act\":\"resume\"", "\"result\":\"done\""), 1);
	assert_int_equal(count_audit(w, "\"what\":\"nobody\"", "\"result\":\"refused\""), 1);
	assert_int_equal(count_audit(w, "\"who\":\"admin\"", w->id[ADMIN].curve_public), 4);
	CLOSE(worker, client, admin);
}

static void
test_drain_outlives_the_coordinator(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *admin = greet(w, ADMIN, "admin"), *client;

	act(admin, DRAIN, "worker1", false, DONE, "");
	CLOSE(worker, admin);
	stop(w, SIGKILL);
	zmq_ctx_termp(&w->ctx);
	start(w);
	worker = make_worker(w, WORKER1, 1);
	client = greet(w, CLIENT1, "client");
	request(client, 1);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_WORKER, "are draining");
	CLOSE(worker, client);
}

static void
test_remove(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin"), *other;
	struct wire_msg m;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	await(admin, 1, 1, 0);
	assert_int_equal(act(admin, REMOVE, "worker1", false, NOT_ALLOWED, "drain it first"), 1);
	act(admin, REMOVE, "worker1", true, DONE, "let in no more");
	expect_refused(worker, NOT_ALLOWED, "An admin has removed");
	await(admin, 0, 0, 0);
	/* nor on another connection */
	other = greet(w, WORKER1, "worker");
	do_register(w, other, WORKER1, "worker1", 1, 0);
	expect_refused(other, NOT_ALLOWED, "An admin has removed");
	m = look(admin);
	assert_string_equal(((const Dray__AdminView *)m.body)->worker[0]->standing, "removed");
	assert_false(((const Dray__AdminView *)m.body)->worker[0]->here);
	wire_msg_done(&m);
	act(admin, DRAIN, "worker1", false, NOT_ALLOWED, "is removed");
	act(admin, RESUME, "worker1", false, DONE, "when it comes");
	hang_up(w, &worker);
	worker = make_worker(w, WORKER1, 1);
	request(client, 2);
	expect_placed(w, client, 2, CLIENT1, WORKER1);
	CLOSE(worker, client, admin, other);
}

/* A worker that is about to end is not brought back. */
static void
test_resume_of_one_that_leaves(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"),
	     *admin = greet(w, ADMIN, "admin");
	Dray__WorkerBye bye = DRAY__WORKER_BYE__INIT;
	struct wire_msg m;

	act(admin, DRAIN, "worker1", false, DONE, "");
	send_msg(worker, WIRE_WORKER_BYE, &bye.base);
	assert_true(heartbeat(worker, 0));
	act(admin, RESUME, "worker1", false, DONE, "as it says itself");
	request(client, 1);
	expect_denied(client, 1, DRAY__VERDICT__VERDICT_NO_WORKER, "are draining");
	m = look(admin);
	assert_true(((const Dray__AdminView *)m.body)->worker[0]->leaving);
	wire_msg_done(&m);
	CLOSE(worker, client, admin);
}

static void
test_unknown_act(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");

	act(admin, (Dray__AdminWhat)99, "w\n\033[2J", false, DRAY__VERDICT__VERDICT_MALFORMED,
		"does not know that act");
	assert_int_equal(count_audit(w, "w??[2J", "refused"), 1);
	CLOSE(admin);
}

/* ---- keys */

static void
act_key(void *socket, bool add, const char *role, const char *curve, const char *name)
{
	char r[16], c[64], n[65];
	Dray__AdminKey k = DRAY__ADMIN_KEY__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;

	snprintf(r, sizeof(r), "%s", role);
	snprintf(c, sizeof(c), "%s", curve);
	snprintf(n, sizeof(n), "%s", name);
	k.role = r;
	k.curve_public = c;
	k.name = n;
	m.what = add ? DRAY__ADMIN_WHAT__ADMIN_KEY_ADD : DRAY__ADMIN_WHAT__ADMIN_KEY_REVOKE;
	m.key = &k;
	send_numbered(socket, WIRE_ADMIN_ACT, &m.base);
}

static void
test_revoke(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *client = greet(w, CLIENT1, "client"),
	     *other = greet(w, CLIENT2, "client"), *admin = greet(w, ADMIN, "admin");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st;

	request(client, 1);
	expect_placed(w, client, 1, CLIENT1, WORKER1);
	say_job(worker, WIRE_WORKER_JOB_STARTED, 1);
	await(admin, 1, 1, 0);
	act_key(admin, false, "", "", "client1");
	expect_act(admin, DONE, "may connect no more");
	/* at once, and what it had is ended */
	expect_refused(client, NOT_ALLOWED, "no longer allowed");
	expect_done(worker, WIRE_WORKER_CANCEL);
	say_job(worker, WIRE_WORKER_JOB_ENDED, 1);
	request(other, 2);
	expect_placed(w, other, 2, CLIENT2, WORKER1);
	assert_int_equal(fs_read_file(w->keys_path, 1 << 20, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_non_null(strstr((const char *)b.p, "client1 revoked\n"));
	assert_non_null(strstr((const char *)b.p, "# who may connect\n"));
	assert_int_equal(stat(w->keys_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	act_key(admin, false, "", "", "client1");
	expect_act(admin, NOT_ALLOWED, "revoked already");
	act_key(admin, false, "", "", "nobody");
	expect_act(admin, NOT_ALLOWED, "no key has the name");
	assert_int_equal(count_audit(w, "key revoke", "\"done\""), 1);
	CLOSE(worker, client, other, admin);
}

static void
test_revoke_oneself(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");

	/* the last one, from afar, does not shut himself out */
	act_key(admin, false, "", w->id[ADMIN].curve_public, "");
	expect_act(admin, NOT_ALLOWED, "the last admin's key");
	act_key(admin, false, "admin", "", "admin");
	expect_act(admin, NOT_ALLOWED, "the last admin's key");
	act_key(admin, true, "admin", w->id[STRANGER].curve_public, "second");
	expect_act(admin, DONE, "may connect as admin");
	act_key(admin, false, "", w->id[ADMIN].curve_public, "");
	expect_act(admin, DONE, "may connect no more");
	expect_refused(admin, NOT_ALLOWED, "no longer allowed");
	CLOSE(admin);
}

static void
test_add(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin"), *socket;

	act_key(admin, true, "reader", w->id[STRANGER].curve_public, "newcomer");
	expect_act(admin, DONE, "may connect as reader");
	socket = greet(w, STRANGER, "reader");
	act_key(admin, true, "client", w->id[STRANGER].curve_public, "again");
	expect_act(admin, NOT_ALLOWED, "already");
	act_key(admin, true, "king", w->id[STRANGER].curve_public, "x");
	expect_act(admin, NOT_ALLOWED, "is none of client");
	act_key(admin, true, "client", "short", "x");
	expect_act(admin, NOT_ALLOWED, "40 characters");
	act_key(admin, true, "client", w->id[STRANGER].curve_public, "x\nadmin");
	expect_act(admin, NOT_ALLOWED, "a name is");
	assert_int_equal(count_audit(w, "key add", "\"done\""), 1);
	assert_int_equal(count_audit(w, "key add", "\"refused\""), 4);
	CLOSE(admin, socket);
}

/* ---- those that follow */

static void
follow(void *socket, uint64_t after, bool wait)
{
	Dray__AdminFollow m = DRAY__ADMIN_FOLLOW__INIT;

	m.after = after;
	m.wait = wait;
	send_numbered(socket, WIRE_ADMIN_FOLLOW, &m.base);
}

static bool
has_event(const Dray__AdminEvents *m, const char *kind, const char *text)
{
	for (size_t i = 0; i < m->n_event; i++)
		if (streq(m->event[i]->kind, kind) &&
			(strstr(m->event[i]->text, text) || streq(m->event[i]->worker, text)))
			return true;
	return false;
}

static void
test_follow(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin"), *other = greet(w, ADMIN, "admin"), *worker;
	struct wire_msg m;
	const Dray__AdminEvents *e;
	uint64_t next;

	follow(admin, 0, false);
	m = expect_numbered(admin, WIRE_ADMIN_EVENTS);
	assert_int_equal(((const Dray__AdminEvents *)m.body)->n_event, 0);
	wire_msg_done(&m);
	/* it is answered when there is something */
	follow(admin, 0, true);
	worker = make_worker(w, WORKER1, 1);
	m = expect_numbered(admin, WIRE_ADMIN_EVENTS);
	e = (const Dray__AdminEvents *)m.body;
	assert_true(has_event(e, "worker", "worker1"));
	next = e->next;
	assert_true(next > 0);
	wire_msg_done(&m);
	follow(admin, next, true);
	send_act(other, DRAIN, "worker1", false);
	last_number--;
	m = expect_numbered(admin, WIRE_ADMIN_EVENTS);
	e = (const Dray__AdminEvents *)m.body;
	assert_true(e->event[0]->serial > next);
	assert_true(has_event(e, "worker", "drained"));
	assert_true(has_event(e, "admin", "drain worker1: done"));
	wire_msg_done(&m);
	/* one that goes while it waits */
	follow(admin, 1000000, true);
	hang_up(w, &admin);
	follow(other, 0, false);
	expect_done(other, WIRE_ADMIN_DONE);
	m = expect_numbered(other, WIRE_ADMIN_EVENTS);
	assert_true(has_event((const Dray__AdminEvents *)m.body, "worker", "is here"));
	wire_msg_done(&m);
	CLOSE(other, worker);
}

/* Jobs that end badly, by the worker's own word. */
static void
fail_jobs(struct world *w, void *client, void *worker, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		Dray__WorkerJobEnded ended = DRAY__WORKER_JOB_ENDED__INIT;
		char name[33];

		request(client, i);
		expect_placed(w, client, i, CLIENT1, WORKER1);
		say_job(worker, WIRE_WORKER_JOB_STARTED, i);
		job_name(name, i);
		ended.job = name;
		send_msg(worker, WIRE_WORKER_JOB_ENDED, &ended.base);
		assert_true(heartbeat(worker, 0));
		say_job(client, WIRE_JOB_CANCEL, i);
	}
}

static void
test_shunned_is_told(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin"), *client = greet(w, CLIENT1, "client");
	void *worker = make_worker(w, WORKER1, 1);
	uint64_t next = 0;
	bool told = false;

	fail_jobs(w, client, worker, 1, 3);
	while (!told) {
		struct wire_msg m;

		follow(admin, next, true);
		m = expect_numbered(admin, WIRE_ADMIN_EVENTS);
		told = has_event((const Dray__AdminEvents *)m.body, "worker", "shunned: ");
		next = ((const Dray__AdminEvents *)m.body)->next;
		wire_msg_done(&m);
	}
	CLOSE(admin, client, worker);
}

/* ---- the socket of the coordinator's machine */

static void *
connect_here(struct world *w)
{
	char endpoint[600];
	void *socket = NULL;

	snprintf(endpoint, sizeof(endpoint), "ipc://%s/cache/admin", w->dir);
	assert_int_equal(socket_connect(w->ctx, endpoint, NULL, NULL, 500, &socket), 0);
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
test_socket(void **state)
{
	struct world *w = *state;
	void *worker = make_worker(w, WORKER1, 1), *here = connect_here(w), *liar = connect_here(w);
	char path[600], who[64];
	struct stat st;
	struct wire_msg m;

	hello_versions(here, "admin", WIRE_VERSION, WIRE_VERSION);
	expect_done(here, WIRE_WELCOME);
	m = look(here);
	assert_int_equal(((const Dray__AdminView *)m.body)->workers, 1);
	wire_msg_done(&m);
	act(here, DRAIN, "worker1", false, DONE, "");
	snprintf(who, sizeof(who), "socket uid=%u pid=%d", (unsigned)getuid(), (int)getpid());
	assert_int_equal(count_audit(w, who, "\"done\""), 1);
	/* it is for admins alone */
	hello_versions(liar, "worker", WIRE_VERSION, WIRE_VERSION);
	expect_refused(liar, NOT_ALLOWED, "not as worker");
	snprintf(path, sizeof(path), "%s/cache/admin", w->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	CLOSE(worker, here, liar);
	stop(w, SIGTERM);
	assert_int_equal(stat(path, &st), -1);
}

/* What lies at its place by the time it ends is not its own. */
static void
test_socket_of_the_next(void **state)
{
	struct world *w = *state;
	char path[600], aside[600];
	struct stat st;
	void *here = connect_here(w);

	hello_versions(here, "admin", WIRE_VERSION, WIRE_VERSION);
	expect_done(here, WIRE_WELCOME);
	snprintf(path, sizeof(path), "%s/cache/admin", w->dir);
	snprintf(aside, sizeof(aside), "%s/aside", w->dir);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(fs_write_atomic(path, "next", 4, 0600), 0);
	CLOSE(here);
	stop(w, SIGTERM);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
}

/* A coordinator on ipc, where Hello says the role: its other socket is for admins all the same. */
static void
test_socket_of_ipc(void **state)
{
	struct world *w = *state;
	void *here = connect_here(w), *client = connect_here(w);

	hello_versions(here, "admin", WIRE_VERSION, WIRE_VERSION);
	expect_done(here, WIRE_WELCOME);
	act_key(here, true, "client", w->id[STRANGER].curve_public, "x");
	expect_act(here, NOT_ALLOWED, "has no keys");
	hello_versions(client, "client", WIRE_VERSION, WIRE_VERSION);
	expect_done(client, WIRE_WELCOME);
	request(client, 1);
	expect_refused(client, NOT_ALLOWED, "is not for the role admin");
	CLOSE(here, client);
}

#define A(name) cmocka_unit_test_setup_teardown(name, setup_tcp, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		A(test_other_roles),
		A(test_refusals_are_bounded),
		A(test_refused_acts_are_written_down),
		A(test_feature),
		A(test_look),
		A(test_drain),
		A(test_drain_outlives_the_coordinator),
		A(test_remove),
		A(test_resume_of_one_that_leaves),
		A(test_unknown_act),
		A(test_revoke),
		A(test_revoke_oneself),
		A(test_add),
		A(test_follow),
		A(test_shunned_is_told),
		A(test_socket),
		A(test_socket_of_the_next),
		cmocka_unit_test_setup_teardown(test_socket_of_ipc, setup_local, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
