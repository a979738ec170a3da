/* Local slots as file locks.
 *
 * Invariant: at most n locks of slot-0 … slot-<n-1> are held at any time, and each is held by an
 * open file that the running compiler shares, so the kernel gives it back at the end, however that
 * comes. slot files are never removed: a lock on a removed file would be no lock. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

#include "client/wrap/memory.h"
#include "client/wrap/slots.h"
#include "common/fs.h"

#define SLOTS_MAX 4096

struct slots {
	int dir_fd;
	unsigned n;
	uint64_t need;	      /* bytes a compile, 0: memory is not looked at */
	bool short_of_memory; /* that was why there was none, the last time */
};

unsigned
slots_cores(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)MAX2(CPU_COUNT(&set), 1);
	/* more than 1024 of them */
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

/* In /tmp anybody may have made the name first: it must be ours alone. */
static int
open_private_dir(const char *dir)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (!dir || fs_mkdir_p(dir, 0700) < 0)
		return -ENOENT;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 022) ||
		faccessat(fd, ".", W_OK, AT_EACCESS) < 0)
		return -EPERM;
	return steal_fd(&fd);
}

int
slots_open(const char *dir, unsigned n, struct slots **ret)
{
	struct slots *s;
	char fallback[64];
	int fd = open_private_dir(dir);

	if (fd < 0) {
		snprintf(fallback, sizeof(fallback), "/tmp/dray-%u", (unsigned)geteuid());
		fd = open_private_dir(fallback);
		if (fd < 0)
			return fd;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		closep(&fd);
		return -ENOMEM;
	}
	s->dir_fd = fd;
	s->n = MIN2(MAX2(n, 1u), (unsigned)SLOTS_MAX);
	*ret = s;
	return 0;
}

void
slots_close(struct slots *s)
{
	if (!s)
		return;
	closep(&s->dir_fd);
	free(s);
}

void
slots_closep(struct slots **s)
{
	slots_close(*s);
	*s = NULL;
}

static int
open_in(struct slots *s, const char *name)
{
	int fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static int
open_slot(struct slots *s, unsigned i, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "slot-%u", i);
	fd = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	return fd < 0 ? -errno : fd;
}

