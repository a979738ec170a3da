/* Tokens by which keys join: bounds, states, the file, damaged ones; how often strangers may come.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/fs.h"
#include "coordinator/admin/guests.h"
#include "coordinator/admin/join_tokens.h"

#define NOW 1000000u

static int
setup(void **state)
{
	char *dir = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	fs_rm_rf(*state);
	free(*state);
	return 0;
}

static struct join_token
token(unsigned n)
{
	struct join_token t = {
		.role = ROLE_CLIENT, .uses = 1, .made_s = NOW, .expires_s = NOW + JOIN_TTL_S
	};

	t.digest.b[0] = (uint8_t)(n >> 8);
	t.digest.b[1] = (uint8_t)n;
	return t;
}

static void
test_bounds(void **state)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 };
	struct join_token t = token(1);

	(void)state;
	assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
	assert_int_equal(join_tokens_add(&ts, &t, NOW), -EINVAL); /* it is there */
#define REFUSED(change)                                                   \
	do {                                                              \
		t = token(2);                                             \
		change;                                                   \
		assert_int_equal(join_tokens_add(&ts, &t, NOW), -EINVAL); \
	} while (0)
	REFUSED(t.role = ROLE_NONE);
	REFUSED(t.role = ROLE_LOCAL);
	REFUSED(t.uses = 0);
	REFUSED(t.uses = JOIN_USES_MAX + 1);
	REFUSED(t.expires_s = t.made_s);
	REFUSED(t.expires_s = t.made_s + JOIN_TTL_MAX_S + 1);
	REFUSED(memcpy(t.name, "a b", 4));
	REFUSED(memcpy(t.name, "a\nb", 4));
	REFUSED(memcpy(t.namespace, "a=b", 4));
	REFUSED((t.uses = 2, memcpy(t.name, "two", 4)));
	REFUSED((t.role = ROLE_ADMIN, t.uses = 2));
	REFUSED((t.role = ROLE_ADMIN, t.expires_s = t.made_s + JOIN_ADMIN_TTL_MAX_S + 1));
	REFUSED(t.used = 2);
	t = token(2);
	t.uses = JOIN_USES_MAX;
	t.expires_s = t.made_s + JOIN_TTL_MAX_S;
	assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
}

static void
test_states(void **state)
{
	struct join_token t = token(1);

	(void)state;
	t.uses = 2;
	assert_int_equal(join_token_state(&t, NOW), JOIN_LIVE);
	assert_int_equal(join_token_state(&t, NOW + JOIN_TTL_S - 1), JOIN_LIVE);
	assert_int_equal(join_token_state(&t, NOW + JOIN_TTL_S), JOIN_EXPIRED);
	/* a clock that was set back a little, and much */
	assert_int_equal(join_token_state(&t, NOW - JOIN_APART_S), JOIN_LIVE);
	assert_int_equal(join_token_state(&t, NOW - JOIN_APART_S - 1), JOIN_CLOCK);
	assert_int_equal(join_token_state(&t, 0), JOIN_CLOCK);
	join_token_use(&t, NOW + 1);
	assert_int_equal(join_token_state(&t, NOW), JOIN_LIVE);
	assert_int_equal(t.ended_s, 0);
	join_token_use(&t, NOW + 2);
	assert_int_equal(join_token_state(&t, NOW), JOIN_USED);
	assert_int_equal(t.ended_s, NOW + 2);
	t = token(1);
	t.revoked = true;
	assert_int_equal(join_token_state(&t, NOW), JOIN_REVOKED);
}

/* While one lives, and for a while after the last. */
static void
test_open(void **state)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 };
	struct join_token t = token(1);

	(void)state;
	assert_false(join_tokens_open(&ts, NOW));
	assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
	assert_true(join_tokens_open(&ts, NOW));
	assert_true(join_tokens_open(&ts, NOW + JOIN_TTL_S + JOIN_LATE_S - 1));
	assert_false(join_tokens_open(&ts, NOW + JOIN_TTL_S + JOIN_LATE_S));
	join_token_use(&ts.v[0], NOW + 10);
	assert_true(join_tokens_open(&ts, NOW + 10 + JOIN_LATE_S - 1));
	assert_false(join_tokens_open(&ts, NOW + 10 + JOIN_LATE_S));
}

