/* The entry of a key: what goes in comes out; what is cut, odd, too large or of a later version
 * does not; two producers do not harm each other. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/key.h"
#include "tests/unit/shared_fixture.h"

/* A result of its own inputs, sealed. */
static void
sealed_of(const struct shared_by *by, const char *source, const char *text, struct buf *ret)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;

	fill_result(&r, source);
	assert_int_equal(buf_adds(&r.out, text), 0);
	seal(by, &r, ret);
}

static void
add(struct shared_entry *e, const struct shared_by *by, const char *source, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	sealed_of(by, source, text, &b);
	assert_int_equal(shared_entry_add(e, &b), 0);
}

static void
begin(struct shared_entry *e)
{
	assert_int_equal(strv_add(&e->recipe, "format=1"), 0);
	assert_int_equal(strv_add(&e->recipe, "cwd=/w"), 0);
	assert_int_equal(unit_key_of_recipe(&e->recipe, &key), 0);
	e->key = key;
}

/* What result i says, as one reads that trusts both. "": it is not opened. */
static void
text_of(const struct shared_entry *e, size_t i, char *ret, size_t n)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	struct trust t = trust_both(TRUST_PUBLISHERS);
	struct shared_reader reader = { &t, "team" };

	keys = t.keys;
	*ret = '\0';
	if (i < e->n && shared_open(e, i, &reader, &r, NULL, NULL) == 0)
		snprintf(ret, n, "%s", (char *)r.out.p);
}

static void
has_texts(const struct shared_entry *e, const char *const *texts, size_t n)
{
	char text[64];

	assert_int_equal(e->n, n);
	for (size_t i = 0; i < n; i++) {
		text_of(e, i, text, sizeof(text));
		assert_string_equal(text, texts[i]);
	}
}

static void
test_there_and_back(void **state)
{
	static const char *const texts[] = { "hello\npublisher's", "hello\nworker's" };
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT,
							 got = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct shared_by w = by_worker(), p = by_publisher();

	(void)state;
	begin(&e);
	add(&e, &w, "source", "worker's");
	add(&e, &p, "source", "publisher's");
	assert_int_equal(shared_entry_encode(&e, &b), 0);
	assert_memory_equal(b.p, "drayshr1", 8);
	assert_int_equal(shared_entry_decode(b.p, b.n, &key, &got), 0);
	assert_int_equal(got.recipe.n, 2);
	assert_string_equal(got.recipe.v[1], "cwd=/w");
	has_texts(&got, texts, 2);
	shared_entry_done(&got);
	assert_int_equal(shared_entry_decode(b.p, b.n, &other_key, &got), -EBADMSG);
}

/* The same producer's with the same inputs goes, another's stays, and what is there stays. */
static void
test_merged(void **state)
{
	static const char *const texts[] = { "hello\n3", "hello\n2", "hello\n1b" };
	static const char *const again[] = { "hello\n1c", "hello\n3", "hello\n2" };
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct shared_by w = by_worker(), p = by_publisher();

	(void)state;
	begin(&e);
	add(&e, &w, "one", "1a");
	add(&e, &w, "one", "1b");
	add(&e, &p, "one", "2");
	sealed_of(&w, "two", "3", &b);
	assert_int_equal(shared_entry_add(&e, &b), 0);
	has_texts(&e, texts, 3);
	/* the same bytes change nothing, not even the order */
	add(&e, &p, "one", "2");
	has_texts(&e, texts, 3);
	/* what replaces an older one comes first */
	add(&e, &w, "one", "1c");
	has_texts(&e, again, 3);
	/* damage makes room */
	e.sealed[1].n /= 2;
	assert_int_equal(shared_entry_add(&e, &b), 0);
	has_texts(&e, (const char *const[]){ "hello\n3", "hello\n1c", "hello\n2" }, 3);
}

