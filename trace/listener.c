/* Invariant: a call that was received is answered once, or the compile is to end. */
#include "config.h"

#include "trace/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 6.6: answer and wake in one go, on this processor. Not yet in Debian 12's headers. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define FAILURES_MAX 10000

int
trace_listener_init(struct trace_listener *l)
{
	struct seccomp_notif_sizes sizes;
	int r;

	*l = (struct trace_listener){ .fd = -1 };
	r = seccomp_notify_alloc(&l->req, &l->resp);
	if (r < 0)
		return r;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
		r = -errno;
		trace_listener_done(l);
		return r;
	}
	l->req_size = MAX2((size_t)sizes.seccomp_notif, sizeof(*l->req));
	return 0;
}

void
trace_listener_done(struct trace_listener *l)
{
	seccomp_notify_free(l->req, l->resp);
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
	l->fd = fd;
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return 0;
}

int
trace_listener_next(struct trace_listener *l)
{
	/* The kernel wants it empty. */
	memset(l->req, 0, l->req_size);
	/* A caller that was killed meanwhile is the rule; with anything else there is no end of it,
	 * and closing the listener makes the compile fail. */
	if (seccomp_notify_receive(l->fd, l->req) < 0)
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
	return seccomp_notify_respond(l->fd, l->resp);
}

int
trace_listener_go_on(struct trace_listener *l)
{
	return respond(l, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool
trace_listener_waits(const struct trace_listener *l)
{
	return seccomp_notify_id_valid(l->fd, l->req->id) == 0;
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
