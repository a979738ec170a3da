/* Paths that mean something to the tracer alone: what dray-env.so opens, and no file has. */
#ifndef DRAY_TRACE_PATHS_H
#define DRAY_TRACE_PATHS_H

#include <stdbool.h>
#include <string.h>

#define TRACE_ENV "/.dray/env" /* then /, one of these, /, and the variable's name */
#define TRACE_ENV_MACRO 'm'
#define TRACE_ENV_TOOLCHAIN 'r'
/* It was loaded: what it does not report was not asked for. */
#define TRACE_ENV_HELLO TRACE_ENV "/+"

/* Whether it is /proc/<pid>/environ, or that of one of its threads: a whole environment at once. */
static inline bool
trace_is_environ(const char *path)
{
	size_t n = strlen(path), k = strlen("/environ");

	return strncmp(path, "/proc/", strlen("/proc/")) == 0 && n > k &&
	       strcmp(path + n - k, "/environ") == 0;
}

#endif
