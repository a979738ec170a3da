/* A sandbox that stands ready has been mounted but for what a job alone knows, and what covers
 * parts of /proc: bwrap reads all that is mounted again for each of these. That is done from
 * outside: this process owns the user namespace in which the sandbox's mounts were made, so a child
 * of it that joins both may mount there, as bwrap could. Nothing of a job runs in the sandbox then,
 * and what does (dray-exec) may not mount.
 *
 * Invariant: afterwards the mounts are those of a sandbox that was started for this job. */
#include "config.h"

#include "worker/sandbox/order.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/process/spawn.h"
#include "worker/inside/orders.h"
#include "worker/sandbox/proc_cover.h"

/* The number is still that of the process which we have hold of. */
static bool
is_alive(const struct sandbox *box)
{
	struct pollfd p = { .fd = box->pidfd, .events = POLLIN };

	return box->pidfd >= 0 && poll(&p, 1, 0) == 0;
}

/* Its mount namespace, and the user namespace that this belongs to: bwrap may have gone on to a
 * further one. */
static int
open_namespaces(const struct sandbox *box, int *ret_mnt, int *ret_user)
{
	_cleanup_(closep) int mnt = -1;
	char path[48];
	int user;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)box->child);
	mnt = open(path, O_RDONLY | O_CLOEXEC);
	if (mnt < 0)
		return -errno;
	if (!is_alive(box))
		return -ESRCH;
	user = ioctl(mnt, NS_GET_USERNS);
	if (user < 0)
		return -errno;
	*ret_mnt = steal_fd(&mnt);
	*ret_user = user;
	return 0;
}

/* What a directory or a file is mounted on. */
static int
make_mount_point(const char *from, const char *to)
{
	struct stat st;

	if (lstat(from, &st) < 0)
		return -1;
	return S_ISDIR(st.st_mode) ? mkdir(to, 0755) : mknod(to, S_IFREG | 0644, 0);
}

struct mounts {
	struct proc_cover cover;
	unsigned long sys_flags;
	struct strv tmp; /* from and to by turns */
};

#define MOUNTS_INIT                                                        \
	{                                                                  \
		.cover = PROC_COVER_INIT, .sys_flags = 0, .tmp = STRV_INIT \
	}

static void
mounts_done(struct mounts *m)
{
	proc_cover_done(&m->cover);
	strv_done(&m->tmp);
}

/* bwrap binds this process's own /proc/sys, as that is mounted. */
static int
find_sys_flags(unsigned long *ret)
{
	struct statvfs v;

	if (statvfs("/proc", &v) < 0)
		return -errno;
	*ret = MS_RDONLY | MS_NOSUID | MS_NODEV | (v.f_flag & ST_NOEXEC ? MS_NOEXEC : 0) |
	       (v.f_flag & ST_NOATIME		? MS_NOATIME
		       : v.f_flag & ST_RELATIME ? MS_RELATIME
						: 0);
	return 0;
}

static int
find_mounts(const struct strv *tmp, struct mounts *m)
{
	int r = find_sys_flags(&m->sys_flags);

	if (r == 0)
		r = proc_cover_find(&m->cover);
	for (size_t i = 0; r == 0 && i < tmp->n; i++) {
		r = strv_addf(&m->tmp, SANDBOX_AHEAD_TREE "/tmp/%s", tmp->v[i]);
		if (r == 0)
			r = strv_addf(&m->tmp, "/tmp/%s", tmp->v[i]);
	}
	return r;
}

static int
bind_with(const char *from, const char *to, unsigned long flags)
{
	if (mount(from, to, NULL, MS_BIND, NULL) < 0)
		return -1;
	return mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | flags, NULL);
}

