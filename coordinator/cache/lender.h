/* What counts against workers that do not hand over what they have shared (sampler.h). Pure.
 *
 * A client chooses what is compiled, and so can bring it about that a result cannot be handed over:
 * by inputs that its own uploads have pushed out, by their size, by what they do to one that lays
 * them out. So whatever concerns one result counts for the client whose job that was:
 *
 *   LENDER_FAILURES of one client's    what the worker makes for that client is not taken for
 *                                      LENDER_BARRED_MS, each further time for twice as long
 *   so for LENDER_CLIENTS keys at once the same for what it makes for anybody
 *
 * What only the worker itself brings about, the loss of its connection or a new process, counts for
 * all. One failure is forgiven for LENDER_GOOD samples that came out the same, of that client (or,
 * of the latter kind, of any). */
#ifndef DRAY_COORDINATOR_CACHE_LENDER_H
#define DRAY_COORDINATOR_CACHE_LENDER_H

#include <sys/queue.h>

#include "keys/identity.h"

#define LENDER_FAILURES 3
#define LENDER_CLIENTS 2
#define LENDER_GOOD 64
#define LENDER_BARRED_MS (3600u * 1000)
#define LENDER_BARRED_MAX_MS (32u * LENDER_BARRED_MS)
#define LENDER_WATCHED 64     /* after a fault: so many results are looked at more often */
#define LENDER_TALLIES_MAX 64 /* clients that are remembered; of more the eldest is forgotten */
#define LENDER_INSTANCE_SIZE 16

struct lender_tally {
	TAILQ_ENTRY(lender_tally) link;
	char client[CURVE_KEY_SIZE]; /* "": not known, which counts as no key */
	unsigned failures;
	unsigned good; /* since a failure was added or forgiven */
	unsigned bars;
	uint64_t barred_until;
};

/* A worker that shares. There are as many as the list of keys has. */
struct lender {
	TAILQ_ENTRY(lender) link;
	char worker[CURVE_KEY_SIZE];
	uint64_t results, watched;
	unsigned open;				/* samples */
	bool runs;				/* one of them does */
	uint8_t instance[LENDER_INSTANCE_SIZE]; /* of its process; zeros: not known */
	struct lender_tally own;
	TAILQ_HEAD(, lender_tally) tallies;
	size_t n_tallies;
};
TAILQ_HEAD(lenders, lender);

/* NULL: it has shared nothing yet. */
struct lender *lenders_find(const struct lenders *all, const char *worker);
/* NULL: no memory. */
struct lender *lenders_get(struct lenders *all, const char *worker);
void lenders_done(struct lenders *all);

/* Its next results are looked at more often. l may be NULL. */
void lender_watch(struct lender *l);
void lender_note_good(struct lender *l, const char *client);

enum lender_bar { LENDER_NOT_BARRED, LENDER_BARRED_CLIENT, LENDER_BARRED_ALL };
/* It did not hand over what it had made for that client; NULL: its own doing. enough: this one does
 * for that client. What it comes to, if anything does now. */
enum lender_bar lender_note_failure(
	struct lender *l, const char *client, bool enough, uint64_t now);
/* Whether what it makes for that client is taken; NULL: for anybody. l may be NULL. */
bool lender_may_share(const struct lender *l, const char *client, uint64_t now);

#endif
