/* Another key in the place of one: the proofs, and what a real coordinator takes of them over
 * CURVE.
 */
#include "config.h"

#include "tests/unit/server_fixture.h"

#include "common/buf.h"
#include "join/ask.h"
#include "keys/rotation.h"

#define WAIT_MS 15000

static int
setup_patient(void **state)
{
	make_world(state, false);
	set_conf(*state, "heartbeat_ms", "20000");
	start(*state);
	return 0;
}

/* ---- proofs */

static void
make_three(struct identity id[3])
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(identity_generate("x", &id[i]), 0);
}

static void
test_proofs(void **state)
{
	struct identity id[3]; /* the coordinator, the old one, the new one */
	struct rotation good, r;
	struct identity other;

	(void)state;
	make_three(id);
	assert_int_equal(rotation_make(&id[1], &id[2], id[0].curve_public, &good), 0);
	assert_int_equal(rotation_check(&good, &id[0], id[1].curve_public, id[1].sign_public), 0);
	assert_int_equal(rotation_check(&good, &id[0], id[1].curve_public, NULL), 0);
	/* each bit of each proof */
	for (size_t i = 0; i < sizeof(good.by_new) * 8; i += 7) {
		r = good;
		r.by_new[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
			rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
		r = good;
		r.by_old[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, id[1].sign_public),
			-EKEYREJECTED);
		assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, NULL), 0);
		r = good;
		r.mac[i / 8 % sizeof(r.mac)] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
			rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
	}
	/* for another coordinator, of another old key, of keys that are no new ones */
	assert_int_equal(identity_generate("y", &other), 0);
	assert_int_equal(rotation_check(&good, &other, id[1].curve_public, NULL), -EKEYREJECTED);
	assert_int_equal(rotation_check(&good, &id[0], other.curve_public, NULL), -EKEYREJECTED);
	assert_int_equal(rotation_check(&good, &id[0], id[1].curve_public, other.sign_public),
		-EKEYREJECTED);
	assert_int_equal(rotation_make(&id[1], &id[1], id[0].curve_public, &r), 0);
	assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
	/* one who has the new signing key, and not the new CURVE key */
	other = id[2];
	memcpy(other.curve_secret, id[1].curve_secret, sizeof(other.curve_secret));
	assert_int_equal(rotation_make(&id[1], &other, id[0].curve_public, &r), 0);
	assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
	/* what is no key, or shares nothing but zeros */
	r = good;
	r.curve_public[0] = ' ';
	assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
	z85_encode32((const uint8_t[32]){ 0 }, r.curve_public);
	assert_int_equal(rotation_check(&r, &id[0], id[1].curve_public, NULL), -EKEYREJECTED);
	other.has_secret = false;
	assert_int_equal(rotation_make(&other, &id[2], id[0].curve_public, &r), -EINVAL);
}

/* ---- at a coordinator */

struct sent {
	struct rotation r;
	uint64_t overlap_s;
	bool stolen;
	size_t mac_n;
};

static struct sent
proved(struct world *w, enum who who, const struct identity *fresh)
{
	struct sent s = { .overlap_s = 3600, .mac_n = ROTATION_MAC_SIZE };

	assert_int_equal(rotation_make(&w->id[who], fresh, w->id[COORD].curve_public, &s.r), 0);
	return s;
}

static void
send_rotate(void *socket, struct sent *s)
{
	Dray__Rotate m = DRAY__ROTATE__INIT;

	m.curve_public = s->r.curve_public;
	m.sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, s->r.sign_public };
	m.by_new = (ProtobufCBinaryData){ SIGNATURE_SIZE, s->r.by_new };
	m.by_old = (ProtobufCBinaryData){ SIGNATURE_SIZE, s->r.by_old };
	m.mac = (ProtobufCBinaryData){ s->mac_n, s->r.mac };
	m.overlap_s = s->overlap_s;
	m.stolen = s->stolen;
	send_msg(socket, WIRE_ROTATE, &m.base);
}

