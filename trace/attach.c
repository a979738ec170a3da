/* Invariant: nothing that is notified is called between install and the sending: nobody listens
 * before. */
#include "config.h"

#include "trace/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/paths.h"

static int
send_descriptor(int socket, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec one = { (char[]){ 'T' }, 1 };
	struct msghdr m = { .msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Interrupted calls would be told of twice; where the kernel cannot prevent it (before Linux 5.19)
 * the record is the same. The filter is no sandbox: before Linux 5.16 every other one switches off
 * a speculation of the processor (SPEC_ALLOW does not), which slows the compiler by some percent.
 */
static int
install(const struct sock_fprog *program)
{
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, program);

	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	return (int)fd;
}

int
trace_attach(const void *code, size_t n, int socket)
{
	union {
		const void *in;
		struct sock_filter *filter;
	} u = { code };
	struct sock_fprog program = { (unsigned short)(n / sizeof(*u.filter)), u.filter };
	int listener;

	if (n == 0 || n % sizeof(*u.filter) != 0 || n / sizeof(*u.filter) > BPF_MAXINSNS) {
		errno = EINVAL;
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	listener = install(&program);
	if (listener < 0)
		return -1;
	/* It cannot be taken off again. Nobody will answer: the kernel then says ENOSYS itself. A
	 * byte without a descriptor says that this is not the end of a process without a filter. */
	if (send_descriptor(socket, listener) < 0) {
		while (write(socket, "", 1) < 0 && errno == EINTR)
			;
		close(listener);
		return 1;
	}
	close(listener);
	return 0;
}

void
trace_attach_refused(int error, int socket)
{
	unsigned char byte = error > 0 && error < 256 ? (unsigned char)error : EPERM;

	while (write(socket, &byte, 1) < 0 && errno == EINTR)
		;
}

bool
trace_attach_try(void)
{
	return openat(TRACE_SAID_FD, TRACE_TRIAL, O_RDONLY | O_CLOEXEC) < 0 && errno == EBADF;
}
