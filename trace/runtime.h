/* Files that a program's runtime (loader, allocator, libc) reads for itself, so that no result
 * depends on them. The name alone is not enough: callers check other facts too. */
#ifndef DRAY_TRACE_RUNTIME_H
#define DRAY_TRACE_RUNTIME_H

#include <sys/types.h>

#include "common/base.h"

/* What a path means, whatever the compile: one table for the tracer here and the worker's. */
enum {
	RUNTIME_MACHINE = 1, /* runtime_suits_machine */
	RUNTIME_TOOL = 2,    /* runtime_tool_suits_machine */
	RUNTIME_FICKLE = 4,  /* the kernel says another thing there each time */
	RUNTIME_FIRST = 8,   /* runtimes look for it in every process; a job has none of them */
	RUNTIME_KERNEL = 16, /* a sandbox mounts it anew: no client has anything below */
	RUNTIME_BELOW = 32,  /* with all that is below */
};
struct runtime_row {
	const char *path;
	unsigned what;
};
/* The i-th of them, or NULL. */
const struct runtime_row *runtime_row(size_t i);
/* Whether the path is one of these kinds. */
bool runtime_is(const char *path, unsigned what);

#define RUNTIME_LOADERS_CACHE "/etc/ld.so.cache"
/* Whether it is the loader, by its name without links (ld-linux-x86-64.so.2, ld-2.31.so). */
bool runtime_is_loader(const char *path);
/* Whether the loader looks for a library of that path of its own accord, where no cache leads to
 * it: ld.so(8). */
bool runtime_is_default_library(const char *path);

/* Whether allocators, libc and runtimes read the path to adapt to the machine. The caller knows
 * that the file is the kernel's. */
bool runtime_suits_machine(const char *path);
/* The same for linkers and other tools. The compiler itself reads none of these, so in its process
 * the reader would be a macro. */
bool runtime_tool_suits_machine(const char *path);

/* Tells the loader's own reads at a program's start from the program's, by when they come. */
struct runtime_loading {
	pid_t pid[32];
	unsigned n;
};

/* The process runs another program from now on. */
void runtime_loading_begin(struct runtime_loading *l, pid_t pid);
/* Whether the path is the loader's cache (ld.so.cache), read for the first time since the program
 * started. The libraries that the loader takes from it are seen when it opens them. */
bool runtime_loading_reads(struct runtime_loading *l, pid_t pid, const char *path);

#endif