/* A bind is mounted as what it shows is: of the tree, and so read-only; a file as the first one. */
static int
cover_proc(const struct mounts *m)
{
	const struct proc_cover *c = &m->cover;

	if (bind_with(PROC_COVER_SYS, PROC_COVER_SYS, m->sys_flags) < 0)
		return -1;
	for (size_t i = 0; i < c->dirs.n; i++)
		if (mount(SANDBOX_AHEAD_TREE, c->dirs.v[i], NULL, MS_BIND, NULL) < 0)
			return -1;
	if (c->files.n && bind_with("/dev/null", c->files.v[0],
				  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_RELATIME) < 0)
		return -1;
	for (size_t i = 1; i < c->files.n; i++)
		if (mount(c->files.v[0], c->files.v[i], NULL, MS_BIND, NULL) < 0)
			return -1;
	return 0;
}

/* In a child that has this process's memory: only calls of the kernel, and nothing is written to
 * but its own stack and errno. */
static int
mount_there(int mnt, int user, const char *out_dir, const struct mounts *m)
{
	const struct strv *paths = &m->tmp;

	if (setns(user, CLONE_NEWUSER) < 0 || setns(mnt, CLONE_NEWNS) < 0 || cover_proc(m) < 0)
		return errno;
	/* the tree without what is mounted in it; only for these, since the kernel takes its time
	 * over an end of a mount */
	if (paths->n && mount("/", SANDBOX_AHEAD_TREE, NULL, MS_BIND, NULL) < 0)
		return errno;
	for (size_t i = 0; i + 1 < paths->n; i += 2)
		if (make_mount_point(paths->v[i], paths->v[i + 1]) < 0 ||
			mount(paths->v[i], paths->v[i + 1], NULL, MS_BIND, NULL) < 0)
			return errno;
	if (paths->n && umount2(SANDBOX_AHEAD_TREE, MNT_DETACH) < 0)
		return errno;
	return mount(SANDBOX_AHEAD_OUT, out_dir, NULL, MS_MOVE, NULL) < 0 ? errno : 0;
}

int
order_mounts(const struct sandbox *box, const char *out_dir, const struct strv *tmp)
{
	_cleanup_(mounts_done) struct mounts m = MOUNTS_INIT;
	_cleanup_(closep) int mnt = -1, user = -1;
	pid_t pid;
	int r = open_namespaces(box, &mnt, &user);

	if (r == 0)
		r = find_mounts(tmp, &m);
	if (r < 0)
		return r;
	/* A copy of this process would cost more than all of the mounts. The child has the job's
	 * user namespace and this process's memory, but it is in this process namespace, which
	 * nobody inside sees. */
	pid = vfork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(mount_there(mnt, user, out_dir, &m));
	r = spawn_wait(pid, NULL);
	return r > 0 ? (r < SPAWN_SIGNALLED ? -r : -EIO) : r;
}

static int
add_string(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s) + 1);
}

static int
send_orders(int socket, const struct orders *m, const int *fds, size_t n)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * ORDERS_FDS)];
		struct cmsghdr align;
	} u = { .buf = { 0 } };
	struct iovec iov = { (void *)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	ssize_t sent;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	do
		sent = sendmsg(socket, &h, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int
order_command(struct sandbox *box, const struct sandbox_spec *spec)
{
	const struct orders m = { spec->umask, spec->trace_socket >= 0 };
	_cleanup_(buf_done) struct buf words = BUF_INIT;
	_cleanup_(closep) int command = -1, env = -1;
	int fds[ORDERS_FDS], r = add_string(&words, spec->cwd);

	for (char *const *a = spec->argv; r == 0 && *a; a++)
		r = add_string(&words, *a);
	if (r < 0)
		return r;
	command = sandbox_memory_file(words.p, words.n);
	env = sandbox_memory_file(spec->env->p, spec->env->n);
	if (command < 0 || env < 0)
		return command < 0 ? command : env;
	fds[ORDERS_COMMAND] = command;
	fds[ORDERS_ENV] = env;
	fds[ORDERS_TOKENS_READ] = spec->js->rd;
	fds[ORDERS_TOKENS_WRITE] = spec->js->wr;
	fds[ORDERS_TRACE] = spec->trace_socket;
	r = send_orders(box->orders, &m, fds, ORDERS_TRACE + (spec->trace_socket >= 0));
	closep(&box->orders);
	return r;
}
