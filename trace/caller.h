/* Whether a call was made by a program's own code, or by what it loaded later: a compiler loads
 * macros. Told by where the instruction lies, in an object that was there when the program began or
 * elsewhere; never by an object's name.
 *
 * dray-env.so says in its constructor that it is there (TRACE_ENV_HELLO), by an instruction of its
 * own. All code that is mapped then, but for dray-env.so's, is the program's own. What a macro asks
 * of libc goes through dray-env.so, which makes the call itself, so libc's code stands for the
 * program's. */
#ifndef DRAY_TRACE_CALLER_H
#define DRAY_TRACE_CALLER_H

#include <linux/seccomp.h>

#include "common/base.h"

#define CALLER_THREADS 64

enum trace_who {
	TRACE_BY_PROGRAM, /* the one that said hello: its own code */
	TRACE_BY_MACRO,	  /* the same one: other code */
	TRACE_BY_OTHER,	  /* another process, or nobody said hello */
};

struct trace_caller {
	pid_t process; /* that said hello; 0: none did */
	struct trace_range {
		uint64_t begin, end;
	} * own; /* sorted */
	size_t n, cap;
	pid_t thread[CALLER_THREADS]; /* seen to be the process's */
	pid_t other;		      /* seen not to be, last */
};

/* Zeroes are a good beginning. */
void trace_caller_done(struct trace_caller *c);
/* The call is dray-env.so's hello. Where its maps cannot be read, all code is a macro's. */
void trace_caller_hello(struct trace_caller *c, const struct seccomp_notif *req);
/* The caller is about to run another program. */
void trace_caller_exec(struct trace_caller *c, const struct seccomp_notif *req);
enum trace_who trace_caller_who(struct trace_caller *c, const struct seccomp_notif *req);

/* For tests: the ranges of code in a text like /proc/PID/maps, but for the file that is mapped at
 * `not`. 0 or -ENOMEM. */
int trace_caller_ranges(struct trace_caller *c, const char *maps, uint64_t not );

#endif
