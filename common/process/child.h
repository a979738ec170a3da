/* A child that dray stands in for: cargo, the terminal and the shell see dray and mean the child.
 *
 * SIGINT, SIGTERM and SIGHUP are passed on to it; dray waits for its end, cleans up, and only then
 * dies of the same signal. A signal that is ignored when dray starts stays ignored. */
#ifndef DRAY_COMMON_PROCESS_CHILD_H
#define DRAY_COMMON_PROCESS_CHILD_H

#include "common/process/spawn.h"

/* Call once, before the first child. From then on these signals are only noted and passed on. */
void child_catch_signals(void);
/* A write past a limit on the size of files (ulimit -f) is an error from then on, and no death.
 * What is started has its own default again. */
void child_survive_file_limit(void);
/* The first signal that came, or 0. */
int child_signal(void);

/* One child at a time. -ECANCELED when a signal has come already; else as spawn_start. */
int child_start(const struct spawn *s, pid_t *ret_pid);
/* Ends the child that child_start has begun, as a signal from cargo would, but this process goes
 * on. */
void child_end(void);
/* As spawn_wait: exit status, SPAWN_SIGNALLED + signal, or -errno. */
int child_wait(pid_t pid);
/* child_start and child_wait. */
int child_run(const struct spawn *s);

/* Ends this process as the child ended: with its exit status, or by the same signal. No core file
 * of dray's own is written. */
void child_exit(int status) __attribute__((noreturn));

/* Writes all to a descriptor that may be non-blocking (cargo's pipe, a terminal), whatever signals
 * come. 0 or -errno. */
int child_write(int fd, const void *p, size_t n);

#endif