static int
lock_how(int fd, int how)
{
	while (flock(fd, how | LOCK_NB) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int
lock_now(int fd)
{
	return lock_how(fd, LOCK_EX);
}

void
slots_mind_memory(struct slots *s, uint64_t bytes)
{
	s->need = bytes;
}

static bool
is_young(int fd)
{
	struct stat st;
	time_t now = time(NULL);

	return fstat(fd, &st) < 0 ||
	       (st.st_mtime > now - MEMORY_YOUNG_S && st.st_mtime < now + MEMORY_YOUNG_S);
}

/* Slots that others hold, and how many of these were taken a moment ago. Two that look at the same
 * time see each other's slot as taken, so perhaps one too many: they look again. */
static void
count_others(struct slots *s, unsigned mine, unsigned *ret_held, unsigned *ret_young)
{
	*ret_held = *ret_young = 0;
	for (unsigned i = 0; i < s->n; i++) {
		_cleanup_(closep) int fd = i == mine ? -1 : open_slot(s, i, 0);

		if (fd < 0 || lock_now(fd) == 0)
			continue;
		++*ret_held;
		*ret_young += is_young(fd);
	}
}

/* Whether the machine has the memory for a compile in slot i, which is ours. */
static bool
has_room(struct slots *s, unsigned i)
{
	struct memory_now m;
	unsigned held, young;

	if (!s->need || s->n == 1)
		return true;
	memory_read("", &m);
	/* As many as ever can run: no need to count. */
	if (memory_slots(&m, s->need, s->n, s->n, s->n) == s->n &&
		m.pressure < MEMORY_PRESSURE_HIGH)
		return true;
	count_others(s, i, &held, &young);
	return held < memory_slots(&m, s->need, s->n, held, young);
}

static int
take(struct slots *s)
{
	s->short_of_memory = false;
	for (unsigned i = 0; i < s->n; i++) {
		_cleanup_(closep) int fd = open_slot(s, i, O_CREAT);
		int r;

		if (fd < 0)
			return fd;
		r = lock_now(fd);
		if (r == 0 && !has_room(s, i)) {
			s->short_of_memory = true;
			return -EAGAIN;
		}
		if (r == 0) {
			/* since when it is taken; a disk that refuses is no reason to wait */
			if (s->need)
				(void)futimens(fd, NULL);
			return steal_fd(&fd);
		}
		if (r != -EWOULDBLOCK)
			return r;
	}
	return -EAGAIN;
}

int
slots_try(struct slots *s)
{
	_cleanup_(closep) int queue = open_in(s, "queue");

	if (queue < 0)
		return queue;
	/* Somebody waits, whose slot it is. Shared: those who only try do not hinder each other. */
	if (lock_how(queue, LOCK_SH) < 0)
		return -EAGAIN;
	return take(s);
}

/* There is no waiting for "any of these locks". Only the head of the queue looks, so looking often
 * costs one process some thousand system calls a second, whatever -j is. */
static int
look_again(struct slots *s)
{
	struct timespec ts = { 0, 1000000L * MIN2(1 + s->n / 16, 20u) };

	/* memory is not given back that often, and asking about it costs more */
	if (s->short_of_memory)
		ts.tv_nsec = 50000000L;
	return nanosleep(&ts, NULL) < 0 ? -errno : 0;
}

int
slots_wait(struct slots *s)
{
	_cleanup_(closep) int queue = -1;
	int fd, r;

	/* through the queue even when a slot is free: a newcomer must not overtake who waits */
	queue = open_in(s, "queue");
	if (queue < 0)
		return queue;
	if (flock(queue, LOCK_EX) < 0)
		return -errno;
	while ((fd = take(s)) == -EAGAIN)
		if ((r = look_again(s)) < 0)
			return r;
	return fd;
}

/* Whether nobody else holds any slot; then all are locked by us until *locks is closed. */
static bool
lock_all_others(struct slots *s, int slot, int *locks)
{
	struct stat mine, other;

	if (fstat(slot, &mine) < 0)
		return false;
	/* a build with another local_slots may use more of them than we do */
	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		locks[i] = open_slot(s, i, 0);
		if (locks[i] == -ENOENT)
			return true;
		if (locks[i] < 0 || fstat(locks[i], &other) < 0)
			return false;
		if (other.st_ino == mine.st_ino && other.st_dev == mine.st_dev)
			continue;
		if (lock_now(locks[i]) < 0)
			return false;
	}
	return true;
}

static void
put_tokens_right(struct slots *s, int slot, struct jobserver *js)
{
	_cleanup_(freep) int *locks = malloc(SLOTS_MAX * sizeof(*locks));

	if (!locks)
		return;
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		locks[i] = -1;
	/* each running compiler holds one core without a token */
	if (lock_all_others(s, slot, locks))
		jobserver_reset(js, slots_cores() - 1);
	for (unsigned i = 0; i < SLOTS_MAX && locks[i] >= 0; i++)
		close(locks[i]);
}

int
slots_jobserver(struct slots *s, int slot, struct jobserver *ret)
{
	struct jobserver js = JOBSERVER_INIT;
	struct stat st;

	if (mkfifoat(s->dir_fd, "jobserver", 0600) < 0 && errno != EEXIST)
		return -errno;
	/* opened for both ways, so that opening does not wait for the other end */
	js.rd = openat(s->dir_fd, "jobserver", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	js.wr = openat(s->dir_fd, "jobserver", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (js.rd < 0 || js.wr < 0 || fstat(js.rd, &st) < 0) {
		int r = -errno;

		jobserver_done(&js);
		return r;
	}
	if (!S_ISFIFO(st.st_mode)) {
		jobserver_done(&js);
		return -EBADF;
	}
	put_tokens_right(s, slot, &js);
	*ret = js;
	return 0;
}