static void
test_found(void **state)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 };
	struct join_token a = token(0x0102), b = token(0x0103);
	char id[JOIN_ID_SIZE];

	(void)state;
	assert_null(join_tokens_find(&ts, &a.digest));
	assert_int_equal(join_tokens_add(&ts, &a, NOW), 0);
	assert_null(join_tokens_find(&ts, &b.digest));
	assert_int_equal(join_tokens_add(&ts, &b, NOW), 0);
	assert_ptr_equal(join_tokens_find(&ts, &b.digest), &ts.v[1]);
	join_token_id(&b, id);
	assert_string_equal(id, "0103000000000000");
	assert_ptr_equal(join_tokens_named(&ts, id), &ts.v[1]);
	assert_ptr_equal(join_tokens_named(&ts, "0103"), &ts.v[1]);
	assert_null(join_tokens_named(&ts, "010")); /* two */
	assert_null(join_tokens_named(&ts, "02"));
	assert_null(join_tokens_named(&ts, ""));
}

/* Those that have ended make room, the oldest first; those that live do not. */
static void
test_full(void **state)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 };
	struct join_token t;

	(void)state;
	for (unsigned i = 0; i < JOIN_TOKENS_MAX; i++) {
		t = token(i);
		assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
	}
	t = token(JOIN_TOKENS_MAX);
	assert_int_equal(join_tokens_add(&ts, &t, NOW), -ENOSPC);
	join_token_use(&ts.v[7], NOW + 9);
	join_token_use(&ts.v[5], NOW + 8);
	assert_int_equal(join_tokens_add(&ts, &t, NOW + 10), 0);
	assert_int_equal(ts.n, JOIN_TOKENS_MAX);
	t = token(5);
	assert_null(join_tokens_find(&ts, &t.digest));
	t = token(7);
	assert_non_null(join_tokens_find(&ts, &t.digest));
}

static void
test_file(void **state)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 }, again = { NULL, 0 };
	_cleanup_(freep) char *path = path_join(*state, JOIN_TOKENS_FILE);
	struct join_token t = token(1);
	struct stat st;

	assert_int_equal(join_tokens_load(*state, &again), 0);
	assert_int_equal(again.n, 0);
	t.role = ROLE_WORKER;
	memcpy(t.name, "w1", 3);
	memcpy(t.by, "alice", 6);
	memcpy(t.namespace, "-", 2);
	assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
	t = token(2);
	t.uses = 3;
	assert_int_equal(join_tokens_add(&ts, &t, NOW), 0);
	join_token_use(&ts.v[0], NOW + 5);
	join_token_use(&ts.v[1], NOW + 5);
	assert_int_equal(join_tokens_save(*state, &ts), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(join_tokens_load(*state, &again), 0);
	assert_int_equal(again.n, 2);
	assert_memory_equal(again.v, ts.v, 2 * sizeof(*ts.v));
}

#define LINE                                                                                  \
	"0102030000000000000000000000000000000000000000000000000000000000 role=client name= " \
	"namespace= by= made=100 expires=200 uses=1 used=0 ended=0 revoked=0\n"

static int
parse(const char *text)
{
	_cleanup_(join_tokens_done) struct join_tokens ts = { NULL, 0 };
	int r = join_tokens_parse(text, strlen(text), &ts);

	assert_true(r == 0 || (ts.n == 0 && !ts.v));
	return r;
}

/* The same with one word of the line otherwise. */
static int
parse_with(const char *from, const char *to)
{
	char text[512];
	const char *at = strstr(LINE, from);

	assert_non_null(at);
	snprintf(text, sizeof(text), "dray-tokens 1\n%.*s%s%s", (int)(at - LINE), LINE, to,
		at + strlen(from));
	return parse(text);
}

