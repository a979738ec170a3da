/* Words of tokens. Invariant: a word has one form alone; what is parsed is formatted as it was. */
#include "config.h"

#include "keys/join_word.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#define PREFIX "dray1-"
#define PREFIX_SIZE (sizeof(PREFIX) - 1)
#define KEY_SIZE 32
#define CHECK_SIZE 2
#define RAW_SIZE (KEY_SIZE + JOIN_SECRET_SIZE + CHECK_SIZE)
#define SECRET_LABEL "dray join secret 1"

_Static_assert(RAW_SIZE % 3 == 0, "no bits of the last character are left over");
_Static_assert(JOIN_WORD_SIZE == PREFIX_SIZE + RAW_SIZE / 3 * 4 + 1, "as its size is given");

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
digit_value(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static void
to_text(const uint8_t raw[RAW_SIZE], char *ret)
{
	for (size_t i = 0; i < RAW_SIZE; i += 3) {
		unsigned v = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*ret++ = digits[v >> shift & 63];
	}
	*ret = '\0';
}

static bool
from_text(const char *p, uint8_t ret[RAW_SIZE])
{
	for (size_t i = 0; i < RAW_SIZE; i += 3) {
		unsigned v = 0;

		for (int k = 0; k < 4; k++) {
			int d = digit_value(*p++);

			if (d < 0)
				return false;
			v = v << 6 | (unsigned)d;
		}
		ret[i] = (uint8_t)(v >> 16);
		ret[i + 1] = (uint8_t)(v >> 8);
		ret[i + 2] = (uint8_t)v;
	}
	return true;
}

static int
make_check(const uint8_t raw[RAW_SIZE], uint8_t ret[CHECK_SIZE])
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	struct digest d;

	if (!h)
		return -ENOMEM;
	hasher_field(h, PREFIX, PREFIX_SIZE);
	hasher_field(h, raw, RAW_SIZE - CHECK_SIZE);
	hasher_final(h, &d);
	memcpy(ret, d.b, CHECK_SIZE);
	return 0;
}

int
join_word_make(const char *curve_public, struct join_word *ret)
{
	struct join_word w = { .curve_public = "" };
	uint8_t raw[KEY_SIZE];

	if (strlen(curve_public) != CURVE_KEY_SIZE - 1 || z85_decode32(curve_public, raw) < 0)
		return -EINVAL;
	memcpy(w.curve_public, curve_public, CURVE_KEY_SIZE);
	if (RAND_bytes(w.secret, sizeof(w.secret)) != 1)
		return -EIO;
	*ret = w;
	join_word_done(&w);
	return 0;
}

void
join_word_done(struct join_word *w)
{
	OPENSSL_cleanse(w, sizeof(*w));
}

int
join_word_format(const struct join_word *w, char ret[JOIN_WORD_SIZE])
{
	uint8_t raw[RAW_SIZE];
	int r = z85_decode32(w->curve_public, raw);

	memcpy(raw + KEY_SIZE, w->secret, JOIN_SECRET_SIZE);
	if (r == 0)
		r = make_check(raw, raw + KEY_SIZE + JOIN_SECRET_SIZE);
	if (r == 0) {
		memcpy(ret, PREFIX, PREFIX_SIZE);
		to_text(raw, ret + PREFIX_SIZE);
	}
	OPENSSL_cleanse(raw, sizeof(raw));
	return r;
}

/* "dray" and another number. */
static bool
is_later(const char *text)
{
	size_t n;

	if (!starts_with(text, "dray"))
		return false;
	n = strspn(text + 4, "0123456789");
	return n > 0 && text[4] != '0' && text[4 + n] == '-' && !starts_with(text, PREFIX);
}

static int
take(const uint8_t raw[RAW_SIZE], struct join_word *ret)
{
	uint8_t check[CHECK_SIZE];
	int r = make_check(raw, check);

	if (r < 0)
		return r;
	if (memcmp(check, raw + KEY_SIZE + JOIN_SECRET_SIZE, CHECK_SIZE) != 0)
		return -EBADMSG;
	z85_encode32(raw, ret->curve_public);
	memcpy(ret->secret, raw + KEY_SIZE, JOIN_SECRET_SIZE);
	return 0;
}

int
join_word_parse(const char *text, struct join_word *ret)
{
	uint8_t raw[RAW_SIZE];
	int r;

	if (is_later(text))
		return -EPROTONOSUPPORT;
	if (strlen(text) != JOIN_WORD_SIZE - 1 || !starts_with(text, PREFIX) ||
		!from_text(text + PREFIX_SIZE, raw))
		return -EBADMSG;
	r = take(raw, ret);
	OPENSSL_cleanse(raw, sizeof(raw));
	return r;
}

int
join_secret_digest(const uint8_t secret[JOIN_SECRET_SIZE], struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	hasher_field(h, SECRET_LABEL, strlen(SECRET_LABEL));
	hasher_field(h, secret, JOIN_SECRET_SIZE);
	hasher_final(h, ret);
	return 0;
}

void
join_proof_text(const char *coordinator, const char *joiner, char ret[JOIN_PROOF_SIZE])
{
	memset(ret, 0, JOIN_PROOF_SIZE);
	snprintf(ret, JOIN_PROOF_SIZE, "dray join 1 %.40s %.40s", coordinator, joiner);
}

void
keys_fingerprint(const char *curve_public, char ret[KEYS_FINGERPRINT_SIZE])
{
	uint8_t raw[KEY_SIZE];
	struct digest d;
	size_t n = 0;

	*ret = '\0';
	if (strlen(curve_public) != CURVE_KEY_SIZE - 1 || z85_decode32(curve_public, raw) < 0 ||
		digest_bytes(raw, sizeof(raw), &d) < 0)
		return;
	for (size_t i = 0; i < 16; i += 2)
		n += (size_t)snprintf(ret + n, KEYS_FINGERPRINT_SIZE - n, "%s%02x%02x",
			i ? ":" : "", d.b[i], d.b[i + 1]);
}
