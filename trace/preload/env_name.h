/* What dray-env.so and dray-run.so do alike with the names of variables: libc only, no allocation,
 * async-signal-safe. */
#ifndef DRAY_TRACE_ENV_NAME_H
#define DRAY_TRACE_ENV_NAME_H

#include <stdbool.h>

#include "trace/paths.h"

#define ENV_NAME_MAX 256 /* bytes of a name; a longer one is not reported */
#define ENV_NAME_PATH (sizeof(TRACE_ENV_PREFIX) + ENV_NAME_MAX)

/* The variable's value, as getenv gives it. */
__attribute__((visibility("hidden"))) char *env_find(const char *name);
/* Writes the report of a name: class (TRACE_ENV_MACRO or TRACE_ENV_TOOLCHAIN), '/', and the name.
 * False: there is nothing to report, since it was reported before, or is no name. */
__attribute__((visibility("hidden"))) bool env_name_report(
	const char *name, char class, char path[ENV_NAME_PATH]);

#endif
