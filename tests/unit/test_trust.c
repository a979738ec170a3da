/* Lists of trusted keys, and the signed one that lies in a store. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/fs.h"
#include "common/lines.h"
#include "keys/trust.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define NOW 1800000000

static struct identity admin, other;

static int
make_identities(void **state)
{
	(void)state;
	return identity_generate("admin", &admin) < 0 ? -1 : identity_generate("other", &other);
}

static void
hex_of(const struct identity *id, char hex[DIGEST_HEX_SIZE])
{
	struct digest d;

	memcpy(d.b, id->sign_public, DIGEST_SIZE);
	digest_hex(&d, hex);
}

static const struct trust_key *
find(const struct trust_keys *k, const char *hex)
{
	struct digest d;

	assert_int_equal(digest_parse(hex, &d), 0);
	return trust_keys_find(k, d.b);
}

static void
test_lists(void **state)
{
	static const char text[] = "# who\n"
				   "worker " B " build-7  # the big one\n"
				   "\n"
				   "  publisher " A " ci namespace=team\n"
				   "publisher " C " revoked\n";
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };
	struct keys_fault fault = { .line = 9 };

	(void)state;
	assert_int_equal(trust_keys_parse(text, strlen(text), &k, &fault), 0);
	assert_int_equal(fault.line, 0);
	assert_int_equal(k.n, 3);
	assert_int_equal(find(&k, A)->kind, TRUST_PUBLISHER);
	assert_string_equal(find(&k, A)->name, "ci");
	assert_string_equal(find(&k, A)->namespace, "team");
	assert_false(find(&k, A)->revoked);
	assert_int_equal(find(&k, B)->kind, TRUST_WORKER);
	assert_string_equal(find(&k, B)->name, "build-7");
	assert_string_equal(find(&k, B)->namespace, "");
	assert_string_equal(find(&k, C)->name, "");
	assert_true(find(&k, C)->revoked);
}

static void
test_bad_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} rows[] = {
		{ "workers " A "\n", 1, "\"workers\" is none of worker" },
		{ "client " A "\n", 1, "\"client\" is none of worker" },
		{ "none " A "\n", 1, "\"none\" is none" },
		{ "worker\n", 1, "no key behind the kind" },
		{ "# fine\nworker " A "a\n", 2, "is no signing key" },
		{ "worker AAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 1,
			"is no signing key" },
		{ "worker 1]yYn&.3zxIFg3vKE%3I(b?r-pjQOcT%0<s8&u6a\n", 1, "is no signing key" },
		{ "worker " A " na/me\n", 1, "\"na/me\" is no name" },
		{ "worker " A " name other\n", 1, "\"other\" is a second name" },
		{ "worker " A " name sign=" B "\n", 1, "\"sign=bbb" },
		{ "worker " A " name namespace=\n", 1, "is no namespace" },
		{ "worker " A "\nworker " B "\npublisher " A "\n", 3,
			"its key is in line 1 already" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trust_keys k = { NULL, 0 };
		struct keys_fault fault = { .line = 0 };

		assert_int_equal(
			trust_keys_parse(rows[i].text, strlen(rows[i].text), &k, &fault), -EBADMSG);
		if (fault.line != rows[i].line || !strstr(fault.what, rows[i].says))
			fail_msg("row %zu: line %u: %s", i, fault.line, fault.what);
		assert_null(k.v);
	}
}

static void
test_any_order(void **state)
{
	static const char *const lines[] = {
		"worker " A " w1 namespace=team revoked",
		"worker " A " revoked namespace=team w1 # gone",
		"worker " A " namespace=team w1 revoked",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };

		assert_int_equal(trust_keys_parse(lines[i], strlen(lines[i]), &k, NULL), 0);
		assert_string_equal(find(&k, A)->name, "w1");
		assert_string_equal(find(&k, A)->namespace, "team");
		assert_true(find(&k, A)->revoked);
	}
}

static void
test_settings(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 }, of_file = { NULL, 0 };
	_cleanup_(freep) char *dir = NULL, *path = NULL;
	struct keys_fault fault;

	(void)state;
	assert_int_equal(trust_keys_load("worker " A " w1, publisher " B, &k, &fault), 0);
	assert_int_equal(k.n, 2);
	assert_string_equal(find(&k, A)->name, "w1");
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-trust-", &dir), 0);
	path = path_join(dir, "list");
	assert_int_equal(fs_write_atomic(path, "worker " C "\n", 72, 0600), 0);
	assert_int_equal(trust_keys_load(path, &of_file, &fault), 0);
	assert_int_equal(of_file.n, 1);
	assert_int_equal(fs_rm_rf(dir), 0);
	assert_int_equal(trust_keys_load(path, &of_file, &fault), -ENOENT);
}

/* Revoked anywhere is revoked; all else is as the first list says it. */
static void
test_added(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 }, more = { NULL, 0 };
	struct keys_fault fault;

	(void)state;
	assert_int_equal(
		trust_keys_load("worker " B " w1, publisher " C " revoked", &k, &fault), 0);
	assert_int_equal(trust_keys_load("publisher " B " w2 revoked, worker " A ", publisher " C,
				 &more, &fault),
		0);
	assert_int_equal(trust_keys_add(&k, &more), 0);
	assert_int_equal(k.n, 3);
	assert_int_equal(find(&k, A)->kind, TRUST_WORKER);
	assert_int_equal(find(&k, B)->kind, TRUST_WORKER);
	assert_string_equal(find(&k, B)->name, "w1");
	assert_true(find(&k, B)->revoked);
	assert_true(find(&k, C)->revoked);
}

