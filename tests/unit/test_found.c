/* What the network says of coordinators: TXT records, addresses, and the list as a text. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "discovery/announce.h"
#include "discovery/find.h"
#include "discovery/txt.h"

#define FP "1f2e:3d4c:5b6a:7988:0123:4567:89ab:cdef"
#define FP2 "0f2e:3d4c:5b6a:7988:0123:4567:89ab:cdef"

/* ---- records */

static int
decode(const char *const *words, struct found_one *ret)
{
	struct txt_string v[64];
	size_t n = 0;

	for (; words[n]; n++)
		v[n] = (struct txt_string){ (const uint8_t *)words[n], strlen(words[n]) };
	memset(ret, 0, sizeof(*ret));
	return txt_decode(v, n, ret);
}
#define DECODE(ret, ...) decode((const char *const[]){ __VA_ARGS__, NULL }, ret)

static void
test_record(void **state)
{
	struct found_one o;

	(void)state;
	assert_int_equal(
		DECODE(&o, "txtvers=1", "fp=" FP, "ns=team", "version=0.1.0", "later=x", "flag"),
		0);
	assert_string_equal(o.fingerprint, FP);
	assert_string_equal(o.namespace, "team");
	assert_string_equal(o.version, "0.1.0");
	/* keys in any case; the first counts; what is empty is as if it were not there */
	assert_int_equal(DECODE(&o, "TxtVers=1", "FP=" FP, "fp=" FP2, "ns=", "version="), 0);
	assert_string_equal(o.fingerprint, FP);
	assert_string_equal(o.namespace, "");
	assert_string_equal(o.version, "");
}

static void
test_no_record(void **state)
{
	static const char *const bad[][4] = {
		{ "fp=" FP },
		{ "txtvers=2", "fp=" FP },
		{ "txtvers=", "fp=" FP },
		{ "txtvers", "fp=" FP },
		{ "txtvers=1" },
		{ "txtvers=1", "fp=" },
		{ "txtvers=1", "fp=1F2e:3d4c:5b6a:7988:0123:4567:89ab:cdef" },
		{ "txtvers=1", "fp=1f2e:3d4c:5b6a:7988:0123:4567:89ab:cdef " },
		{ "txtvers=1", "fp=1f2e:3d4c:5b6a:7988:0123:4567:89ab:cde" },
		{ "txtvers=1", "fp=1f2e-3d4c:5b6a:7988:0123:4567:89ab:cdef" },
		{ "txtvers=1", "fp=" FP, "ns=a b" },
		{ "txtvers=1", "fp=" FP, "ns=\x1b[2J" },
		{ "txtvers=1", "fp=" FP, "version=1\n2" },
		{ "txtvers=1", "fp=" FP, "version=123456789012345678901234567890123" },
	};
	struct txt_string nul[] = { { (const uint8_t *)"txtvers=1", 9 },
		{ (const uint8_t *)"fp=" FP, sizeof("fp=" FP) - 1 },
		{ (const uint8_t *)"ns=a\0b", 6 } };
	struct found_one o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(decode(bad[i], &o), -EBADMSG);
	memset(&o, 0, sizeof(o));
	assert_int_equal(txt_decode(nul, 3, &o), -EBADMSG);
	assert_int_equal(txt_decode(nul, 0, &o), -EBADMSG);
	assert_string_equal(o.fingerprint, "");
	assert_int_equal(txt_decode(nul, 2, &o), 0);
}

/* What comes behind so many strings is not looked at; neither is one that is longer than can be. */
static void
test_record_bounds(void **state)
{
	const char *words[TXT_STRINGS_MAX + 3];
	char longer[TXT_STRING_MAX + 2];
	struct found_one o;
	size_t n = 0;

	(void)state;
	words[n++] = "txtvers=1";
	while (n < TXT_STRINGS_MAX - 1)
		words[n++] = "x=y";
	words[n] = "fp=" FP;
	words[n + 1] = NULL;
	assert_int_equal(decode(words, &o), 0);
	words[n++] = "x=y";
	words[n++] = "fp=" FP;
	words[n] = NULL;
	assert_int_equal(decode(words, &o), -EBADMSG);
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "ns=", 3);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(DECODE(&o, "txtvers=1", "fp=" FP, longer), 0);
	longer[TXT_STRING_MAX] = '\0';
	assert_int_equal(DECODE(&o, "txtvers=1", "fp=" FP, longer), -EBADMSG);
}

