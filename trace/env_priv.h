/* Between the parts of dray-env.so. */
#ifndef DRAY_TRACE_ENV_PRIV_H
#define DRAY_TRACE_ENV_PRIV_H

#include <stdbool.h>

/* Notes the objects that are loaded: the program's own. What is loaded later is a macro, or what
 * one brings. */
__attribute__((visibility("hidden"))) void env_note_own(void);
/* Whether the code at pc is of the program's own objects, by the file that it comes from and not by
 * that file's name. True before env_note_own. */
__attribute__((visibility("hidden"))) bool env_is_own(const void *pc);
/* A system call by an instruction of this library, by which the tracer knows that a macro asks
 * (trace/caller.h). Sets errno. */
__attribute__((visibility("hidden"))) long env_direct(
	long nr, long a, long b, long c, long d, long e, long f);

#endif
