/* Tickets: the coordinator's signed statement that one client may run one job on one worker, once.
 */
#ifndef DRAY_KEYS_TICKET_H
#define DRAY_KEYS_TICKET_H

#include "keys/identity.h"
#include "common/base.h"
#include "common/digest.h"

#define TICKET_NONCE_SIZE 16
#define TICKET_LIFE_MS 15000

/* The time that tickets go by: the coordinator's, on both sides. It begins as its wall clock, and
 * goes on with the monotonic one; workers hear it with every heartbeat, and count on by their own
 * monotonic clock. So no wall clock that is wrong, or is set, makes a ticket void. */
struct ticket_clock {
	bool known;
	uint64_t time_ms, mono_ms; /* what it was, and when */
};

/* Now, which is mono_ms by this machine's monotonic clock, it is time_ms there; 0: not known. */
void ticket_clock_set(struct ticket_clock *c, uint64_t time_ms, uint64_t mono_ms);
/* wall_ms, this machine's wall clock, stands for a time that was never heard. */
uint64_t ticket_clock_get(const struct ticket_clock *c, uint64_t mono_ms, uint64_t wall_ms);

/* What a ticket allows beside. */
struct ticket_terms {
	bool twin;   /* for joining another job, without a slot */
	bool sample; /* the client is a worker that hands over a job of its own (worker.proto,
			Samples): */
	char namespace[KEYS_NAME_MAX + 1]; /* that of the job's own client */
	bool blobs; /* it is for no job: the client is a worker, which may read blobs (worker.proto,
		       Peers first): those that jobs made, and those of */
	char owner[CURVE_KEY_SIZE]; /* this client's key */
	bool refill;		    /* for the shared cache alone (client.proto, Refills) */
	bool push;		    /* for no job: to give a toolchain (client.proto, Pushes), */
	bool one;		    /* and none but */
	struct digest toolchain;    /* this one; an older coordinator does not say which */
};

/* Whether a ticket of these terms is for that toolchain: one that names none is for any. */
bool ticket_is_for(const struct ticket_terms *terms, const void *toolchain, size_t n);

/* Makes and signs one. terms: NULL: none. *ret_ticket (caller frees) and its length; expires at
 * now_ms + TICKET_LIFE_MS. */
int ticket_issue(const struct identity *coordinator, const char *job, const char *client_curve,
	const char *worker_curve, const struct ticket_terms *terms, uint64_t now_ms,
	uint8_t **ret_ticket, size_t *ret_n, uint8_t sig[SIGNATURE_SIZE]);

/* Nonces that were used and have not expired yet; at most TICKET_BOOK_MAX of them. */
#define TICKET_BOOK_MAX 100000
struct ticket_book;
int ticket_book_new(struct ticket_book **ret);
void ticket_book_free(struct ticket_book *b);
void ticket_book_limit(struct ticket_book *b, size_t max); /* another bound than TICKET_BOOK_MAX */

/* Checks signature, expiry (60 s late or early are allowed), worker, client key as CURVE proved it
 * ("" over ipc on either side skips that one), and that the nonce is new; then remembers the nonce.
 * 0, the job id (caller frees), and its terms; -EBADMSG, -EKEYREJECTED (signature),
 * -EKEYEXPIRED, -EALREADY (used), -EACCES (for another worker or client), -EBUSY (the book is
 * full). */
int ticket_check(struct ticket_book *b, const uint8_t *ticket, size_t n, const uint8_t *sig,
	size_t sig_n, const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve,
	const char *worker_curve, uint64_t now_ms, char **ret_job, struct ticket_terms *ret);
/* The same of one for blobs, which neither is good for a job, nor is a job's good for this: it may
 * be used again until it expires, since reading changes nothing. ret: its owner. */
int ticket_check_blobs(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, char ret_owner[CURVE_KEY_SIZE]);

/* What a ticket said, once its job has ended: whose it was (ret_client). It must be this signer's,
 * for that worker, for a job of a client's own, and no older than TICKET_READ_MS. 0; -EBADMSG,
 * -EKEYREJECTED, -EKEYEXPIRED, -EACCES, as above. */
#define TICKET_READ_MS (24u * 3600 * 1000)
int ticket_read(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *worker_curve, uint64_t now_ms,
	char ret_client[CURVE_KEY_SIZE]);

#endif
