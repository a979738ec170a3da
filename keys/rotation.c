/* What a node proves that takes a new identity. Invariant: nothing that is compared here tells by
 * its time what the right value is. */
#include "config.h"

#include "keys/rotation.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "keys/keys_priv.h"

#define TEXT_SIZE 256 /* four keys and a word */
#define SHARED_SIZE 32

static void
pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void
text_of(const char *coordinator, const char *old_curve, const char *curve,
	const uint8_t sign[SIGN_KEY_SIZE], char ret[TEXT_SIZE])
{
	char hex[SIGN_HEX_SIZE];

	keys_hex(sign, SIGN_KEY_SIZE, hex);
	memset(ret, 0, TEXT_SIZE);
	snprintf(ret, TEXT_SIZE, "dray rotation 1 %s %s %s %s", coordinator, old_curve, curve, hex);
}

/* What a secret key and another's public one make, which each of both finds alone. */
static int
share(const char *secret, const char *public, uint8_t ret[SHARED_SIZE])
{
	_cleanup_(pkey_freep) EVP_PKEY *own = NULL, *other = NULL;
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *c = NULL;
	uint8_t raw[32];
	size_t n = SHARED_SIZE;
	int r = z85_decode32(secret, raw);

	if (r == 0)
		own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, raw, sizeof(raw));
	OPENSSL_cleanse(raw, sizeof(raw));
	if (r == 0)
		r = z85_decode32(public, raw);
	if (r < 0)
		return -EINVAL;
	other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, raw, sizeof(raw));
	c = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	if (!other || !c || EVP_PKEY_derive_init(c) != 1)
		return -EIO;
	/* a key of small order ends here: it shares nothing but zeros */
	if (EVP_PKEY_derive_set_peer(c, other) != 1 || EVP_PKEY_derive(c, ret, &n) != 1 ||
		n != SHARED_SIZE)
		return -EINVAL;
	return 0;
}

static int
make_mac(const char *secret, const char *public, const char text[TEXT_SIZE],
	uint8_t ret[ROTATION_MAC_SIZE])
{
	uint8_t shared[SHARED_SIZE];
	size_t n = 0;
	int r = share(secret, public, shared);

	if (r == 0 &&
		(!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, shared, sizeof(shared),
			 (const unsigned char *)text, TEXT_SIZE, ret, ROTATION_MAC_SIZE, &n) ||
			n != ROTATION_MAC_SIZE))
		r = -EIO;
	OPENSSL_cleanse(shared, sizeof(shared));
	return r;
}

int
rotation_make(const struct identity *old, const struct identity *fresh, const char *coordinator,
	struct rotation *ret)
{
	char text[TEXT_SIZE];
	int r;

	if (!old->has_secret || !fresh->has_secret)
		return -EINVAL;
	memcpy(ret->curve_public, fresh->curve_public, sizeof(ret->curve_public));
	memcpy(ret->sign_public, fresh->sign_public, sizeof(ret->sign_public));
	text_of(coordinator, old->curve_public, fresh->curve_public, fresh->sign_public, text);
	r = make_mac(fresh->curve_secret, coordinator, text, ret->mac);
	if (r == 0)
		r = identity_sign(fresh, text, sizeof(text), ret->by_new);
	return r == 0 ? identity_sign(old, text, sizeof(text), ret->by_old) : r;
}

int
rotation_check(const struct rotation *r, const struct identity *coordinator, const char *old_curve,
	const uint8_t *old_sign)
{
	char text[TEXT_SIZE];
	uint8_t mac[ROTATION_MAC_SIZE];
	int err;

	if (streq(r->curve_public, old_curve) ||
		(old_sign && memcmp(old_sign, r->sign_public, SIGN_KEY_SIZE) == 0))
		return -EKEYREJECTED;
	text_of(coordinator->curve_public, old_curve, r->curve_public, r->sign_public, text);
	err = make_mac(coordinator->curve_secret, r->curve_public, text, mac);
	if (err < 0)
		return err == -EINVAL ? -EKEYREJECTED : err;
	if (CRYPTO_memcmp(mac, r->mac, sizeof(mac)) != 0 ||
		!identity_verify(r->sign_public, text, sizeof(text), r->by_new) ||
		(old_sign && !identity_verify(old_sign, text, sizeof(text), r->by_old)))
		return -EKEYREJECTED;
	return 0;
}
