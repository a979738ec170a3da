/* clang-format off */
/* Stores behind the coordinator's disk ([coordinator] store): for each namespace a chain of them
 * (store/chain/), below a prefix of its own. What the disk does not have is asked for there, and is
 * on the disk then; what is put goes there, behind the peer that put it.
 *
 *   loop              the chain's thread      a lane of pool.h            threads for uploads
 *   behind_fetch ───▶ the places are asked ─▶ checked as a stranger's,
 *                     (store_wait_ms)         merged, put on the disk
 *   wait.done ◀──────────────────────────────
 *                                             an entry was put on the
 *                                             disk: behind_note ──▶ what is lacking there
 *
 * Nothing here waits for a store but these threads. A store is trusted with nothing (merge.h); in
 * the one of a namespace there is nothing of another one. Entries whose upload is due are noted in
 * files, so that it is done after a restart, too. */
/* clang-format on */
#ifndef DRAY_COORDINATOR_CACHE_BEHIND_H
#define DRAY_COORDINATOR_CACHE_BEHIND_H

#include <sys/queue.h>

#include "common/conf/conf.h"
#include "coordinator/cache/pool.h"
#include "coordinator/cache/vault.h"

#define BEHIND_FETCHES_MAX 256 /* under way at a time */
#define BEHIND_DUE_MAX 20000   /* uploads that wait, of a namespace; more are not made */

struct behind;

/* conf and pool outlive it. 0, and NULL in *ret where no store is set; -EINVAL, and a sentence in
 * *ret_error (caller frees); -errno. */
int behind_new(const struct conf *conf, struct pool *pool, struct behind **ret, char **ret_error);
/* Its threads end; what is under way is given up. The pool is still there, the stores of the vault
 * are still open. */
void behind_end(struct behind *b);
/* After that, and after pool_free. NULL is fine. */
void behind_free(struct behind *b);

/* In a thread of the pool, once its store is open: sets `behind`, or says in the log why not. */
void behind_open(struct behind *b, struct vault_space *s);

/* Whose results count from now on; NULL: anybody's. */
void behind_name(struct vault_space *s, struct signers *signers);

/* One that waits for something. */
struct behind_wait {
	TAILQ_ENTRY(behind_wait) link;
	struct behind_fetch *fetch; /* NULL: it waits for nothing */
	void (*done)(struct behind_wait *w);
};

/* Asks for that name, once for all that want it; it is on the disk, or nowhere, when `done` is
 * called, by pool_step. 0; -EAGAIN: too many are under way; -ENOMEM. */
int behind_fetch(struct vault_space *s, enum store_kind kind, const struct digest *name,
	struct signers *signers, struct behind_wait *w);
/* It does not wait any more. */
void behind_leave(struct behind_wait *w);

/* By any thread: that entry was put on the disk. */
void behind_note(struct vault_space *s, const struct digest *name);

/* In the loop: takes results out of entries of these names in the stores, behind all else, since
 * they were taken from the disk. An entry of which nothing is left stays there, empty: any store
 * that can be written to can do that. The names are copied. The log says what came of it; what is
 * left when the coordinator ends stays. 0; -EROFS: they are only read; -ENOMEM. */
int behind_purge(struct vault_space *s, const struct digest *names, size_t n,
	const struct vault_purge *what);

struct behind_stats {
	uint64_t asked, fetched, bytes; /* of what the disk did not have; and what came */
	uint64_t refused;		/* came, and was not what it should be */
	uint64_t uploaded, due;		/* entries; and those that wait */
	uint64_t purged;		/* results that were taken out */
};
void behind_get_stats(struct behind *b, struct behind_stats *ret);

#endif
