/* The latest of what is said of pairs of a name and a digest: for each a few numbers.
 *
 * Bounded memory and no list: what is not added or asked for again is forgotten some time after
 * `most` others were. Locks nothing. */
#ifndef DRAY_COMMON_RECENT_H
#define DRAY_COMMON_RECENT_H

#include "common/digest.h"

#define RECENT_VALUES_MAX 4

struct recent;

/* Remembers at least so many of the latest pairs, with n_values numbers each. 0; -ENOMEM; -EINVAL.
 */
int recent_new(size_t most, unsigned n_values, struct recent **ret);
void recent_freep(struct recent **r);

/* Its numbers, which the caller may change until the next call; zeros where it was not there, and
 * is now. At most 64 bytes of the name count. NULL: no memory. */
uint64_t *recent_add(struct recent *r, const char *name, const struct digest *digest);
/* NULL: it was not added, or is forgotten. (Of pairs without numbers: not NULL.) */
uint64_t *recent_find(struct recent *r, const char *name, const struct digest *digest);

#endif