static void
is_refused(struct world *w, enum who who, struct sent *s, Dray__Verdict verdict, const char *text)
{
	void *socket = greet(w, who, roles[who]);

	send_rotate(socket, s);
	expect_refused(socket, verdict, text);
	hang_up(w, &socket);
}

static void
is_taken(struct world *w, enum who who, struct sent *s, bool already)
{
	void *socket = greet(w, who, roles[who]);
	const Dray__Rotated *d;
	struct wire_msg m;

	send_rotate(socket, s);
	m = expect(socket, WIRE_ROTATED);
	d = (const Dray__Rotated *)m.body;
	assert_string_equal(d->role, roles[who]);
	assert_string_equal(d->name, names[who]);
	assert_int_equal(d->already, already);
	wire_msg_done(&m);
	hang_up(w, &socket);
}

static bool
list_has(struct world *w, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(fs_read_file(w->keys_path, 1 << 20, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	return strstr((const char *)b.p, text) != NULL;
}

static void
test_takes(void **state)
{
	struct world *w = *state;
	struct identity fresh;
	struct sent s;
	char line[256];

	for (enum who who = CLIENT1; who < STRANGER; who++) {
		if (who == CLIENT2)
			continue;
		assert_int_equal(identity_generate("x", &fresh), 0);
		s = proved(w, who, &fresh);
		is_taken(w, who, &s, false);
		snprintf(line, sizeof(line), "\n%s %s %s\n", roles[who], fresh.curve_public,
			names[who]);
		assert_true(list_has(w, line));
		snprintf(line, sizeof(line), "\n%s %s %s until=", roles[who],
			w->id[who].curve_public, names[who]);
		assert_true(list_has(w, line));
		/* an answer that was lost is asked for again */
		is_taken(w, who, &s, true);
		/* the old key's next one is another's, or nobody's */
		assert_int_equal(identity_generate("x", &fresh), 0);
		s = proved(w, who, &fresh);
		is_refused(w, who, &s, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"Another key has come in the place of this one");
	}
}

static void
test_refuses(void **state)
{
	struct world *w = *state;
	struct identity fresh;
	struct sent s, good;
	void *socket;

	assert_int_equal(identity_generate("x", &fresh), 0);
	good = proved(w, CLIENT1, &fresh);
	s = good;
	s.mac_n--;
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_MALFORMED, "no whole Rotate");
	s = good;
	s.overlap_s = ROTATION_OVERLAP_MAX_S + 1;
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_MALFORMED, "no whole Rotate");
	s = good;
	s.r.curve_public[3] = ' ';
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_MALFORMED, "no whole Rotate");
	s = good;
	s.r.by_new[0] ^= 1;
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "is not proved");
	/* what one has sent, said by another */
	is_refused(w, CLIENT2, &good, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "is not proved");
	is_refused(w, ADMIN, &good, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "is not proved");
	/* a key that is another's already */
	s = proved(w, CLIENT1, &w->id[CLIENT2]);
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "would be wrong");
	s = proved(w, CLIENT1, &w->id[ADMIN]);
	is_refused(w, CLIENT1, &s, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "would be wrong");
	assert_false(list_has(w, "until="));
	/* before Hello it is not heard */
	socket = connect_as(w, CLIENT1);
	send_rotate(socket, &good);
	hello_versions(socket, "client", WIRE_VERSION, WIRE_VERSION);
	expect_done(socket, WIRE_WELCOME);
	assert_false(list_has(w, "until="));
	hang_up(w, &socket);
	is_taken(w, CLIENT1, &good, false);
}

/* Where the list has sign=, the old signing key has its say, too; of a stolen one nothing counts.
 */
