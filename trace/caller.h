/* Tells whether a call was made by a program's own code or by code that it loaded later: a compiler
 * loads macros. The place of the calling instruction decides: either it lies in an object that was
 * mapped when the program began, or elsewhere. Names of objects decide nothing.
 *
 * dray-env.so reports in its constructor that it is loaded (TRACE_ENV_HELLO), by an instruction of
 * its own. All code that is mapped at that time, except dray-env.so's, is the program's own. A
 * macro's calls of libc go through dray-env.so, which makes the system call itself; so a call from
 * libc's code is the program's. */
#ifndef DRAY_TRACE_CALLER_H
#define DRAY_TRACE_CALLER_H

#include <limits.h>
#include <linux/seccomp.h>

#include "common/base.h"

#define CALLER_THREADS 64

enum trace_who {
	TRACE_BY_PROGRAM, /* the process that said hello, by its own code */
	TRACE_BY_MACRO,	  /* the same process, by other code */
	TRACE_BY_OTHER,	  /* another process, or nobody said hello */
};

struct trace_caller {
	pid_t process; /* that said hello; 0: none did */
	struct trace_range {
		uint64_t begin, end;
	} * own; /* sorted */
	size_t n, cap;
	pid_t thread[CALLER_THREADS]; /* seen to be the process's */
	pid_t other;		      /* the last one that was seen not to be */
};

/* Starts zeroed. */
void trace_caller_done(struct trace_caller *c);
/* Takes dray-env.so's hello. If the process's maps cannot be read, all its code counts as a
 * macro's. */
void trace_caller_hello(struct trace_caller *c, const struct seccomp_notif *req);
/* The caller is about to run another program. */
void trace_caller_exec(struct trace_caller *c, const struct seccomp_notif *req);
enum trace_who trace_caller_who(struct trace_caller *c, const struct seccomp_notif *req);

/* The file that the calling instruction lies in, as the kernel names it. False: it lies in none, or
 * that cannot be read. */
bool trace_caller_file(const struct seccomp_notif *req, char ret[PATH_MAX]);
/* The program that this process runs, as the kernel names it. False: it is gone. */
bool trace_caller_program(pid_t pid, char ret[PATH_MAX]);

/* For tests: reads the ranges of code from a text like /proc/PID/maps, without those of the file
 * that is mapped at `not`. 0 or -ENOMEM. */
int trace_caller_ranges(struct trace_caller *c, const char *maps, uint64_t not );

#endif
