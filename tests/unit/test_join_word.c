/* The word of a token: its form, what is no word, the digest of its secret; fingerprints. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "keys/join_word.h"

#define KEY_A "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
/* Of KEY_A and the secret 0, 1, …, 19, made by another program. */
#define WORD_OF_A                                  \
	"dray1-VPy6JOkySZaTFvthfIcrsMHR_xSABCfFlM" \
	"v6zxvC1lIAAQIDBAUGBwgJCgsMDQ4PEBESExI7"
#define DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static struct join_word
word_of_a(void)
{
	struct join_word w = { .curve_public = KEY_A };

	for (uint8_t i = 0; i < JOIN_SECRET_SIZE; i++)
		w.secret[i] = i;
	return w;
}

static void
test_there_and_back(void **state)
{
	struct join_word w, again;
	char text[JOIN_WORD_SIZE], second[JOIN_WORD_SIZE];

	(void)state;
	assert_int_equal(join_word_make(KEY_A, &w), 0);
	assert_int_equal(join_word_format(&w, text), 0);
	assert_int_equal(strlen(text), JOIN_WORD_SIZE - 1);
	assert_true(starts_with(text, "dray1-"));
	assert_int_equal(strspn(text + 6, DIGITS), JOIN_WORD_SIZE - 1 - 6);
	assert_int_equal(join_word_parse(text, &again), 0);
	assert_string_equal(again.curve_public, KEY_A);
	assert_memory_equal(again.secret, w.secret, JOIN_SECRET_SIZE);
	w = word_of_a();
	assert_int_equal(join_word_format(&w, text), 0);
	assert_string_equal(text, WORD_OF_A);
	/* another one each time */
	assert_int_equal(join_word_make(KEY_A, &w), 0);
	assert_int_equal(join_word_format(&w, text), 0);
	assert_int_equal(join_word_make(KEY_A, &again), 0);
	assert_int_equal(join_word_format(&again, second), 0);
	assert_string_not_equal(text, second);
	assert_int_equal(join_word_make("", &w), -EINVAL);
	assert_int_equal(join_word_make(KEY_A "x", &w), -EINVAL);
	join_word_done(&again);
	assert_int_equal(again.secret[0], 0);
}

static void
test_no_word(void **state)
{
	struct join_word w = word_of_a(), ret = { .curve_public = "as before" };
	char text[JOIN_WORD_SIZE], other[JOIN_WORD_SIZE + 8];

	(void)state;
	assert_int_equal(join_word_format(&w, text), 0);
	/* each character counts */
	for (size_t i = 6; i < JOIN_WORD_SIZE - 1; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(join_word_parse(text, &ret), -EBADMSG);
		text[i] = '=';
		assert_int_equal(join_word_parse(text, &ret), -EBADMSG);
		text[i] = '\0';
		assert_int_equal(join_word_parse(text, &ret), -EBADMSG);
		text[i] = was;
	}
	snprintf(other, sizeof(other), "%s ", text);
	assert_int_equal(join_word_parse(other, &ret), -EBADMSG);
	snprintf(other, sizeof(other), "%sA", text);
	assert_int_equal(join_word_parse(other, &ret), -EBADMSG);
	assert_int_equal(join_word_parse("", &ret), -EBADMSG);
	assert_int_equal(join_word_parse("dray", &ret), -EBADMSG);
	assert_int_equal(join_word_parse("dray0-", &ret), -EBADMSG);
	assert_int_equal(join_word_parse("dray1-", &ret), -EBADMSG);
	assert_int_equal(join_word_parse("dray2-AAAA", &ret), -EPROTONOSUPPORT);
	assert_int_equal(join_word_parse("dray10-AAAA", &ret), -EPROTONOSUPPORT);
	assert_string_equal(ret.curve_public, "as before");
	assert_int_equal(join_word_parse(text, &ret), 0);
}

static void
test_digest(void **state)
{
	struct join_word w = word_of_a();
	struct digest d, other, plain;

	(void)state;
	assert_int_equal(join_secret_digest(w.secret, &d), 0);
	assert_int_equal(digest_bytes(w.secret, sizeof(w.secret), &plain), 0);
	assert_false(digest_eq(&d, &plain));
	w.secret[19] ^= 1;
	assert_int_equal(join_secret_digest(w.secret, &other), 0);
	assert_false(digest_eq(&d, &other));
}

static void
test_fingerprint(void **state)
{
	char f[KEYS_FINGERPRINT_SIZE];
	uint8_t raw[32];
	struct digest d;

	(void)state;
	keys_fingerprint(KEY_A, f);
	assert_int_equal(strlen(f), KEYS_FINGERPRINT_SIZE - 1);
	assert_int_equal(z85_decode32(KEY_A, raw), 0);
	assert_int_equal(digest_bytes(raw, sizeof(raw), &d), 0);
	for (size_t i = 0; i < 8; i++) {
		char group[5];

		snprintf(group, sizeof(group), "%02x%02x", d.b[2 * i], d.b[2 * i + 1]);
		assert_memory_equal(f + 5 * i, group, 4);
		assert_int_equal(f[5 * i + 4], i < 7 ? ':' : '\0');
	}
	keys_fingerprint("none", f);
	assert_string_equal(f, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_word),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
