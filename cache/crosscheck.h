/* Two witnesses of what a compile read: the compiler's dep-info, and the tracer. */
#ifndef DRAY_CACHE_CROSSCHECK_H
#define DRAY_CACHE_CROSSCHECK_H

#include "cache/inputs.h"

struct crosscheck {
	const struct inputs *inputs;
	const struct inputs_place *place;
	const char *cwd;
	const struct strv *known; /* directories and files that the toolchain's id speaks for */
};

/* Whether each file that dep-info names (as it is written there) is among the inputs. 0; -ESTALE:
 * *ret_lacks (the caller frees it) is one that is not; -ENOMEM. Takes O(n log n) of both. */
int crosscheck_files(const struct crosscheck *c, const struct strv *files, char **ret_lacks);

#endif