static void
test_signs(void **state)
{
	struct world *w = *state;
	char hex[SIGN_HEX_SIZE], more[SIGN_HEX_SIZE + 8];
	const char *with[N_WHO] = { NULL };
	struct identity fresh;
	struct sent s, lie;
	char line[400];

	identity_sign_hex(&w->id[WORKER1], hex);
	snprintf(more, sizeof(more), "sign=%s", hex);
	with[WORKER1] = more;
	write_keys_with(w, true, with);
	assert_int_equal(kill(w->pid, SIGHUP), 0);
	assert_int_equal(identity_generate("x", &fresh), 0);
	s = lie = proved(w, WORKER1, &fresh);
	lie.r.by_old[9] ^= 4;
	is_refused(w, WORKER1, &lie, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "is not proved");
	s.stolen = true;
	is_taken(w, WORKER1, &s, false);
	identity_sign_hex(&fresh, hex);
	snprintf(line, sizeof(line), "\nworker %s worker1 sign=%s\n", fresh.curve_public, hex);
	assert_true(list_has(w, line));
	assert_true(list_has(w, " revoked\n"));
}

/* A rotation that came to no end, and then the old key is stolen: it is revoked all the same. */
static void
test_stolen_later(void **state)
{
	struct world *w = *state;
	struct identity fresh;
	_cleanup_(freep) char *why = NULL;
	struct rotate_in in = { .endpoint = w->endpoint,
		.coordinator = &w->id[COORD],
		.old = &w->id[READER],
		.fresh = &fresh,
		.overlap_s = 3600,
		.wait_ms = WAIT_MS };
	struct rotated d;
	char line[256];
	void *socket;

	assert_int_equal(identity_generate("x", &fresh), 0);
	assert_int_equal(rotate_ask(&in, &d, &why), 0);
	assert_false(d.already || d.revoked);
	assert_false(list_has(w, "revoked"));
	in.stolen = true;
	assert_int_equal(rotate_ask(&in, &d, &why), 0);
	assert_true(d.already && d.revoked);
	assert_true(d.until_s <= (uint64_t)time(NULL));
	snprintf(line, sizeof(line), "\nreader %s reader until=", w->id[READER].curve_public);
	assert_true(list_has(w, line));
	assert_true(list_has(w, " revoked\n"));
	snprintf(line, sizeof(line), "\nreader %s reader\n", fresh.curve_public);
	assert_true(list_has(w, line));
	/* the other one alone is let in */
	assert_int_equal(rotate_ask(&in, &d, &why), -ENOKEY);
	w->id[READER] = fresh;
	socket = greet(w, READER, "reader");
	hang_up(w, &socket);
}

/* The node's side, against a coordinator that is another one, or away. */
static void
test_asks(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *why = NULL, *late = NULL, *no = NULL;
	struct identity fresh, wrong;
	struct rotate_in in = { .endpoint = w->endpoint,
		.coordinator = &w->id[COORD],
		.old = &w->id[READER],
		.fresh = &fresh,
		.overlap_s = 60,
		.wait_ms = WAIT_MS };
	struct rotated d;

	assert_int_equal(identity_generate("x", &fresh), 0);
	assert_int_equal(identity_generate("y", &wrong), 0);
	assert_int_equal(rotate_is_done(&in, &no), -ENOKEY);
	in.coordinator = &wrong;
	in.wait_ms = 700;
	assert_true(rotate_ask(&in, &d, &late) < 0);
	assert_non_null(late);
	in.coordinator = &w->id[COORD];
	in.wait_ms = WAIT_MS;
	if (rotate_ask(&in, &d, &why) < 0)
		fail_msg("%s", why ? why : "no reason");
	assert_int_equal(d.role, ROLE_READER);
	assert_string_equal(d.name, "reader");
	assert_true(d.until_s >= (uint64_t)time(NULL) + 30);
	free(why);
	why = NULL;
	assert_int_equal(rotate_is_done(&in, &why), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proofs),
		cmocka_unit_test_setup_teardown(test_takes, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_signs, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_stolen_later, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(test_asks, setup_patient, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
