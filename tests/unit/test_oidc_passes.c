/* Keys that joined by OpenID Connect: what is kept of them, for how long, and what the list of keys
 * has of them. */
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
#include "coordinator/oidc/passes.h"
#include "keys/vouch.h"

static struct pass
pass(unsigned n, enum role role, uint64_t expires_s, uint64_t until_s)
{
	struct pass k = { .key = { .role = role, .signs = role == ROLE_PUBLISHER },
		.expires_s = expires_s,
		.until_s = until_s };
	uint8_t raw[32] = { (uint8_t)(n >> 8), (uint8_t)n };

	z85_encode32(raw, k.key.curve_public);
	memcpy(k.key.sign_public, raw, sizeof(raw));
	memcpy(k.token.b, raw, sizeof(raw));
	snprintf(k.key.name, sizeof(k.key.name), "ci-%u", n);
	return k;
}

static void
test_add(void **state)
{
	_cleanup_(passes_done) struct passes p = PASSES_INIT;
	struct pass a = pass(1, ROLE_CLIENT, 100, 200), b = pass(2, ROLE_PUBLISHER, 100, 900),
		    c = b;

	(void)state;
	assert_int_equal(passes_add(&p, &a, 500, 50), 0);
	assert_int_equal(passes_add(&p, &b, 500, 50), 0);
	/* a token joins one key, and one key signs by it */
	c = pass(3, ROLE_CLIENT, 100, 200);
	c.token = a.token;
	assert_int_equal(passes_add(&p, &c, 500, 50), -EEXIST);
	c = pass(3, ROLE_CLIENT, 100, 200);
	memcpy(c.key.sign_public, b.key.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(passes_add(&p, &c, 500, 50), -EADDRINUSE);
	/* a key that was revoked does not come back */
	c = pass(5, ROLE_CLIENT, 100, 200);
	assert_int_equal(passes_add(&p, &c, 500, 50), 0);
	passes_find(&p, c.key.curve_public)->key.revoked = true;
	c.token.b[31] = 8;
	assert_int_equal(passes_add(&p, &c, 500, 50), -EKEYREVOKED);
	/* the same key with another token: its time is another, and the first token stays spent */
	c = pass(1, ROLE_CLIENT, 150, 250);
	c.token.b[31] = 9;
	assert_int_equal(passes_add(&p, &c, 500, 50), 0);
	assert_int_equal(p.n, 3);
	assert_int_equal(passes_find(&p, a.key.curve_public)->expires_s, 150);
	c = pass(6, ROLE_CLIENT, 100, 200);
	c.token = a.token;
	assert_int_equal(passes_add(&p, &c, 500, 50), -EEXIST);
	c = pass(4, ROLE_WORKER, 100, 200);
	assert_int_equal(passes_add(&p, &c, 500, 50), -EINVAL);
	c = pass(4, ROLE_CLIENT, 300, 200);
	assert_int_equal(passes_add(&p, &c, 500, 50), -EINVAL);
	c = pass(4, ROLE_CLIENT, 100, 200);
	c.key.name[0] = '\0';
	assert_int_equal(passes_add(&p, &c, 500, 50), -EINVAL);
}

static void
test_full(void **state)
{
	_cleanup_(passes_done) struct passes p = PASSES_INIT;
	struct pass k;

	(void)state;
	for (unsigned i = 0; i < PASSES_MAX; i++) {
		k = pass(i, ROLE_PUBLISHER, i == 7 || i == 9 ? 100 : 1000, i == 9 ? 1500 : 2000);
		assert_int_equal(passes_add(&p, &k, 500, 50), 0);
	}
	k = pass(PASSES_MAX, ROLE_CLIENT, 1000, 2000);
	assert_int_equal(passes_add(&p, &k, 500, 50), -ENOSPC);
	/* two are over: the one that goes next makes room */
	assert_int_equal(passes_add(&p, &k, 500, 100), 0);
	k = pass(9, ROLE_CLIENT, 1, 1);
	assert_null(passes_find(&p, k.key.curve_public));
	k = pass(7, ROLE_CLIENT, 1, 1);
	assert_non_null(passes_find(&p, k.key.curve_public));
}

static void
test_time(void **state)
{
	_cleanup_(passes_done) struct passes p = PASSES_INIT;
	struct pass a = pass(1, ROLE_CLIENT, 100, 200), b = pass(2, ROLE_CLIENT, 100, 100);

	(void)state;
	assert_int_equal(passes_add(&p, &a, 500, 50), 0);
	assert_int_equal(passes_add(&p, &b, 500, 50), 0);
	assert_false(passes_expire(&p, 50, 99));
	assert_true(passes_expire(&p, 99, 100));
	assert_int_equal(p.n, 1);
	assert_false(passes_expire(&p, 100, 199));
	assert_true(passes_expire(&p, 199, 200));
	assert_int_equal(p.n, 0);
	/* what is spent is known for as long as the token would count */
	b = pass(3, ROLE_CLIENT, 400, 400);
	b.token = a.token;
	assert_int_equal(passes_add(&p, &b, 500, 300), -EEXIST);
	assert_false(passes_expire(&p, 300, 500));
	assert_int_equal(passes_add(&p, &b, 900, 500), 0);
}

static void
test_file(void **state)
{
	_cleanup_(passes_done) struct passes p = PASSES_INIT, q = PASSES_INIT;
	char dir[] = "/tmp/dray-passes-XXXXXX";
	_cleanup_(freep) char *file = NULL;
	struct pass a = pass(1, ROLE_CLIENT, 100, 200), b = pass(2, ROLE_PUBLISHER, 100, 900);
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = path_join(dir, PASSES_FILE);
	snprintf(b.key.namespace, sizeof(b.key.namespace), "web");
	b.key.revoked = true;
	assert_int_equal(passes_load(dir, &q), 0);
	assert_int_equal(passes_add(&p, &a, 500, 50), 0);
	assert_int_equal(passes_add(&p, &b, 500, 50), 0);
	assert_int_equal(passes_save(dir, &p), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(passes_load(dir, &q), 0);
	assert_int_equal(q.n, 2);
	assert_memory_equal(&q.v[0], &p.v[0], sizeof(p.v[0]));
	assert_memory_equal(&q.v[1], &p.v[1], sizeof(p.v[1]));
	assert_int_equal(q.n_spent, 2);
	assert_memory_equal(q.spent, p.spent, 2 * sizeof(p.spent[0]));
	passes_done(&q);
	assert_int_equal(passes_copy(&p, &q), 0);
	assert_int_equal(q.n, 2);
	assert_int_equal(q.n_spent, 2);
	assert_memory_equal(q.v, p.v, 2 * sizeof(p.v[0]));
	unlink(file);
	rmdir(dir);
}

#define LINE(role, name, rest)                      \
	"0000000000000000000000000000000000000000 " \
	"0000000000000000000000000000000000000000000000000000000000000000 " role " " name " " rest
#define TOKEN " 1111111111111111111111111111111111111111111111111111111111111111 "

static void
test_damaged(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "dray-passes 1\n", 0 },
		{ "dray-passes 1\n" LINE("client", "ci", "- 1 2" TOKEN "0") "\n", 0 },
		{ "", -EBADMSG },
		{ "dray-passes 2\n", -EPROTONOSUPPORT },
		{ "dray-passes 1\n" LINE("worker", "ci", "- 1 2" TOKEN "0") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("admin", "ci", "- 1 2" TOKEN "0") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "a/b", "- 1 2" TOKEN "0") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "ci", "- 3 2" TOKEN "0") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "ci", "- -1 2" TOKEN "0") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "ci", "- 1 2" TOKEN "2") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "ci", "- 1 2" TOKEN "0 x") "\n", -EBADMSG },
		{ "dray-passes 1\n" LINE("client", "ci", "- 1 2") "\n", -EBADMSG },
		{ "dray-passes 1\nspent" TOKEN "12\n", 0 },
		{ "dray-passes 1\nspent" TOKEN "12\nspent" TOKEN "12\n", -EBADMSG },
		{ "dray-passes 1\nspent" TOKEN "\n", -EBADMSG },
		{ "dray-passes 1\nspent 11 12\n", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct passes p = PASSES_INIT;

		if (passes_parse(cases[i].text, strlen(cases[i].text), &p) != cases[i].r)
			fail_msg("case %zu: not %d", i, cases[i].r);
		assert_true(cases[i].r == 0 || p.n == 0);
		passes_done(&p);
	}
}

