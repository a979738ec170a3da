/* Changes of a list of allowed keys: what is not changed stays as it was, byte by byte. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "keys/allowed_edit.h"

#define KEY_A "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define KEY_B "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define KEY_HASH "rq:r#>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static const char list[] = "# ours\n"
			   "client " KEY_A " alice namespace=red   # at her desk\n"
			   "\n"
			   "  worker\t" KEY_B "\r\n";

static struct allowed_key
key(const char *curve, const char *name, enum role role)
{
	struct allowed_key k = { .role = role };

	memcpy(k.curve_public, curve, CURVE_KEY_SIZE);
	memcpy(k.name, name, strlen(name) + 1);
	return k;
}

static void
expect_list(const struct buf *b, const char *text)
{
	assert_string_equal((const char *)b->p, text);
	assert_int_equal(b->n, strlen(text));
}

static void
test_revoke(void **state)
{
	_cleanup_(buf_done) struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
	struct keys_fault f;

	(void)state;
	assert_int_equal(allowed_list_revoke(list, strlen(list), KEY_A, &a, &f), 0);
	expect_list(&a, "# ours\n"
			"client " KEY_A " alice namespace=red revoked   # at her desk\n"
			"\n"
			"  worker\t" KEY_B "\r\n");
	assert_int_equal(allowed_list_revoke((const char *)a.p, a.n, KEY_A, &c, &f), -EALREADY);
	assert_int_equal(allowed_list_revoke((const char *)a.p, a.n, KEY_HASH, &c, &f), -ENOENT);
	assert_int_equal(c.n, 0);
	assert_int_equal(allowed_list_revoke((const char *)a.p, a.n, KEY_B, &b, &f), 0);
	expect_list(&b, "# ours\n"
			"client " KEY_A " alice namespace=red revoked   # at her desk\n"
			"\n"
			"  worker\t" KEY_B " revoked\r\n");
}

static void
test_revoke_last_line(void **state)
{
	static const char one[] = "client " KEY_HASH;
	_cleanup_(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;
	struct keys_fault f;

	(void)state;
	assert_int_equal(allowed_list_revoke(one, strlen(one), KEY_HASH, &a, &f), 0);
	expect_list(&a, "client " KEY_HASH " revoked");
	/* a key that is only spoken of */
	assert_int_equal(allowed_list_revoke("# client " KEY_A "\n", strlen("# client " KEY_A "\n"),
				 KEY_A, &b, &f),
		-ENOENT);
	assert_int_equal(allowed_list_revoke("clint x", 7, KEY_A, &b, &f), -EBADMSG);
	assert_int_equal(f.line, 1);
}

static void
test_add(void **state)
{
	struct allowed_key k = key(KEY_HASH, "bob", ROLE_PUBLISHER);
	_cleanup_(buf_done) struct buf a = BUF_INIT, b = BUF_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	const struct allowed_key *found;
	struct keys_fault f;

	(void)state;
	k.signs = true;
	memset(k.sign_public, 0xab, SIGN_KEY_SIZE);
	memcpy(k.namespace, "ci", 3);
	assert_int_equal(allowed_list_add(list, strlen(list), &k, &a, &f), 0);
	assert_memory_equal(a.p, list, strlen(list));
	assert_int_equal(allowed_keys_parse((const char *)a.p, a.n, &keys, &f), 0);
	found = allowed_keys_find(&keys, KEY_HASH);
	assert_non_null(found);
	assert_string_equal(found->name, "bob");
	assert_string_equal(found->namespace, "ci");
	assert_int_equal(found->role, ROLE_PUBLISHER);
	assert_true(found->signs && found->sign_public[31] == 0xab);
	/* without a newline at its end; and an empty one */
	assert_int_equal(allowed_list_add("# x", 3, &k, &b, &f), 0);
	assert_memory_equal(b.p, "# x\npublisher ", strlen("# x\npublisher "));
	buf_done(&b);
	b = (struct buf)BUF_INIT;
	k = key(KEY_A, "", ROLE_ADMIN);
	assert_int_equal(allowed_list_add("", 0, &k, &b, &f), 0);
	expect_list(&b, "admin " KEY_A "\n");
}

static void
test_add_wrong(void **state)
{
	struct allowed_key k = key(KEY_A, "eve", ROLE_ADMIN);
	struct buf a = BUF_INIT;
	struct keys_fault f;

	(void)state;
	/* it is there already */
	assert_int_equal(allowed_list_add(list, strlen(list), &k, &a, &f), -EBADMSG);
	assert_int_equal(f.line, 5);
	assert_non_null(strstr(f.what, "line 2"));
	/* a name that would be a line of its own */
	k = key(KEY_HASH, "x\nadmin", ROLE_CLIENT);
	assert_int_equal(allowed_list_add(list, strlen(list), &k, &a, &f), -EBADMSG);
	k = key(KEY_HASH, "x y", ROLE_CLIENT);
	assert_int_equal(allowed_list_add(list, strlen(list), &k, &a, &f), -EBADMSG);
	k = key(KEY_HASH, "", ROLE_NONE);
	assert_int_equal(allowed_list_add(list, strlen(list), &k, &a, &f), -EBADMSG);
	assert_int_equal(a.n, 0);
}

