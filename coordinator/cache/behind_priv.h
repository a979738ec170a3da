/* Inside of what lies behind the disk: behind.c (fetches, and its life) is above behind_up.c
 * (uploads). */
#ifndef DRAY_COORDINATOR_CACHE_BEHIND_PRIV_H
#define DRAY_COORDINATOR_CACHE_BEHIND_PRIV_H

#include <pthread.h>

#include "common/log/log.h"
#include "common/table.h"
#include "coordinator/cache/behind.h"
#include "store/chain/clerk.h"

#define BEHIND_UPLOADS 4 /* threads; an entry is always the same one's */

/* Results that are to go from the stores; under the lock. */
struct behind_purge {
	unsigned parts; /* threads that are not done with it */
	bool of_producer;
	uint8_t producer[SIGN_KEY_SIZE];
	uint64_t before_s;
	uint64_t entries, results, failed;
	char why[256]; /* of the last that failed */
	size_t n;
	struct digest names[]; /* by thread */
};

/* An entry whose upload is due; or a thread's part of a purge. */
struct behind_due {
	STAILQ_ENTRY(behind_due) link;
	struct digest name;
	struct behind_purge *purge; /* NULL: an upload */
	size_t at;		    /* of its names */
	unsigned tries;		    /* of that one */
};
STAILQ_HEAD(behind_dues, behind_due);

struct behind_space {
	struct behind_space *next;
	struct behind *behind;
	struct vault_space *space;
	struct clerk *clerk;
	char *dir; /* of the notes of what is due; NULL: nothing is written there */
	char *tmp;
	bool several; /* places that are written: what one has, another may lack */
	/* Under the lock. */
	struct signers *signers;
	bool named; /* signers are known */
	struct behind_dues due[BEHIND_UPLOADS];
	uint64_t n_due;
	uint64_t wait_ms, wait_until; /* after a failure; 0: none */
};

struct behind {
	const struct conf *conf;
	struct pool *pool;
	/* The loop's. */
	struct table fetches;
	uint8_t hash_key[TABLE_KEY_SIZE];
	unsigned under_way, lane;
	struct log_throttle refused, failed;
	/* Under the lock: all below, and what spaces say. */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct behind_space *spaces;
	bool ends;
	struct behind_stats stats;
	struct log_throttle not_uploaded;
	pthread_t threads[BEHIND_UPLOADS];
	unsigned n_threads;
};

/* ---- behind_up.c */

/* Starts its threads. 0 or -errno. */
int behind_up_start(struct behind *b);
/* Waits for their end. */
void behind_up_join(struct behind *b);
/* Notes what is due since an earlier run. */
void behind_up_scan(struct behind_space *sp);
void behind_up_done(struct behind_space *sp);

#endif
