/* Inside the depot. */
#ifndef DRAY_STORE_DEPOT_PRIV_H
#define DRAY_STORE_DEPOT_PRIV_H

#include "store/depot.h"

struct depot {
	struct store *store; /* on disk, by disk_index_lmdb */
};

#endif