/* ---- addresses */

static bool
make(const char *address, unsigned port, char ret[FOUND_ENDPOINT_MAX])
{
	uint8_t bytes[16];
	bool v6 = strchr(address, ':');

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes), 1);
	return found_endpoint_make(bytes, v6 ? 16 : 4, port, ret);
}

static void
test_endpoints(void **state)
{
	static const char *const nobody[] = { "127.0.0.1", "0.0.0.0", "224.0.0.251",
		"255.255.255.255", "::", "::1", "fe80::1", "ff02::fb", "::ffff:10.0.0.1" };
	static const char *const bad[] = { "", "tcp://", "tcp://10.0.0.7",
		"tcp://10.0.0.7:", "tcp://10.0.0.7:0", "tcp://10.0.0.7:65536",
		"tcp://10.0.0.7:07420", "tcp://10.0.0.7:7420 ", "tcp://010.0.0.7:7420",
		"tcp://127.0.0.1:7420", "tcp://build.example:7420", "tcp://[fd00::7:7420",
		"tcp://[fd00::7]7420", "tcp://[FD00::7]:7420", "tcp://[fd00:0::7]:7420",
		"tcp://fd00::7:7420", "ipc:///tmp/x", "tcp://10.0.0.7:7420, tcp://1.1.1.1:1" };
	char at[FOUND_ENDPOINT_MAX];
	uint8_t bytes[16] = { 10, 0, 0, 7 };

	(void)state;
	assert_true(make("10.0.0.7", 7420, at));
	assert_string_equal(at, "tcp://10.0.0.7:7420");
	assert_true(found_endpoint_ok(at));
	assert_true(make("fd00::7", 65535, at));
	assert_string_equal(at, "tcp://[fd00::7]:65535");
	assert_true(found_endpoint_ok(at));
	assert_false(make("10.0.0.7", 0, at));
	assert_false(make("10.0.0.7", 65536, at));
	assert_false(found_endpoint_make(bytes, 5, 7420, at));
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		assert_false(make(nobody[i], 7420, at));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(found_endpoint_ok(bad[i]));
}

/* ---- the list */

static struct found_one
one(const char *endpoint, const char *fingerprint)
{
	struct found_one o = { .endpoint = "" };

	snprintf(o.endpoint, sizeof(o.endpoint), "%s", endpoint);
	snprintf(o.fingerprint, sizeof(o.fingerprint), "%s", fingerprint);
	return o;
}

static void
test_list(void **state)
{
	static struct found f, again;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct found_one o = one("tcp://10.0.0.7:7420", FP);

	(void)state;
	memset(&f, 0, sizeof(f));
	found_name_set(&o, "build \x1b[2J\t\xc3\xa9 #2");
	assert_string_equal(o.name, "build ?[2J??? #2");
	assert_true(found_add(&f, &o));
	assert_false(found_add(&f, &o));
	o = one("tcp://[fd00::7]:1", FP2);
	assert_true(found_add(&f, &o));
	snprintf(f.why, sizeof(f.why), "a reason");
	assert_int_equal(found_format(&f, &b), 0);
	assert_int_equal(found_parse((const char *)b.p, b.n, &again), 0);
	assert_memory_equal(&f, &again, sizeof(f));
}