/* ---- the signed one */

static void
sign(const struct identity *id, const char *list, uint64_t serial, uint64_t expires_s,
	struct buf *ret)
{
	struct keys_fault fault;

	assert_int_equal(
		keys_object_sign(id, list, strlen(list), serial, expires_s, ret, &fault), 0);
}

static void
name_admin(struct trust_keys *ret, const char *kind, const char *rest)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct keys_fault fault;

	hex_of(&admin, hex);
	assert_int_equal(buf_addf(&b, "%s %s %s\n", kind, hex, rest), 0);
	assert_int_equal(trust_keys_parse((const char *)b.p, b.n, ret, &fault), 0);
}

static int
read_as(const struct buf *b, const struct trust_keys *admins, uint64_t now, uint64_t last)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	int r = keys_object_read(b->p, b->n, admins, now, last, &o);

	if (r < 0)
		assert_true(o.keys.n == 0 && o.serial == 0);
	return r;
}

static int
take_as(const struct buf *b, const struct trust_keys *admins, const char *where)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };

	return keys_object_take(b->p, b->n, admins, NOW, where, &o);
}

static void
test_an_object(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys admins = { NULL, 0 };
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	name_admin(&admins, "admin", "");
	/* without a newline at its end */
	sign(&admin, "worker " A " w1\npublisher " B, 7, NOW + 1, &b);
	assert_int_equal(keys_object_read(b.p, b.n, &admins, NOW, 7, &o), 0);
	assert_int_equal(o.serial, 7);
	assert_int_equal(o.expires_s, NOW + 1);
	assert_int_equal(o.keys.n, 2);
	assert_string_equal(find(&o.keys, A)->name, "w1");
	assert_memory_equal(o.admin, admin.sign_public, SIGN_KEY_SIZE);
	assert_int_equal(read_as(&b, &admins, NOW, 6), 0);
	assert_int_equal(read_as(&b, &admins, NOW, 8), -ESTALE);
	assert_int_equal(read_as(&b, &admins, NOW + 1, 7), -EKEYEXPIRED);
}