/* Another key in the place of one: its line gets an end, and the next one a line. */
static void
test_rotate(void **state)
{
	_cleanup_(buf_done) struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	struct allowed_key fresh = key(KEY_HASH, "alice", ROLE_CLIENT);
	struct keys_fault f;

	(void)state;
	memcpy(fresh.namespace, "red", 4);
	assert_int_equal(
		allowed_list_rotate(list, strlen(list), KEY_A, &fresh, 1000, 2000, false, &a, &f),
		0);
	expect_list(&a, "# ours\n"
			"client " KEY_A " alice namespace=red until=2000   # at her desk\n"
			"\n"
			"  worker\t" KEY_B "\r\n"
			"client " KEY_HASH " alice namespace=red\n");
	assert_int_equal(allowed_keys_parse((const char *)a.p, a.n, &keys, &f), 0);
	assert_false(allowed_keys_end(&keys, 1999));
	assert_int_equal(allowed_keys_role(&keys, KEY_A), ROLE_CLIENT);
	assert_true(allowed_keys_end(&keys, 2000));
	assert_false(allowed_keys_end(&keys, 2000));
	assert_int_equal(allowed_keys_role(&keys, KEY_A), ROLE_NONE);
	assert_false(allowed_keys_is_revoked(&keys, KEY_A));
	assert_int_equal(allowed_keys_role(&keys, KEY_HASH), ROLE_CLIENT);
	/* its time is over, and it signs nothing: what comes after the next one leaves it out */
	z85_encode32((const uint8_t[32]){ 1 }, fresh.curve_public);
	assert_int_equal(allowed_list_rotate(
				 (const char *)a.p, a.n, KEY_A, &fresh, 2000, 3000, false, &b, &f),
		-EALREADY);
	assert_int_equal(allowed_list_rotate((const char *)a.p, a.n, KEY_HASH, &fresh, 2000, 3000,
				 true, &b, &f),
		0);
	assert_null(strstr((const char *)b.p, KEY_A));
	assert_non_null(
		strstr((const char *)b.p, KEY_HASH " alice namespace=red until=3000 revoked\n"));
	assert_non_null(strstr((const char *)b.p, "# ours\n"));
	assert_int_equal(allowed_list_rotate((const char *)b.p, b.n, KEY_HASH, &fresh, 2000, 3000,
				 false, &c, &f),
		-EALREADY);
	assert_int_equal(
		allowed_list_rotate(list, strlen(list), KEY_HASH, &fresh, 1, 2, false, &c, &f),
		-ENOENT);
	assert_int_equal(c.n, 0);
}

static void
test_until(void **state)
{
	static const char *const bad[] = { "until=", "until=x", "until=0", "until=-1",
		"until=1234567890123", "until=1 until=2" };
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	struct keys_fault f;
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "client %s %s\n", KEY_A, bad[i]);
		assert_int_equal(allowed_keys_parse(text, strlen(text), &keys, &f), -EBADMSG);
		assert_non_null(strstr(f.what, "until="));
	}
	/* beside one that ends a worker's name may be another's */
	snprintf(text, sizeof(text), "worker %s w until=5\nworker %s w\n", KEY_A, KEY_B);
	assert_int_equal(allowed_keys_parse(text, strlen(text), &keys, &f), 0);
	assert_true(allowed_keys_may_be(&keys, KEY_A, "w"));
	assert_true(allowed_keys_may_be(&keys, KEY_B, "w"));
	/* both are one node's */
	assert_string_equal(allowed_keys_newest(&keys, KEY_A), KEY_B);
	assert_string_equal(allowed_keys_newest(&keys, KEY_B), KEY_B);
	assert_string_equal(allowed_keys_newest(&keys, ""), "");
	allowed_keys_done(&keys);
	snprintf(text, sizeof(text), "worker %s w until=5 revoked\nclient %s w\n", KEY_A, KEY_B);
	assert_int_equal(allowed_keys_parse(text, strlen(text), &keys, &f), 0);
	assert_string_equal(allowed_keys_newest(&keys, KEY_A), KEY_A);
	allowed_keys_done(&keys);
	snprintf(text, sizeof(text), "worker %s w\nworker %s w\n", KEY_A, KEY_B);
	assert_int_equal(allowed_keys_parse(text, strlen(text), &keys, &f), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_revoke_last_line),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_add_wrong),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_until),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
