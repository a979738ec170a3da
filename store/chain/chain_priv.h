/* A chain's structs, for its files only: attempts.c (what is under way at a place, and what its
 * answer says of it), chain_put.c (puts, and what is filled back), chain.c (asks, and the row). */
#ifndef DRAY_STORE_CHAIN_CHAIN_PRIV_H
#define DRAY_STORE_CHAIN_CHAIN_PRIV_H

#include "store/chain/breaker.h"
#include "store/chain/chain.h"
#include "store/outgoing.h"
#include "store/waiter.h"

struct tier {
	struct store *store;
	char *shown;
	bool connected; /* chain_in.first */
	struct breaker reads, writes;
	bool own;	  /* it is not filled back */
	unsigned overdue; /* tries without an ask that are not answered yet */
	struct chain_stats stats;
};

struct chain;

struct ask {
	struct ask *prev, *next;
	struct chain *chain;
	bool is_get;
	enum store_kind kind;
	struct digest name;
	uint64_t max;
	uint64_t until; /* 0: no limit */
	size_t at;	/* the tier that is asked */
	struct attempt *try;
	uint64_t try_until;
	bool starting; /* a try is being begun: its answer may come at once */
	bool hit;      /* reply is the answer */
	struct store_reply reply;
	int error;	 /* else: -ENOENT if one said so, or the first */
	unsigned lacked; /* a bit for each tier that said it has none, or a damaged one */
	store_done_fn done;
	void *arg;
};

struct spread {
	struct chain *chain;
	struct store_reply reply;
	unsigned left, taken, there;
	int error;	    /* the first */
	store_done_fn done; /* NULL: nobody waits */
	void *arg;
};

struct attempt {
	struct attempt *prev, *next;
	struct chain *chain;
	struct tier *tier;
	struct ask *ask;       /* NULL: too late */
	struct spread *spread; /* of a put */
	uint64_t begun, bytes;
	bool judged; /* its lateness was counted already */
};

struct fill {
	struct fill *next;
	enum store_kind kind;
	struct digest name;
	int fd;
	uint64_t size;
	unsigned where; /* a bit for each tier */
};

struct chain {
	struct store base;
	struct waiter waiter;
	struct tier tiers[CHAIN_TIERS_MAX];
	size_t n;
	unsigned wait_ms;
	uint64_t budget, spent;
	struct ask *asks;
	struct attempt *tries;
	struct fill *fills, **fills_end;
	unsigned n_fills;
	uint64_t fills_bytes;
	bool working;
};

/* Whether nothing is put there now. */
static inline bool
chain_is_read_only(const struct tier *t)
{
	return t->stats.read_only || t->store->read_only;
}

/* What was got is to be put, later and if there is room, to the places before that said they have
 * it not. fd stays the caller's. */
void chain_want_fill(struct chain *c, const struct ask *a, int fd, uint64_t size);
void chain_fill_one(struct chain *c);
/* Those that wait for puts are answered with -ECANCELED. */
void chain_cancel_puts(struct chain *c);

/* NULL: no memory. */
struct attempt *chain_new_attempt(struct chain *c, struct tier *t);
void chain_free_attempt(struct attempt *y);
/* What an answer says of its place: its breaker is told. */
void chain_judge(struct tier *t, struct breaker *b, int error, const char *why);
/* In words, until the next call of the place. */
const char *chain_why_of(const struct tier *t, int error);
void chain_note_why(struct chain *c, const struct tier *t, int error);

#endif
