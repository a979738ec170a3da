/* A coordinator's key after another one: statements, files of them, and what a node keeps. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/strv.h"
#include "keys/succession.h"

#define NOW 1000

static struct identity id[4]; /* each comes after the one before */

static int
make(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(id); i++)
		assert_int_equal(identity_generate("coord", &id[i]), 0);
	return 0;
}

static const char *
say(size_t from, size_t to, uint64_t serial, uint64_t from_s)
{
	static char line[4][SUCCESSION_SIZE];
	static unsigned at;
	char *p = line[at++ % ARRAY_LEN(line)];

	assert_int_equal(succession_sign(&id[from], &id[to], serial, from_s, p), 0);
	return p;
}

static void
test_statements(void **state)
{
	const char *good = say(0, 1, 1, 500);
	struct identity public = id[0];
	struct succession s;
	size_t n = strlen(good);
	char bad[SUCCESSION_SIZE + 8], line[SUCCESSION_SIZE];

	(void)state;
	public.has_secret = false;
	memset(public.sign_secret, 0, sizeof(public.sign_secret));
	assert_int_equal(succession_read(good, n, &public, &s), 0);
	assert_string_equal(s.old, id[0].curve_public);
	assert_string_equal(s.curve_public, id[1].curve_public);
	assert_memory_equal(s.sign_public, id[1].sign_public, SIGN_KEY_SIZE);
	assert_int_equal(s.serial, 1);
	assert_int_equal(s.from_s, 500);
	/* each byte of it */
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, good, n + 1);
		bad[i] = bad[i] == '1' ? '2' : '1';
		assert_true(succession_read(bad, n, &public, &s) < 0);
		assert_true(succession_read(good, i, &public, &s) < 0);
	}
	memcpy(bad, good, n);
	memcpy(bad + n, " x", 3);
	assert_int_equal(succession_read(bad, n + 2, &public, &s), -EBADMSG);
	/* by another key, though it names this one */
	assert_int_equal(succession_read(good, n, &id[1], &s), -EKEYREJECTED);
	public = id[0];
	memcpy(public.sign_public, id[2].sign_public, SIGN_KEY_SIZE);
	assert_int_equal(succession_read(good, n, &public, &s), -EKEYREJECTED);
	assert_int_equal(succession_sign(&id[0], &id[1], 0, 1, line), -EINVAL);
	public.has_secret = false;
	assert_int_equal(succession_sign(&public, &id[1], 1, 1, line), -EINVAL);
}

static void
leads(const struct buf *b, uint64_t now, size_t to, uint64_t next)
{
	struct identity r;
	struct succession s;

	successions_follow(b->n ? (const char *)b->p : "", b->n, &id[0], now, &r, &s);
	assert_string_equal(r.curve_public, id[to].curve_public);
	assert_memory_equal(r.sign_public, id[to].sign_public, SIGN_KEY_SIZE);
	assert_int_equal(s.serial, next);
}

static int
add(struct buf *b, uint64_t now, const char *line)
{
	struct buf more = BUF_INIT;
	int r = successions_add(b->n ? (const char *)b->p : "", b->n, &id[0], now, line, &more);

	if (r == 0) {
		buf_done(b);
		*b = more;
	}
	return r;
}

/* A key counts from its time on; only its own word leads on, and no earlier one. */
static void
test_follow(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	leads(&b, NOW, 0, 0);
	assert_int_equal(add(&b, NOW, say(1, 2, 1, 500)), -EKEYREJECTED);
	assert_int_equal(add(&b, NOW, say(0, 1, 2, 2000)), 0);
	leads(&b, 1999, 0, 2);
	leads(&b, 2000, 1, 0);
	/* replayed, and earlier words; the next key has no say yet */
	assert_int_equal(add(&b, NOW, say(0, 1, 2, 2000)), -EALREADY);
	assert_int_equal(add(&b, NOW, say(0, 3, 1, 1)), -ESTALE);
	assert_int_equal(add(&b, NOW, say(1, 2, 3, 1)), -EKEYREJECTED);
	/* taken back, and said anew */
	assert_int_equal(add(&b, NOW, say(0, 0, 3, 0)), 0);
	leads(&b, 9999, 0, 3);
	assert_int_equal(add(&b, NOW, say(0, 1, 4, 2000)), 0);
	assert_int_equal(add(&b, NOW, say(0, 0, 3, 0)), -ESTALE);
	leads(&b, 2000, 1, 0);
	/* from then on the old key says nothing any more */
	assert_int_equal(add(&b, 2000, say(0, 3, 9, 1)), -EKEYREJECTED);
	assert_int_equal(add(&b, 2000, say(1, 2, 1, 2500)), 0);
	leads(&b, 2499, 1, 1);
	leads(&b, 2500, 2, 0);
	leads(&b, 1000, 0, 4);
	assert_int_equal(add(&b, 2500, "successor 1"), -EBADMSG);
	/* a file that is none leads nowhere */
	b.p[0] = 'D';
	leads(&b, 2500, 0, 0);
}

