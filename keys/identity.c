/* Identity files, allowed-keys files, Z85, and Ed25519 by libcrypto.
 *
 * Invariant: a struct identity that leaves this file is whole: its name is plain, its keys have
 * been decoded, and a secret, when there is one, belongs to the public key beside it. Secrets pass
 * only through buffers that are wiped. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/buf.h"
#include "common/fs.h"
#include "keys/identity.h"

#define IDENTITY_FILE_MAX 4096 /* five lines, and room for comments */
#define ALLOWED_FILE_MAX (4u * 1024 * 1024)
#define NAME_MAX_LEN 64
#define Z85_LEN (CURVE_KEY_SIZE - 1)

static const char Z85_DIGITS[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* One line or word of a text that is not NUL-terminated. */
struct file_span {
	const char *p;
	size_t n;
};

static void
pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void
md_ctx_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

void
z85_encode32(const uint8_t in[32], char out[CURVE_KEY_SIZE])
{
	size_t i, o = 0;

	for (i = 0; i < 32; i += 4) {
		uint32_t v = (uint32_t)in[i] << 24 | (uint32_t)in[i + 1] << 16 |
			     (uint32_t)in[i + 2] << 8 | in[i + 3];
		uint32_t div;

		for (div = 85u * 85 * 85 * 85; div != 0; div /= 85)
			out[o++] = Z85_DIGITS[v / div % 85];
	}
	out[o] = '\0';
}

int
z85_decode32(const char *in, uint8_t out[32])
{
	uint8_t tmp[32];
	size_t i, j;

	if (strnlen(in, Z85_LEN + 1) != Z85_LEN)
		return -EINVAL;
	for (i = 0; i < 8; i++) {
		uint64_t v = 0;

		for (j = 0; j < 5; j++) {
			const char *d = strchr(Z85_DIGITS, in[i * 5 + j]);

			if (d == NULL)
				return -EINVAL;
			v = v * 85 + (uint64_t)(d - Z85_DIGITS);
		}
		/* five digits hold more than 32 bits: else a key would have two spellings */
		if (v > UINT32_MAX)
			return -EINVAL;
		for (j = 0; j < 4; j++)
			tmp[i * 4 + j] = (uint8_t)(v >> (24 - 8 * j));
	}
	memcpy(out, tmp, sizeof(tmp));
	OPENSSL_cleanse(tmp, sizeof(tmp));
	return 0;
}

static bool
name_ok(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > NAME_MAX_LEN)
		return false;
	for (i = 0; i < n; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

void
identity_done(struct identity *id)
{
	OPENSSL_cleanse(id, sizeof(*id));
}

/* A fresh pair of libcrypto's named type, both halves raw. */
static int
make_pair(const char *type, uint8_t pub[32], uint8_t sec[32])
{
	_cleanup_(pkey_freep) EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, type);
	size_t np = 32, ns = 32;

	if (k == NULL)
		return -EIO;
	if (EVP_PKEY_get_raw_public_key(k, pub, &np) != 1 || np != 32 ||
		EVP_PKEY_get_raw_private_key(k, sec, &ns) != 1 || ns != 32)
		return -EIO;
	return 0;
}

/* Whether sec is the secret half of pub. */
static bool
pair_matches(int type, const uint8_t pub[32], const uint8_t sec[32])
{
	_cleanup_(pkey_freep) EVP_PKEY *k = EVP_PKEY_new_raw_private_key(type, NULL, sec, 32);
	uint8_t derived[32];
	size_t n = sizeof(derived);

	return k != NULL && EVP_PKEY_get_raw_public_key(k, derived, &n) == 1 && n == 32 &&
	       CRYPTO_memcmp(derived, pub, 32) == 0;
}

int
identity_generate(const char *name, struct identity *ret)
{
	_cleanup_(identity_done) struct identity id = { 0 };
	uint8_t pub[32], sec[32];
	size_t n = strlen(name);
	int r;

	if (!name_ok(name, n))
		return -EINVAL;
	memcpy(id.name, name, n);

	r = make_pair("X25519", pub, sec);
	if (r == 0) {
		z85_encode32(pub, id.curve_public);
		z85_encode32(sec, id.curve_secret);
		r = make_pair("ED25519", id.sign_public, id.sign_secret);
	}
	OPENSSL_cleanse(sec, sizeof(sec));
	if (r < 0)
		return r;
	id.has_secret = true;
	*ret = id;
	return 0;
}

static void
hex32(const uint8_t in[32], char out[65])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < 32; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[64] = '\0';
}

