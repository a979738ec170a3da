/* TLS as a transformation of bytes: what came in by a socket goes in, what is to go out by it comes
 * out; no descriptor, so no SIGPIPE and no waiting in here. libssl is loaded when the first such
 * connection is made (lib.h). TLS 1.2 at least; the server's certificate must be good, and for its
 * name. */
#ifndef DRAY_STORE_REDIS_TLS_H
#define DRAY_STORE_REDIS_TLS_H

#include "common/buf.h"

struct tls_context;
struct tls;

struct tls_in {
	const char *ca; /* a file with the certificates that are trusted; NULL: the system's */
	const char *cert, *key; /* files: who we are; NULL: nobody */
};
/* 0; -ENOPKG; -EINVAL: a file of *in will not do; and a sentence or NULL. */
int tls_context_new(const struct tls_in *in, struct tls_context **ret, char **ret_why);
void tls_context_free(struct tls_context *c); /* NULL is fine */

/* To a server of this name, or IP address. 0 or -errno. */
int tls_new(struct tls_context *c, const char *host, struct tls **ret);
void tls_free(struct tls *t); /* NULL is fine */

/* Each adds to *out what is to be sent, and returns 0; -EKEYREJECTED: the certificate is not good,
 * and tls_why says why; -EPROTO: that is no TLS, or it is refused; -ECONNRESET: the other side has
 * closed it; -ENOMEM. */
/* The handshake goes on as far as it can. *ret_done: it is done. */
int tls_shake(struct tls *t, struct buf *out, bool *ret_done);
/* What came in. */
int tls_take(struct tls *t, const void *p, size_t n);
/* Adds to *plain what there is of it. */
int tls_read(struct tls *t, struct buf *plain, struct buf *out);
int tls_write(struct tls *t, const void *p, size_t n, struct buf *out);
const char *tls_why(const struct tls *t); /* "" where there is nothing to say */

#endif