static void
test_who_signed_it(void **state)
{
	static const struct {
		const char *kind, *rest;
		int err;
	} rows[] = {
		{ "admin", "", 0 },
		{ "admin", "boss", 0 },
		{ "admin", "revoked", -EKEYREJECTED },
		{ "worker", "", -EKEYREJECTED },
		{ "publisher", "", -EKEYREJECTED },
	};
	_cleanup_(buf_done) struct buf b = BUF_INIT, others = BUF_INIT;
	const struct trust_keys nobody = { NULL, 0 };

	(void)state;
	sign(&admin, "worker " A "\n", 1, NOW + 1, &b);
	sign(&other, "worker " A "\n", 1, NOW + 1, &others);
	assert_int_equal(read_as(&b, &nobody, NOW, 0), -EKEYREJECTED);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(trust_keys_done) struct trust_keys admins = { NULL, 0 };

		name_admin(&admins, rows[i].kind, rows[i].rest);
		assert_int_equal(read_as(&b, &admins, NOW, 0), rows[i].err);
		assert_int_equal(read_as(&others, &admins, NOW, 0), -EKEYREJECTED);
	}
}

/* A change of any byte, a cut at any place. */
static void
test_tampered(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys admins = { NULL, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	(void)state;
	name_admin(&admins, "admin", "");
	sign(&admin, "worker " A " w1 # it\npublisher " B " revoked\n", 3, NOW + 1, &b);
	assert_int_equal(read_as(&b, &admins, NOW, 0), 0);
	for (size_t i = 0; i < b.n; i++)
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			b.p[i] ^= (uint8_t)bit;
			if (read_as(&b, &admins, NOW, 0) == 0)
				fail_msg("byte %zu, bit %u", i, bit);
			b.p[i] ^= (uint8_t)bit;
		}
	/* nor may anything come behind */
	assert_int_equal(buf_adds(&b, "worker " C "\n"), 0);
	assert_int_equal(read_as(&b, &admins, NOW, 0), -EBADMSG);
	b.n -= 72;
	assert_int_equal(read_as(&b, &admins, NOW, 0), 0);
	while (b.n-- > 0)
		assert_int_not_equal(read_as(&b, &admins, NOW, 0), 0);
}

/* Signed, and nonsense all the same: what is odd is made by hand. */
static void
test_odd_objects(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{ "dray keys 1\nserial 1\nexpires 1800000001\nworker " A "\n", 0 },
		{ "dray keys 1\nserial 1\nexpires 1800000001\n", 0 },
		{ "dray keys 1\nserial 1\nexpires 1800000001\nworker " A " w", -EBADMSG },
		{ "dray keys 2\nserial 1\nexpires 1800000001\n", -EPROTONOSUPPORT },
		{ "dray key\nserial 1\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial 0\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial 01\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial -1\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial 1x\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial \nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nserial 99999999999999999999\nexpires 1800000001\n", -EBADMSG },
		{ "dray keys 1\nexpires 1800000001\nserial 1\n", -EBADMSG },
		{ "dray keys 1\nserial 1\n", -EBADMSG },
		{ "dray keys 1\n", -EBADMSG },
		{ "dray keys 1\nserial 1\nexpires 1800000001\nadmin " A "\n", -EBADMSG },
		{ "dray keys 1\nserial 1\nexpires 1800000001\nclient " A "\n", -EBADMSG },
	};
	_cleanup_(trust_keys_done) struct trust_keys admins = { NULL, 0 };

	(void)state;
	name_admin(&admins, "admin", "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT, what = BUF_INIT;
		uint8_t sig[SIGNATURE_SIZE];
		char hex[DIGEST_HEX_SIZE];

		assert_int_equal(buf_add(&what, "dray keys 1", 12), 0);
		assert_int_equal(buf_adds(&what, rows[i].text), 0);
		assert_int_equal(identity_sign(&admin, what.p, what.n, sig), 0);
		hex_of(&admin, hex);
		assert_int_equal(buf_addf(&b, "%ssignature %s ", rows[i].text, hex), 0);
		for (size_t k = 0; k < SIGNATURE_SIZE; k++)
			assert_int_equal(buf_addf(&b, "%02x", sig[k]), 0);
		assert_int_equal(buf_adds(&b, "\n"), 0);
		if (read_as(&b, &admins, NOW, 0) != rows[i].err)
			fail_msg("row %zu: %d", i, read_as(&b, &admins, NOW, 0));
	}
}