static void
test_in_the_list(void **state)
{
	_cleanup_(passes_done) struct passes p = PASSES_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	_cleanup_(trust_keys_done) struct trust_keys vouched = { NULL, 0 };
	_cleanup_(freep) char *list = NULL;
	struct pass in = pass(1, ROLE_CLIENT, 100, 200), over = pass(2, ROLE_PUBLISHER, 60, 900),
		    named = pass(3, ROLE_CLIENT, 100, 200),
		    revoked = pass(4, ROLE_PUBLISHER, 100, 900);

	(void)state;
	revoked.key.revoked = true;
	assert_int_equal(passes_add(&p, &in, 500, 50), 0);
	assert_int_equal(passes_add(&p, &over, 500, 50), 0);
	assert_int_equal(passes_add(&p, &named, 500, 50), 0);
	assert_int_equal(passes_add(&p, &revoked, 500, 50), 0);
	assert_true(asprintf(&list, "reader %s her\n", named.key.curve_public) > 0);
	assert_int_equal(allowed_keys_parse(list, strlen(list), &keys, NULL), 0);
	assert_int_equal(passes_apply(&p, 80, &keys), 0);
	assert_int_equal(keys.n, 4);
	assert_int_equal(allowed_keys_role(&keys, in.key.curve_public), ROLE_CLIENT);
	/* what it signed counts, and it is let in no more; nor is it revoked, so it may join again
	 */
	assert_int_equal(allowed_keys_role(&keys, over.key.curve_public), ROLE_NONE);
	assert_false(allowed_keys_is_revoked(&keys, over.key.curve_public));
	/* the list goes before */
	assert_int_equal(allowed_keys_role(&keys, named.key.curve_public), ROLE_READER);
	assert_int_equal(allowed_keys_role(&keys, revoked.key.curve_public), ROLE_NONE);
	assert_true(allowed_keys_is_revoked(&keys, revoked.key.curve_public));
	/* what has ended since, ends in the keys that are in use */
	assert_false(passes_update(&p, 99, &keys));
	assert_int_equal(allowed_keys_role(&keys, in.key.curve_public), ROLE_CLIENT);
	assert_true(passes_update(&p, 100, &keys));
	assert_int_equal(allowed_keys_role(&keys, in.key.curve_public), ROLE_NONE);
	assert_int_equal(allowed_keys_role(&keys, named.key.curve_public), ROLE_READER);
	passes_find(&p, over.key.curve_public)->key.revoked = true;
	passes_update(&p, 100, &keys);
	assert_true(allowed_keys_is_revoked(&keys, over.key.curve_public));
	passes_find(&p, over.key.curve_public)->key.revoked = false;
	allowed_keys_done(&keys);
	assert_int_equal(allowed_keys_parse(list, strlen(list), &keys, NULL), 0);
	assert_int_equal(passes_apply(&p, 80, &keys), 0);
	assert_int_equal(vouch_for(&keys, "", &vouched), 0);
	assert_int_equal(vouched.n, 2);
	for (size_t i = 0; i < vouched.n; i++)
		assert_true(
			vouched.v[i].revoked ==
			(memcmp(vouched.v[i].key, revoked.key.sign_public, SIGN_KEY_SIZE) == 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_in_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
