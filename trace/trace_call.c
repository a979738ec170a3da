/* Reads a notified call. Invariant: what comes from the caller is bounded and may be anything; a
 * path that cannot be read, or is too long, makes the call TRACE_OTHER, and the kernel refuses it
 * itself.
 *
 * The caller may change its memory after it was read here. It then hides from the record of its own
 * compile what it read, and nothing else: no decision about what a job may do rests on a path.
 *
 * It is long since the tables of calls, and what reads a call by its row, are changed together. */
#include "config.h"

#include "trace/trace_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/procfs.h"
#include "trace/paths.h"

#define NO_ARG (-1)
#define PAGE 4096 /* of any architecture, the pages are not smaller */

/* Since Linux 6.13, with one number on every architecture. */
#ifndef SYS_getxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif

/* Argument numbers: of the directory's descriptor, of the path, of flags that matter. */
struct call_row {
	int nr;
	enum trace_op op;
	int dir, path, flags;
	int dir2, path2;
	int from; /* the first path is a source: */
};

enum { NOT_FROM = 0, READS = 1, MOVES = 2, POINTS = 3 };

/* Since Linux 6.6. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* Which calls tell attributes: by the number of the argument that has AT_SYMLINK_NOFOLLOW, or: */
enum { FOLLOWS = -1, OF_LINK = -2 };
static const struct {
	int nr, flags;
} tells[] = {
	{ SYS_statx, 2 },
	{ SYS_newfstatat, 3 },
	{ SYS_faccessat, FOLLOWS },
	{ SYS_faccessat2, 3 },
	{ SYS_fstat, FOLLOWS },
#ifdef SYS_stat
	{ SYS_stat, FOLLOWS },
	{ SYS_lstat, OF_LINK },
	{ SYS_access, FOLLOWS },
#endif
};

#define ONE(nr, op, path)                                              \
	{                                                              \
		nr, op, NO_ARG, path, NO_ARG, NO_ARG, NO_ARG, NOT_FROM \
	}
#define AT(nr, op)                                             \
	{                                                      \
		nr, op, 0, 1, NO_ARG, NO_ARG, NO_ARG, NOT_FROM \
	}

