/* What seed.c and seed_room.c share. */
#ifndef DRAY_CLIENT_INCREMENTAL_SEED_PRIV_H
#define DRAY_CLIENT_INCREMENTAL_SEED_PRIV_H

#include "common/base.h"

#define SEED_DEPTH 3 /* seed, state, session, file */

/* Where seeds are; the caller frees it. Also NULL: what lies there may be somebody else's. */
char *seed_dir(const char *cache_dir);
/* What the files in a tree of that depth take on the disk. */
uint64_t seed_size(const char *path, int depth);
/* In one step: who copies the seed sees that it is another, or gone. dir: seed_dir's. */
void seed_remove(const char *dir, const char *path);

#endif
