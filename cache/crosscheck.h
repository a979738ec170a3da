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

/* Checks that each file that dep-info names is among the inputs. 0; -ESTALE: *ret_lacks, which the
 * caller frees, is one that is not; -ENOMEM. Takes O(n log n) of both. */
int crosscheck_files(const struct crosscheck *c, const struct strv *files, char **ret_lacks);

#endif