static void
test_damaged(void **state)
{
	static const char *const pairs[][2] = { { "role=client", "role=root" },
		{ "role=client", "role=" }, { "name=", "name=a/b" }, { "made=100", "made=-1" },
		{ "made=100", "made=" }, { "made=100", "made=1e2" },
		{ "made=100", "made=99999999999999999999" }, { "made=100", "made=200" },
		{ "expires=200", "expires=9000000" }, { "uses=1", "uses=0" },
		{ "uses=1", "uses=1001" }, { "used=0", "used=2" }, { "used=0", "used=1" },
		{ "ended=0", "ended=5" }, { "revoked=0", "revoked=1" },
		{ "revoked=0", "revoked=2" }, { "revoked=0", "revoked=0 more=1" }, { " by=", "" },
		{ "0102", "010G" }, { "0102", "01020" }, { " role", "  role" } };

	(void)state;
	assert_int_equal(parse("dray-tokens 1\n"), 0);
	assert_int_equal(parse("dray-tokens 1\n" LINE), 0);
	assert_int_equal(parse_with("role=client", "role=worker"), 0);
	assert_int_equal(parse(""), -EBADMSG);
	assert_int_equal(parse("dray-tokens 2\n"), -EPROTONOSUPPORT);
	assert_int_equal(parse(LINE), -EBADMSG);
	assert_int_equal(parse("dray-tokens 1\n" LINE LINE), -EBADMSG);
	assert_int_equal(parse("dray-tokens 1\n\n"), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (parse_with(pairs[i][0], pairs[i][1]) != -EBADMSG)
			fail_msg("%s was read", pairs[i][1]);
	/* one that is cut, anywhere */
	for (size_t n = 1; n < strlen(LINE); n++) {
		char text[512];

		snprintf(text, sizeof(text), "dray-tokens 1\n%.*s", (int)n, LINE);
		assert_int_equal(parse(text), -EBADMSG);
	}
}

/* ---- how often strangers may come */

static void
test_guests(void **state)
{
	struct guests *g = calloc(1, sizeof(*g));
	struct gate_address a = gate_address_parse("10.0.0.1"), b = gate_address_parse("10.0.0.2");
	unsigned n = 0;

	(void)state;
	assert_int_equal(a.family, 4);
	for (unsigned i = 0; i < 100; i++)
		n += guests_take(g, &a, 5);
	assert_int_equal(n, GUESTS_OF_ONE);
	/* another address has places */
	assert_true(guests_take(g, &b, 5));
	assert_false(guests_take(g, &a, 5 + 999));
	assert_true(guests_take(g, &a, 5 + 1000));
	assert_false(guests_take(g, &a, 5 + 1000));
	/* all of them: however many addresses there are */
	memset(g, 0, sizeof(*g));
	for (uint32_t i = n = 0; i < 1000; i++)
		n += guests_take(g, &(struct gate_address){ 6, { 1, i } }, 7);
	assert_int_equal(n, GUESTS_OF_ALL);
	assert_false(guests_take(g, &a, 7));
	assert_true(guests_take(g, &a, 7 + 1000 / GUESTS_PER_S));
	free(g);
}

static void
test_addresses(void **state)
{
	struct gate_address v4 = gate_address_parse("192.0.2.7"),
			    mapped = gate_address_parse("::ffff:192.0.2.7"),
			    v6 = gate_address_parse("2001:db8:1:2:3:4:5:6"),
			    near = gate_address_parse("2001:db8:1:2::1"),
			    far = gate_address_parse("2001:db8:1:3::1");
	char text[GATE_TEXT_SIZE];

	(void)state;
	assert_true(gate_address_eq(&v4, &mapped));
	assert_true(gate_address_eq(&v6, &near));
	assert_false(gate_address_eq(&v6, &far));
	assert_true(gate_address_text(&v4, text));
	assert_string_equal(text, "192.0.2.7");
	assert_true(gate_address_text(&v6, text));
	assert_string_equal(text, "2001:db8:1:2::/64");
	v4 = gate_address_parse("192.0.2");
	assert_int_equal(v4.family, 0);
	assert_false(gate_address_text(&v4, text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_full),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_guests),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
