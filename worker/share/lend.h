/* Hands one job over to another worker, as a client does (proto/job.proto): sends the unit, the
 * blobs that are asked for, and to each file on demand the answer that its own client gave. */
#ifndef DRAY_WORKER_SHARE_LEND_H
#define DRAY_WORKER_SHARE_LEND_H

#include "worker/share/loans.h"

#define LEND_TEXT 256

struct lend_in {
	void *ctx;
	const struct identity *identity;
	const char *endpoint, *curve; /* the other one's */
	ProtobufCBinaryData ticket, signature;
	const struct loan *loan;
	const char *dir;  /* its blobs: by their numbers in the unit, then as answers name them */
	const bool *stop; /* atomic: it is wanted no more */
};

/* Waits for the end of it. GIVEN, UNREACHED or FAILED, with a sentence in text. */
Dray__LendEnd lend_give(const struct lend_in *in, char text[LEND_TEXT]);

/* Links what a loan takes into the directory, which is made. 0; -ENOENT: the store has not all of
 * it any more; -errno. */
int lend_keep(const struct loan *n, struct store *store, const char *dir);
/* Whether lend_keep could do that now; what is there is marked as used. The same. */
int lend_check(const struct loan *n, struct store *store);

#endif
