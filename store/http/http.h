/* Places that keep objects (object.h) over HTTP, by GET, PUT and HEAD alone: a web server or WebDAV
 * (store_http), and S3 (store_s3, s3.c). An object is at ROOT/v1/blobs/ab/abcdef….
 *
 * What is asked of either:
 *
 *   has  HEAD   200: it is there. Its size is not told: 0
 *   get  GET    200: the object; it is checked while it comes (incoming.h)
 *   put  PUT    a blob with If-None-Match: *; 412: it was there. Where that is not understood, or
 *               is ignored, the later one stays. Entries are replaced
 *
 * 404 is -ENOENT; so is 401 and 403 when read, said once in the log: a bucket that may not be
 * listed says 403 of what is not there. When written: -EACCES, and 404 -ENOTDIR. 413 is -EFBIG, 507
 * -ENOSPC, 405 and 501 -EROFS, 429 and 503 -EBUSY after all tries, another status -EREMOTEIO. A
 * body that is cut, or is no such object, is -EBADMSG. No connection: web.h.
 *
 * A blob that came damaged is put without a condition by the store that met it.
 *
 * 16 requests are under way at a time, 8 uploads of them at most; the others wait, uploads last.
 *
 * WebDAV servers want the directory to be there (404, 409; nginx: 500): it is made by MKCOL, when
 * they say so and not before. A server that knows no MKCOL makes its directories itself.
 *
 * Credentials: of http and https, user and password from the URL or a file, or a bearer token from
 * a file or a variable, read when the store is opened. Of S3: aws_keys.h. Proxies are taken from
 * the variables that curl knows, and the certificates of SSL_CERT_FILE are believed beside the
 * system's unless `ca` is set, all by environ_get, when the store is opened.
 *
 * Where nothing is known of use (S3), a blob that is read, and is older than `renew_days` (15; 0:
 * none), is renewed by a copy onto itself, behind all else, where store_in says that it may be: so
 * a rule that deletes what is STORE_S3_EXPIRE_DAYS old deletes what nobody reads.
 *
 * A store belongs to one thread. */
#ifndef DRAY_STORE_HTTP_HTTP_H
#define DRAY_STORE_HTTP_HTTP_H

#include "store/store.h"

extern const struct store_type store_http, store_s3;

#define STORE_S3_EXPIRE_DAYS 30 /* of the rule that doctor prints */

#endif
