/* SHA-256 by libcrypto. Invariant: a digest that is returned is the digest of the bytes; where
 * libcrypto itself fails, the program ends rather than giving bytes a wrong name. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/digest.h"

#define READ_SIZE (64 * 1024)

struct hasher {
	EVP_MD_CTX *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void
fetch_sha256(void)
{
	/* Reading openssl.cnf is a good part of a short process's life, and nothing in it is for
	 * us. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	/* Fetched once: the implicit fetch of EVP_sha256() looks the method up at every start. */
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void
digest_nothing_else(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
				    OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_ATEXIT,
		NULL);
}

struct hasher *
hasher_new(void)
{
	struct hasher *h;

	pthread_once(&once, fetch_sha256);
	if (!sha256)
		return NULL;
	h = malloc(sizeof(*h));
	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1) {
		hasher_free(h);
		return NULL;
	}
	return h;
}

void
hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void
hasher_freep(struct hasher **h)
{
	hasher_free(*h);
	*h = NULL;
}

void
hasher_update(struct hasher *h, const void *p, size_t n)
{
	if (n && EVP_DigestUpdate(h->ctx, p, n) != 1)
		abort();
}

void
hasher_field(struct hasher *h, const void *p, size_t n)
{
	uint64_t len = n;
	uint8_t be[8];

	for (int i = 7; i >= 0; i--, len >>= 8)
		be[i] = (uint8_t)len;
	hasher_update(h, be, sizeof(be));
	hasher_update(h, p, n);
}

void
hasher_final(struct hasher *h, struct digest *ret)
{
	unsigned n = 0;

	if (EVP_DigestFinal_ex(h->ctx, ret->b, &n) != 1 || n != DIGEST_SIZE ||
		EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1)
		abort();
}

void
hasher_peek(const struct hasher *h, struct digest *ret)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	unsigned n = 0;

	if (!copy || EVP_MD_CTX_copy_ex(copy, h->ctx) != 1 ||
		EVP_DigestFinal_ex(copy, ret->b, &n) != 1 || n != DIGEST_SIZE)
		abort();
	EVP_MD_CTX_free(copy);
}

int
digest_bytes(const void *p, size_t n, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!h)
		return -ENOMEM;
	hasher_update(h, p, n);
	hasher_final(h, ret);
	return 0;
}

int
digest_fd(int fd, struct digest *ret, uint64_t *ret_size)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	uint8_t chunk[READ_SIZE];
	uint64_t size = 0;

	if (!h)
		return -ENOMEM;
	for (;;) {
		ssize_t r = read(fd, chunk, sizeof(chunk));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		hasher_update(h, chunk, (size_t)r);
		size += (uint64_t)r;
	}
	hasher_final(h, ret);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int
digest_file(const char *path, struct digest *ret, uint64_t *ret_size)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	/* O_NONBLOCK: opening a fifo that stands in a file's place must not wait for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	return digest_fd(fd, ret, ret_size);
}

bool
digest_eq(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_SIZE) == 0;
}

void
digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = digits[d->b[i] >> 4];
		out[2 * i + 1] = digits[d->b[i] & 15];
	}
	out[2 * DIGEST_SIZE] = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
digest_parse(const char *hex, struct digest *ret)
{
	struct digest d;

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int hi = hex_value(hex[2 * i]);
		/* A string that ends at the first digit must not be read past its NUL. */
		int lo = hi < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	if (hex[2 * DIGEST_SIZE])
		return -EINVAL;
	*ret = d;
	return 0;
}
