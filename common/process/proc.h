/* Other processes of this machine, by what /proc says of them.
 *
 * A number is used again, and means another process in another PID namespace or on another machine
 * that shares a disk with this one. So what holds something has a name: the place (this boot of
 * this machine, and this PID namespace), the number, and when the process began. */
#ifndef DRAY_COMMON_PROCESS_PROC_H
#define DRAY_COMMON_PROCESS_PROC_H

#include <sys/types.h>

#include "common/base.h"

struct proc_name {
	uint64_t place; /* 0: not known */
	uint64_t start; /* clock ticks since boot; 0: not known */
	pid_t pid;
};

enum proc_state {
	PROC_UNKNOWN, /* of another place, or /proc does not say */
	PROC_RUNS,
	PROC_STOPPED, /* by a signal: itself, or all that it has started and waits for */
	PROC_GONE,
};

/* Of this boot and PID namespace; 0: not known. */
uint64_t proc_place(void);
/* When a process began; 0: not known. *ret_dead: whether it only waits to be collected. */
uint64_t proc_start(pid_t pid, bool *ret_dead);

bool proc_is_same(const struct proc_name *a, const struct proc_name *b);
enum proc_state proc_state(const struct proc_name *p);
/* The same by the number alone, for one that is known to be there now (a lock's holder). */
bool proc_is_stopped(pid_t pid);
/* Processor time that it used, and all that it has started, in clock ticks; of what is there now
 * and what was waited for, so it may be less than before. 0; -ENOSYS: the kernel does not tell. */
int proc_used(pid_t pid, uint64_t *ret);
/* The parent of a process; 0: not known. */
pid_t proc_parent(pid_t pid);
/* Whether it is our parent, or a parent's parent. */
bool proc_is_above(pid_t pid);
/* The same of another process. */
bool proc_is_above_of(pid_t pid, pid_t of);

/* Our own name as text, which ends in a line end and has no NUL, and the name that a text has: 0,
 * or -ENOENT. */
#define PROC_SIGNATURE_SIZE 64
void proc_signature(char ret[PROC_SIGNATURE_SIZE]);
int proc_parse(const char text[PROC_SIGNATURE_SIZE], struct proc_name *ret);
/* Writes our own name into a lock file, over what is there; once we hold the lock. 0 or -errno. */
int proc_sign(int fd);
/* Removes it again, while we still hold the lock. */
void proc_unsign(int fd);
/* The name that is there. 0; -ENOENT: there is none. */
int proc_signed(int fd, struct proc_name *ret);

#endif
