/* A key that is in no list joins by a token, at a real coordinator over CURVE: what it may say, who
 * is let in as what, and what is refused, with nothing spent or leaked. */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include <sys/stat.h>

#include "common/buf.h"
#include "coordinator/admin/audit.h"
#include "coordinator/admin/guests.h"
#include "coordinator/admin/join_tokens.h"
#include "join/ask.h"

#define WAIT_MS 15000

static uint32_t last_number;

static int
setup_patient(void **state)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	start(*state);
	return 0;
}

/* ---- tokens */

struct asked {
	const char *role, *name, *namespace;
	unsigned ttl_s, uses;
};

/* The answer to an act about tokens. */
static struct wire_msg
act(void *admin, const Dray__AdminAct *m)
{
	struct wire_msg msg;

	assert_int_equal(
		wire_send_job(admin, NULL, ++last_number, WIRE_ADMIN_ACT, &m->base, NULL), 0);
	msg = expect(admin, WIRE_ADMIN_DONE);
	assert_int_equal(msg.job, last_number);
	return msg;
}

static struct wire_msg
create(void *admin, const struct asked *a)
{
	Dray__AdminToken t = DRAY__ADMIN_TOKEN__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char role[32], name[65], namespace[65];

	snprintf(role, sizeof(role), "%s", a->role);
	snprintf(name, sizeof(name), "%s", a->name ? a->name : "");
	snprintf(namespace, sizeof(namespace), "%s", a->namespace ? a->namespace : "");
	t.role = role;
	t.name = name;
	t.namespace_ = namespace;
	t.ttl_s = a->ttl_s;
	t.uses = a->uses;
	m.what = DRAY__ADMIN_WHAT__ADMIN_TOKEN_CREATE;
	m.token = &t;
	return act(admin, &m);
}

static struct join_word
make_token(struct world *w, void *admin, const struct asked *a, char ret_id[JOIN_ID_SIZE])
{
	struct wire_msg msg = create(admin, a);
	const Dray__AdminDone *done = (const Dray__AdminDone *)msg.body;
	struct join_word word;

	if (done->verdict != DRAY__VERDICT__VERDICT_NONE)
		fail_msg("%s", done->text);
	assert_int_equal(join_word_parse(done->token, &word), 0);
	assert_string_equal(word.curve_public, w->id[COORD].curve_public);
	assert_string_equal(done->made->role, a->role);
	assert_string_equal(done->made->state, "live");
	assert_null(strstr(done->text, done->token));
	if (ret_id)
		snprintf(ret_id, JOIN_ID_SIZE, "%s", done->made->id);
	wire_msg_done(&msg);
	return word;
}

static void
refuses_token(void *admin, const struct asked *a, const char *text)
{
	struct wire_msg msg = create(admin, a);
	const Dray__AdminDone *done = (const Dray__AdminDone *)msg.body;

	assert_int_equal(done->verdict, DRAY__VERDICT__VERDICT_NOT_ALLOWED);
	assert_string_equal(done->token, "");
	if (!strstr(done->text, text))
		fail_msg("\"%s\" is not in: %s", text, done->text);
	wire_msg_done(&msg);
}

static void
revoke_token(void *admin, const char *id, bool can)
{
	Dray__AdminToken t = DRAY__ADMIN_TOKEN__INIT;
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;
	char copy[JOIN_ID_SIZE];
	struct wire_msg msg;

	snprintf(copy, sizeof(copy), "%s", id);
	t.id = copy;
	m.what = DRAY__ADMIN_WHAT__ADMIN_TOKEN_REVOKE;
	m.token = &t;
	msg = act(admin, &m);
	assert_int_equal(
		((const Dray__AdminDone *)msg.body)->verdict == DRAY__VERDICT__VERDICT_NONE, can);
	wire_msg_done(&msg);
}

/* ---- joining */

static int
join_as(struct world *w, const struct join_word *word, const struct identity *id, const char *name,
	bool worker, struct joined *ret, char **ret_why)
{
	return join_ask(&(struct join_in){ .endpoint = w->endpoint,
				.word = word,
				.id = id,
				.name = name,
				.worker = worker,
				.wait_ms = WAIT_MS },
		ret, ret_why);
}

static void
joins(struct world *w, const struct join_word *word, const struct identity *id, const char *name,
	bool worker, struct joined *ret)
{
	_cleanup_(freep) char *why = NULL;

	if (join_as(w, word, id, name, worker, ret, &why) < 0)
		fail_msg("%s", why ? why : "no reason");
}

