/* A store as a worker has it. */
#ifndef DRAY_TESTS_UNIT_STORE_FIXTURE_H
#define DRAY_TESTS_UNIT_STORE_FIXTURE_H

#include "store/disk.h"

static inline int
open_own_store(const char *dir, uint64_t max, struct store **ret)
{
	const struct disk_in disk = { .index = &disk_index_memory };
	const struct store_in in = { .where = dir, .max = max, .disk = &disk };

	return store_open(&store_disk, &in, ret);
}

#endif
