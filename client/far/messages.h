/* clang-format off */
/* What a wrapper and its farm half say to each other of the stores (`store` in dray.conf), on a
 * connection that was greeted for that (client/half/request.h). Messages are kept apart by the
 * socket; each is a struct far_message, and some have a descriptor with them.
 *
 *   dray                                       dray-dispatch --half
 *     BUILD list                               (where nothing is in the local cache) what is on the
 *                                              list is fetched from now on; no answer
 *     FIND key ─────────────────────────────▶  the stores are asked for its results; what is not
 *     │                                        signed by a key that is trusted does not count.
 *     │                                        The first one begins to fetch what is on the build's
 *     │                                        list (ahead.h), and may be answered from that
 *     ◀──────────────────────────── FOUND      with a file: an entry (cache/entry.h); or why not.
 *     │                                        The blobs of its first result are on their way
 *     │ (which result's inputs are as they are here?)
 *     BRING ────────────────────────────────▶  with a file: which blobs (struct far_blob)
 *     ◀───────────────────────────── HERE      a blob is in the local store now; for each
 *     WAIT ─────────────────────────────────▶  (it was metadata, and cargo went on with it) how
 *                                              long dray waits from now on; no answer
 *     ◀────────────────────────────── ALL      these are all; or why not
 *     FIND …, or the end of file
 *
 *     FLUSH ────────────────────────────────▶  (`dray flush`) what failed is tried again at once
 *     ◀───────────────────────────── LEFT      bytes: so many results wait for their upload; and
 *                                              what went wrong last, if anything did. Or an error:
 *                                              nothing is uploaded from here, and why
 *
 * dray's end of file says that it waits for nothing any more: it compiles. */
/* clang-format on */
#ifndef DRAY_CLIENT_FAR_MESSAGES_H
#define DRAY_CLIENT_FAR_MESSAGES_H

#include "common/base.h"
#include "common/digest.h"

enum far_what {
	FAR_FIND = 1,
	FAR_FOUND,
	FAR_BRING,
	FAR_HERE,
	FAR_ALL,
	FAR_FLUSH,
	FAR_LEFT,
	FAR_BUILD,
	FAR_WAIT
};

#define FAR_STORE_MAX 64
#define FAR_WHY_MAX 256

struct far_message {
	uint32_t what;	     /* enum far_what */
	int32_t error;	     /* of an answer: 0 or -errno, then with `why` */
	uint32_t ms;	     /* of a request: how long dray waits for it */
	uint32_t refused;    /* of FOUND: results that are not believed */
	uint32_t publishers; /* of FOUND: a bit for each result, by its number: a publisher sealed
				it */
	uint32_t pad;
	uint64_t bytes;		     /* of an answer: that came from a store */
	uint8_t digest[DIGEST_SIZE]; /* of FIND: the key; of HERE: the blob */
	uint8_t list[DIGEST_SIZE];   /* of FIND, BUILD: the name of the build's list (list.h); all
					zero:   there is none */
	char store[FAR_STORE_MAX];   /* of FOUND: where it was, without secrets; "": in none */
	char why[FAR_WHY_MAX];
};

struct far_blob {
	uint64_t size;
	uint8_t digest[DIGEST_SIZE];
};

#define FAR_BLOBS_MAX 65536 /* of one result; tree.c has fewer files */
#define FAR_ENTRY_MAX (64u << 20)

/* Whether n bytes are a message of one of these kinds: a set of (1 << what). Its texts end. */
bool far_message_ok(const void *p, size_t n, unsigned kinds, struct far_message *ret);

/* One message over conn, which never waits; fd: -1, or what goes with it. 0 or -errno. */
int far_send(int conn, const struct far_message *m, int fd);
/* The next one that has come. *ret_fd: the caller's, or -1. 0; -EAGAIN: there is none yet;
 * -ECONNRESET: the end; -EBADMSG: none of these kinds, or more descriptors than one. */
int far_receive(int conn, unsigned kinds, struct far_message *ret, int *ret_fd);

/* A file for a message, with these bytes: a descriptor or -errno. */
int far_file_make(const void *p, size_t n);
/* Reads such a file: of at most max bytes. 0; -EBADMSG: it is no regular file, or larger; -errno.
 */
struct buf;
int far_file_read(int fd, size_t max, struct buf *ret);

#endif
