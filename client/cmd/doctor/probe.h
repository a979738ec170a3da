/* What dray doctor finds out about the stores (`store` in dray.conf): each is asked by itself, and
 * not as a place of a chain, which would pass over one that fails. dray-dispatch does it, which
 * loads what stores need; doctor (stores.c) reads what it prints.
 *
 * A store is read: the list of keys, which is there or not. Where it may be written, an entry with
 * a name of its own is put there and read back; it is the same one each time, so that no probe
 * leaves more than one small object behind.
 *
 * A list, with an object for each store:
 *
 *   url       without secrets
 *   mode      "ro", "rw"
 *   error     why it cannot be opened; then nothing below is there
 *   first_ms  the first read, with what it takes to connect
 *   read_ms   the last one
 *   read_error, write_error   in words; null: it works
 *   forbidden                 reading was refused: what is not there cannot be told from what we
 *                             may not read
 *   write_ms  null: it is not written to
 *   clock_ahead_ms  of the store's clock; null: it does not say
 *   keys      null: there is no list; else { serial, expires (seconds since 1970), admin (64
 *             digits), workers, publishers, revoked, error: why it does not count, or null }
 *   coordinator true: it is the coordinator's cache, if there is one; url is its endpoint, in words
 *   lifecycle of S3: a command that has what is old deleted */
#ifndef DRAY_CLIENT_CMD_DOCTOR_PROBE_H
#define DRAY_CLIENT_CMD_DOCTOR_PROBE_H

#include "common/conf/conf.h"
#include "common/digest.h"

#define PROBE_COMMAND "probe-stores"

/* Prints it on stdout. An exit status. */
int probe_stores(const struct conf *conf);

/* The name of the entry that is put: the SHA-256 of "dray probe", which no unit has. 0 or -ENOMEM.
 */
int probe_name(struct digest *ret);

#endif
