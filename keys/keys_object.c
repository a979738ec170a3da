/* The list of keys that lies in a store (trust.h).
 *
 * Invariant: nothing of an object is taken apart before the signature at its end was found right,
 * but for the lines that say of which format it is, and by which key it was signed. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/lines.h"
#include "keys/keys_priv.h"
#include "keys/trust.h"

#define FORMAT "dray keys 1"
#define FORMAT_BEGIN "dray keys "
#define SEEN_MAX (1 << 20) /* ten thousand changes */
#define LAST_LINE (sizeof("signature ") - 1 + 2 * SIGN_KEY_SIZE + 1 + 2 * SIGNATURE_SIZE + 1)

int
keys_object_name(struct digest *ret)
{
	static const char name[] = "dray keys";

	return digest_bytes(name, sizeof(name) - 1, ret);
}

/* What is signed. */
static int
signed_bytes(const void *text, size_t n, struct buf *ret)
{
	int r = buf_add(ret, FORMAT, sizeof(FORMAT));

	return r < 0 ? r : buf_add(ret, text, n);
}

/* One way to write each number. */
static bool
take_digits(struct file_span digits, uint64_t *ret)
{
	uint64_t v = 0;

	if (digits.n == 0 || digits.n > 19 || (digits.n > 1 && digits.p[0] == '0'))
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(digits.p[i] - '0');
	}
	*ret = v;
	return true;
}

/* "<word> <number>" */
static bool
take_number(struct file_span line, const char *word, uint64_t *ret)
{
	size_t n = strlen(word);

	return line.n >= n + 2 && memcmp(line.p, word, n) == 0 && line.p[n] == ' ' &&
	       take_digits((struct file_span){ line.p + n + 1, line.n - n - 1 }, ret);
}

/* The last line: who signed, and the signature. */
static bool
take_signature(const char *p, size_t n, uint8_t admin[SIGN_KEY_SIZE], uint8_t sig[SIGNATURE_SIZE])
{
	struct file_span line, word;

	if (n < LAST_LINE || p[n - 1] != '\n' || (n > LAST_LINE && p[n - LAST_LINE - 1] != '\n'))
		return false;
	line = (struct file_span){ p + n - LAST_LINE, LAST_LINE - 1 };
	word = keys_next_word(&line);
	if (!keys_span_is(word, "signature") ||
		!keys_take_hex(keys_next_word(&line), admin, SIGN_KEY_SIZE))
		return false;
	return keys_take_hex(keys_next_word(&line), sig, SIGNATURE_SIZE);
}

static int
check_format(const char *p, size_t n)
{
	struct file_span rest = { p, n }, line;

	if (!keys_next_line(&rest, &line))
		return -EBADMSG;
	if (keys_span_is(line, FORMAT))
		return 0;
	return line.n > strlen(FORMAT_BEGIN) &&
			       memcmp(line.p, FORMAT_BEGIN, strlen(FORMAT_BEGIN)) == 0
		       ? -EPROTONOSUPPORT
		       : -EBADMSG;
}

static bool
has_admin(const struct trust_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].kind == TRUST_ADMIN)
			return true;
	return false;
}

/* What is between the first line and the last. */
static int
take_body(struct file_span rest, struct keys_object *ret)
{
	struct file_span line;
	int r;

	keys_next_line(&rest, &line);
	if (!keys_next_line(&rest, &line) || !take_number(line, "serial", &ret->serial) ||
		ret->serial == 0 || !keys_next_line(&rest, &line) ||
		!take_number(line, "expires", &ret->expires_s))
		return -EBADMSG;
	r = trust_keys_parse(rest.p, rest.n, &ret->keys, NULL);
	return r == 0 && has_admin(&ret->keys) ? -EBADMSG : r;
}

int
keys_object_peek(const void *p, size_t n, struct keys_object *ret)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint8_t sig[SIGNATURE_SIZE];
	int r;

	if (n > KEYS_OBJECT_MAX)
		return -EBADMSG;
	r = check_format(p, n);
	if (r == 0 && !take_signature(p, n, o.admin, sig))
		r = -EBADMSG;
	if (r == 0)
		r = signed_bytes(p, n - LAST_LINE, &b);
	if (r == 0 && !identity_verify(o.admin, b.p, b.n, sig))
		r = -EKEYREJECTED;
	if (r == 0)
		r = take_body((struct file_span){ p, n - LAST_LINE }, &o);
	if (r < 0)
		return r;
	*ret = o;
	o.keys = (struct trust_keys){ NULL, 0 };
	return 0;
}

