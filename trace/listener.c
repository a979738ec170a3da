/* Invariant: a call that was received is answered once, or the compile is to end. */
#include "config.h"

#include "trace/listener.h"
#include "trace/borrow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Up to Linux 5.7 its number had the wrong direction; later kernels take both. */
#define ID_VALID_FORMERLY SECCOMP_IOR(2, __u64)

#define FAILURES_MAX 10000

int
trace_listener_init(struct trace_listener *l)
{
	struct seccomp_notif_sizes sizes;
	size_t resp_size;

	*l = (struct trace_listener){ .fd = -1 };
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	l->req_size = MAX2((size_t)sizes.seccomp_notif, sizeof(*l->req));
	resp_size = MAX2((size_t)sizes.seccomp_notif_resp, sizeof(*l->resp));
	l->req = calloc(1, l->req_size);
	l->resp = calloc(1, resp_size);
	if (l->req && l->resp)
		return 0;
	trace_listener_done(l);
	return -ENOMEM;
}

void
trace_listener_done(struct trace_listener *l)
{
	free(l->req);
	free(l->resp);
	l->req = NULL;
	l->resp = NULL;
	closep(&l->fd);
}

static int
receive(int socket, int stop, int *ret_refused)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	unsigned char byte;
	struct iovec one = { &byte, 1 };
	struct msghdr m = { .msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct pollfd fds[2] = { { .fd = socket, .events = POLLIN },
		{ .fd = stop, .events = POLLIN } };
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (fds[1].revents)
		return -ECANCELED;
	n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n != 1)
		return n < 0 ? -errno : -EPIPE;
	/* there was no room for it (ulimit -n): the kernel has closed it */
	if (m.msg_flags & MSG_CTRUNC)
		return -EMFILE;
	c = CMSG_FIRSTHDR(&m);
	/* trace_attach_refused */
	if (!c && byte) {
		*ret_refused = byte;
		return -EPIPE;
	}
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int
trace_listener_accept(struct trace_listener *l, int socket, int stop)
{
	int fd = receive(socket, stop, &l->refused);

	if (fd < 0)
		return fd;
	/* Without SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: of two callers at once both would be woken on
	 * the tracer's processor, and wait for it while another one rests. */
	l->fd = fd;
	return 0;
}

int
trace_listener_next(struct trace_listener *l)
{
	/* The kernel wants it empty. */
	memset(l->req, 0, l->req_size);
	/* A caller that was killed meanwhile is the rule; with anything else there is no end of it,
	 * and closing the listener makes the compile fail. */
	if (ioctl(l->fd, SECCOMP_IOCTL_NOTIF_RECV, l->req) < 0)
		return ++l->failures < FAILURES_MAX ? 0 : -EIO;
	l->failures = 0;
	return 1;
}

static int
respond(struct trace_listener *l, int64_t value, uint32_t flags)
{
	l->resp->id = l->req->id;
	l->resp->val = value;
	l->resp->error = 0;
	l->resp->flags = flags;
	return ioctl(l->fd, SECCOMP_IOCTL_NOTIF_SEND, l->resp) < 0 ? -errno : 0;
}

int
trace_listener_go_on(struct trace_listener *l)
{
	return respond(l, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool
trace_listener_waits(const struct trace_listener *l)
{
	if (ioctl(l->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &l->req->id) == 0)
		return true;
	return errno == EINVAL && ioctl(l->fd, ID_VALID_FORMERLY, &l->req->id) == 0;
}

/* To the memory of a process of another uid. */
static bool
write_borrowed(const struct trace_listener *l, uint64_t at, const void *p, size_t n)
{
	pid_t process;
	_cleanup_(closep) int pidfd = borrow_process((pid_t)l->req->pid, &process);

	return pidfd >= 0 && trace_listener_waits(l) && borrow_write(pidfd, process, at, p, n);
}

bool
trace_listener_write(const struct trace_listener *l, uint64_t at, const void *p, size_t n)
{
	_cleanup_(closep) int fd = -1;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)l->req->pid);
	/* it stays the memory of the process that has the number at this moment: the caller, if
	 * that still waits afterwards */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		return write_borrowed(l, at, p, n);
	return fd >= 0 && trace_listener_waits(l) && pwrite(fd, p, n, (off_t)at) == (ssize_t)n;
}

void
trace_listener_answer(struct trace_listener *l, int64_t value)
{
	respond(l, value, 0);
}

void
trace_listener_give(struct trace_listener *l, int fd)
{
#ifdef SECCOMP_IOCTL_NOTIF_ADDFD
	struct seccomp_notif_addfd add = {
		.id = l->req->id, .srcfd = (uint32_t)fd, .newfd_flags = O_CLOEXEC
	};
	int given = ioctl(l->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	if (given >= 0) {
		respond(l, given, 0);
		return;
	}
#else
	(void)fd;
#endif
	trace_listener_go_on(l);
}
