/* Invariant: a process counts only while the process that named it as its child is still its
 * parent, or the sandbox's own /proc shows it. So a process number that was given to a foreign
 * process meanwhile does not count as the job's. */
#include "config.h"

#include "worker/sandbox/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/buf.h"
#include "common/fs.h"

#define DEPTH_MAX 64  /* rustc makes no directory in a directory in its out-dir */
#define FDS_MAX 65536 /* descriptors looked at in one walk */

struct process {
	pid_t pid, parent;
};

/* What a socket can hold, where the kernel does not say: twice net.core.wmem_max (socket(7)). */
#define SOCKET_BYTES (2 * 212992)

struct usage_walk {
	struct process *todo;
	size_t n, cap;
	uint64_t max_tasks;
	dev_t dev;
	unsigned fds;
	uint64_t socket_bytes;
	long ticks; /* a second */
	struct usage sum;
};

static int
push(struct usage_walk *w, pid_t pid, pid_t parent)
{
	if (w->n == w->cap) {
		size_t cap = MAX2((size_t)64, 2 * w->cap);
		struct process *v = reallocarray(w->todo, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->todo = v;
		w->cap = cap;
	}
	w->todo[w->n++] = (struct process){ pid, parent };
	return 0;
}

/* Reads the whole of a small file below /proc. Its size, or -errno. */
static ssize_t
read_proc(int dir, const char *name, char *out, size_t size)
{
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	while (n < size - 1) {
		ssize_t r = read(fd, out + n, size - 1 - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	out[n] = '\0';
	return (ssize_t)n;
}

/* proc(5), /proc/pid/stat: from the state on, which is field 3. The name before it may hold
 * anything, brackets too. */
static int
read_stat(struct usage_walk *w, int dir, pid_t *ret_parent)
{
	char text[1024], *at;
	unsigned long long t[4];
	long long threads;
	int parent;

	if (read_proc(dir, "stat", text, sizeof(text)) < 0)
		return -ESRCH;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1,
			   " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu %*d "
			   "%*d %lld",
			   &parent, &t[0], &t[1], &t[2], &t[3], &threads) != 6)
		return -EBADMSG;
	*ret_parent = (pid_t)parent;
	w->sum.cpu_us += (t[0] + t[1] + t[2] + t[3]) * 1000000 / (uint64_t)w->ticks;
	w->sum.tasks += threads > 0 ? (uint64_t)threads : 0;
	return 0;
}

static void
add_memory(struct usage_walk *w, int dir)
{
	static const char *const lines[] = { "\nRssAnon:", "\nRssShmem:", "\nVmSwap:", "\nVmPTE:" };
	char text[4096];

	if (read_proc(dir, "status", text, sizeof(text)) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		const char *at = strstr(text, lines[i]);

		if (at)
			w->sum.memory += strtoull(at + strlen(lines[i]), NULL, 10) * 1024;
	}
}

/* unix(7) sockets alone say it, since Linux 5.10. */
static uint64_t
in_socket(int dir, const char *name)
{
	char path[64], text[1024];
	const char *at;

	snprintf(path, sizeof(path), "fdinfo/%.20s", name);
	if (read_proc(dir, path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "scm_fds:");
	return at ? strtoull(at + strlen("scm_fds:"), NULL, 10) : 0;
}

/* Files that only a descriptor holds. Those on the out-dir's disk are found by no walk of a
 * directory, and the pages of a memfd that is not mapped are in no process's sum. */
static void
add_nameless(struct usage_walk *w, int dir)
{
	_cleanup_(closedirp) DIR *d = NULL;
	int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		closep(&fd);
		return;
	}
	while (w->fds < FDS_MAX && (e = readdir(d))) {
		struct stat st;

		if (*e->d_name == '.')
			continue;
		w->fds++;
		if (fstatat(fd, e->d_name, &st, 0) < 0)
			continue;
		if (S_ISSOCK(st.st_mode)) {
			w->sum.memory += w->socket_bytes;
			w->sum.in_sockets += in_socket(dir, e->d_name);
		}
		if (!S_ISREG(st.st_mode) || st.st_nlink)
			continue;
		if (st.st_dev == w->dev)
			w->sum.unlinked += (uint64_t)st.st_blocks * 512;
		else
			w->sum.memory += (uint64_t)st.st_blocks * 512;
	}
}

static int
add_children(struct usage_walk *w, int dir, pid_t pid)
{
	_cleanup_(closedirp) DIR *d = NULL;
	int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	int r = 0;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		closep(&fd);
		return 0;
	}
	while (r == 0 && (e = readdir(d))) {
		char name[64], text[65536], *at = text, *end;

		if (*e->d_name == '.')
			continue;
		snprintf(name, sizeof(name), "%.20s/children", e->d_name);
		if (read_proc(fd, name, text, sizeof(text)) <= 0)
			continue;
		for (;; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at || child <= 0)
				break;
			r = push(w, (pid_t)child, pid);
			if (r < 0)
				break;
		}
	}
	return r;
}

