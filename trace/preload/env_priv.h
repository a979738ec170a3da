/* What the parts of dray-env.so share; of dray-run.so, those that env_realpath.c needs. */
#ifndef DRAY_TRACE_ENV_PRIV_H
#define DRAY_TRACE_ENV_PRIV_H

#include <stdbool.h>
#include <stddef.h>

/* Notes the objects that are loaded now as the program's own. What is loaded later is a macro, or
 * belongs to one. */
__attribute__((visibility("hidden"))) void env_note_own(void);
/* Whether the code at pc belongs to the program's own objects. The file decides, not its name. True
 * before env_note_own. */
__attribute__((visibility("hidden"))) bool env_is_own(const void *pc);
/* A system call by an instruction of this library, by which the tracer knows that a macro asks
 * (trace/caller.h). Sets errno. */
__attribute__((visibility("hidden"))) long env_direct(
	long nr, long a, long b, long c, long d, long e, long f);

/* Reports that the code at pc asks for a variable (env_main.c). */
__attribute__((visibility("hidden"))) void env_report(const char *name, const void *pc);
/* The function of this name that libc has, or NULL; *known: what was found before. */
__attribute__((visibility("hidden"))) void *env_next(void **known, const char *name);

/* What the function syscall does for the code at pc: by libc's, or for a macro by env_direct. */
__attribute__((visibility("hidden"))) long env_syscall(const void *pc, long nr, const long v[6]);

/* Reports it if the system call of this number asks about the machine, for the code at pc
 * (env_machine.c). */
__attribute__((visibility("hidden"))) void env_note_machine(const void *pc, long nr);

/* Where a symbolic link leads to, asked as the program would, or as a macro. Sets errno. */
__attribute__((visibility("hidden"))) long env_readlink(
	bool own, int fd, const char *path, char *buf, size_t n);
/* Whether this program replaces no directory by a link while it runs (env_realpath.c). */
__attribute__((visibility("hidden"))) bool env_keeps_dirs(void);
/* The real path (of PATH_MAX bytes) of what libc's realpath was asked before by the same program,
 * if the tracer need not see the question again. */
__attribute__((visibility("hidden"))) bool env_knows_real(const char *path, char *ret);
/* libc's realpath was asked, and there is one. */
__attribute__((visibility("hidden"))) void env_note_real(const char *path);

#endif
