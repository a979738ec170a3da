#include "config.h"

#include "store/redis/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "common/text/why.h"
#include "store/lib.h"

/* clang-format off */
#define FUNCTIONS(X) \
	X(TLS_client_method) X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) X(SSL_CTX_set_verify) \
	X(SSL_CTX_set_default_verify_paths) X(SSL_CTX_load_verify_locations) \
	X(SSL_CTX_use_certificate_chain_file) X(SSL_CTX_use_PrivateKey_file) \
	X(SSL_CTX_check_private_key) X(SSL_new) X(SSL_free) X(SSL_ctrl) X(SSL_set_bio) \
	X(SSL_set1_host) X(SSL_get0_param) X(SSL_set_connect_state) X(SSL_do_handshake) \
	X(SSL_read) X(SSL_write) X(SSL_get_error) X(SSL_get_verify_result)
/* clang-format on */
static struct {
	FUNCTIONS(LIB_POINTER)
} lib;

struct tls_context {
	SSL_CTX *ctx;
};

struct tls {
	SSL *ssl;
	BIO *in, *out; /* of ssl */
	const char *why;
};

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	if (c->ctx != NULL)
		lib.SSL_CTX_free(c->ctx);
	free(c);
}

static int
set_up(SSL_CTX *ctx, const struct tls_in *in, char **ret_why)
{
	if (lib.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) != 1)
		return -ENOMEM;
	lib.SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (in->ca == NULL && lib.SSL_CTX_set_default_verify_paths(ctx) != 1)
		return why_set(ret_why, -EINVAL, "the system has no certificates to trust");
	if (in->ca != NULL && lib.SSL_CTX_load_verify_locations(ctx, in->ca, NULL) != 1)
		return why_set(ret_why, -EINVAL, "%s has no certificate to trust", in->ca);
	if (in->cert != NULL && lib.SSL_CTX_use_certificate_chain_file(ctx, in->cert) != 1)
		return why_set(ret_why, -EINVAL, "%s has no certificate", in->cert);
	if (in->key != NULL &&
		(lib.SSL_CTX_use_PrivateKey_file(ctx, in->key, SSL_FILETYPE_PEM) != 1 ||
			lib.SSL_CTX_check_private_key(ctx) != 1))
		return why_set(ret_why, -EINVAL, "%s has no private key of %s", in->key,
			in->cert != NULL ? in->cert : "a certificate");
	return 0;
}

int
tls_context_new(const struct tls_in *in, struct tls_context **ret, char **ret_why)
{
	static const char *const files[] = { "libssl.so." LIB_TEXT(OPENSSL_SHLIB_VERSION), NULL };
	static const struct lib_function wanted[] = { FUNCTIONS(LIB_FUNCTION) };
	struct tls_context *c;
	int r = lib_load(files, wanted, ARRAY_LEN(wanted), ret_why);

	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->ctx = lib.SSL_CTX_new(lib.TLS_client_method());
	r = c->ctx == NULL ? -ENOMEM : set_up(c->ctx, in, ret_why);
	ERR_clear_error();
	if (r < 0)
		tls_context_free(c);
	else
		*ret = c;
	return r;
}

/* The name that the certificate must have. */
static int
set_name(SSL *ssl, const char *host)
{
	struct in6_addr a;

	if (inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(lib.SSL_get0_param(ssl), host);
	/* as the macro SSL_set_tlsext_host_name does */
	if (lib.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		    (void *)(uintptr_t)host) != 1)
		return 0;
	return lib.SSL_set1_host(ssl, host);
}

int
tls_new(struct tls_context *c, const char *host, struct tls **ret)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->why = "";
	t->ssl = lib.SSL_new(c->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL || set_name(t->ssl, host) != 1) {
		BIO_free(t->in);
		BIO_free(t->out);
		t->in = t->out = NULL;
		tls_free(t);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(t->in, -1);
	BIO_set_mem_eof_return(t->out, -1);
	lib.SSL_set_bio(t->ssl, t->in, t->out);
	lib.SSL_set_connect_state(t->ssl);
	*ret = t;
	return 0;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	if (t->ssl != NULL)
		lib.SSL_free(t->ssl);
	free(t);
}

const char *
tls_why(const struct tls *t)
{
	return t->why;
}

static int
drain(struct tls *t, struct buf *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(t->out, &p);
	int r = n > 0 ? buf_add(out, p, (size_t)n) : 0;

	(void)BIO_reset(t->out);
	return r;
}

/* What a call of libssl's came to. 0: it waits for what comes in. */
static int
judge(struct tls *t, int r)
{
	long verified;
	int e = lib.SSL_get_error(t->ssl, r);

	ERR_clear_error();
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return 0;
	if (e == SSL_ERROR_ZERO_RETURN)
		return -ECONNRESET;
	verified = lib.SSL_get_verify_result(t->ssl);
	if (verified == X509_V_OK)
		return -EPROTO;
	t->why = X509_verify_cert_error_string(verified);
	return -EKEYREJECTED;
}

int
tls_shake(struct tls *t, struct buf *out, bool *ret_done)
{
	int r, e;

	ERR_clear_error();
	r = lib.SSL_do_handshake(t->ssl);
	*ret_done = r == 1;
	e = r == 1 ? 0 : judge(t, r);
	r = drain(t, out);
	return e < 0 ? e : r;
}

int
tls_take(struct tls *t, const void *p, size_t n)
{
	return BIO_write(t->in, p, (int)n) == (int)n ? 0 : -ENOMEM;
}

int
tls_read(struct tls *t, struct buf *plain, struct buf *out)
{
	int r, e;

	ERR_clear_error();
	do {
		if (buf_reserve(plain, 16384) < 0)
			return -ENOMEM;
		r = lib.SSL_read(t->ssl, plain->p + plain->n, 16384);
		if (r > 0)
			plain->n += (size_t)r;
	} while (r > 0);
	e = judge(t, r);
	r = drain(t, out);
	return e < 0 ? e : r;
}

int
tls_write(struct tls *t, const void *p, size_t n, struct buf *out)
{
	int r;

	if (n == 0)
		return 0;
	ERR_clear_error();
	r = lib.SSL_write(t->ssl, p, (int)n);
	/* room is always there, so nothing is taken in part; a server that wants another handshake
	 * first speaks TLS 1.2 as nobody should */
	if (r != (int)n)
		return -EPROTO;
	return drain(t, out);
}
