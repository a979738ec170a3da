/* What the files of the blob store share. store.c holds the index, reading and writing;
 * store_scan.c opens a store and finds out what is in it. */
#ifndef DRAY_STORE_PRIV_H
#define DRAY_STORE_PRIV_H

#include <pthread.h>

#include "common/table.h"
#include "store/store.h"

struct blob {
	struct table_node node;
	struct blob *older, *newer; /* order of use */
	struct digest digest;
	uint64_t size;
	uint64_t touched_ms; /* monotonic, when the atime was last set; 0: not yet */
	bool verified;
};

struct store {
	char *dir;
	int lock_fd, blobs_fd, tmp_fd;
	pthread_mutex_t lock;
	struct table table;
	struct blob *oldest, *newest;
	struct store_stats stats;
	uint64_t tmp_counter;
};

/* Enters a blob that is on disk (or one that already was known) as the one used last. With the lock
 * held. 0 or -ENOMEM. */
int store_index_add(struct store *s, const struct digest *d, uint64_t size, bool verified);
/* Forgets a blob; its file is the caller's matter. With the lock held. */
void store_index_remove(struct store *s, struct blob *e);

#endif
