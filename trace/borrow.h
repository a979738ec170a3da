/* What a process of another uid has open, or in its memory, where this process may look at it all
 * the same: a worker at its jobs, whose user namespaces are its own (worker/sandbox/job_user.h).
 * The kernel lets it, but the entries in /proc have modes of their own, which do not. */
#ifndef DRAY_TRACE_BORROW_H
#define DRAY_TRACE_BORROW_H

#include <sys/types.h>

#include "common/base.h"

/* A descriptor of the thread's, as one of this process's own: the caller closes it, soon. -EBADF:
 * it has none of that number; -EXDEV: it has other descriptors than its process; -errno. */
int borrow_fd(pid_t tid, int fd);

/* A pidfd of the process that the thread belongs to, and its number. -errno. */
int borrow_process(pid_t tid, pid_t *ret_process);
/* Writes to its memory. True: all of it is there, and the process was alive before and afterwards:
 * so it was its memory. */
bool borrow_write(int pidfd, pid_t process, uint64_t at, const void *p, size_t n);

#endif
