/* Invariant: what /proc does not say plainly is "unknown", never "stopped" or "gone". */
#include "config.h"

#include "common/process/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/process/procfs.h"
#include "common/table.h"

#define STAT_MAX 4096
#define CHILDREN_MAX 65536
#define ABOVE_MAX 1000 /* parents of parents */
#define BELOW_MAX 8    /* dray, dray-trace, rustup's proxy, rustc, cc, ld; and some scripts */
#define USED_MAX 1024  /* processes */
#define USED_DEPTH 64

uint64_t
proc_place(void)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat ns;

	if (fs_read_file("/proc/sys/kernel/random/boot_id", 256, &b) < 0 ||
		stat("/proc/self/ns/pid", &ns) < 0 || buf_addf(&b, "%ju", (uintmax_t)ns.st_ino) < 0)
		return 0;
	return text_hash((const char *)b.p);
}

/* What of /proc/PID/stat is asked for here. */
struct stat_line {
	char state;
	pid_t parent;
	uint64_t start, used;
};

static int
read_stat(pid_t pid, struct stat_line *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[48];
	const char *p;
	long parent;

	if (!procfs_is_ours())
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (fs_read_file(path, STAT_MAX, &b) < 0 || !b.n)
		return -ENOENT;
	/* The second field is the program's name, which may hold anything. */
	p = strrchr((const char *)b.p, ')');
	if (!p || sscanf(p, ") %c %ld", &ret->state, &parent) != 2)
		return -EBADMSG;
	ret->parent = (pid_t)parent;
	/* the 14th to the 17th are times, of its own and of children; the 22nd is the start */
	ret->used = 0;
	for (int i = 2; p && i < 22; i++) {
		uint64_t ticks = 0;

		if (i >= 14 && i <= 17 && sscanf(p, " %" SCNu64, &ticks) == 1)
			ret->used += ticks;
		p = strchr(p + 1, ' ');
	}
	if (!p || sscanf(p, " %" SCNu64, &ret->start) != 1)
		return -EBADMSG;
	return 0;
}

uint64_t
proc_start(pid_t pid, bool *ret_dead)
{
	struct stat_line s = { 0 };

	*ret_dead = false;
	if (read_stat(pid, &s) < 0)
		return 0;
	*ret_dead = s.state == 'Z' || s.state == 'X';
	return s.start;
}

/* A debugger's stop ('t') lasts as long as a system call is looked at. */
static bool
is_stopped(pid_t pid, unsigned depth)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat_line s;
	char path[64];
	char *rest, *word;
	bool any = false;

	if (read_stat(pid, &s) < 0)
		return false;
	if (s.state == 'T')
		return true;
	/* If the compiler alone is stopped, dray, which waits for it, stays as it is. */
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
	if (depth == 0 || s.state != 'S' || fs_read_file(path, CHILDREN_MAX, &b) < 0 || !b.n)
		return false;
	for (word = strtok_r((char *)b.p, " \n", &rest); word;
		word = strtok_r(NULL, " \n", &rest)) {
		if (!is_stopped((pid_t)strtol(word, NULL, 10), depth - 1))
			return false;
		any = true;
	}
	return any;
}

bool
proc_is_stopped(pid_t pid)
{
	return pid > 0 && is_stopped(pid, BELOW_MAX);
}

bool
proc_is_same(const struct proc_name *a, const struct proc_name *b)
{
	return a->place == b->place && a->pid == b->pid && a->start == b->start;
}

static uint64_t used_by(pid_t pid, unsigned depth, unsigned *left);

/* The children of one of its threads. */
static uint64_t
used_below(const char *tasks, const char *tid, unsigned depth, unsigned *left)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t ticks = 0;
	char path[96], *rest, *word;

	snprintf(path, sizeof(path), "%s/%.16s/children", tasks, tid);
	if (fs_read_file(path, CHILDREN_MAX, &b) < 0 || !b.n)
		return 0;
	for (word = strtok_r((char *)b.p, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		ticks += used_by((pid_t)strtol(word, NULL, 10), depth, left);
	return ticks;
}

static uint64_t
used_by(pid_t pid, unsigned depth, unsigned *left)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct stat_line s;
	struct dirent *e;
	uint64_t ticks;
	char tasks[48];

	if (*left == 0 || read_stat(pid, &s) < 0)
		return 0;
	--*left;
	ticks = s.used;
	snprintf(tasks, sizeof(tasks), "/proc/%ld/task", (long)pid);
	d = depth ? opendir(tasks) : NULL;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			ticks += used_below(tasks, e->d_name, depth - 1, left);
	return ticks;
}