/* What was seen is remembered, for each admin. */
static void
test_taken(void **state)
{
	_cleanup_(trust_keys_done) struct trust_keys admins = { NULL, 0 }, both = { NULL, 0 };
	_cleanup_(freep) char *dir = NULL, *seen = NULL, *nowhere = NULL;
	struct buf v[3] = { BUF_INIT, BUF_INIT, BUF_INIT }, others = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct keys_fault fault;

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-trust-", &dir), 0);
	seen = path_join(dir, KEYS_SEEN_FILE);
	nowhere = path_join(seen, "x");
	for (unsigned i = 0; i < 3; i++)
		sign(&admin, "worker " A "\n", 9 + i, i == 2 ? NOW : NOW + 1, &v[i]);
	sign(&other, "worker " A "\n", 1, NOW + 1, &others);
	name_admin(&admins, "admin", "");
	hex_of(&other, hex);
	{
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(buf_addf(&b, "admin %s\n", hex), 0);
		assert_int_equal(trust_keys_parse((const char *)b.p, b.n, &both, &fault), 0);
		assert_int_equal(trust_keys_add(&both, &admins), 0);
	}
	/* of whom nobody is told nothing is remembered */
	assert_int_equal(take_as(&others, &admins, dir), -EKEYREJECTED);
	/* nor of what has expired */
	assert_int_equal(take_as(&v[2], &admins, dir), -EKEYEXPIRED);
	assert_false(fs_exists(seen));
	assert_int_equal(take_as(&v[0], &admins, dir), 0);
	assert_int_equal(take_as(&v[0], &admins, dir), 0);
	assert_int_equal(take_as(&v[1], &admins, dir), 0);
	assert_int_equal(take_as(&v[0], &admins, dir), -ESTALE);
	/* lines that make no sense, and lower ones, change nothing */
	assert_true(lines_append(seen, "x\n\n", 3) > 0);
	hex_of(&admin, hex);
	{
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		assert_int_equal(buf_addf(&b, "%s\t3\n%s\t99x\n", hex, hex), 0);
		assert_true(lines_append(seen, b.p, b.n) > 0);
	}
	assert_int_equal(take_as(&v[0], &admins, dir), -ESTALE);
	assert_int_equal(take_as(&v[1], &admins, dir), 0);
	/* each admin counts for itself */
	assert_int_equal(take_as(&others, &both, dir), 0);
	/* where it cannot be remembered it is taken */
	assert_int_equal(take_as(&v[0], &admins, nowhere), 0);
	for (unsigned i = 0; i < 3; i++)
		buf_done(&v[i]);
	buf_done(&others);
	assert_int_equal(fs_rm_rf(dir), 0);
}

static void
test_not_signed(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct identity public = admin;
	struct keys_fault fault = { .line = 0 };

	(void)state;
	assert_int_equal(keys_object_sign(&admin, "", 0, 0, NOW, &b, &fault), -EINVAL);
	public.has_secret = false;
	assert_int_equal(keys_object_sign(&public, "", 0, 1, NOW, &b, &fault), -EINVAL);
	assert_int_equal(keys_object_sign(&admin, "\nnobody\n", 8, 1, NOW, &b, &fault), -EBADMSG);
	assert_int_equal(fault.line, 2);
	assert_int_equal(
		keys_object_sign(&admin, "admin " A "\n", 71, 1, NOW, &b, &fault), -EBADMSG);
	assert_int_equal(b.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_an_object),
		cmocka_unit_test(test_who_signed_it),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_odd_objects),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_not_signed),
	};

	return cmocka_run_group_tests(tests, make_identities, NULL);
}