/* Whether one whose signature is right counts. */
static int
check_object(
	const struct keys_object *o, const struct trust_keys *admins, uint64_t now_s, uint64_t last)
{
	const struct trust_key *admin = trust_keys_find(admins, o->admin);

	if (!admin || admin->kind != TRUST_ADMIN || admin->revoked)
		return -EKEYREJECTED;
	if (o->serial < last)
		return -ESTALE;
	return o->expires_s <= now_s ? -EKEYEXPIRED : 0;
}

int
keys_object_read(const void *p, size_t n, const struct trust_keys *admins, uint64_t now_s,
	uint64_t last, struct keys_object *ret)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	int r = keys_object_peek(p, n, &o);

	if (r == 0)
		r = check_object(&o, admins, now_s, last);
	if (r < 0)
		return r;
	*ret = o;
	o.keys = (struct trust_keys){ NULL, 0 };
	return 0;
}

/* The highest number that is remembered; 0: none is. A line that makes no sense is as good as none.
 */
static uint64_t
last_seen(const char *path, const char *admin)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t last = 0;
	char *field[2], *end;

	if (fs_read_file(path, SEEN_MAX, &b) < 0 || b.n == 0)
		return 0;
	for (char *line = (char *)b.p; (end = strchr(line, '\n')); line = end + 1) {
		uint64_t v;

		*end = '\0';
		if (lines_split(line, field, ARRAY_LEN(field)) && streq(field[0], admin) &&
			take_digits((struct file_span){ field[1], strlen(field[1]) }, &v))
			last = MAX2(last, v);
	}
	return last;
}

static void
note_seen(const char *path, const char *admin, uint64_t serial)
{
	char line[2 * SIGN_KEY_SIZE + 32];
	struct stat st;
	int n = snprintf(line, sizeof(line), "%s\t%" PRIu64 "\n", admin, serial);

	if (stat(path, &st) < 0 || st.st_size < SEEN_MAX - n)
		lines_append(path, line, (size_t)n);
}

int
keys_object_take(const void *p, size_t n, const struct trust_keys *admins, uint64_t now_s,
	const char *dir, struct keys_object *ret)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(freep) char *path = path_join(dir, KEYS_SEEN_FILE);
	char admin[2 * SIGN_KEY_SIZE + 1];
	uint64_t last;
	int r = path ? keys_object_peek(p, n, &o) : -ENOMEM;

	if (r < 0)
		return r;
	keys_hex(o.admin, SIGN_KEY_SIZE, admin);
	last = last_seen(path, admin);
	r = check_object(&o, admins, now_s, last);
	if (r < 0)
		return r;
	if (o.serial > last)
		note_seen(path, admin, o.serial);
	*ret = o;
	o.keys = (struct trust_keys){ NULL, 0 };
	return 0;
}

int
keys_object_sign(const struct identity *admin, const char *list, size_t n, uint64_t serial,
	uint64_t expires_s, struct buf *ret, struct keys_fault *ret_fault)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT, b = BUF_INIT;
	char key[2 * SIGN_KEY_SIZE + 1], hex[2 * SIGNATURE_SIZE + 1];
	uint8_t sig[SIGNATURE_SIZE];
	int r;

	if (serial == 0 || serial > INT64_MAX || expires_s > INT64_MAX || !admin->has_secret)
		return -EINVAL;
	r = trust_keys_parse(list, n, &keys, ret_fault);
	if (r == 0 && has_admin(&keys))
		r = -EBADMSG;
	if (r == 0)
		r = buf_addf(&text, FORMAT "\nserial %" PRIu64 "\nexpires %" PRIu64 "\n", serial,
			expires_s);
	if (r == 0)
		r = buf_add(&text, list, n);
	if (r == 0 && n > 0 && list[n - 1] != '\n')
		r = buf_adds(&text, "\n");
	if (r == 0)
		r = signed_bytes(text.p, text.n, &b);
	if (r == 0)
		r = identity_sign(admin, b.p, b.n, sig);
	if (r < 0)
		return r;
	keys_hex(admin->sign_public, SIGN_KEY_SIZE, key);
	keys_hex(sig, SIGNATURE_SIZE, hex);
	r = buf_addf(&text, "signature %s %s\n", key, hex);
	if (r == 0 && text.n > KEYS_OBJECT_MAX)
		r = -EFBIG;
	if (r == 0)
		r = buf_add(ret, text.p, text.n);
	return r;
}

void
keys_object_done(struct keys_object *o)
{
	trust_keys_done(&o->keys);
	*o = (struct keys_object){ .serial = 0 };
}
