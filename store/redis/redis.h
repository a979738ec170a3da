/* A Redis or a Valkey as a place for objects (object.h): redis://, rediss:// (TLS), redis+unix://
 * (url.h). Key: what `prefix` says ("dray/" where nothing is set), then object_path.
 *
 * One connection, on which any number of requests are under way; downloads and questions go before
 * uploads. A store belongs to one thread.
 *
 * Of hiredis this uses the reader of replies alone, loaded when the first such store is opened
 * (lib.h): hiredis 0.14, which Debian 12 has, knows neither TLS nor a time limit in its
 * asynchronous form, and its redisReconnect drops the limits of the plain one. So the connection is
 * ours (link.h), and behaves the same with each version.
 *
 * What is asked of the server, for an access list: GETRANGE, and unless `mode=ro` SET, TOUCH,
 * APPEND, RENAME, RENAMENX, DEL, PERSIST, EXPIRE; and by dray doctor, of its clock, INFO.
 *
 * - A value is at most 512 MiB, the server's own bound: what is larger is -EFBIG. It goes in pieces
 * of 4 MiB (APPEND to a key of its own, which ends by itself after ten minutes, then renamed;
 * GETRANGE), so that no single command keeps the server long, and no piece is ever missing.
 * - Blobs are create-only (SET NX, RENAMENX); what was found to be damaged is deleted.
 * - EXISTS leaves a key's idle time as it is, and a full server would drop what is used most. So
 *   nothing asks that way: GETRANGE and TOUCH set it. With `expire_s`, each use renews it.
 * - A full server (-ENOSPC) or one that takes no writes (-EROFS) is read all the same.
 * - A connection that is lost is made again, and what was under way is asked a second time, once. A
 *   server that refuses or drops connections is left alone for a while, which grows to 5 seconds:
 *   then requests fail at once. What is silent for 5 seconds while it owes an answer, is lost.
 *
 * Errors: -ENOENT, -EBADMSG, -EFBIG, -ENOSPC, -EROFS, -EACCES (no or a wrong password, or not
 * allowed), -EREMOTE (a cluster, which this does not know), -EAGAIN (it loads its data),
 * -ETIMEDOUT, -EPROTO (it speaks something else), and of connections: -ECONNREFUSED, -ENOENT for a
 * socket that is not there becomes -ECONNREFUSED. No text of the server's is passed on but the
 * first word of an error: some quote what they were sent. */
#ifndef DRAY_STORE_REDIS_REDIS_H
#define DRAY_STORE_REDIS_REDIS_H

#include "store/store.h"

extern const struct store_type store_redis;

#endif
