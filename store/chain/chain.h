/* Several places as one store: read from left to right, written to all that may be written, and
 * filled back: what a place further right had is put into those left of it that had it not, or
 * damaged, and may be written.
 *
 * It is never slower than doing without, if the caller says how long that takes: a request has a
 * limit of time, of which each place left to be asked has an equal part. A place that does not
 * answer in its part, or fails, is passed over, and left alone after some of these in a row
 * (breaker.h; reading and writing apart: a full store is read all the same). What it answers later
 * is dropped. A build has a budget of bytes.
 *
 * A store as in store.h; these are its requests' errors beside the places' own: -ETIMEDOUT;
 * -EHOSTDOWN: all places are left alone for now; -EDQUOT: the build's budget is spent. A request
 * that one place answers with -ENOENT is -ENOENT, whatever the others say. A put is done when all
 * places have answered, and is fine if one of them has taken it. Belongs to one thread. */
#ifndef DRAY_STORE_CHAIN_CHAIN_H
#define DRAY_STORE_CHAIN_CHAIN_H

#include "store/chain/list.h"
#include "store/store.h"

#define CHAIN_TIERS_MAX (CHAIN_PLACES_MAX + 1)

struct chain_in {
	/* A store that is open already, before those of the list: the chain's from the call on,
	 * which closes it, also on an error; and what it is called. It knows by itself whether it
	 * can be reached: -ENOTCONN and -ENOTSUP, which it answers at once, are no reason to leave
	 * it alone; and whether it may be written to (store_row.h: read_only), which may change.
	 * NULL: none. */
	struct store *first;
	const char *first_name;
	const char *below;   /* as of store_in, for each place of the list */
	const char *tmp;     /* as of store_in; outlives the chain */
	unsigned connect_ms; /* as of store_in, for each place */
	unsigned request_ms; /* the same: what no limit of the chain's is needed for */
	bool renews;	     /* as of store_in, for places that are not only read */
	unsigned wait_ms;    /* limit of has and get where the caller says none; 0: the places' */
	uint64_t budget;     /* bytes of a build, both ways; 0: any */
};

/* The list is not needed any more then. 0; -EINVAL: no place at all; -errno, and a sentence that
 * shows no secret, or NULL. */
int chain_open(
	const struct chain_list *l, const struct chain_in *in, struct store **ret, char **ret_why);

/* As store_has and store_get, with a limit of time in ms (0: as store_has). */
void chain_has_within(struct store *s, enum store_kind kind, const struct digest *name, unsigned ms,
	store_done_fn done, void *arg);
void chain_get_within(struct store *s, enum store_kind kind, const struct digest *name,
	uint64_t max, unsigned ms, store_done_fn done, void *arg);

struct object;
/* An object that the caller has made (outgoing.h), which is what takes long of a put: o->fd is the
 * chain's from now on, and *o is read only until this returns. */
void chain_put(struct store *s, const struct object *o, store_done_fn done, void *arg);

/* Answers all that is open with -ECANCELED, now, so that the chain may be closed: what is under way
 * at places is not waited for. */
void chain_cancel(struct store *s);

/* Whether nothing is under way, also nothing that nobody waits for: what is filled back. A chain
 * that is closed before drops that. */
bool chain_is_idle(const struct store *s);

/* Another build: its budget is whole. */
void chain_begin_build(struct store *s);

struct chain_stats {
	const char *name; /* the URL without secrets; until the chain is closed */
	uint64_t hits, misses;
	uint64_t errors;      /* of which */
	uint64_t late;	      /* so many did not come in time */
	uint64_t left_alone;  /* not asked: the breaker was open */
	uint64_t puts, there; /* taken; of these it had so many before */
	uint64_t bytes_in;    /* of content that was read */
	uint64_t bytes_out;   /* of objects that were sent */
	uint64_t ms;	      /* all answers, one after another */
	bool read_only, open; /* the breaker for reading */
};
/* Of each place, by number; -ENOENT: there are fewer. */
int chain_get_stats(const struct store *s, size_t i, struct chain_stats *ret);

#endif