/* The file's text; returns its length. text holds IDENTITY_FILE_MAX bytes, plenty. */
static size_t
identity_text(const struct identity *id, bool secret, char *text)
{
	char hex[65];
	int n;

	hex32(id->sign_public, hex);
	n = snprintf(text, IDENTITY_FILE_MAX, "name = %s\ncurve-public = %s\nsign-public = %s\n",
		id->name, id->curve_public, hex);
	if (secret) {
		hex32(id->sign_secret, hex);
		n += snprintf(text + n, IDENTITY_FILE_MAX - (size_t)n,
			"curve-secret = %s\nsign-secret = %s\n", id->curve_secret, hex);
		OPENSSL_cleanse(hex, sizeof(hex));
	}
	return (size_t)n;
}

/* Makes path, which must not be there, with the secrets. On failure nothing is left of it. */
static int
write_secret_file(const struct identity *id, const char *path)
{
	_cleanup_(closep) int fd = -1;
	char text[IDENTITY_FILE_MAX];
	size_t n;
	int r;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = identity_text(id, true, text);
	r = fs_write_all(fd, text, n);
	OPENSSL_cleanse(text, sizeof(text));
	/* a key that others have been told of must not vanish in a power loss */
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r;
}

int
identity_save(const struct identity *id, const char *path)
{
	_cleanup_(freep) char *pub = NULL;
	char text[IDENTITY_FILE_MAX];
	size_t n = strlen(path);
	int r;

	if (!id->has_secret || !name_ok(id->name, strnlen(id->name, sizeof(id->name))))
		return -EINVAL;
	pub = malloc(n + sizeof(".pub"));
	if (pub == NULL)
		return -ENOMEM;
	memcpy(pub, path, n);
	memcpy(pub + n, ".pub", sizeof(".pub"));

	r = write_secret_file(id, path);
	if (r < 0)
		return r;
	n = identity_text(id, false, text);
	r = fs_write_atomic(pub, text, n, 0644);
	if (r < 0)
		unlink(path);
	return r;
}

