/* A coordinator's key after another one. Invariant: no statement counts before its signature was
 * checked by the key that it is of. */
#include "config.h"

#include "keys/succession.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/fs.h"
#include "keys/join_word.h"
#include "keys/keys_priv.h"

#define FIRST_LINE "dray-successors 1\n"
#define WORDS 8
#define DIGITS 18
#define MODE 0644

static bool
take_number(struct file_span w, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(w.p[i] - '0');
	}
	return w.n > 0 && w.n <= DIGITS;
}

/* What is signed: of both keys it is one form. Returns its length with NUL. */
static size_t
text_of(const struct succession *s, char ret[SUCCESSION_SIZE])
{
	char hex[SIGN_HEX_SIZE];
	int n;

	keys_hex(s->sign_public, SIGN_KEY_SIZE, hex);
	n = snprintf(ret, SUCCESSION_SIZE, "successor 1 %s %s %s %" PRIu64 " %" PRIu64, s->old,
		s->curve_public, hex, s->serial, s->from_s);
	return (size_t)n + 1;
}

int
succession_sign(const struct identity *old, const struct identity *fresh, uint64_t serial,
	uint64_t from_s, char ret[SUCCESSION_SIZE])
{
	struct succession s = { .serial = serial, .from_s = from_s };
	uint8_t sig[SIGNATURE_SIZE];
	char hex[2 * SIGNATURE_SIZE + 1];
	size_t n;
	int r;

	if (!old->has_secret || serial == 0)
		return -EINVAL;
	memcpy(s.old, old->curve_public, sizeof(s.old));
	memcpy(s.curve_public, fresh->curve_public, sizeof(s.curve_public));
	memcpy(s.sign_public, fresh->sign_public, sizeof(s.sign_public));
	n = text_of(&s, ret);
	r = identity_sign(old, ret, n, sig);
	if (r < 0)
		return r;
	keys_hex(sig, sizeof(sig), hex);
	snprintf(ret + n - 1, SUCCESSION_SIZE - n + 1, " %s", hex);
	return 0;
}

