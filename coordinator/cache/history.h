/* What is known of units: how long they took, what they needed, how often they were asked for. It
 * outlives the coordinator, in an SQLite file that a thread writes (pool.h); the loop notes events
 * and goes on.
 *
 * A unit is known by its namespace, crate, kind and toolchain. Costs are a moving average: the last
 * run counts a quarter. The file has a row a unit, UNITS_MAX at most; those that nobody asked for
 * in the longest time go first, and each that nobody asked for in HISTORY_DAYS days. */
#ifndef DRAY_COORDINATOR_CACHE_HISTORY_H
#define DRAY_COORDINATOR_CACHE_HISTORY_H

#include "common/digest.h"
#include "coordinator/cache/pool.h"

#define HISTORY_UNITS_MAX 200000
#define HISTORY_DAYS 90
#define HISTORY_WORD 65
#define HISTORY_PENDING_MAX 4096 /* events that wait to be written; more are forgotten */

struct history;

struct history_unit {
	char namespace[HISTORY_WORD], crate[HISTORY_WORD], kind[HISTORY_WORD];
	struct digest toolchain;
};

struct history_facts {
	uint64_t runs, hits;
	uint64_t wall_us, cpu_us; /* averages */
	uint64_t peak_rss;	  /* the largest, in bytes */
	uint64_t source_bytes;	  /* of the last run */
	uint64_t used_s;	  /* since 1970 */
};

/* Nothing is opened yet; the file is made when something is written. 0 or -ENOMEM. */
int history_new(const char *path, struct pool *pool, struct history **ret);
/* What waits is written, here and now. After pool_free: no thread has anything of it. */
void history_free(struct history *h);

/* A unit of these words, cut to their room and made printable. */
void history_name(struct history_unit *ret, const char *namespace, const char *crate,
	const char *kind, const uint8_t *toolchain, size_t toolchain_n);
/* It was compiled. */
void history_ran(struct history *h, const struct history_unit *u, const struct history_facts *f);
/* It was asked for, and was there. */
void history_hit(struct history *h, const struct history_unit *u);
/* Writes what waits, if it is time. */
void history_step(struct history *h, uint64_t now);

/* Reads one unit from a file: waits for a disk. 0; -ENOENT; -errno. */
int history_read(const char *path, const struct history_unit *u, struct history_facts *ret);

#endif
