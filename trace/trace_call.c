/* Reads a notified call. Invariant: what comes from the caller is bounded and may be anything; a
 * path that cannot be read, or is too long, makes the call TRACE_OTHER, and the kernel refuses it
 * itself.
 *
 * The caller may change its memory after it was read here. It then hides from the record of its own
 * compile what it read, and nothing else: no decision about what a job may do rests on a path. */
#include "config.h"

#include "trace/trace_call.h"
#include "trace/borrow.h"

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

#include "common/process/procfs.h"
#include "trace/call_rows.h"
#include "trace/paths.h"

#define PAGE 4096 /* of any architecture, the pages are not smaller */

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

/* Pages of the caller's memory. An array's pointers lie together; its strings are all over the
 * heap.
 */
#define STRING_PAGES 32

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
add_string(pid_t tid, struct page *pages, uint64_t at, size_t max, struct buf *ret)
{
	const size_t before = ret->n;

	while (ret->n - before < max) {
		char part[PAGE];
		struct page *p = &pages[at / PAGE % STRING_PAGES];
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

static int
read_strings(pid_t tid, uint64_t at, size_t max, struct buf *ret)
{
	_cleanup_(freep) struct page *strings = malloc(STRING_PAGES * sizeof(*strings));
	struct page pointers = { .at = 0 };
	uint64_t one;
	int r = strings ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < STRING_PAGES; i++)
		strings[i].at = 0;
	/* execve takes NULL for an empty array */
	for (; r == 0 && at && ret->n < max; at += sizeof(one)) {
		if (copy(tid, &pointers, at, &one, sizeof(one)) != (ssize_t)sizeof(one))
			return -EFAULT;
		if (!one)
			break;
		r = add_string(tid, strings, one, max - ret->n, ret);
		if (r == -ENAMETOOLONG)
			return 0;
	}
	return r;
}

int
trace_call_strings(const struct trace_call *c, uint64_t at, size_t max, struct buf *ret)
{
	int r = read_strings(c->pid, at, max, ret);

	return c->listener && !trace_listener_waits(c->listener) ? -ESRCH : r;
}

/* As readlink, of a descriptor of a process of another uid. */
static ssize_t
read_borrowed(pid_t tid, const char *number, char to[PATH_MAX])
{
	_cleanup_(closep) int fd = borrow_fd(tid, atoi(number));
	char link[64];

	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, to, PATH_MAX);
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
	if (n < 0 && errno == EACCES && starts_with(what, "fd/"))
		n = read_borrowed(tid, what + strlen("fd/"), to);
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

	_cleanup_(closep) int fd = -1;
	int r;

	snprintf(link, sizeof(link), "/proc/%d/%s", (int)tid, what);
	r = stat(link, &st);
	if (r < 0 && errno == EACCES && starts_with(what, "fd/")) {
		fd = borrow_fd(tid, atoi(what + strlen("fd/")));
		r = fd < 0 ? -1 : fstat(fd, &st);
	}
	return r == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
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

static void
note_up(struct trace_call *c, const char *dir, const char *text)
{
	size_t n = 0;

	c->up_from[0] = '\0';
	for (const char *p = text; c->here && *p; p += n + (p[n] == '/')) {
		n = strcspn(p, "/");
		if (n != 2 || p[0] != '.' || p[1] != '.')
			continue;
		if (snprintf(c->up_from, PATH_MAX, "%s/%.*s", dir, (int)(p - text), text) >=
			PATH_MAX)
			c->up_from[0] = '\0';
		return;
	}
}

/* 1: an empty path (it is about the descriptor, which was opened before). 2: it leads to a
 * descriptor that no path leads to. */
static int
read_path(struct trace_call *c, int dir, uint64_t at, const char *cwd, char to[PATH_MAX])
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
	note_up(c, to, text);
	r = append(c, to, text);
	return r > 0 ? 2 : r;
}

