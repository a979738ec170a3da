/* The token and its cookie. Invariant: what is compared are digests, of one length always, by a
 * function that takes the same time whatever is in them. */
#include "config.h"

#include "coordinator/page/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/text/why.h"

#define FILE_MAX 4096

int
page_token_set(const char *text, size_t n, struct page_token *ret)
{
	uint8_t secret[32];
	struct digest d;
	_cleanup_(hasher_freep) struct hasher *h = NULL;
	int r;

	if (n < PAGE_TOKEN_LEAST || n > PAGE_TOKEN_MOST)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return -EINVAL;
	h = hasher_new();
	if (!h || RAND_bytes(secret, sizeof(secret)) != 1)
		return -ENOMEM;
	/* one way, with what only this process knows: the cookie tells nothing of the token */
	hasher_field(h, secret, sizeof(secret));
	hasher_field(h, text, n);
	hasher_final(h, &d);
	digest_hex(&d, ret->cookie);
	OPENSSL_cleanse(secret, sizeof(secret));
	r = digest_bytes(text, n, &ret->digest);
	return r < 0 ? r : digest_bytes(ret->cookie, strlen(ret->cookie), &ret->cookie_digest);
}

int
page_token_load(const char *path, struct page_token *ret, char **ret_error)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st;
	const char *p;
	size_t n;
	int r;

	if (stat(path, &st) < 0)
		return why_set(ret_error, -errno, "%s: cannot read the page's token: %s.", path,
			strerror(errno));
	if (st.st_mode & 077)
		return why_set(ret_error, -EPERM,
			"%s: others can read the page's token (chmod 600).", path);
	r = fs_read_file(path, FILE_MAX, &b);
	if (r < 0)
		return why_set(
			ret_error, r, "%s: cannot read the page's token: %s.", path, strerror(-r));
	p = b.p ? (const char *)b.p : "";
	p += strspn(p, " \t");
	n = strcspn(p, " \t\r\n");
	r = page_token_set(p, n, ret);
	OPENSSL_cleanse(b.p, b.n);
	if (r < 0)
		return why_set(ret_error, r,
			"%s: the page's token is %d to %d characters, without spaces (`openssl "
			"rand -hex 32` makes one).",
			path, PAGE_TOKEN_LEAST, PAGE_TOKEN_MOST);
	return 0;
}

static bool
is(const struct digest *wanted, const char *p, size_t n)
{
	struct digest d;

	return digest_bytes(p, n, &d) == 0 && CRYPTO_memcmp(d.b, wanted->b, DIGEST_SIZE) == 0;
}

bool
page_token_is(const struct page_token *t, const char *p, size_t n)
{
	return is(&t->digest, p, n);
}

bool
page_token_is_cookie(const struct page_token *t, const char *p, size_t n)
{
	return is(&t->cookie_digest, p, n);
}
