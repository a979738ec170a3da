/* What a program's runtime reads for itself, and no result depends on: its loader, its allocator,
 * libc. Names alone decide nothing: the callers see by other facts that it is so. */
#ifndef DRAY_TRACE_RUNTIME_H
#define DRAY_TRACE_RUNTIME_H

#include <sys/types.h>

#include "common/base.h"

/* What allocators, libc and runtimes look at to suit themselves to the machine, given that the
 * kernel makes it up. */
bool runtime_suits_machine(const char *path);
/* The same of linkers and other tools; the compiler itself looks at none of it, so there it would
 * be a macro. */
bool runtime_tool_suits_machine(const char *path);

/* The loader's own reads at a program's start are told from the program's by when they come. */
struct runtime_loading {
	pid_t pid[32];
	unsigned n;
};

/* The process runs another program from now on. */
void runtime_loading_begin(struct runtime_loading *l, pid_t pid);
/* Whether the path is the loader's cache of where libraries are, looked at for the first time since
 * the program was started. What the loader takes from it is seen when it opens that. */
bool runtime_loading_reads(struct runtime_loading *l, pid_t pid, const char *path);

#endif
