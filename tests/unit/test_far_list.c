/* client/far: lists of builds, and who fetches a blob. client/wrap/build_name: which command lines
 * ask for the same. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>

#include "client/far/claims.h"
#include "cache/list.h"
#include "client/wrap/build_name.h"

static struct digest
key(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

/* The keys from `from` on, before `to`. */
static struct list
keys(unsigned from, unsigned to)
{
	struct list l = { NULL, 0 };

	for (; from < to; from++) {
		struct digest d = key(from);

		assert_int_equal(list_add(&l, &d), 0);
	}
	return l;
}

static void
assert_keys(const struct list *l, unsigned from, unsigned to)
{
	assert_int_equal(l->n, to - from);
	for (unsigned i = from; i < to; i++) {
		struct digest d = key(i);

		assert_true(digest_eq(&l->v[i - from], &d));
	}
}

static void
test_there_and_back(void **state)
{
	struct list l = keys(0, 100), got = { NULL, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(list_encode(&l, &b), 0);
	assert_int_equal(b.n, 8 + 100 * DIGEST_SIZE);
	assert_int_equal(list_decode(b.p, b.n, &got), 0);
	assert_keys(&got, 0, 100);
	list_done(&got);
	/* cut, too long, another format */
	assert_int_equal(list_decode(b.p, b.n - 1, &got), -EBADMSG);
	assert_int_equal(list_decode(b.p, 7, &got), -EBADMSG);
	assert_int_equal(list_decode(b.p, 8, &got), 0);
	assert_int_equal(got.n, 0);
	b.p[7]++;
	assert_int_equal(list_decode(b.p, b.n, &got), -EBADMSG);
	list_done(&l);
}

static void
test_bounds(void **state)
{
	struct list l = keys(0, LIST_MAX), got = { NULL, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest d = key(LIST_MAX);

	/* full; and what is on it already */
	assert_int_equal(list_add(&l, &d), 0);
	assert_int_equal(l.n, LIST_MAX);
	assert_int_equal(list_encode(&l, &b), 0);
	assert_int_equal(b.n, LIST_BYTES_MAX);
	assert_int_equal(buf_add(&b, d.b, DIGEST_SIZE), 0);
	assert_int_equal(list_decode(b.p, b.n, &got), -EBADMSG);
	memcpy(b.p + 8, b.p + 8 + DIGEST_SIZE, DIGEST_SIZE);
	assert_int_equal(list_decode(b.p, LIST_BYTES_MAX, &got), 0);
	assert_int_equal(got.n, LIST_MAX - 1);
	list_done(&got);
	list_done(&l);
}

static void
merges(unsigned before, unsigned from, unsigned to, bool changed, unsigned ret_from,
	unsigned ret_to)
{
	struct list a = keys(0, before), b = keys(from, to), got = { NULL, 0 };

	assert_int_equal(list_merge(&a, &b, &got), changed);
	assert_keys(&got, ret_from, ret_to);
	list_done(&a);
	list_done(&b);
	list_done(&got);
}

static void
test_merge(void **state)
{
	/* the first build */
	merges(0, 0, 10, true, 0, 10);
	/* the same again; a part of it */
	merges(10, 0, 10, false, 0, 10);
	merges(10, 3, 5, false, 0, 10);
	/* an edit, and a whole build of something else */
	merges(10, 10, 12, true, 0, 12);
	merges(10, 20, 26, true, 20, 26);
	/* a whole build that asks for less now */
	merges(10, 0, 5, true, 0, 5);
}

static bool
is_poked(struct mailbox *b)
{
	struct pollfd p = { mailbox_fd(b), POLLIN, 0 };
	bool poked = poll(&p, 1, 0) == 1;

	assert_null(mailbox_take(b));
	return poked;
}

static void
test_claims(void **state)
{
	struct claims *c = claims_new();
	struct mailbox *one = mailbox_new(), *two = mailbox_new();
	struct digest a = key(1), b = key(2);

	assert_true(claims_begin(c, &a, one));
	assert_true(claims_begin(c, &b, one));
	assert_false(claims_begin(c, &a, two));
	assert_false(is_poked(two));
	claims_end(c, &a);
	assert_true(is_poked(two));
	assert_false(is_poked(one));
	/* it is nobody's now */
	assert_true(claims_begin(c, &a, two));
	claims_leave(c, two);
	claims_end(c, &b);
	claims_end(c, &a);
	assert_false(is_poked(two));
	mailbox_close(one);
	mailbox_close(two);
	claims_free(c);
}

static struct digest
args(const char *line, size_t n)
{
	struct hasher *h = hasher_new();
	struct digest d;

	build_name_add_args(h, line, n);
	hasher_final(h, &d);
	hasher_free(h);
	return d;
}

#define ARGS(line) args(line, sizeof(line))

static void
test_args(void **state)
{
	struct digest build = ARGS("cargo\0build\0--release"), other;
	static const char *const same[] = { "-j4", "--jobs=4", "-q", "-vv", "--color=never",
		"--message-format=json", "--locked" };

	other = ARGS("/elsewhere/cargo\0build\0--release");
	assert_true(digest_eq(&build, &other));
	other = ARGS("cargo\0build\0-j\0004\0--color\0always\0--release");
	assert_true(digest_eq(&build, &other));
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(
			buf_addf(&b, "cargo%cbuild%c%s%c--release%c", 0, 0, same[i], 0, 0), 0);
		other = args((char *)b.p, b.n);
		assert_true(digest_eq(&build, &other));
	}
	other = ARGS("cargo\0build");
	assert_false(digest_eq(&build, &other));
	other = ARGS("cargo\0check\0--release");
	assert_false(digest_eq(&build, &other));
	/* of a line that is cut no word is left out of which the end is not known */
	other = args("cargo\0build\0--release\0-j", 24);
	assert_false(digest_eq(&build, &other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
