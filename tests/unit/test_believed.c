/* Whom a farm half believes: its configuration, and what the coordinator says, which may change. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/far/believed.h"

#define S(x) x x x x x x x x
#define S1 S("aaaaaaaa")

struct told {
	Dray__Producers m;
	Dray__Producer v[4];
	Dray__Producer *list[4];
	uint8_t keys[4][SIGN_KEY_SIZE];
	char namespace[100], names[4][100];
};

static void
say(struct told *t, const char *namespace)
{
	memset(t, 0, sizeof(*t));
	dray__producers__init(&t->m);
	snprintf(t->namespace, sizeof(t->namespace), "%s", namespace);
	t->m.namespace_ = t->namespace;
	t->m.producer = t->list;
}

static void
name(struct told *t, int byte, Dray__ProducerKind kind, bool revoked)
{
	size_t i = t->m.n_producer++;

	dray__producer__init(&t->v[i]);
	memset(t->keys[i], byte, SIGN_KEY_SIZE);
	t->v[i].key = (ProtobufCBinaryData){ SIGN_KEY_SIZE, t->keys[i] };
	t->v[i].kind = kind;
	t->v[i].name = t->names[i];
	t->v[i].revoked = revoked;
	t->list[i] = &t->v[i];
}

#define WORKER DRAY__PRODUCER_KIND__PRODUCER_WORKER
#define PUBLISHER DRAY__PRODUCER_KIND__PRODUCER_PUBLISHER

static enum trust_verdict
judge(struct believed *b, int byte, enum trust_kind kind)
{
	struct believed_now *now = believed_get(b);
	uint8_t key[SIGN_KEY_SIZE];
	enum trust_verdict v;

	memset(key, byte, sizeof(key));
	v = trust_judge(&now->trust, key, kind, now->namespace);
	believed_put(b, now);
	return v;
}

static bool
is_off(struct believed *b, const char *text)
{
	struct believed_now *now = believed_get(b);
	bool off = now->off && strstr(now->off, text);

	believed_put(b, now);
	return off;
}

static struct believed *
open_with(struct conf **conf, const char *text)
{
	struct believed *b = NULL;
	char *error = NULL;

	assert_int_equal(conf_parse(text, strlen(text), "test", conf, &error), 0);
	assert_int_equal(believed_open(*conf, &b), 0);
	return b;
}

static void
test_told(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(believed_closep) struct believed *b = open_with(&conf, "");
	struct believed_now *before;
	struct told t;

	(void)state;
	assert_true(is_off(b, "trust_keys is not set"));
	say(&t, "team");
	name(&t, 1, WORKER, false);
	name(&t, 2, PUBLISHER, false);
	name(&t, 3, PUBLISHER, true);
	believed_hear(b, &t.m);
	assert_false(is_off(b, ""));
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_OK);
	assert_int_equal(judge(b, 1, TRUST_PUBLISHER), TRUST_OTHER_KIND);
	assert_int_equal(judge(b, 2, TRUST_PUBLISHER), TRUST_OK);
	assert_int_equal(judge(b, 3, TRUST_PUBLISHER), TRUST_REVOKED);
	assert_int_equal(judge(b, 4, TRUST_WORKER), TRUST_UNKNOWN);
	before = believed_get(b);
	assert_string_equal(before->namespace, "team");
	/* the next word is the whole of it; who still holds the former keeps it */
	say(&t, "other");
	name(&t, 1, WORKER, true);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_REVOKED);
	assert_int_equal(judge(b, 2, TRUST_PUBLISHER), TRUST_UNKNOWN);
	assert_true(is_off(b, "vouches for nobody"));
	assert_string_equal(before->namespace, "team");
	assert_int_equal(before->trust.keys.n, 3);
	believed_put(b, before);
}

static void
test_beside_the_list(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(believed_closep) struct believed *b = open_with(
		&conf, "[client]\ntrust_keys = publisher " S1 " ci\nnamespace = mine\n");
	struct believed_now *now;
	struct told t;

	(void)state;
	assert_int_equal(judge(b, 0xaa, TRUST_PUBLISHER), TRUST_OK);
	say(&t, "mine");
	name(&t, 1, WORKER, false);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 0xaa, TRUST_PUBLISHER), TRUST_OK);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_OK);
	/* each may revoke what the other names */
	say(&t, "mine");
	name(&t, 0xaa, PUBLISHER, true);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 0xaa, TRUST_PUBLISHER), TRUST_REVOKED);
	/* what it names is of its own namespace */
	say(&t, "theirs");
	name(&t, 1, WORKER, false);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_OTHER_PLACE);
	assert_int_equal(judge(b, 0xaa, TRUST_PUBLISHER), TRUST_OK);
	now = believed_get(b);
	assert_string_equal(now->namespace, "mine");
	believed_put(b, now);
}

static void
test_levels(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(believed_closep) struct believed *b = open_with(
		&conf, "[client]\ntrust = workers\n");
	struct told t;

	(void)state;
	say(&t, "");
	name(&t, 1, WORKER, false);
	name(&t, 2, PUBLISHER, false);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_OK);
	assert_int_equal(judge(b, 2, TRUST_PUBLISHER), TRUST_NOT_ENOUGH);
}

/* trust_keys may have revoked somebody: without it nobody counts. */
static void
test_broken_list(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(believed_closep) struct believed *b = open_with(
		&conf, "[client]\ntrust_keys = /nonexistent/list\n");
	struct told t;

	(void)state;
	assert_true(is_off(b, "cannot be read"));
	say(&t, "");
	name(&t, 1, WORKER, false);
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_UNKNOWN);
	assert_true(is_off(b, "cannot be read"));
}

static void
test_nonsense(void **state)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(believed_closep) struct believed *b = open_with(&conf, "");
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };
	char namespace[KEYS_NAME_MAX + 1] = "";
	struct told t;

	(void)state;
	say(&t, "");
	name(&t, 1, WORKER, false);
	believed_hear(b, &t.m);
	/* a key twice, one that is too short, a name and a namespace that are too long, or that a
	 * terminal would obey */
	for (int what = 0; what < 6; what++) {
		say(&t, "");
		name(&t, 1, WORKER, false);
		name(&t, what == 0 ? 1 : 2, WORKER, false);
		if (what == 1)
			t.v[1].key.len--;
		if (what == 2)
			memset(t.names[1], 'x', KEYS_NAME_MAX + 1);
		if (what == 3)
			memset(t.namespace, 'x', KEYS_NAME_MAX + 1);
		if (what == 4)
			memcpy(t.names[1], "\033[2J", 5);
		if (what == 5)
			memcpy(t.namespace, "a/b", 4);
		assert_int_equal(believed_read(&t.m, namespace, &k), -EBADMSG);
		assert_null(k.v);
		assert_string_equal(namespace, "");
	}
	/* such a word is one for nobody: what was said before counts no more */
	believed_hear(b, &t.m);
	assert_int_equal(judge(b, 1, TRUST_WORKER), TRUST_UNKNOWN);
	/* kinds of a later version: nobody */
	say(&t, "a");
	name(&t, 1, (Dray__ProducerKind)7, false);
	name(&t, 1, (Dray__ProducerKind)0, false);
	name(&t, 2, WORKER, false);
	assert_int_equal(believed_read(&t.m, namespace, &k), 0);
	assert_int_equal(k.n, 1);
	assert_string_equal(namespace, "a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_beside_the_list),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_broken_list),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
