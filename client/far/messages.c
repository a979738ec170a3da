/* Invariant: a message of the wrong size, kind or form is none, and no descriptor that came with it
 * stays open. */
#include "config.h"

#include "client/far/messages.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"

static bool
ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool
far_message_ok(const void *p, size_t n, unsigned kinds, struct far_message *ret)
{
	struct far_message m;

	if (n != sizeof(m))
		return false;
	memcpy(&m, p, n);
	if (m.what > FAR_WAIT || !(kinds & (1u << m.what)) || m.error > 0 ||
		!ends(m.store, sizeof(m.store)) || !ends(m.why, sizeof(m.why)))
		return false;
	*ret = m;
	return true;
}

union control {
	struct cmsghdr align;
	char b[CMSG_SPACE(sizeof(int))];
};

int
far_send(int conn, const struct far_message *m, int fd)
{
	struct iovec iov = { (void *)m, sizeof(*m) };
	union control control;
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(conn, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The descriptor that came with a message, or -1. Of more than one none is kept. */
static int
take_fd(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	size_t n;
	int fd = -1;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (n > 1)
			closep(&fd);
	}
	return fd;
}

int
far_receive(int conn, unsigned kinds, struct far_message *ret, int *ret_fd)
{
	char b[sizeof(struct far_message) + 1];
	struct iovec iov = { b, sizeof(b) };
	union control control;
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	do
		n = recvmsg(conn, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -ECONNRESET;
	fd = take_fd(&h);
	if (n == 0)
		return -ECONNRESET;
	if ((h.msg_flags & MSG_CTRUNC) || !far_message_ok(b, (size_t)n, kinds, ret))
		return -EBADMSG;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
far_file_make(const void *p, size_t n)
{
	_cleanup_(closep) int fd = memfd_create("dray-far", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : fs_write_all(fd, p, n);

	return r < 0 ? r : steal_fd(&fd);
}

int
far_file_read(int fd, size_t max, struct buf *ret)
{
	struct stat st;
	ssize_t got;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EBADMSG;
	r = buf_reserve(ret, (size_t)st.st_size + 1);
	if (r < 0)
		return r;
	got = fs_read_at(fd, ret->p + ret->n, (size_t)st.st_size, 0);
	if (got != (ssize_t)st.st_size)
		return got < 0 ? (int)got : -EBADMSG;
	ret->n += (size_t)got;
	return 0;
}
