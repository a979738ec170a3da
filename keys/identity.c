/* Identity files, Z85, and Ed25519 by libcrypto.
 *
 * Invariant: a struct identity that leaves this file is whole: its name is plain, its keys have
 * been decoded, and a secret, when there is one, belongs to the public key beside it. Secrets pass
 * only through buffers that are wiped. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/fs.h"
#include "keys/identity.h"
#include "keys/keys_priv.h"

#define IDENTITY_FILE_MAX 4096 /* five lines, and room for comments */
#define Z85_LEN (CURVE_KEY_SIZE - 1)

static const char Z85_DIGITS[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

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

bool
keys_name_ok(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > KEYS_NAME_MAX)
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

	if (!keys_name_ok(name, n))
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

void
identity_default_name(char ret[KEYS_NAME_MAX + 1])
{
	char host[256] = "";
	size_t n = 0;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	for (const char *s = host; *s && n < KEYS_NAME_MAX; s++)
		if (keys_name_ok(s, 1))
			ret[n++] = *s;
	ret[n] = '\0';
	if (n == 0)
		memcpy(ret, "dray", sizeof("dray"));
}

void
keys_hex(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = '\0';
}

void
identity_sign_hex(const struct identity *id, char out[SIGN_HEX_SIZE])
{
	keys_hex(id->sign_public, SIGN_KEY_SIZE, out);
}

/* The file's text; returns its length. text holds IDENTITY_FILE_MAX bytes, plenty. */
static size_t
identity_text(const struct identity *id, bool secret, char *text)
{
	char hex[65];
	int n;

	keys_hex(id->sign_public, SIGN_KEY_SIZE, hex);
	n = snprintf(text, IDENTITY_FILE_MAX, "name = %s\ncurve-public = %s\nsign-public = %s\n",
		id->name, id->curve_public, hex);
	if (secret) {
		keys_hex(id->sign_secret, SIGN_KEY_SIZE, hex);
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
identity_save_public(const struct identity *id, const char *path)
{
	char text[IDENTITY_FILE_MAX];
	size_t n;

	if (!keys_name_ok(id->name, strnlen(id->name, sizeof(id->name))))
		return -EINVAL;
	n = identity_text(id, false, text);
	return fs_write_atomic(path, text, n, 0644);
}

int
identity_save(const struct identity *id, const char *path)
{
	_cleanup_(freep) char *pub = NULL;
	size_t n = strlen(path);
	int r;

	if (!id->has_secret || !keys_name_ok(id->name, strnlen(id->name, sizeof(id->name))))
		return -EINVAL;
	pub = malloc(n + sizeof(".pub"));
	if (pub == NULL)
		return -ENOMEM;
	memcpy(pub, path, n);
	memcpy(pub + n, ".pub", sizeof(".pub"));

	r = write_secret_file(id, path);
	if (r < 0)
		return r;
	r = identity_save_public(id, pub);
	if (r < 0)
		unlink(path);
	return r;
}

/* The next line of *rest, without its newline; false at the end. */
bool
keys_next_line(struct file_span *rest, struct file_span *ret)
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

void
keys_trim(struct file_span *s)
{
	while (s->n > 0 && keys_is_blank(s->p[0])) {
		s->p++;
		s->n--;
	}
	while (s->n > 0 && keys_is_blank(s->p[s->n - 1]))
		s->n--;
}

struct file_span
keys_next_word(struct file_span *rest)
{
	struct file_span w;

	keys_trim(rest);
	w = (struct file_span){ rest->p, 0 };
	while (w.n < rest->n && !keys_is_blank(rest->p[w.n]))
		w.n++;
	rest->p += w.n;
	rest->n -= w.n;
	return w;
}

bool
keys_span_is(struct file_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* Takes a Z85 key from text as the struct keeps it. raw: the decoded bytes. */
bool
keys_take_curve(struct file_span v, char out[CURVE_KEY_SIZE], uint8_t raw[32])
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

bool
keys_take_hex(struct file_span v, uint8_t *out, size_t n)
{
	size_t i;

	if (v.n != 2 * n)
		return false;
	for (i = 0; i < n; i++) {
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
		if (!keys_name_ok(v.p, v.n))
			return false;
		memcpy(r->id.name, v.p, v.n);
		r->id.name[v.n] = '\0';
		return true;
	case F_CURVE_PUBLIC:
		return keys_take_curve(v, r->id.curve_public, r->curve_public);
	case F_CURVE_SECRET:
		return keys_take_curve(v, r->id.curve_secret, r->curve_secret);
	case F_SIGN_PUBLIC:
		return keys_take_hex(v, r->id.sign_public, SIGN_KEY_SIZE);
	case F_SIGN_SECRET:
		return keys_take_hex(v, r->id.sign_secret, SIGN_KEY_SIZE);
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
	keys_trim(&key);
	keys_trim(&value);
	for (f = 0; f < N_FIELDS; f++) {
		if (!keys_span_is(key, FIELD_NAMES[f]))
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

	while (keys_next_line(&rest, &line)) {
		number++;
		keys_trim(&line);
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

/* The line that has the name, in a text that is an identity. */
static struct file_span
find_name_line(const char *text, size_t n)
{
	struct file_span rest = { text, n }, line = { text, 0 }, word;

	while (keys_next_line(&rest, &line)) {
		word = line;
		keys_trim(&word);
		if (word.n > 4 && memcmp(word.p, FIELD_NAMES[F_NAME], 4) == 0)
			return line;
	}
	return (struct file_span){ text, 0 };
}

/* size: of ret, which is large enough for any. Returns its length. */
static size_t
rename_text(const char *text, size_t n, const char *name, char *ret, size_t size)
{
	struct file_span line = find_name_line(text, n);
	const char *behind = line.p + line.n;
	int k = snprintf(ret, size, "%.*sname = %s%.*s", (int)(line.p - text), text, name,
		(int)(text + n - behind), behind);

	return (size_t)k;
}

static int
rename_file(const char *path, const char *name, struct identity *ret)
{
	char text[IDENTITY_FILE_MAX], changed[IDENTITY_FILE_MAX + 2 * KEYS_NAME_MAX];
	/* a link to it stays one */
	_cleanup_(freep) char *real = realpath(path, NULL);
	struct stat st;
	unsigned line;
	mode_t mode = 0;
	size_t n = 0;
	int r = !real || stat(real, &st) < 0 ? -errno : 0;

	if (r == 0)
		r = read_identity_file(real, text, &n, &mode);
	if (r == 0)
		r = identity_parse(text, n, true, ret, &line);
	if (r == 0 && memchr(text, '\0', n))
		r = -EBADMSG;
	if (r == 0) {
		n = rename_text(text, n, name, changed, sizeof(changed));
		r = fs_replace(real, changed, n, mode & 0777, &st);
	}
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(changed, sizeof(changed));
	return r;
}

int
identity_rename(const char *path, const char *name)
{
	_cleanup_(identity_done) struct identity id = { 0 };
	_cleanup_(freep) char *pub = NULL;
	int r = keys_name_ok(name, strlen(name)) ? rename_file(path, name, &id) : -EINVAL;

	if (r == 0 && asprintf(&pub, "%s.pub", path) < 0)
		pub = NULL;
	if (r < 0 || !pub)
		return r < 0 ? r : -ENOMEM;
	memcpy(id.name, name, strlen(name) + 1);
	return identity_save_public(&id, pub);
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