/* The form alone. */
static bool
parse(const char *line, size_t n, struct succession *ret, uint8_t sig[SIGNATURE_SIZE])
{
	struct file_span rest = { line, n }, w[WORDS + 1];
	uint8_t raw[32];

	if (n >= SUCCESSION_SIZE || memchr(line, '\0', n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		w[i] = keys_next_word(&rest);
	memset(ret, 0, sizeof(*ret));
	return w[WORDS].n == 0 && keys_span_is(w[0], "successor") && keys_span_is(w[1], "1") &&
	       keys_take_curve(w[2], ret->old, raw) &&
	       keys_take_curve(w[3], ret->curve_public, raw) &&
	       keys_take_hex(w[4], ret->sign_public, SIGN_KEY_SIZE) &&
	       take_number(w[5], &ret->serial) && ret->serial > 0 &&
	       take_number(w[6], &ret->from_s) && keys_take_hex(w[7], sig, SIGNATURE_SIZE);
}

int
succession_read(const char *line, size_t n, const struct identity *signer, struct succession *ret)
{
	struct succession s;
	uint8_t sig[SIGNATURE_SIZE];
	char text[SUCCESSION_SIZE];
	size_t len;

	if (!parse(line, n, &s, sig))
		return -EBADMSG;
	len = text_of(&s, text);
	if (!streq(s.old, signer->curve_public) ||
		!identity_verify(signer->sign_public, text, len, sig))
		return -EKEYREJECTED;
	*ret = s;
	return 0;
}

/* ---- a file of them */

/* The last word of that key; its serial is 0: there is none. */
static void
last_of(const char *text, size_t n, const struct identity *key, struct succession *ret)
{
	struct file_span rest = { text, n }, line;

	*ret = (struct succession){ .serial = 0 };
	for (unsigned i = 0; i <= SUCCESSION_MAX && keys_next_line(&rest, &line); i++) {
		struct succession s;

		if (succession_read(line.p, line.n, key, &s) == 0 && s.serial > ret->serial)
			*ret = s;
	}
}

static bool
is_file(const char *text, size_t n)
{
	return n >= strlen(FIRST_LINE) && memcmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0;
}

void
successions_follow(const char *text, size_t n, const struct identity *from, uint64_t now_s,
	struct identity *ret, struct succession *ret_next)
{
	struct identity key = *from;
	struct succession next = { .serial = 0 };

	for (unsigned i = 0; i < SUCCESSION_MAX && is_file(text, n); i++) {
		last_of(text, n, &key, &next);
		if (next.serial == 0 || next.from_s > now_s ||
			streq(next.curve_public, key.curve_public))
			break;
		memcpy(key.curve_public, next.curve_public, sizeof(key.curve_public));
		memcpy(key.sign_public, next.sign_public, sizeof(key.sign_public));
		memset(key.curve_secret, 0, sizeof(key.curve_secret));
		memset(key.sign_secret, 0, sizeof(key.sign_secret));
		key.has_secret = false;
		next.serial = 0;
	}
	*ret = key;
	*ret_next = next;
}

int
successions_add(const char *text, size_t n, const struct identity *from, uint64_t now_s,
	const char *line, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct file_span rest = { text, n }, other;
	struct succession s, last;
	struct identity key;
	unsigned kept = 0;
	int r;

	successions_follow(text, n, from, now_s, &key, &last);
	r = succession_read(line, strlen(line), &key, &s);
	if (r < 0)
		return r;
	if (s.serial <= last.serial)
		return s.serial == last.serial ? -EALREADY : -ESTALE;
	r = buf_adds(&b, FIRST_LINE);
	if (r == 0 && is_file(text, n))
		(void)keys_next_line(&rest, &other);
	while (r == 0 && is_file(text, n) && keys_next_line(&rest, &other)) {
		struct succession old;
		uint8_t sig[SIGNATURE_SIZE];

		/* earlier words of the same key are of no use any more */
		if (!parse(other.p, other.n, &old, sig) || streq(old.old, s.old))
			continue;
		if (++kept >= SUCCESSION_MAX)
			return -ENOSPC;
		r = buf_add(&b, other.p, other.n);
		if (r == 0)
			r = buf_add(&b, "\n", 1);
	}
	if (r == 0)
		r = buf_addf(&b, "%s\n", line);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

/* ---- what a node keeps */

#define PLACES 2

/* Beside the key, and in the directory; NULL: there is none. */
static int
places(const char *path, const char *dir, const struct identity *pin, char *ret[PLACES])
{
	char finger[KEYS_FINGERPRINT_SIZE], name[64];

	keys_fingerprint(pin->curve_public, finger);
	snprintf(name, sizeof(name), "successors-%.4s%.4s", finger, finger + 5);
	if (asprintf(&ret[0], "%s.successors", path) < 0)
		ret[0] = NULL;
	ret[1] = dir ? path_join(dir, name) : NULL;
	return ret[0] && (ret[1] || !dir) ? 0 : -ENOMEM;
}

static void
read_place(const char *path, struct buf *ret)
{
	if (path && fs_read_file(path, SUCCESSION_FILE_MAX, ret) < 0)
		ret->n = 0;
}

static const char *
text_in(const struct buf *b)
{
	return b->n ? (const char *)b->p : "";
}

int
successor_load(const char *path, const char *dir, uint64_t now_s, struct identity *ret,
	struct succession *ret_next, unsigned *ret_line)
{
	char *at[PLACES] = { NULL, NULL };
	struct succession next = { .serial = 0 };
	struct identity pin;
	int r = identity_load(path, &pin, ret_line);

	if (r < 0)
		return r;
	r = places(path, dir, &pin, at);
	/* what one place leads to the other one may lead on from */
	for (unsigned i = 0; r == 0 && i < 2 * PLACES; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct succession s;

		read_place(at[i % PLACES], &b);
		successions_follow(text_in(&b), b.n, &pin, now_s, &pin, &s);
		if (s.serial > 0)
			next = s;
	}
	for (unsigned i = 0; i < PLACES; i++)
		free(at[i]);
	if (r < 0)
		return r;
	*ret = pin;
	if (ret_next)
		*ret_next = streq(next.old, pin.curve_public) ? next
							      : (struct succession){ .serial = 0 };
	return 0;
}

int
successor_take(const char *path, const char *dir, uint64_t now_s, const char *line)
{
	char *at[PLACES] = { NULL, NULL };
	struct identity pin = { .has_secret = false }, key;
	struct succession last, s;
	int r = identity_load(path, &pin, NULL);

	if (r == 0)
		r = successor_load(path, dir, now_s, &key, &last, NULL);
	if (r == 0)
		r = succession_read(line, strlen(line), &key, &s);
	if (r == 0 && s.serial <= last.serial)
		r = s.serial == last.serial ? -EALREADY : -ESTALE;
	if (r == 0)
		r = places(path, dir, &pin, at);
	for (unsigned i = 0; r == 0 && i < PLACES; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT, fresh = BUF_INIT;

		read_place(at[i], &b);
		r = at[i] ? successions_add(text_in(&b), b.n, &pin, now_s, line, &fresh) : -ENOENT;
		/* one that the other place leads to */
		if (r == -EKEYREJECTED)
			r = successions_add(text_in(&b), b.n, &key, now_s, line, &fresh);
		if (r == 0)
			r = fs_replace(at[i], fresh.p, fresh.n, MODE, NULL);
		if (r == 0)
			break;
		r = i + 1 < PLACES ? 0 : r;
	}
	for (unsigned i = 0; i < PLACES; i++)
		free(at[i]);
	identity_done(&pin);
	return r;
}