int
proc_used(pid_t pid, uint64_t *ret)
{
	unsigned left = USED_MAX;

	/* not every kernel is built with these */
	if (pid <= 0 || !procfs_is_ours() || !fs_exists("/proc/thread-self/children"))
		return -ENOSYS;
	*ret = used_by(pid, USED_DEPTH, &left);
	return 0;
}

enum proc_state
proc_state(const struct proc_name *p)
{
	uint64_t start;
	bool dead;

	if (!p->place || !p->start || p->pid <= 0 || p->place != proc_place())
		return PROC_UNKNOWN;
	if (kill(p->pid, 0) < 0 && errno == ESRCH)
		return PROC_GONE;
	start = proc_start(p->pid, &dead);
	if (!start)
		return PROC_UNKNOWN;
	if (dead || start != p->start)
		return PROC_GONE;
	return proc_is_stopped(p->pid) ? PROC_STOPPED : PROC_RUNS;
}

pid_t
proc_parent(pid_t pid)
{
	struct stat_line s;

	return read_stat(pid, &s) < 0 ? 0 : s.parent;
}

/* Whether pid is p, or above it. */
static bool
is_above(pid_t pid, pid_t p)
{
	struct stat_line s;

	for (unsigned i = 0; p > 0 && i < ABOVE_MAX; i++, p = s.parent) {
		if (p == pid)
			return true;
		if (read_stat(p, &s) < 0)
			return false;
	}
	return false;
}

bool
proc_is_above(pid_t pid)
{
	return is_above(pid, getppid());
}

bool
proc_is_above_of(pid_t pid, pid_t of)
{
	return pid != of && is_above(pid, of);
}

/* Ourselves; a fork makes another of us. */
static const struct proc_name *
own_name(void)
{
	static struct proc_name me;
	bool dead;

	if (me.pid != getpid())
		me = (struct proc_name){
			.place = proc_place(), .start = proc_start(getpid(), &dead), .pid = getpid()
		};
	return &me;
}

void
proc_signature(char ret[PROC_SIGNATURE_SIZE])
{
	const struct proc_name *me = own_name();
	int n = snprintf(ret, PROC_SIGNATURE_SIZE, "%016" PRIx64 " %ld %" PRIu64, me->place,
		(long)me->pid, me->start);

	/* always as long, so that nothing of a former one is left */
	memset(ret + n, ' ', PROC_SIGNATURE_SIZE - (size_t)n);
	ret[PROC_SIGNATURE_SIZE - 1] = '\n';
}

int
proc_sign(int fd)
{
	char text[PROC_SIGNATURE_SIZE];

	proc_signature(text);
	return pwrite(fd, text, sizeof(text), 0) == (ssize_t)sizeof(text) ? 0 : -EIO;
}

void
proc_unsign(int fd)
{
	/* where even that fails, the name stays of one that has gone on */
	if (ftruncate(fd, 0) < 0)
		return;
}

int
proc_parse(const char text[PROC_SIGNATURE_SIZE], struct proc_name *ret)
{
	char copy[PROC_SIGNATURE_SIZE + 1];
	struct proc_name found;
	long pid;

	memcpy(copy, text, PROC_SIGNATURE_SIZE);
	copy[PROC_SIGNATURE_SIZE] = '\0';
	if (sscanf(copy, "%16" SCNx64 " %9ld %19" SCNu64, &found.place, &pid, &found.start) != 3 ||
		pid <= 0)
		return -ENOENT;
	found.pid = (pid_t)pid;
	*ret = found;
	return 0;
}

int
proc_signed(int fd, struct proc_name *ret)
{
	char text[PROC_SIGNATURE_SIZE];

	if (pread(fd, text, sizeof(text), 0) != (ssize_t)sizeof(text))
		return -ENOENT;
	return proc_parse(text, ret);
}