static void
is_refused(struct world *w, const struct join_word *word, const struct identity *id,
	const char *name, bool worker, const char *text)
{
	_cleanup_(freep) char *why = NULL;
	struct joined j;
	int r = join_as(w, word, id, name, worker, &j, &why);

	assert_int_equal(r, -EACCES);
	if (!why || !strstr(why, text))
		fail_msg("\"%s\" is not in: %s", text, why ? why : "-");
}

static void
read_file(const char *path, struct buf *b)
{
	assert_int_equal(fs_read_file(path, 1 << 20, b), 0);
	assert_int_equal(buf_add(b, "", 1), 0);
}

static bool
file_has(const char *path, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	read_file(path, &b);
	return strstr((char *)b.p, text);
}

/* A line of the audit has both. */
static bool
audit_has(struct world *w, const char *file, const char *one, const char *other)
{
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"), *path = path_join(dir, file);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *rest, *line;

	read_file(path, &b);
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n")))
		if (strstr(line, one) && strstr(line, other))
			return true;
	return false;
}

static void
test_joins(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin"), *socket;
	struct join_word word = make_token(
		w, admin, &(struct asked){ .role = "publisher", .namespace = "team" }, NULL);
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"),
			      *tokens = path_join(dir, JOIN_TOKENS_FILE);
	char line[300], sign[SIGN_HEX_SIZE], text[JOIN_WORD_SIZE];
	struct joined j;
	struct stat st;

	joins(w, &word, &w->id[STRANGER], "ann", false, &j);
	assert_int_equal(j.role, ROLE_PUBLISHER);
	assert_string_equal(j.name, "ann");
	assert_string_equal(j.namespace, "team");
	assert_false(j.already);
	assert_string_equal(j.coordinator.name, names[COORD]);
	assert_memory_equal(j.coordinator.sign_public, w->id[COORD].sign_public, SIGN_KEY_SIZE);
	identity_sign_hex(&w->id[STRANGER], sign);
	snprintf(line, sizeof(line), "\npublisher %s ann namespace=team sign=%s\n",
		w->id[STRANGER].curve_public, sign);
	assert_true(file_has(w->keys_path, line));
	assert_true(file_has(w->keys_path, "# who may connect\n"));
	/* it counts at once */
	socket = greet(w, STRANGER, "publisher");
	/* once more with the same key: said so, and nothing is spent; with another one not at all
	 */
	joins(w, &word, &w->id[STRANGER], "other", false, &j);
	assert_true(j.already);
	assert_string_equal(j.name, "ann");
	is_refused(w, &word, &w->id[COORD], "bob", false, "used already");
	assert_true(audit_has(w, AUDIT_FILE, "\"join\"", "publisher ann namespace=team token="));
	assert_true(audit_has(w, AUDIT_REFUSED_FILE, "used already", "refused"));
	/* the secret is in no file */
	assert_int_equal(join_word_format(&word, text), 0);
	text[JOIN_WORD_SIZE - 4] = '\0';
	assert_false(file_has(tokens, text + 50));
	assert_false(audit_has(w, AUDIT_FILE, text + 50, ""));
	assert_false(audit_has(w, AUDIT_REFUSED_FILE, text + 50, ""));
	assert_int_equal(stat(tokens, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	hang_up(w, &socket);
	hang_up(w, &admin);
}

/* Role and name are the token's; a name that another key has is refused, and nothing is spent. */
static void
test_names(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word = make_token(
		w, admin, &(struct asked){ .role = "worker", .name = "w9" }, NULL);
	struct identity fresh;
	struct joined j;

	is_refused(w, &word, &w->id[STRANGER], "x", false, "dray-worker join");
	joins(w, &word, &w->id[STRANGER], "client1", true, &j);
	assert_int_equal(j.role, ROLE_WORKER);
	assert_string_equal(j.name, "w9");
	assert_int_equal(identity_generate("fresh", &fresh), 0);
	word = make_token(w, admin, &(struct asked){ .role = "client" }, NULL);
	is_refused(w, &word, &fresh, "x", true, "dray login");
	is_refused(w, &word, &fresh, "admin", false, "another key's name");
	is_refused(w, &word, &fresh, "w9", false, "another key's name");
	is_refused(w, &word, &fresh, "x\nadmin", false, "no whole Join");
	/* one that is in the list has one role */
	is_refused(w, &word, &w->id[ADMIN], "admin", false, "a key has one role");
	is_refused(w, &word, &w->id[WORKER1], "worker1", true, "a key has one role");
	joins(w, &word, &fresh, "fresh", false, &j);
	assert_int_equal(j.role, ROLE_CLIENT);
	hang_up(w, &admin);
}

static void
test_refused(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word, other;
	char id[JOIN_ID_SIZE];

	refuses_token(admin, &(struct asked){ .role = "king" }, "none of client");
	refuses_token(admin, &(struct asked){ .role = "local" }, "none of client");
	refuses_token(admin, &(struct asked){ .role = "client", .name = "a b" }, "1 to 64 of");
	refuses_token(
		admin, &(struct asked){ .role = "client", .name = "client1" }, "another key's");
	refuses_token(
		admin, &(struct asked){ .role = "client", .name = "n", .uses = 2 }, "one use");
	refuses_token(admin, &(struct asked){ .role = "admin", .uses = 2 }, "one use");
	refuses_token(admin, &(struct asked){ .role = "admin", .ttl_s = 2 * 86400 }, "one day");
	refuses_token(admin, &(struct asked){ .role = "client", .ttl_s = 31 * 86400 }, "30 days");
	refuses_token(admin, &(struct asked){ .role = "client", .uses = 1001 }, "1000 uses");
	word = make_token(w, admin, &(struct asked){ .role = "client" }, id);
	other = word;
	other.secret[3] ^= 1;
	is_refused(w, &other, &w->id[STRANGER], "x", false, "does not know that token");
	revoke_token(admin, "ffffffffffffffff", false);
	revoke_token(admin, id, true);
	revoke_token(admin, id, false);
	is_refused(w, &word, &w->id[STRANGER], "x", false, "was revoked");
	assert_false(file_has(w->keys_path, w->id[STRANGER].curve_public));
	/* one second, and it has expired: the coordinator's clock says so */
	word = make_token(w, admin, &(struct asked){ .role = "client", .ttl_s = 1 }, NULL);
	for (uint64_t end = clock_mono_ms() + 1100; clock_mono_ms() < end;)
		poll(NULL, 0, (int)(end - clock_mono_ms()) + 1);
	is_refused(w, &word, &w->id[STRANGER], "x", false, "has expired");
	assert_true(audit_has(w, AUDIT_REFUSED_FILE, "has expired", w->id[STRANGER].curve_public));
	hang_up(w, &admin);
}

/* What is signed by another key than the one that is to sign; another coordinator. */
static void
test_forged(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word = make_token(w, admin, &(struct asked){ .role = "worker" }, NULL);
	struct identity mixed = w->id[STRANGER];
	_cleanup_(freep) char *why = NULL;
	struct joined j;

	/* worker1's signing key, of which it has no secret */
	memcpy(mixed.sign_public, w->id[WORKER1].sign_public, SIGN_KEY_SIZE);
	is_refused(w, &word, &mixed, "w9", true, "not of the key");
	/* a man in the middle has another key: it hears nothing */
	snprintf(word.curve_public, sizeof(word.curve_public), "%s", w->id[CLIENT1].curve_public);
	assert_int_equal(join_ask(&(struct join_in){ .endpoint = w->endpoint,
					  .word = &word,
					  .id = &w->id[STRANGER],
					  .name = "w9",
					  .worker = true,
					  .wait_ms = 800 },
				 &j, &why),
		-ENOTCONN);
	assert_non_null(strstr(why, "another key than the token says"));
	snprintf(word.curve_public, sizeof(word.curve_public), "%s", w->id[COORD].curve_public);
	joins(w, &word, &w->id[STRANGER], "w9", true, &j);
	hang_up(w, &admin);
}

/* Two at once: one use is one key's. */
static void
test_two_at_once(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word = make_token(w, admin, &(struct asked){ .role = "client" }, NULL);
	pid_t pids[4];
	unsigned in = 0;

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		fflush(NULL);
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct identity id;
			struct joined j;
			char *why = NULL, name[] = "k0";
			int r;

			name[1] = (char)('0' + i); /* it is not for its name */
			r = identity_generate(name, &id);
			if (r == 0)
				r = join_as(w, &word, &id, name, false, &j, &why);
			_exit(r == 0 ? 0 : r == -EACCES ? 1 : 2);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		in += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(in, 1);
	hang_up(w, &admin);
}

/* Several uses, over a restart by SIGKILL; a damaged file is put aside, and then there is none. */
static void
test_restart(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word = make_token(
		w, admin, &(struct asked){ .role = "client", .uses = 2 }, NULL);
	_cleanup_(freep) char *dir = path_join(w->dir, "cache"),
			      *tokens = path_join(dir, JOIN_TOKENS_FILE),
			      *bad = path_join(dir, JOIN_TOKENS_FILE ".bad"), *why = NULL;
	struct identity id[3];
	struct joined j;

	for (size_t i = 0; i < ARRAY_LEN(id); i++)
		assert_int_equal(identity_generate("k", &id[i]), 0);
	joins(w, &word, &id[0], "k0", false, &j);
	hang_up(w, &admin);
	stop(w, SIGKILL);
	zmq_ctx_termp(&w->ctx);
	start(w);
	joins(w, &word, &id[1], "k1", false, &j);
	is_refused(w, &word, &id[2], "k2", false, "used already");
	stop(w, SIGKILL);
	assert_int_equal(fs_write_atomic(tokens, "dray-tokens 1\nx", 15, 0600), 0);
	zmq_ctx_termp(&w->ctx);
	start(w);
	assert_true(fs_exists(bad));
	assert_false(fs_exists(tokens));
	/* no key that is not listed is let in at all */
	assert_int_equal(join_as(w, &word, &id[2], "k2", false, &j, &why), -EACCES);
	assert_non_null(strstr(why, "lets in no key that it does not know"));
}

/* ---- what a key that is in no list may say */

static void
test_guests_words(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin"), *socket;
	struct join_word word = make_token(w, admin, &(struct asked){ .role = "client" }, NULL);
	Dray__Join m = DRAY__JOIN__INIT;
	char name[] = "x", software[] = "test";

	(void)word;
	/* nothing but Join: each on a connection of its own */
	for (unsigned type = 1; type < 128; type++) {
		const struct wire_info *info = wire_info(type);
		uint8_t frame[WIRE_HEADER_MAX + 2] = { 'D', 'R', 'A', 'Y', 0, WIRE_VERSION, 0,
			(uint8_t)type };
		struct wire_msg msg;
		const Dray__Refused *r;

		/* as many as may come at once, and some are enough */
		if (!info || (type != WIRE_JOIN && type != WIRE_HELLO && type != WIRE_JOB_REQUEST &&
				     type != WIRE_STATUS_REQUEST && type != WIRE_WORKER_REGISTER &&
				     type != WIRE_WORKER_HEARTBEAT && type != WIRE_SHARED_GET &&
				     type != WIRE_ADMIN_LOOK && type != WIRE_ADMIN_ACT))
			continue;
		frame[wire_header_size(type)] = 10;
		frame[wire_header_size(type) + 1] = 99;
		socket = connect_as(w, STRANGER);
		assert_int_equal(zmq_send(socket, frame, wire_header_size(type) + 2, 0),
			(int)wire_header_size(type) + 2);
		msg = expect(socket, WIRE_REFUSED);
		r = (const Dray__Refused *)msg.body;
		if (!strstr(r->text, type == WIRE_JOIN ? "cannot be decoded"
						       : "is not for the role of an unknown key"))
			fail_msg("%s: %s", info->name, r->text);
		wire_msg_done(&msg);
		hang_up(w, &socket);
	}
	/* one that is not whole; and then nothing more is heard on that connection */
	socket = connect_as(w, STRANGER);
	m.name = name;
	m.software = software;
	send_msg(socket, WIRE_JOIN, &m.base);
	expect_refused(socket, DRAY__VERDICT__VERDICT_MALFORMED, "no whole Join");
	send_msg(socket, WIRE_JOIN, &m.base);
	assert_int_equal(zmq_poll(&(zmq_pollitem_t){ socket, 0, ZMQ_POLLIN, 0 }, 1, 100), 0);
	hang_up(w, &socket);
	hang_up(w, &admin);
}

/* Guesses are no way in: they are heard as often as strangers of one address may come, and no
 * oftener. */
static void
test_guesses(void **state)
{
	struct world *w = *state;
	void *admin = greet(w, ADMIN, "admin");
	struct join_word word = make_token(w, admin, &(struct asked){ .role = "client" }, NULL);
	uint64_t began = clock_mono_ms();
	unsigned heard = 0;
	int r = -EACCES;

	while (r == -EACCES && heard < 200) {
		_cleanup_(freep) char *why = NULL;
		struct join_word other = word;
		struct joined j;

		other.secret[0] = (uint8_t)(word.secret[0] + 1 + heard % 200);
		r = join_ask(&(struct join_in){ .endpoint = w->endpoint,
				     .word = &other,
				     .id = &w->id[STRANGER],
				     .name = "x",
				     .wait_ms = 900 },
			&j, &why);
		assert_true(r < 0);
		heard += r == -EACCES;
	}
	assert_true(r == -ENOTCONN || r == -ETIMEDOUT);
	assert_true(heard > 0);
	assert_true(heard <= GUESTS_OF_ONE + (clock_mono_ms() - began) / 1000 + 2);
	/* who is connected goes on */
	revoke_token(admin, "ffffffffffffffff", false);
	hang_up(w, &admin);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_joins, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_forged, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_two_at_once, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_guests_words, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_guesses, setup_patient, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