static void
test_list_bounds(void **state)
{
	static struct found f;
	struct found_one o;
	char at[FOUND_ENDPOINT_MAX], fp[KEYS_FINGERPRINT_SIZE];

	(void)state;
	memset(&f, 0, sizeof(f));
	for (unsigned i = 1; i <= FOUND_SAME_MAX + 1; i++) {
		snprintf(at, sizeof(at), "tcp://10.0.0.7:%u", i);
		o = one(at, FP);
		assert_int_equal(found_add(&f, &o), i <= FOUND_SAME_MAX);
	}
	for (unsigned i = 0; f.n < FOUND_MAX; i++) {
		snprintf(fp, sizeof(fp), "%04x%s", i, &(FP)[4]);
		o = one("tcp://10.0.0.8:1", fp);
		assert_true(found_add(&f, &o));
	}
	o = one("tcp://10.0.0.9:1", FP2);
	assert_false(found_add(&f, &o));
	memset(&o, 0, sizeof(o));
	memset(at, 'n', sizeof(at));
	at[FOUND_ENDPOINT_MAX - 1] = '\0';
	found_name_set(&o, at);
	assert_int_equal(strlen(o.name), FOUND_NAME_MAX);
}

static void
test_bad_lists(void **state)
{
#define HEAD "dray-found 1\n"
#define AT "at\ttcp://10.0.0.7:7420\t" FP "\t"
	static const char *const bad[] = { "", "dray-found 1", "dray-found 2\n", HEAD "\n",
		HEAD "x\n", HEAD AT "\t\t", HEAD AT "\t\n", HEAD AT "\t\t\t\n",
		HEAD AT "a b\t\tname\n", HEAD AT "\tv v\tname\n", HEAD AT "\t\tn\x7fme\n",
		HEAD AT "\t\tn\xc3\xa9\n", HEAD "at\ttcp://127.0.0.1:1\t" FP "\t\t\tx\n",
		HEAD "at\ttcp://10.0.0.7:1\tfp\t\t\tx\n", HEAD AT "\t\tx\n" AT "\t\tx\n",
		HEAD "why\t\n", HEAD "why\ta\nwhy\tb\n", HEAD HEAD };
	static const char good[] = HEAD AT "\t\t\n";
	static struct found f;

	(void)state;
	assert_int_equal(found_parse(good, sizeof(good) - 1, &f), 0);
	assert_int_equal(f.n, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(found_parse(bad[i], strlen(bad[i]), &f), -EBADMSG);
		assert_int_equal(f.n, 0);
	}
	/* a NUL in it */
	assert_int_equal(found_parse(good, sizeof(good), &f), -EBADMSG);
}

static void
test_next(void **state)
{
	static struct found f;
	static const char *const at[] = { "tcp://10.0.0.1:1", "tcp://10.0.0.2:1",
		"tcp://10.0.0.3:1" };

	(void)state;
	memset(&f, 0, sizeof(f));
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct found_one o = one(at[i], FP), other = one(at[i], FP2);

		assert_true(found_add(&f, &o));
		assert_true(i > 0 || found_add(&f, &other));
	}
	assert_string_equal(find_next(&f, FP, ""), at[0]);
	assert_string_equal(find_next(&f, FP, at[0]), at[1]);
	assert_string_equal(find_next(&f, FP, at[1]), at[2]);
	assert_string_equal(find_next(&f, FP, at[2]), at[0]);
	assert_string_equal(find_next(&f, FP2, at[0]), at[0]);
	assert_null(find_next(&f, "1f2e", at[0]));
	assert_true(find_has(&f, FP, at[2]));
	assert_false(find_has(&f, FP2, at[2]));
}

/* ---- what is announced */

static void
test_split(void **state)
{
	static const char *const nobody[] = { "tcp://127.0.0.1:7420", "tcp://127.9.9.9:1",
		"tcp://[::1]:7420", "tcp://[::ffff:127.0.0.1]:7420", "ipc:///run/dray", "",
		"tcp://:7420" };
	char address[64], port[8];

	(void)state;
	assert_true(announce_split("tcp://0.0.0.0:7420", address, port));
	assert_string_equal(address, "0.0.0.0");
	assert_string_equal(port, "7420");
	assert_true(announce_split("tcp://[fd00::7]:1", address, port));
	assert_string_equal(address, "fd00::7");
	assert_string_equal(port, "1");
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		assert_false(announce_split(nobody[i], address, port));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_no_record),
		cmocka_unit_test(test_record_bounds),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_bounds),
		cmocka_unit_test(test_bad_lists),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
