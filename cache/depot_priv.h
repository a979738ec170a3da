/* Inside the depot: names on disk, and what its files share. */
#ifndef DRAY_CACHE_DEPOT_PRIV_H
#define DRAY_CACHE_DEPOT_PRIV_H

#include <limits.h>

#include "cache/depot.h"

enum depot_kind { DEPOT_BLOB, DEPOT_ENTRY, DEPOT_N_KINDS };

struct depot {
	char *dir;
	uint64_t max;
	bool read_only;
	struct memo *memo;
};

/* Directories of each kind, below the cache's. */
extern const char *const depot_dirs[DEPOT_N_KINDS];

/* Everything below the cache directory fits: depot_open refuses one that is too long. */
void depot_path(
	const struct depot *d, enum depot_kind kind, const struct digest *name, char out[PATH_MAX]);
void depot_tmp_dir(const struct depot *d, char out[PATH_MAX]);
void depot_lock_path(const struct depot *d, const char *name, char out[PATH_MAX]);

/* A new name in dir for a file that is not whole yet; left_sweep knows it when we are killed.
 * -ENAMETOOLONG. */
int depot_temp_name(const char *dir, char out[PATH_MAX]);
/* A new file under such a name in the cache's tmp/. Descriptor or -errno. */
int depot_open_temp(const struct depot *d, char ret_name[PATH_MAX]);
/* Renames into the cache, whose directory is made when it is not there. */
int depot_rename(const char *from, const char *to);

#endif