static void
test_not_added(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT, junk = BUF_INIT;
	struct shared_by w = by_worker();

	(void)state;
	begin(&e);
	sealed_of(&w, "one", "1", &b);
	e.key = other_key;
	assert_int_equal(shared_entry_add(&e, &b), -EBADMSG);
	e.key = key;
	assert_int_equal(shared_entry_add(&e, &junk), -EBADMSG);
	assert_int_equal(buf_adds(&junk, "junk"), 0);
	assert_int_equal(shared_entry_add(&e, &junk), -EBADMSG);
	buf_done(&junk);
	seal_bytes(&w, "junk", 4, &junk);
	assert_int_equal(shared_entry_add(&e, &junk), -EBADMSG);
	assert_int_equal(e.n, 0);
}

/* The latest sixteen. */
static void
test_many(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	struct shared_by w = by_worker();
	char text[64];

	(void)state;
	begin(&e);
	for (unsigned i = 0; i < SHARED_RESULTS_MAX + 3; i++) {
		snprintf(text, sizeof(text), "%u", i);
		add(&e, &w, text, text);
	}
	assert_int_equal(e.n, SHARED_RESULTS_MAX);
	text_of(&e, 0, text, sizeof(text));
	assert_string_equal(text, "hello\n18");
	text_of(&e, SHARED_RESULTS_MAX - 1, text, sizeof(text));
	assert_string_equal(text, "hello\n3");
}

/* ---- bytes */

struct message {
	Dray__SharedEntry m;
	ProtobufCBinaryData recipe[4], sealed[SHARED_RESULTS_MAX + 2];
};

static void
pack(const struct message *m, const char *magic, struct buf *ret)
{
	assert_int_equal(buf_adds(ret, magic), 0);
	assert_int_equal(buf_reserve(ret, dray__shared_entry__get_packed_size(&m->m)), 0);
	ret->n += dray__shared_entry__pack(&m->m, ret->p + ret->n);
}

static void
fill_message(struct message *m, const struct buf *sealed)
{
	dray__shared_entry__init(&m->m);
	m->m.key = (ProtobufCBinaryData){ DIGEST_SIZE, key.b };
	m->recipe[0] = (ProtobufCBinaryData){ 8, (uint8_t *)"format=1" };
	m->recipe[1] = (ProtobufCBinaryData){ 6, (uint8_t *)"cwd=/w" };
	m->m.recipe = m->recipe;
	m->m.n_recipe = 2;
	for (size_t i = 0; i < ARRAY_LEN(m->sealed); i++)
		m->sealed[i] = (ProtobufCBinaryData){ sealed->n, sealed->p };
	m->m.sealed = m->sealed;
	m->m.n_sealed = 1;
}

static void
test_odd_messages(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(freep) uint8_t *large = calloc(1, SHARED_SEALED_MAX + 1);
	_cleanup_(freep) uint8_t *long_part = calloc(1, SHARED_RECIPE_MAX + 1);
	_cleanup_(strv_done) struct strv long_recipe = STRV_INIT;
	struct shared_by w = by_worker();
	struct digest long_key;

	(void)state;
	assert_true(large && long_part);
	memset(long_part, 'x', SHARED_RECIPE_MAX);
	assert_int_equal(strv_add(&long_recipe, (char *)long_part), 0);
	assert_int_equal(unit_key_of_recipe(&long_recipe, &long_key), 0);
	begin(&e);
	sealed_of(&w, "one", "1", &sealed);
	for (unsigned i = 0; i < 14; i++) {
		_cleanup_(shared_entry_done) struct shared_entry got = SHARED_ENTRY_INIT;
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct message m;
		const struct digest *wanted = &key;
		const char *magic = "drayshr1";
		int expected = -EBADMSG;

		fill_message(&m, &sealed);
		switch (i) {
		case 0:
			expected = 0;
			break;
		case 1: /* as many as there may be, and twins: each reader finds the first */
			m.m.n_sealed = SHARED_RESULTS_MAX;
			expected = 0;
			break;
		case 2:
			m.m.n_sealed = SHARED_RESULTS_MAX + 1;
			break;
		case 3:
			m.m.key.len--;
			break;
		case 4:
			m.m.key.data = other_key.b;
			break;
		case 5: /* it is not needed */
			m.m.n_recipe = 0;
			expected = 0;
			break;
		case 6:
			m.m.n_recipe = 1;
			break;
		case 7:
			m.recipe[1].data = (uint8_t *)"cwd=/x";
			break;
		case 8:
			m.recipe[1].data = (uint8_t *)"cwd\0/w";
			break;
		case 9: /* it is its key's, and too long */
			m.recipe[0] = (ProtobufCBinaryData){ SHARED_RECIPE_MAX, long_part };
			m.m.n_recipe = 1;
			m.m.key.data = long_key.b;
			wanted = &long_key;
			break;
		case 10:
			m.sealed[0].len = 0;
			break;
		case 11:
			m.sealed[0] = (ProtobufCBinaryData){ SHARED_SEALED_MAX + 1, large };
			break;
		case 12:
			magic = "drayshr2";
			expected = -EPROTONOSUPPORT;
			break;
		case 13:
			magic = "drayent4";
			break;
		}
		pack(&m, magic, &b);
		if (shared_entry_decode(b.p, b.n, wanted, &got) != expected)
			fail_msg("case %u", i);
		if (expected < 0)
			assert_true(got.n == 0 && got.recipe.n == 0);
	}
}

