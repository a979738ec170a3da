/* Seeds: copies of incremental states, which cargo clean does not remove. A unit that was put in
 * place from the cache has no state; its first edit goes on from the one that its last compile here
 * left.
 *
 * A seed is a directory in <cache>/seeds, named by the digest of the call's incremental directory
 * and the crate's name. It holds the finished sessions of all states of that crate there
 * (incremental.h), which are of one or more units, and their check sums (sums.h): what is taken
 * from it is whole; whether rustc takes it is rustc's decision.
 * Files are reflinks or copies, never hard links: a rustc that is interrupted writes into those. */
#ifndef DRAY_CLIENT_INCREMENTAL_SEED_H
#define DRAY_CLIENT_INCREMENTAL_SEED_H

#include "common/conf/conf.h"
#include "rustc/call.h"

#define SEEDS_BYTES (UINT64_C(2) << 30) /* of all; the least lately used go first */
#define SEED_FRESH_S 600		/* a younger one is not made anew */

/* Keeps what states there are now, unless a fresh seed is there, and makes room. Never fails. */
void seed_keep(const struct conf *conf, const struct rustc_call *call);
/* The same in the background (background.h). */
void seed_start(const struct conf *conf, const struct rustc_call *call);
/* Puts the states in place that are not there. Whether there is any now. *ret_damaged: whether a
 * file of the seed is not what was kept, or it has no check sums: what was not put before that was
 * found is not, and the seed is removed (where the cache is written to). */
bool seed_put(const struct conf *conf, const struct rustc_call *call, bool *ret_damaged);
/* Removes all seeds, or what is more than SEEDS_BYTES. */
void seed_clear(const char *cache_dir);
void seed_trim(const char *cache_dir, uint64_t max);

#endif
