/* What one target directory was made of stays in the cache together. cargo asks only for units that
 * are not fresh: where somebody edits two crates each day, the results of the other two hundred
 * would look unused, and go before those of a project that nobody builds any more. So once a day
 * the first unit of a target directory marks as used all of which the outputs still lie there.
 *
 * Which those are is in a file for each target directory, to which every unit that was found or
 * kept adds a line:
 *
 *   <cache>/together/DIGEST      KEY PATH      the key of its entry; a path of what it made, from
 *                                              the target directory. The last line of a path counts
 */
#ifndef DRAY_CLIENT_CACHED_TOGETHER_H
#define DRAY_CLIENT_CACHED_TOGETHER_H

#include "memo/memo.h"
#include "store/depot.h"

struct result;

#define TOGETHER_BYTES (UINT64_C(4) << 20) /* of a file, before what is not needed goes */
#define TOGETHER_DAY_S (24 * 3600)
#define TOGETHER_OLD_S (60 * 24 * 3600) /* a file to which nobody added anything goes */

struct together_in {
	struct depot *depot;
	struct memo *memo; /* knows when all were marked last; may be NULL: they are
			      not, until the file is long */
	const char *cache_dir, *target_dir;
};

/* The unit with this key has made `path`, below the target directory. Never fails. */
void together_note(const struct together_in *in, const struct digest *key, const char *path);

/* What of a target directory's file lies there still. 0; -ENOENT: nothing was noted of it; -errno.
 */
struct together;
int together_read(const char *cache_dir, const char *target_dir, struct together *ret);

/* Marks an entry and this result of it as used. */
void together_mark_result(struct depot *depot, const struct digest *key, const struct result *res);

/* For the file. */
struct together {
	struct together_unit {
		struct digest key;
		char *path;
		size_t line;
	} * v;
	size_t n, cap;
};
/* *ret must be empty. Lines that are none are passed over; of each path the last one is left, and
 * they are sorted by it. 0 or -ENOMEM. */
int together_decode(const char *p, size_t n, struct together *ret);
void together_done(struct together *t);

#endif