/* The argument's value that stands at this place of a row. */
static uint64_t
argument(const struct seccomp_notif *req, int place)
{
	return req->data.args[place - 1];
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
	uint64_t flags = argument(req, row->flags);

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
attributes_of(const struct seccomp_notif *req, const struct call_row *row)
{
	if (!row->tells)
		return TRACE_ATTRIBUTES_NONE;
	if (row->tells == OF_LINK ||
		(row->tells > 0 && (argument(req, row->tells) & AT_SYMLINK_NOFOLLOW)))
		return TRACE_ATTRIBUTES_OF_LINK;
	return TRACE_ATTRIBUTES;
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
	return row->op == TRACE_STAT || (row->is & (ASKS_EXTENDED | SETS_EXTENDED));
}

static int
take_path(
	const struct seccomp_notif *req, int dir, int path, const char *cwd, struct trace_call *ret)
{
	int fd = dir ? (int)argument(req, dir) : AT_FDCWD;
	int r = read_path(ret, fd, argument(req, path), cwd, ret->path[ret->n_paths]);

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
	int r = read_string((pid_t)req->pid, argument(req, row->path), text, sizeof(text));

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
	int fd = (int)argument(req, row->dir);

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
	if (row->path)
		r = take_path(req, row->dir, row->path, cwd, ret);
	else if (asks_descriptor(row))
		r = 1;
	if (r == 1 && row->dir)
		r = name_descriptor(req, row, ret);
	/* the source of a link may be a descriptor: it was opened before */
	if ((r == 0 || (r == 1 && row->from == READS)) && row->path2)
		r = take_path(req, row->dir2, row->path2, cwd, ret);
	return r;
}

static void
read_call(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret)
{
	const struct call_row *row = call_row_find(req->data.nr);
	int r;

	ret->pid = (pid_t)req->pid;
	ret->op = TRACE_OTHER;
	ret->makes_dir = ret->removes = ret->asks_link = ret->asks_extended = ret->sets_extended =
		false;
	ret->write = ret->keeps = ret->from = ret->moved = ret->points = ret->by_descriptor = false;
	ret->nofollow = ret->fails_if_there = ret->makes = false;
	ret->attributes = TRACE_ATTRIBUTES_NONE;
	ret->machine = NULL;
	ret->who = TRACE_BY_OTHER;
	ret->error = 0;
	ret->n_paths = 0;
	ret->up_from[0] = '\0';
	if (is_said(req)) {
		read_said(req, ret);
		return;
	}
	if (!row || ((row->is & SETS_EXTENDED) && is_plain_extended(req)))
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
	if (row->flags)
		take_flags(req, row, ret);
	ret->from = row->from != NOT_FROM && ret->n_paths == 2;
	ret->moved = row->from == MOVES;
	ret->points = row->from == POINTS;
	ret->attributes = attributes_of(req, row);
	if (row->op == TRACE_EXEC) {
		ret->argv = argument(req, row->path + 1);
		ret->envp = argument(req, row->path + 2);
	}
	if (row->op == TRACE_MACHINE)
		ret->machine = req->data.nr == SYS_uname ? "uname" : "cpus";
	ret->makes_dir = row->is & MAKES_DIR;
	ret->removes = row->is & REMOVES;
	ret->fails_if_there |= (row->is & (MAKES_DIR | MAKES_NODE)) || row->from == READS ||
			       row->from == POINTS;
	ret->makes |= ret->fails_if_there || row->from == MOVES || (row->is & MAKES_FILE);
	ret->asks_link = row->is & ASKS_LINK;
	ret->asks_extended = row->is & ASKS_EXTENDED;
	ret->sets_extended = row->is & SETS_EXTENDED;
}

void
trace_call_read(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret)
{
	read_call(req, cwd, ret);
	/* Another process may have had the number of one that was killed, at any time until now. */
	ret->gone = ret->listener && !trace_listener_waits(ret->listener);
}
