/* Whom a list of allowed keys vouches for, and lists of trusted keys that are made of parts. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/vouch.h"

#define K1 "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define K2 "rq:r#HelloWorldHelloWorldHelloWorldHello"
#define K3 "HelloWorldHelloWorldHelloWorldHelloWorld"
#define K4 "HelloHelloWorldWorldHelloWorldHelloWorld"
#define S(x) x x x x x x x x
#define S1 S("aaaaaaaa")
#define S2 S("bbbbbbbb")
#define S3 S("cccccccc")
#define S4 S("dddddddd")

static const struct trust_key *
find(const struct trust_keys *k, int byte)
{
	uint8_t key[SIGN_KEY_SIZE];

	memset(key, byte, sizeof(key));
	return trust_keys_find(k, key);
}

static void
vouch(const char *text, const char *namespace, struct trust_keys *ret)
{
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };

	assert_int_equal(allowed_keys_parse(text, strlen(text), &a, NULL), 0);
	trust_keys_done(ret);
	assert_int_equal(vouch_for(&a, namespace, ret), 0);
}

static void
test_namespaces(void **state)
{
	static const char text[] = "publisher " K1 " ci namespace=a sign=" S1 "\n"
				   "worker " K2 " w sign=" S2 "\n"
				   "worker " K3 " v namespace=b sign=" S3 "\n"
				   "publisher " K4 " free sign=" S4 "\n";
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };

	(void)state;
	vouch(text, "a", &k);
	assert_int_equal(k.n, 2);
	assert_int_equal(find(&k, 0xaa)->kind, TRUST_PUBLISHER);
	assert_string_equal(find(&k, 0xaa)->name, "ci");
	assert_string_equal(find(&k, 0xaa)->namespace, "a");
	/* one of no namespace compiles for all, and counts here for this one */
	assert_int_equal(find(&k, 0xbb)->kind, TRUST_WORKER);
	assert_string_equal(find(&k, 0xbb)->namespace, "a");
	vouch(text, "b", &k);
	assert_int_equal(k.n, 2);
	assert_non_null(find(&k, 0xbb));
	assert_non_null(find(&k, 0xcc));
	vouch(text, "", &k);
	assert_int_equal(k.n, 2);
	assert_non_null(find(&k, 0xbb));
	assert_non_null(find(&k, 0xdd));
	vouch(text, "c", &k);
	assert_int_equal(k.n, 1);
}

static void
test_who(void **state)
{
	static const char text[] = "publisher " K1 " ci\n"
				   "client " K2 " ann sign=" S2 "\n"
				   "reader " K3 " eve sign=" S3 "\n"
				   "worker " K4 " w sign=" S4 " revoked\n";
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };

	(void)state;
	vouch(text, "", &k);
	assert_int_equal(k.n, 1);
	assert_true(find(&k, 0xdd)->revoked);
	vouch("", "", &k);
	assert_int_equal(k.n, 0);
}

static void
test_make(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };
	struct trust_key v[3];

	(void)state;
	memset(v, 0, sizeof(v));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i].kind = TRUST_WORKER;
		memset(v[i].key, (int)(9 - i), SIGN_KEY_SIZE);
	}
	assert_int_equal(trust_keys_make(v, 3, &k), 0);
	assert_int_equal(k.n, 3);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		assert_non_null(trust_keys_find(&k, v[i].key));
	trust_keys_done(&k);
	memset(v[2].key, 9, SIGN_KEY_SIZE);
	assert_int_equal(trust_keys_make(v, 3, &k), -EBADMSG);
	assert_null(k.v);
	assert_int_equal(trust_keys_make(v, TRUST_KEYS_MAX + 1, &k), -EBADMSG);
	assert_int_equal(trust_keys_make(NULL, 0, &k), 0);
	assert_int_equal(k.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