/* A cut at any place, a change of any bit: another entry, or none. What is opened of it is what was
 * sealed. */
static void
test_damaged(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct shared_by w = by_worker(), p = by_publisher();

	(void)state;
	begin(&e);
	add(&e, &w, "one", "1");
	add(&e, &p, "one", "2");
	assert_int_equal(shared_entry_encode(&e, &b), 0);
	for (size_t i = 0; i < b.n; i++) {
		_cleanup_(shared_entry_done) struct shared_entry got = SHARED_ENTRY_INIT;
		char text[64];

		b.p[i] ^= 4;
		if (shared_entry_decode(b.p, b.n, &key, &got) == 0)
			for (size_t k = 0; k < got.n; k++) {
				text_of(&got, k, text, sizeof(text));
				if (*text && !streq(text, "hello\n1") && !streq(text, "hello\n2"))
					fail_msg("byte %zu: %s", i, text);
			}
		b.p[i] ^= 4;
	}
	for (size_t n = 0; n < b.n; n++) {
		_cleanup_(shared_entry_done) struct shared_entry got = SHARED_ENTRY_INIT;

		/* at the end of a result it is an entry with one */
		if (shared_entry_decode(b.p, n, &key, &got) == 0)
			assert_true(got.n < 2);
	}
}

/* Too many bytes: the oldest go. */
static void
test_large(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT,
							 got = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct shared_by w = by_worker();
	char source[16];

	(void)state;
	begin(&e);
	for (unsigned i = 0; i < 6; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		_cleanup_(buf_done) struct buf sealed = BUF_INIT;

		snprintf(source, sizeof(source), "%u", i);
		fill_result(&r, source);
		assert_int_equal(buf_reserve(&r.out, 7u << 20), 0);
		memset(r.out.p, 'a' + (int)i, 7u << 20);
		r.out.n = 7u << 20;
		seal(&w, &r, &sealed);
		assert_int_equal(shared_entry_add(&e, &sealed), 0);
	}
	assert_int_equal(e.n, 6);
	assert_int_equal(shared_entry_encode(&e, &b), 0);
	assert_true(b.n <= SHARED_MAX);
	assert_int_equal(shared_entry_decode(b.p, b.n, &key, &got), 0);
	assert_int_equal(got.n, 4);
	text_of(&got, 0, source, 2);
	assert_string_equal(source, "f");
}

static void
test_too_large(void **state)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;
	_cleanup_(buf_done) struct buf sealed = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	struct shared_by w = by_worker();

	(void)state;
	fill_result(&r, "source");
	assert_int_equal(buf_reserve(&r.out, SHARED_SEALED_MAX), 0);
	memset(r.out.p, 'a', SHARED_SEALED_MAX);
	r.out.n = SHARED_SEALED_MAX;
	assert_int_equal(shared_seal(&w, &key, &r, &sealed, &why), -EFBIG);
	assert_string_equal(why, "it is larger than what is shared");
	assert_int_equal(sealed.n, 0);
}

/* ---- memory */

