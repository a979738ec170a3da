/* Messages to the tracer from inside a compile or a build script. Each is an openat of a name below
 * a descriptor that no process has: the kernel says EBADF, and no file can have the name. */
#ifndef DRAY_TRACE_PATHS_H
#define DRAY_TRACE_PATHS_H

#include <stdbool.h>
#include <string.h>

#define TRACE_SAID_FD (-0x64726179)

/* A variable was asked for: one of these, '/', and its name. */
#define TRACE_ENV_MACRO 'm'
#define TRACE_ENV_TOOLCHAIN 'r'
#define TRACE_ENV_PREFIX "m/" /* one as long */
/* A macro asked for the real path of something, and this is one: TRACE_REAL_PREFIX and the path. */
#define TRACE_REAL_PREFIX "p/" /* as long as the other one */
/* The time of day was asked for: this; of a build script also which time it is, in this program and
 * in this process since it was forked (a digit each); '/'; libc's name of the function. */
#define TRACE_CLOCK_PREFIX "t/"
/* A program asks for the table of what was asked (trace/asked.h): the answer is a descriptor. */
#define TRACE_ASKED "T"
/* A macro, or a script, asked which machine this is: this, and what about it ("uname", "cpus" or
 * "limits": groups of cache/variables.h). */
#define TRACE_MACHINE_PREFIX "i/"
/* LD_LIBRARY_PATH, and its other name where the loader is not to see it (preload/run_spawn.c). */
#define TRACE_LIBRARY_PATH "LD_LIBRARY_PATH="
#define TRACE_LIBRARY_PATH_HIDDEN "dr_LIBRARY_PATH=" /* as long */
/* How a script's C compilers are to name places in debug information: FROM=TO, a line each
 * (preload/run_map.c). */
#define TRACE_PREFIX_MAP "dr_PREFIX_MAP="
/* Random numbers were asked for. */
#define TRACE_RANDOM "q"
/* dray-env.so or dray-run.so was loaded: a variable that it does not report was not asked for. */
#define TRACE_ENV_HELLO "+"
/* A trial before the compiler starts: does the tracer answer? */
#define TRACE_TRIAL "?"

/* Whether the path is /proc/<pid>/environ, or a thread's: it holds a whole environment. */
static inline bool
trace_is_environ(const char *path)
{
	size_t n = strlen(path), k = strlen("/environ");

	return strncmp(path, "/proc/", strlen("/proc/")) == 0 && n > k &&
	       strcmp(path + n - k, "/environ") == 0;
}

/* Whether it holds the caller's arguments as they were given: a key leaves some of them out. */
static inline bool
trace_is_cmdline(const char *path)
{
	return strcmp(path, "/proc/self/cmdline") == 0;
}

#endif