static const struct call_row rows[] = {
	{ SYS_openat, TRACE_OPEN, 0, 1, 2, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_openat2, TRACE_OPEN, 0, 1, 2, NO_ARG, NO_ARG, NOT_FROM },
	AT(SYS_statx, TRACE_STAT),
	AT(SYS_newfstatat, TRACE_STAT),
	{ SYS_fstat, TRACE_STAT, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	AT(SYS_readlinkat, TRACE_LOOK),
	AT(SYS_faccessat, TRACE_LOOK),
	AT(SYS_faccessat2, TRACE_LOOK),
	ONE(SYS_getxattr, TRACE_LOOK, 0),
	ONE(SYS_lgetxattr, TRACE_LOOK, 0),
	ONE(SYS_listxattr, TRACE_LOOK, 0),
	ONE(SYS_llistxattr, TRACE_LOOK, 0),
	AT(SYS_getxattrat, TRACE_LOOK),
	AT(SYS_listxattrat, TRACE_LOOK),
	{ SYS_fgetxattr, TRACE_LOOK, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_flistxattr, TRACE_LOOK, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	ONE(SYS_setxattr, TRACE_CHANGE, 0),
	ONE(SYS_lsetxattr, TRACE_CHANGE, 0),
	ONE(SYS_removexattr, TRACE_CHANGE, 0),
	ONE(SYS_lremovexattr, TRACE_CHANGE, 0),
	AT(SYS_setxattrat, TRACE_CHANGE),
	AT(SYS_removexattrat, TRACE_CHANGE),
	{ SYS_fsetxattr, TRACE_CHANGE, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_fremovexattr, TRACE_CHANGE, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_getdents64, TRACE_LIST, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	AT(SYS_mkdirat, TRACE_CHANGE),
	AT(SYS_unlinkat, TRACE_CHANGE),
	AT(SYS_mknodat, TRACE_CHANGE),
	{ SYS_renameat2, TRACE_CHANGE, 0, 1, NO_ARG, 2, 3, MOVES },
	{ SYS_linkat, TRACE_CHANGE, 0, 1, NO_ARG, 2, 3, READS },
	{ SYS_symlinkat, TRACE_CHANGE, NO_ARG, 0, NO_ARG, 1, 2, POINTS },
	ONE(SYS_truncate, TRACE_CHANGE, 0),
	AT(SYS_fchmodat, TRACE_MARK),
	AT(SYS_fchmodat2, TRACE_MARK),
	AT(SYS_fchownat, TRACE_MARK),
	AT(SYS_utimensat, TRACE_MARK),
	ONE(SYS_execve, TRACE_EXEC, 0),
	AT(SYS_execveat, TRACE_EXEC),
	ONE(SYS_chdir, TRACE_CHDIR, 0),
	{ SYS_fchdir, TRACE_CHDIR, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_socket, TRACE_SOCKET, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_connect, TRACE_CONNECT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_getrandom, TRACE_RANDOM_BYTES, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_uname, TRACE_MACHINE, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_sched_getaffinity, TRACE_MACHINE, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_umask, TRACE_UMASK, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_prlimit64, TRACE_LIMIT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
#ifdef SYS_getrlimit
	{ SYS_getrlimit, TRACE_LIMIT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
#endif
	{ SYS_io_uring_setup, TRACE_UNSEEN, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_open_by_handle_at, TRACE_UNSEEN, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_chroot, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_pivot_root, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_mount, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_umount2, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_move_mount, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	{ SYS_setns, TRACE_REMOUNT, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
#ifdef SYS_renameat
	{ SYS_renameat, TRACE_CHANGE, 0, 1, NO_ARG, 2, 3, MOVES },
#endif
/* Newer architectures have only the calls above. */
#ifdef SYS_open
	{ SYS_open, TRACE_OPEN, NO_ARG, 0, 1, NO_ARG, NO_ARG, NOT_FROM },
	ONE(SYS_creat, TRACE_CHANGE, 0),
	ONE(SYS_stat, TRACE_STAT, 0),
	ONE(SYS_lstat, TRACE_STAT, 0),
	ONE(SYS_readlink, TRACE_LOOK, 0),
	ONE(SYS_access, TRACE_LOOK, 0),
	{ SYS_getdents, TRACE_LIST, 0, NO_ARG, NO_ARG, NO_ARG, NO_ARG, NOT_FROM },
	ONE(SYS_chmod, TRACE_MARK, 0),
	ONE(SYS_chown, TRACE_MARK, 0),
	ONE(SYS_lchown, TRACE_MARK, 0),
	ONE(SYS_utime, TRACE_MARK, 0),
	ONE(SYS_utimes, TRACE_MARK, 0),
	AT(SYS_futimesat, TRACE_MARK),
	ONE(SYS_mkdir, TRACE_CHANGE, 0),
	ONE(SYS_rmdir, TRACE_CHANGE, 0),
	ONE(SYS_unlink, TRACE_CHANGE, 0),
	ONE(SYS_mknod, TRACE_CHANGE, 0),
	{ SYS_rename, TRACE_CHANGE, NO_ARG, 0, NO_ARG, NO_ARG, 1, MOVES },
	{ SYS_link, TRACE_CHANGE, NO_ARG, 0, NO_ARG, NO_ARG, 1, READS },
	{ SYS_symlink, TRACE_CHANGE, NO_ARG, 0, NO_ARG, NO_ARG, 1, POINTS },
#endif
};

const int trace_calls[] = { SYS_openat, SYS_openat2, SYS_statx, SYS_newfstatat, SYS_readlinkat,
	SYS_faccessat, SYS_faccessat2, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr,
	SYS_llistxattr, SYS_flistxattr, SYS_getxattrat, SYS_listxattrat, SYS_setxattr,
	SYS_lsetxattr, SYS_fsetxattr, SYS_setxattrat, SYS_removexattr, SYS_lremovexattr,
	SYS_fremovexattr, SYS_removexattrat, SYS_getdents64, SYS_mkdirat, SYS_unlinkat, SYS_mknodat,
	SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_truncate, SYS_execve, SYS_execveat, SYS_chdir,
	SYS_fchdir, SYS_connect, SYS_io_uring_setup, SYS_open_by_handle_at, SYS_chroot,
	SYS_pivot_root, SYS_mount, SYS_umount2, SYS_move_mount, SYS_setns, SYS_umask, SYS_prlimit64,
#ifdef SYS_getrlimit
	SYS_getrlimit,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_open
	SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_readlink, SYS_access, SYS_getdents, SYS_mkdir,
	SYS_rmdir, SYS_unlink, SYS_mknod, SYS_rename, SYS_link, SYS_symlink,
#endif
	-1 };

const int trace_marks[] = { SYS_fchmodat, SYS_fchmodat2, SYS_fchownat, SYS_utimensat,
#ifdef SYS_open
	SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
	-1 };

static ssize_t
peek(pid_t tid, uint64_t at, void *to, size_t n)
{
	struct iovec local = { to, n }, remote = { (void *)(uintptr_t)at, n };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0);
}

/* A string of at most size-1 bytes. The page after the one it ends in may not be there, so it is
 * read up to each page's end in turn. */
static int
read_string(pid_t tid, uint64_t at, char *to, size_t size)
{
	size_t n = 0;

	while (n < size) {
		size_t part = MIN2(PAGE - (size_t)(at & (PAGE - 1)), size - n);
		ssize_t got = peek(tid, at, to + n, part);

		if (got <= 0)
			return got < 0 ? -errno : -EFAULT;
		if (memchr(to + n, '\0', (size_t)got))
			return 0;
		n += (size_t)got;
		at += (uint64_t)got;
	}
	return -ENAMETOOLONG;
}

/* A page of the caller's memory. An array's pointers lie together, and so do its strings, mostly.
 */
struct page {
	uint64_t at; /* 0: none */
	char bytes[PAGE];
};

/* Copies what there is at `at` up to the page's end, n bytes at most: how many; 0 or less: the
 * memory is not there. */
static ssize_t
copy(pid_t tid, struct page *p, uint64_t at, void *to, size_t n)
{
	uint64_t begin = at & ~(uint64_t)(PAGE - 1);

	n = MIN2(n, PAGE - (size_t)(at - begin));
	if (p->at != begin || !begin) {
		p->at = 0;
		if (peek(tid, begin, p->bytes, PAGE) != PAGE)
			return peek(tid, at, to, n);
		p->at = begin;
	}
	memcpy(to, p->bytes + (at - begin), n);
	return (ssize_t)n;
}

/* Adds a string with its NUL. */
static int
add_string(pid_t tid, struct page *p, uint64_t at, size_t max, struct buf *ret)
{
	const size_t before = ret->n;

	while (ret->n - before < max) {
		char part[PAGE];
		ssize_t got = copy(tid, p, at, part, MIN2(sizeof(part), max - (ret->n - before)));
		const char *end = got > 0 ? memchr(part, '\0', (size_t)got) : NULL;
		int r;

		if (got <= 0)
			return got < 0 ? -errno : -EFAULT;
		r = buf_add(ret, part, end ? (size_t)(end - part) + 1 : (size_t)got);
		if (r < 0 || end)
			return r;
		at += (uint64_t)got;
	}
	ret->n = before;
	return -ENAMETOOLONG;
}

int
trace_call_strings(pid_t tid, uint64_t at, size_t max, struct buf *ret)
{
	struct page pointers = { .at = 0 }, strings = { .at = 0 };
	uint64_t one;
	int r = 0;

	/* execve takes NULL for an empty array */
	for (; r == 0 && at && ret->n < max; at += sizeof(one)) {
		if (copy(tid, &pointers, at, &one, sizeof(one)) != (ssize_t)sizeof(one))
			return -EFAULT;
		if (!one)
			break;
		r = add_string(tid, &strings, one, max - ret->n, ret);
		if (r == -ENAMETOOLONG)
			return 0;
	}
	return r;
}

/* -EREMOTE: nothing can be said of the thread, though it may be there. */
static int
read_link(pid_t tid, const char *what, char to[PATH_MAX])
{
	char link[64];
	ssize_t n;

	if (!procfs_is_ours())
		return -EREMOTE;
	snprintf(link, sizeof(link), "/proc/%d/%s", (int)tid, what);
	n = readlink(link, to, PATH_MAX);
	if (n < 0 && errno == ENOENT) {
		snprintf(link, sizeof(link), "/proc/%d", (int)tid);
		/* it has no such descriptor, and the kernel says so itself */
		return starts_with(what, "fd/") && access(link, F_OK) == 0 ? -EBADF : -EREMOTE;
	}
	if (n < 0)
		return -errno;
	if (n == PATH_MAX)
		return -ENAMETOOLONG;
	to[n] = '\0';
	return 0;
}

/* ---- paths through the caller's own entries in /proc */

/* Whether it is the number of the thread's process. */
static bool
is_process_of(pid_t tid, const char *number)
{
	char task[80];

	if (strspn(number, "0123456789") != strlen(number) || strlen(number) > 10)
		return false;
	snprintf(task, sizeof(task), "/proc/%s/task/%d", number, (int)tid);
	return procfs_is_ours() && access(task, F_OK) == 0;
}

/* What the last component of a path stands for: "/dev/fd" and the like for an entry of /proc, the
 * number of the caller for "self". */
static const char *
other_name(pid_t tid, const char *path)
{
	static const char *const names[][2] = { { "/dev/fd", "/proc/self/fd" },
		{ "/dev/stdin", "/proc/self/fd/0" }, { "/dev/stdout", "/proc/self/fd/1" },
		{ "/dev/stderr", "/proc/self/fd/2" }, { "/proc/thread-self", "/proc/self" } };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(path, names[i][0]))
			return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? names[i][1] : NULL;
	if (starts_with(path, "/proc/self/task/") &&
		!strchr(path + strlen("/proc/self/task/"), '/'))
		return "/proc/self";
	if (starts_with(path, "/proc/") && is_process_of(tid, path + strlen("/proc/")))
		return "/proc/self";
	return NULL;
}

static bool
is_file_or_dir(pid_t tid, const char *what)
{
	char link[64];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/%d/%s", (int)tid, what);
	return stat(link, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* Follows the last component of the n bytes in `to` where it is a link that means another thing in
 * each process. 1: it is a descriptor of what is no file (a pipe, with or without a name), or of
 * one that has no path. */
static int
follow_own(pid_t tid, char to[PATH_MAX], size_t *n)
{
	const char *other, *what = to + strlen("/proc/self/");
	char real[PATH_MAX];
	int r;

	to[*n] = '\0';
	other = other_name(tid, to);
	if (other)
		*n = (size_t)snprintf(to, PATH_MAX, "%s", other);
	if (!starts_with(to, "/proc/self/") ||
		!(streq(what, "cwd") || streq(what, "root") || streq(what, "exe") ||
			(starts_with(what, "fd/") && !strchr(what + strlen("fd/"), '/'))))
		return 0;
	r = read_link(tid, what, real);
	if (r < 0)
		return r;
	if (real[0] != '/' || ends_with(real, " (deleted)"))
		return starts_with(what, "fd/") ? 1 : -ENOTDIR;
	if (starts_with(what, "fd/") && !is_file_or_dir(tid, what))
		return 1;
	*n = streq(real, "/") ? 0 : strlen(real);
	memcpy(to, real, *n);
	return 0;
}

static bool
may_be_own(const char *path, size_t n)
{
	return n > 5 &&
	       (memcmp(path, "/proc/", MIN2(n, (size_t)6)) == 0 || memcmp(path, "/dev/", 5) == 0);
}

/* ---- */

/* What lies above a symbolic link is above what it leads to. */
static int
follow(char to[PATH_MAX], size_t *n)
{
	struct stat st;
	char real[PATH_MAX];

	to[*n] = '\0';
	if (*n == 0 || lstat(to, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	if (!realpath(to, real))
		return -errno;
	*n = streq(real, "/") ? 0 : strlen(real);
	memcpy(to, real, *n);
	return 0;
}

static int
go_up(const struct trace_call *c, char to[PATH_MAX], size_t *n)
{
	if (c->here)
		return follow(to, n);
	to[*n] = '\0';
	return c->up && *n ? c->up(c->up_arg, to) : 0;
}

/* Adds the components of `path` to the normal path in `to` (no slash at its end; "" is the root).
 * 1: it leads to a descriptor that no path leads to; `to` is then what can be said of it. */
static int
append(const struct trace_call *c, char to[PATH_MAX], const char *path)
{
	size_t n = strlen(to);
	int own = 0;

	while (*path) {
		size_t k = strcspn(path, "/");

		if (k == 2 && path[0] == '.' && path[1] == '.') {
			int r = go_up(c, to, &n);

			if (r < 0)
				return r;
			while (n > 0 && to[n - 1] != '/')
				n--;
			n -= n > 0;
		} else if (k > 0 && !(k == 1 && path[0] == '.')) {
			if (n + 1 + k >= PATH_MAX)
				return -ENAMETOOLONG;
			to[n++] = '/';
			memcpy(to + n, path, k);
			n += k;
			own = may_be_own(to, n) ? follow_own(c->pid, to, &n) : 0;
			if (own < 0)
				return own;
		}
		path += k + (path[k] == '/');
	}
	if (n == 0)
		to[n++] = '/';
	to[n] = '\0';
	return own;
}

static int
directory_of(pid_t tid, int fd, const char *cwd, char to[PATH_MAX])
{
	char what[32];
	int r;

	if (fd == AT_FDCWD && cwd) {
		snprintf(to, PATH_MAX, "%s", cwd);
		return 0;
	}
	snprintf(what, sizeof(what), fd == AT_FDCWD ? "cwd" : "fd/%d", fd);
	r = read_link(tid, what, to);
	/* it cannot be reached from here, or is no directory */
	return r == 0 && to[0] != '/' ? -ENOTDIR : r;
}

/* 1: an empty path (it is about the descriptor, which was opened before). 2: it leads to a
 * descriptor that no path leads to. */
static int
read_path(const struct trace_call *c, int dir, uint64_t at, const char *cwd, char to[PATH_MAX])
{
	char text[PATH_MAX];
	int r = read_string(c->pid, at, text, sizeof(text));

	if (r < 0)
		return r;
	if (!*text)
		return 1;
	to[0] = '\0';
	if (*text != '/') {
		r = directory_of(c->pid, dir, cwd, to);
		if (r < 0)
			return r;
		if (streq(to, "/"))
			to[0] = '\0';
	}
	r = append(c, to, text);
	return r > 0 ? 2 : r;
}

static const struct call_row *
find_row(int nr)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].nr == nr)
			return &rows[i];
	return NULL;
}

/* openat2 can make a directory the root that a path and its links begin at. */
static bool
has_other_root(const struct seccomp_notif *req)
{
	uint64_t how[3]; /* struct open_how: flags, mode, resolve */

	return req->data.nr == SYS_openat2 &&
	       peek((pid_t)req->pid, req->data.args[2], how, sizeof(how)) == (ssize_t)sizeof(how) &&
	       (how[2] & RESOLVE_IN_ROOT);
}

/* Its flags; 0 where they cannot be read. */
static uint64_t
open_flags(const struct seccomp_notif *req, const struct call_row *row)
{
	uint64_t flags = req->data.args[row->flags];

	/* struct open_how begins with its flags */
	if (row->nr == SYS_openat2 &&
		peek((pid_t)req->pid, flags, &flags, sizeof(flags)) != (ssize_t)sizeof(flags))
		return 0;
	return flags;
}

static void
take_flags(const struct seccomp_notif *req, const struct call_row *row, struct trace_call *ret)
{
	uint64_t flags = open_flags(req, row);

	ret->write = !(flags & O_PATH) &&
		     ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)));
	ret->keeps = ret->write && !(flags & O_TRUNC);
	ret->nofollow = (flags & O_NOFOLLOW) != 0;
	ret->fails_if_there = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	ret->makes = (flags & O_CREAT) != 0;
}

static enum trace_attributes
attributes_of(const struct seccomp_notif *req)
{
	for (size_t i = 0; i < ARRAY_LEN(tells); i++) {
		if (tells[i].nr != req->data.nr)
			continue;
		if (tells[i].flags == OF_LINK ||
			(tells[i].flags >= 0 &&
				(req->data.args[tells[i].flags] & AT_SYMLINK_NOFOLLOW)))
			return TRACE_ATTRIBUTES_OF_LINK;
		return TRACE_ATTRIBUTES;
	}
	return TRACE_ATTRIBUTES_NONE;
}

static bool
is_mkdir(int nr)
{
#ifdef SYS_mkdir
	if (nr == SYS_mkdir)
		return true;
#endif
	return nr == SYS_mkdirat;
}

static bool
is_mknod(int nr)
{
#ifdef SYS_mknod
	if (nr == SYS_mknod)
		return true;
#endif
	return nr == SYS_mknodat;
}

static bool
is_unlink(int nr)
{
#ifdef SYS_unlink
	if (nr == SYS_unlink)
		return true;
#endif
	return nr == SYS_unlinkat;
}

static bool
is_creat(int nr)
{
#ifdef SYS_creat
	return nr == SYS_creat;
#else
	(void)nr;
	return false;
#endif
}

static bool
is_readlink(int nr)
{
#ifdef SYS_readlink
	if (nr == SYS_readlink)
		return true;
#endif
	return nr == SYS_readlinkat;
}

static bool
is_extended(int nr)
{
	return nr == SYS_getxattr || nr == SYS_lgetxattr || nr == SYS_fgetxattr ||
	       nr == SYS_listxattr || nr == SYS_llistxattr || nr == SYS_flistxattr ||
	       nr == SYS_getxattrat || nr == SYS_listxattrat;
}

static bool
is_set_extended(int nr)
{
	return nr == SYS_setxattr || nr == SYS_lsetxattr || nr == SYS_fsetxattr ||
	       nr == SYS_setxattrat || nr == SYS_removexattr || nr == SYS_lremovexattr ||
	       nr == SYS_fremovexattr || nr == SYS_removexattrat;
}

/* The header, and an entry each for the owner, the group and the others (xattr's uapi). */
#define ACL_OF_MODE 28

/* Whether an extended attribute says no more than a mode does (cp -p and install give their files
 * such access lists), or is given by the system's policy. */
static bool
is_plain_extended(const struct seccomp_notif *req)
{
	bool at = req->data.nr == SYS_setxattrat || req->data.nr == SYS_removexattrat;
	bool sets = req->data.nr == SYS_setxattr || req->data.nr == SYS_lsetxattr ||
		    req->data.nr == SYS_fsetxattr;
	char name[256];

	if (read_string((pid_t)req->pid, req->data.args[at ? 3 : 1], name, sizeof(name)) < 0)
		return false;
	if (streq(name, "security.selinux"))
		return true;
	return starts_with(name, "system.posix_acl_") &&
	       (sets ? req->data.args[3] <= ACL_OF_MODE : req->data.nr != SYS_setxattrat);
}

/* Whether what it says of an open descriptor, or does to it, is not seen at the open. */
static bool
asks_descriptor(const struct call_row *row)
{
	return row->op == TRACE_STAT || is_extended(row->nr) || is_set_extended(row->nr);
}

static int
take_path(
	const struct seccomp_notif *req, int dir, int path, const char *cwd, struct trace_call *ret)
{
	int fd = dir == NO_ARG ? AT_FDCWD : (int)req->data.args[dir];
	int r = read_path(ret, fd, req->data.args[path], cwd, ret->path[ret->n_paths]);

	/* there is nothing to record of a pipe, but something to say of running it */
	if (r == 2 && ret->op != TRACE_EXEC)
		return 0;
	if (r == 2)
		r = 0;
	if (r == 0)
		ret->n_paths++;
	return r;
}

/* What a symbolic link is to lead to is meant from where the link is: path[0], and the link itself
 * path[1]. */
static int
take_link(const struct seccomp_notif *req, const struct call_row *row, const char *cwd,
	struct trace_call *ret)
{
	char text[PATH_MAX];
	char *slash;
	int r = read_string((pid_t)req->pid, req->data.args[row->path], text, sizeof(text));

	if (r == 0) {
		r = take_path(req, row->dir2, row->path2, cwd, ret);
		memcpy(ret->path[1], ret->path[0], PATH_MAX);
	}
	if (r != 0)
		return r;
	slash = strrchr(ret->path[0], '/');
	*(*text == '/' ? ret->path[0] : slash) = '\0';
	ret->n_paths = 2;
	r = append(ret, ret->path[0], text);
	return MIN2(r, 0);
}

/* A program that is run by its open descriptor is named by that; what is asked of one, by the file
 * that it leads to. 1: there is no path in this call. */
static int
name_descriptor(const struct seccomp_notif *req, const struct call_row *row, struct trace_call *ret)
{
	int fd = (int)req->data.args[row->dir];

	if (fd < 0)
		return 1;
	if (row->op == TRACE_EXEC) {
		snprintf(ret->path[0], PATH_MAX, "/proc/self/fd/%d", fd);
		ret->n_paths = 1;
		return 0;
	}
	if (!asks_descriptor(row) || directory_of((pid_t)req->pid, fd, NULL, ret->path[0]) < 0)
		return 1;
	ret->by_descriptor = true;
	ret->n_paths = 1;
	return 0;
}

/* The name of a socket of this machine. One without a name in the file system has none here. */
static void
name_socket(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret)
{
	struct sockaddr_un a;
	size_t n = MIN2((size_t)req->data.args[2], sizeof(a));
	char path[sizeof(a.sun_path) + 1] = "";

	if (n <= offsetof(struct sockaddr_un, sun_path) ||
		peek((pid_t)req->pid, req->data.args[1], &a, n) != (ssize_t)n ||
		a.sun_family != AF_UNIX)
		return;
	memcpy(path, a.sun_path, n - offsetof(struct sockaddr_un, sun_path));
	ret->path[0][0] = '\0';
	if (!*path ||
		(*path != '/' && directory_of((pid_t)req->pid, AT_FDCWD, cwd, ret->path[0]) < 0))
		return;
	ret->n_paths = append(ret, ret->path[0], path) == 0;
}

/* What dray-env.so says, and the trial call. */
static bool
is_said(const struct seccomp_notif *req)
{
	return req->data.nr == SYS_openat && (int)req->data.args[0] == TRACE_SAID_FD;
}

static void
read_said(const struct seccomp_notif *req, struct trace_call *ret)
{
	ret->error = read_string((pid_t)req->pid, req->data.args[1], ret->path[0], PATH_MAX);
	if (ret->error)
		return;
	ret->n_paths = 1;
	ret->op = TRACE_SAID;
}

static int
take_paths(const struct seccomp_notif *req, const struct call_row *row, const char *cwd,
	struct trace_call *ret)
{
	char dir[PATH_MAX];
	int r = 0;

	ret->op = row->op;
	if (row->from == POINTS)
		return take_link(req, row, cwd, ret);
	if (row->op == TRACE_LIST) {
		r = directory_of((pid_t)req->pid, (int)req->data.args[0], NULL, dir);
		/* its own entry in /proc has its number here */
		ret->path[0][0] = '\0';
		if (r == 0)
			r = append(ret, ret->path[0], dir);
		ret->n_paths = r == 0;
	}
	if (row->op == TRACE_CONNECT)
		name_socket(req, cwd, ret);
	if (row->path != NO_ARG)
		r = take_path(req, row->dir, row->path, cwd, ret);
	else if (asks_descriptor(row))
		r = 1;
	if (r == 1 && row->dir != NO_ARG)
		r = name_descriptor(req, row, ret);
	/* the source of a link may be a descriptor: it was opened before */
	if ((r == 0 || (r == 1 && row->from == READS)) && row->path2 != NO_ARG)
		r = take_path(req, row->dir2, row->path2, cwd, ret);
	return r;
}

void
trace_call_read(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret)
{
	const struct call_row *row = find_row(req->data.nr);
	int r;

	ret->pid = (pid_t)req->pid;
	ret->op = TRACE_OTHER;
	ret->makes_dir = ret->removes = ret->asks_link = ret->asks_extended = ret->sets_extended =
		false;
	ret->write = ret->keeps = ret->from = ret->moved = ret->by_descriptor = false;
	ret->nofollow = ret->fails_if_there = ret->makes = false;
	ret->attributes = TRACE_ATTRIBUTES_NONE;
	ret->machine = NULL;
	ret->who = TRACE_BY_OTHER;
	ret->error = 0;
	ret->n_paths = 0;
	if (is_said(req)) {
		read_said(req, ret);
		return;
	}
	if (!row || (is_set_extended(row->nr) && is_plain_extended(req)))
		return;
	if (has_other_root(req)) {
		ret->op = TRACE_REMOUNT;
		return;
	}
	r = take_paths(req, row, cwd, ret);
	ret->error = MIN2(r, 0);
	if (r != 0) {
		ret->op = TRACE_OTHER;
		return;
	}
	if (row->flags != NO_ARG)
		take_flags(req, row, ret);
	ret->from = row->from != NOT_FROM && ret->n_paths == 2;
	ret->moved = row->from == MOVES;
	ret->attributes = attributes_of(req);
	if (row->op == TRACE_EXEC) {
		ret->argv = req->data.args[row->path + 1];
		ret->envp = req->data.args[row->path + 2];
	}
	if (row->op == TRACE_MACHINE)
		ret->machine = req->data.nr == SYS_uname ? "uname" : "cpus";
	ret->makes_dir = is_mkdir(row->nr);
	ret->removes = is_unlink(row->nr);
	ret->fails_if_there |= ret->makes_dir || is_mknod(row->nr) || row->from == READS ||
			       row->from == POINTS;
	ret->makes |= ret->fails_if_there || row->from == MOVES || is_creat(row->nr);
	ret->asks_link = is_readlink(row->nr);
	ret->asks_extended = is_extended(row->nr);
	ret->sets_extended = is_set_extended(row->nr);
}