/* The next line of *rest, without its newline; false at the end. */
static bool
next_line(struct file_span *rest, struct file_span *ret)
{
	const char *nl;

	if (rest->n == 0)
		return false;
	nl = memchr(rest->p, '\n', rest->n);
	ret->p = rest->p;
	ret->n = nl != NULL ? (size_t)(nl - rest->p) : rest->n;
	rest->n -= nl != NULL ? ret->n + 1 : ret->n;
	rest->p += nl != NULL ? ret->n + 1 : ret->n;
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(struct file_span *s)
{
	while (s->n > 0 && is_blank(s->p[0])) {
		s->p++;
		s->n--;
	}
	while (s->n > 0 && is_blank(s->p[s->n - 1]))
		s->n--;
}

static bool
span_is(struct file_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* Takes a Z85 key from text as the struct keeps it. raw: the decoded bytes. */
static bool
take_curve(struct file_span v, char out[CURVE_KEY_SIZE], uint8_t raw[32])
{
	char key[CURVE_KEY_SIZE];
	bool ok = false;

	if (v.n == Z85_LEN && memchr(v.p, '\0', v.n) == NULL) {
		memcpy(key, v.p, v.n);
		key[v.n] = '\0';
		ok = z85_decode32(key, raw) == 0;
		if (ok)
			memcpy(out, key, sizeof(key));
		OPENSSL_cleanse(key, sizeof(key));
	}
	return ok;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
take_hex(struct file_span v, uint8_t out[32])
{
	size_t i;

	if (v.n != 64)
		return false;
	for (i = 0; i < 32; i++) {
		int a = hex_digit(v.p[2 * i]), b = hex_digit(v.p[2 * i + 1]);

		if (a < 0 || b < 0)
			return false;
		out[i] = (uint8_t)(a << 4 | b);
	}
	return true;
}

enum field { F_NAME, F_CURVE_PUBLIC, F_CURVE_SECRET, F_SIGN_PUBLIC, F_SIGN_SECRET, N_FIELDS };

static const char *const FIELD_NAMES[N_FIELDS] = {
	[F_NAME] = "name",
	[F_CURVE_PUBLIC] = "curve-public",
	[F_CURVE_SECRET] = "curve-secret",
	[F_SIGN_PUBLIC] = "sign-public",
	[F_SIGN_SECRET] = "sign-secret",
};

/* What has been read of an identity file. */
struct key_reading {
	struct identity id;
	uint8_t curve_public[32], curve_secret[32];
	unsigned line[N_FIELDS]; /* where each field was; 0: not yet */
};

static void
reading_done(struct key_reading *r)
{
	OPENSSL_cleanse(r, sizeof(*r));
}

static bool
take_field(struct key_reading *r, enum field f, struct file_span v)
{
	switch (f) {
	case F_NAME:
		if (!name_ok(v.p, v.n))
			return false;
		memcpy(r->id.name, v.p, v.n);
		r->id.name[v.n] = '\0';
		return true;
	case F_CURVE_PUBLIC:
		return take_curve(v, r->id.curve_public, r->curve_public);
	case F_CURVE_SECRET:
		return take_curve(v, r->id.curve_secret, r->curve_secret);
	case F_SIGN_PUBLIC:
		return take_hex(v, r->id.sign_public);
	case F_SIGN_SECRET:
		return take_hex(v, r->id.sign_secret);
	case N_FIELDS:
		break;
	}
	return false;
}

/* One `name = value` line; false when it is none, or names a field twice. */
static bool
take_line(struct key_reading *r, struct file_span line, unsigned number)
{
	const char *eq = memchr(line.p, '=', line.n);
	struct file_span key, value;
	int f;

	if (eq == NULL)
		return false;
	key = (struct file_span){ line.p, (size_t)(eq - line.p) };
	value = (struct file_span){ eq + 1, line.n - key.n - 1 };
	trim(&key);
	trim(&value);
	for (f = 0; f < N_FIELDS; f++) {
		if (!span_is(key, FIELD_NAMES[f]))
			continue;
		if (r->line[f] != 0)
			return false;
		r->line[f] = number;
		return take_field(r, (enum field)f, value);
	}
	return false;
}

/* Whether the fields make an identity; *ret_line names a line that is at fault, 0 when one is
 * missing. */
static bool
reading_is_whole(struct key_reading *r, bool check_pairs, unsigned *ret_line)
{
	const unsigned *line = r->line;

	*ret_line = 0;
	if (line[F_NAME] == 0 || line[F_CURVE_PUBLIC] == 0 || line[F_SIGN_PUBLIC] == 0)
		return false;
	if ((line[F_CURVE_SECRET] == 0) != (line[F_SIGN_SECRET] == 0))
		return false;
	r->id.has_secret = line[F_CURVE_SECRET] != 0;
	if (!r->id.has_secret || !check_pairs)
		return true;
	if (!pair_matches(EVP_PKEY_X25519, r->curve_public, r->curve_secret)) {
		*ret_line = line[F_CURVE_SECRET];
		return false;
	}
	if (!pair_matches(EVP_PKEY_ED25519, r->id.sign_public, r->id.sign_secret)) {
		*ret_line = line[F_SIGN_SECRET];
		return false;
	}
	return true;
}

static int
identity_parse(
	const char *text, size_t n, bool check_pairs, struct identity *ret, unsigned *ret_line)
{
	_cleanup_(reading_done) struct key_reading r = { 0 };
	struct file_span rest = { text, n }, line;
	unsigned number = 0;

	while (next_line(&rest, &line)) {
		number++;
		trim(&line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!take_line(&r, line, number)) {
			*ret_line = number;
			return -EBADMSG;
		}
	}
	if (!reading_is_whole(&r, check_pairs, ret_line))
		return -EBADMSG;
	*ret = r.id;
	return 0;
}

/* Reads a small regular file into text. Symlinks are followed: mounted secrets are symlinks. */
static int
read_identity_file(const char *path, char text[IDENTITY_FILE_MAX], size_t *ret_n, mode_t *ret_mode)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;
	size_t n = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	while (n < IDENTITY_FILE_MAX) {
		ssize_t got = read(fd, text + n, IDENTITY_FILE_MAX - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n == IDENTITY_FILE_MAX)
		return -EBADMSG;
	*ret_n = n;
	*ret_mode = st.st_mode;
	return 0;
}

static int
load(const char *path, bool check_pairs, struct identity *ret, unsigned *ret_line)
{
	_cleanup_(identity_done) struct identity id = { 0 };
	char text[IDENTITY_FILE_MAX];
	unsigned line = 0;
	mode_t mode = 0;
	size_t n = 0;
	int r;

	r = read_identity_file(path, text, &n, &mode);
	if (r == 0)
		r = identity_parse(text, n, check_pairs, &id, &line);
	OPENSSL_cleanse(text, sizeof(text));
	if (ret_line != NULL)
		*ret_line = line;
	if (r < 0)
		return r;
	if (id.has_secret && (mode & (S_IRWXG | S_IRWXO)) != 0)
		return -EPERM;
	*ret = id;
	return 0;
}

int
identity_load(const char *path, struct identity *ret, unsigned *ret_line)
{
	return load(path, true, ret, ret_line);
}

int
identity_load_unchecked(const char *path, struct identity *ret, unsigned *ret_line)
{
	return load(path, false, ret, ret_line);
}

int
identity_sign(const struct identity *id, const void *p, size_t n, uint8_t sig[SIGNATURE_SIZE])
{
	_cleanup_(pkey_freep) EVP_PKEY *k = NULL;
	_cleanup_(md_ctx_freep) EVP_MD_CTX *c = NULL;
	size_t sig_n = SIGNATURE_SIZE;

	if (!id->has_secret)
		return -EINVAL;
	k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, id->sign_secret, SIGN_KEY_SIZE);
	c = EVP_MD_CTX_new();
	if (k == NULL || c == NULL)
		return -ENOMEM;
	if (EVP_DigestSignInit(c, NULL, NULL, NULL, k) != 1 ||
		EVP_DigestSign(c, sig, &sig_n, p, n) != 1 || sig_n != SIGNATURE_SIZE)
		return -EIO;
	return 0;
}

bool
identity_verify(const uint8_t key[SIGN_KEY_SIZE], const void *p, size_t n,
	const uint8_t sig[SIGNATURE_SIZE])
{
	_cleanup_(pkey_freep) EVP_PKEY *k = NULL;
	_cleanup_(md_ctx_freep) EVP_MD_CTX *c = NULL;

	k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, SIGN_KEY_SIZE);
	c = EVP_MD_CTX_new();
	return k != NULL && c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 &&
	       EVP_DigestVerify(c, sig, SIGNATURE_SIZE, p, n) == 1;
}

static const char *const ROLE_NAMES[] = {
	[ROLE_NONE] = "none",
	[ROLE_CLIENT] = "client",
	[ROLE_WORKER] = "worker",
	[ROLE_ADMIN] = "admin",
};

const char *
role_name(enum role r)
{
	return (size_t)r < ARRAY_LEN(ROLE_NAMES) ? ROLE_NAMES[r] : ROLE_NAMES[ROLE_NONE];
}

/* The next word of *rest (which it shortens); empty at the end. */
static struct file_span
next_word(struct file_span *rest)
{
	struct file_span w;

	trim(rest);
	w = (struct file_span){ rest->p, 0 };
	while (w.n < rest->n && !is_blank(rest->p[w.n]))
		w.n++;
	rest->p += w.n;
	rest->n -= w.n;
	return w;
}

/* A key with the line it came from, so that a second one can be named. */
struct numbered_key {
	struct allowed_key key;
	unsigned line;
};

static bool
parse_key_line(struct file_span line, struct allowed_key *ret)
{
	struct file_span role = next_word(&line), key = next_word(&line), name = next_word(&line);
	uint8_t raw[32];
	size_t r;

	memset(ret, 0, sizeof(*ret));
	for (r = ROLE_CLIENT; r < ARRAY_LEN(ROLE_NAMES); r++) {
		if (span_is(role, ROLE_NAMES[r]))
			ret->role = (enum role)r;
	}
	if (ret->role == ROLE_NONE || !take_curve(key, ret->curve_public, raw))
		return false;
	if (name.n == 0 || name.p[0] == '#')
		return true;
	if (!name_ok(name.p, name.n))
		return false;
	memcpy(ret->name, name.p, name.n);
	name = next_word(&line);
	return name.n == 0 || name.p[0] == '#';
}

static int
compare_numbered(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.curve_public, y->key.curve_public, CURVE_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* A key has one role: the first line that gives a key again, or 0. Sorts v. */
static unsigned
find_repeated(struct numbered_key *v, size_t n)
{
	unsigned line = 0;
	size_t i;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_numbered);
	for (i = 1; i < n; i++) {
		if (streq(v[i - 1].key.curve_public, v[i].key.curve_public) &&
			(line == 0 || v[i].line < line))
			line = v[i].line;
	}
	return line;
}

int
allowed_keys_parse(const char *text, size_t n, struct allowed_keys *ret, unsigned *ret_line)
{
	_cleanup_(freep) struct numbered_key *v = NULL;
	struct file_span rest = { text, n }, line;
	size_t i, used = 0, cap = 0;
	unsigned number = 0, bad = 0;

	*ret = (struct allowed_keys){ NULL, 0 };
	if (ret_line != NULL)
		*ret_line = 0;
	while (bad == 0 && next_line(&rest, &line)) {
		number++;
		trim(&line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (used == cap) {
			struct numbered_key *bigger;

			cap = cap == 0 ? 16 : cap * 2;
			bigger = reallocarray(v, cap, sizeof(*v));
			if (bigger == NULL)
				return -ENOMEM;
			v = bigger;
		}
		v[used].line = number;
		if (parse_key_line(line, &v[used].key))
			used++;
		else
			bad = number;
	}
	if (bad == 0)
		bad = find_repeated(v, used);
	if (bad != 0) {
		if (ret_line != NULL)
			*ret_line = bad;
		return -EBADMSG;
	}
	if (used == 0)
		return 0;
	ret->v = calloc(used, sizeof(*ret->v));
	if (ret->v == NULL)
		return -ENOMEM;
	for (i = 0; i < used; i++)
		ret->v[i] = v[i].key;
	ret->n = used;
	return 0;
}

int
allowed_keys_load(const char *path, struct allowed_keys *ret, unsigned *ret_line)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r;

	*ret = (struct allowed_keys){ NULL, 0 };
	if (ret_line != NULL)
		*ret_line = 0;
	r = fs_read_file(path, ALLOWED_FILE_MAX, &text);
	if (r < 0)
		return r;
	return allowed_keys_parse(text.n > 0 ? (const char *)text.p : "", text.n, ret, ret_line);
}

enum role
allowed_keys_role(const struct allowed_keys *a, const char *curve_public)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		if (streq(a->v[i].curve_public, curve_public))
			return a->v[i].role;
	}
	return ROLE_NONE;
}

void
allowed_keys_done(struct allowed_keys *a)
{
	free(a->v);
	*a = (struct allowed_keys){ NULL, 0 };
}