static void
test_bounds(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct identity r;
	struct succession s;

	(void)state;
	assert_int_equal(buf_adds(&b, "dray-successors 1\n"), 0);
	for (unsigned i = 0; i < SUCCESSION_MAX + 8; i++)
		assert_int_equal(buf_addf(&b, "%s\n", say(2, 3, i + 1, 1)), 0);
	assert_int_equal(buf_addf(&b, "%s\n", say(0, 1, 1, 1)), 0);
	/* what is behind so many is not looked at */
	successions_follow((const char *)b.p, b.n, &id[0], NOW, &r, &s);
	assert_string_equal(r.curve_public, id[0].curve_public);
}

/* ---- a node's files */

struct node {
	char *dir, *key, *other;
};

static int
make_node(void **state)
{
	struct node *n = calloc(1, sizeof(*n));

	make(NULL);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &n->dir), 0);
	n->key = path_join(n->dir, "coordinator.pub");
	n->other = path_join(n->dir, "state");
	assert_int_equal(mkdir(n->other, 0700), 0);
	assert_int_equal(identity_save_public(&id[0], n->key), 0);
	*state = n;
	return 0;
}

static int
remove_node(void **state)
{
	struct node *n = *state;

	fs_rm_rf(n->dir);
	free(n->dir);
	free(n->key);
	free(n->other);
	free(n);
	return 0;
}

static void
node_has(const struct node *n, uint64_t now, size_t key, uint64_t next)
{
	struct identity r;
	struct succession s;

	assert_int_equal(successor_load(n->key, n->other, now, &r, &s, NULL), 0);
	assert_string_equal(r.curve_public, id[key].curve_public);
	assert_string_equal(r.name, "coord");
	assert_false(r.has_secret);
	assert_int_equal(s.serial, next);
}

static void
test_node(void **state)
{
	struct node *n = *state;

	node_has(n, NOW, 0, 0);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(1, 2, 1, 1)), -EKEYREJECTED);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(0, 1, 1, 2000)), 0);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(0, 1, 1, 2000)), -EALREADY);
	node_has(n, NOW, 0, 1);
	node_has(n, 2000, 1, 0);
	assert_int_equal(successor_take(n->key, n->other, 2000, say(0, 3, 5, 1)), -EKEYREJECTED);
	node_has(n, 2000, 1, 0);
}

/* Where the configuration cannot be written, the other place has it; what one leads to, the other
 * leads on from. */
static void
test_places(void **state)
{
	struct node *n = *state;
	_cleanup_(freep) char *beside = NULL;
	_cleanup_(strv_done) struct strv names = STRV_INIT;

	assert_true(asprintf(&beside, "%s.successors", n->key) > 0);
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(0, 1, 1, 500)), 0);
	assert_int_equal(fs_list_dir(n->other, &names), 0);
	assert_int_equal(names.n, 1);
	node_has(n, NOW, 1, 0);
	assert_int_equal(rmdir(beside), 0);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(1, 2, 1, 600)), 0);
	node_has(n, NOW, 2, 0);
	assert_int_equal(successor_take(n->key, n->other, NOW, say(1, 2, 1, 600)), -EKEYREJECTED);
	/* neither */
	assert_int_equal(unlink(beside), 0);
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_true(successor_take(n->key, NULL, NOW, say(0, 1, 1, 500)) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_statements, make),
		cmocka_unit_test_setup(test_follow, make),
		cmocka_unit_test_setup(test_bounds, make),
		cmocka_unit_test_setup_teardown(test_node, make_node, remove_node),
		cmocka_unit_test_setup_teardown(test_places, make_node, remove_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