static int
decode_it(const struct buf *b)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;

	return shared_entry_decode(b->p, b->n, &key, &e);
}

static int
add_it(const struct buf *b)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;

	e.key = key;
	return shared_entry_add(&e, b);
}

static int
take_apart(const struct buf *b)
{
	_cleanup_(result_done) struct result r = RESULT_INIT;

	return result_decode(b->p, b->n, &r);
}

/* -EBADMSG, by a process that has hardly grown. */
static void
refused_in_room(int (*fn)(const struct buf *b), const struct buf *b)
{
	struct rusage before, after;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		getrusage(RUSAGE_SELF, &before);
		if (fn(b) != -EBADMSG)
			_exit(1);
		getrusage(RUSAGE_SELF, &after);
		_exit(after.ru_maxrss - before.ru_maxrss > (96 << 10) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* begin, and then these two bytes again and again, up to n. */
static void
fill_with(struct buf *b, const struct buf *begin, const char two[2], size_t n)
{
	assert_int_equal(buf_reserve(b, n), 0);
	assert_int_equal(buf_add(b, begin->p, begin->n), 0);
	for (; b->n + 2 <= n; b->n += 2)
		memcpy(b->p + b->n, two, 2);
}

/* protobuf-c makes a hundred bytes of each of these fields, and nothing is signed yet. */
static void
test_many_fields(void **state)
{
	static const char recipe[2] = { 0x12, 0 }, sealed[2] = { 0x1a, 0 },
			  unknown[2] = { 0x78, 0 }, input[2] = { 0x0a, 0 };
	const char *const fields[] = { recipe, sealed, unknown };
	_cleanup_(buf_done) struct buf begin = BUF_INIT, none = BUF_INIT, inputs = BUF_INIT;

	(void)state;
	assert_int_equal(buf_adds(&begin, "drayshr1\x0a\x20"), 0);
	assert_int_equal(buf_add(&begin, key.b, DIGEST_SIZE), 0);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		fill_with(&b, &begin, fields[i], SHARED_MAX);
		refused_in_room(decode_it, &b);
	}
	begin.n = 0;
	fill_with(&none, &begin, unknown, SHARED_SEALED_MAX);
	refused_in_room(add_it, &none);
	fill_with(&inputs, &begin, input, SHARED_SEALED_MAX);
	refused_in_room(take_apart, &inputs);
}

/* For an admin's commands: what each result says, whether that is so, and taking one away. */
static void
test_look(void **state)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	struct shared_by a = by_worker(), b = by_publisher();
	const char *const left[] = { "hello\nby the worker" };

	(void)state;
	begin(&e);
	add(&e, &a, "/w/a.rs", "by the worker");
	add(&e, &b, "/w/b.rs", "by the publisher");
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		struct shared_said s;

		assert_int_equal(shared_look(&e, i, &s, &r), 0);
		assert_true(s.right);
		assert_string_equal(s.namespace, "team");
		assert_int_equal(s.seal.kind, i ? TRUST_WORKER : TRUST_PUBLISHER);
		assert_memory_equal(s.seal.producer, i ? worker.sign_public : publisher.sign_public,
			SIGN_KEY_SIZE);
		assert_int_equal(s.seal.time_s, SOME_TIME);
		assert_true(r.n_outputs > 0);
	}
	/* under another key it is not right */
	{
		_cleanup_(result_done) struct result r = RESULT_INIT;
		struct shared_said s;
		struct digest ours = e.key;

		e.key = other_key;
		assert_int_equal(shared_look(&e, 0, &s, &r), 0);
		assert_false(s.right);
		e.key = ours;
	}
	/* changed: the seal is wrong, or it is none at all */
	for (size_t at = 0; at < e.sealed[0].n; at++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;
		struct shared_said s;

		e.sealed[0].p[at] ^= 1;
		if (shared_look(&e, 0, &s, &r) == 0 && s.right)
			fail_msg("byte %zu is not signed", at);
		e.sealed[0].p[at] ^= 1;
	}
	shared_entry_drop(&e, 0);
	has_texts(&e, left, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_merged),
		cmocka_unit_test(test_not_added),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_many_fields),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