static int
visit(struct usage_walk *w, const struct process *p)
{
	struct usage before = w->sum;
	char path[32];
	_cleanup_(closep) int dir = -1;
	pid_t parent;
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)p->pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -ESRCH;
	r = read_stat(w, dir, &parent);
	if (r == 0 && p->parent && parent != p->parent) {
		w->sum = before;
		return 0;
	}
	if (r < 0)
		return r;
	add_memory(w, dir);
	add_nameless(w, dir);
	return add_children(w, dir, p->pid);
}

/* One of the processes that a /proc shows. */
static void
visit_named(struct usage_walk *w, int proc, const char *name)
{
	_cleanup_(closep) int dir = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid_t parent;

	/* It may have ended since. */
	if (dir < 0 || read_stat(w, dir, &parent) < 0)
		return;
	add_memory(w, dir);
	add_nameless(w, dir);
}

/* The number is still that of the process which we have hold of, when its /proc is open. */
static int
open_own_proc(pid_t child, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	_cleanup_(closep) int fd = -1;
	char path[48];
	struct statfs f;

	snprintf(path, sizeof(path), "/proc/%d/root/proc", (int)child);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &f) < 0)
		return -errno;
	if (pidfd < 0 || poll(&p, 1, 0) != 0)
		return -ESRCH;
	return f.f_type == PROC_SUPER_MAGIC ? steal_fd(&fd) : -ENOTDIR;
}

static uint64_t
socket_bytes(void)
{
	char text[32];
	uint64_t n = read_proc(AT_FDCWD, "/proc/sys/net/core/wmem_max", text, sizeof(text)) > 0
			     ? strtoull(text, NULL, 10)
			     : 0;

	return n ? 2 * n : SOCKET_BYTES;
}

int
usage_of_processes(pid_t root, dev_t dev, uint64_t max_tasks, struct usage *ret)
{
	struct usage_walk w = { .max_tasks = max_tasks,
		.dev = dev,
		.ticks = sysconf(_SC_CLK_TCK),
		.socket_bytes = socket_bytes() };
	struct process p = { root, 0 };
	int r;

	if (w.ticks <= 0)
		return -ENOSYS;
	r = visit(&w, &p);
	while (r == 0 && w.n > 0 && w.sum.tasks <= w.max_tasks) {
		p = w.todo[--w.n];
		/* It may have ended since. */
		if (visit(&w, &p) == -ENOMEM)
			r = -ENOMEM;
	}
	free(w.todo);
	if (r < 0)
		return r;
	*ret = w.sum;
	return 0;
}

int
usage_of_sandbox(pid_t child, int pidfd, dev_t dev, uint64_t max_tasks, struct usage *ret)
{
	struct usage_walk w = {
		.dev = dev, .ticks = sysconf(_SC_CLK_TCK), .socket_bytes = socket_bytes()
	};
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	int fd = w.ticks > 0 ? open_own_proc(child, pidfd) : -ENOSYS;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		int r = -errno;

		close(fd);
		return r;
	}
	while (w.sum.tasks <= max_tasks && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			visit_named(&w, fd, e->d_name);
	if (!w.sum.tasks) /* it has ended */
		return -ESRCH;
	*ret = w.sum;
	return 0;
}

static int
walk_dir(int fd, unsigned depth, uint64_t max_entries, struct usage_dir *sum)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	int r = 0;

	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && sum->entries <= max_entries && (e = readdir(d))) {
		struct stat st;
		int sub;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		sum->entries++;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* dray-ld keeps temporaries under a second name, so each counts once. */
		sum->bytes += (uint64_t)st.st_blocks * 512 / MAX2((uint64_t)st.st_nlink, 1u);
		if (!S_ISDIR(st.st_mode))
			continue;
		sub = depth ? openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			    : -1;
		if (sub >= 0)
			r = walk_dir(sub, depth - 1, max_entries, sum);
		else if (!depth || errno != ENOENT)
			sum->hidden = true;
	}
	return r;
}

int
usage_of_dir(int fd, uint64_t max_entries, struct usage_dir *ret)
{
	struct usage_dir sum = { 0, 0, false };
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = own < 0 ? -errno : walk_dir(own, DEPTH_MAX, max_entries, &sum);

	if (r < 0)
		return r;
	*ret = sum;
	return 0;
}

uint64_t
usage_oom_kills(void)
{
	char text[16384];
	const char *at;

	if (read_proc(AT_FDCWD, "/proc/vmstat", text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "\noom_kill ");
	return at ? strtoull(at + strlen("\noom_kill "), NULL, 10) : 0;
}
