#include "config.h"

#include "trace/borrow.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"

/* The process that the thread belongs to: only of that there are pidfds. */
static pid_t
process_of(pid_t tid)
{
	char path[48], line[128];
	FILE *f;
	long tgid = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %ld", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return (pid_t)tgid;
}

static int
open_process(pid_t process)
{
	int fd = process > 0 ? (int)syscall(SYS_pidfd_open, process, 0) : -1;

	return fd < 0 ? (process > 0 ? -errno : -ESRCH) : fd;
}

int
borrow_fd(pid_t tid, int fd)
{
	pid_t process = process_of(tid);
	_cleanup_(closep) int pidfd = open_process(process);
	_cleanup_(closep) int got = -1;

	if (pidfd < 0)
		return pidfd;
	got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (got < 0)
		return -errno;
	/* It is of the process's first thread. Looked at afterwards: then that one lived. A kernel
	 * without kcmp says nothing. */
	if (process != tid && syscall(SYS_kcmp, process, tid, KCMP_FILES, 0, 0) > 0)
		return -EXDEV;
	return steal_fd(&got);
}

static bool
is_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

int
borrow_process(pid_t tid, pid_t *ret_process)
{
	*ret_process = process_of(tid);
	return open_process(*ret_process);
}

bool
borrow_write(int pidfd, pid_t process, uint64_t at, const void *p, size_t n)
{
	const struct iovec local = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	const struct iovec remote = { .iov_base = (void *)(uintptr_t)at, .iov_len = n };

	/* its number is no other's as long as it lives */
	return is_alive(pidfd) &&
	       process_vm_writev(process, &local, 1, &remote, 1, 0) == (ssize_t)n &&
	       is_alive(pidfd);
}
