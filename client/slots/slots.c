/* Local slots as file locks.
 *
 * Invariant: at most n of the locks slot-0 … slot-<n-1> are held at any time. Each belongs to an
 * open file that the running compiler shares, so the kernel releases it when the compiler ends, in
 * whatever way. Slot files are never removed: a lock on a removed file would keep nobody out.
 *
 * A slot that is held but not used is lent on: for each such slot one more, above the n, may be
 * taken (slots_lent.c). For a while one compile more than n may run then.
 *
 * A process that waits is woken when a slot file is closed that was open for writing, as the kernel
 * closes a holder's. So one that only looks opens it for reading. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>

#include "client/slots/given.h"
#include "client/slots/slots_priv.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "machine/cpus.h"
#include "common/fs.h"
#include "common/process/proc.h"
#include "common/tick.h"

#define QUEUE_TICK_MS 1000
/* How often is looked where nothing says that a slot is free: memory became free, or a notice of it
 * was lost. */
#define LOOK_MS 20
#define LOOK_MEMORY_MS 50
/* A slot file is closed a little before its lock is gone. */
#define CLOSED_NS 100000
#define CLOSED_LOOKS 4

unsigned
slots_cores(void)
{
	static unsigned n;

	/* a few files have to be read */
	if (n == 0)
		n = cpus_usable("");
	return n;
}

/* In /tmp another user may have made the directory first: it must be this user's alone. */
static int
open_private_dir(const char *dir, bool make)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (!dir || (make && fs_mkdir_p(dir, 0700) < 0))
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

static int
open_in_place(const char *dir, unsigned n, bool make, struct slots **ret)
{
	struct slots *s;
	char fallback[64];
	int fd = open_private_dir(dir, make);

	if (fd < 0) {
		snprintf(fallback, sizeof(fallback), "/tmp/dray-%u", (unsigned)geteuid());
		fd = open_private_dir(fallback, make);
		if (fd < 0)
			return fd;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		closep(&fd);
		return -ENOMEM;
	}
	s->dir_fd = fd;
	s->watch = -1;
	s->idle_ms = SLOTS_IDLE_MS;
	s->root = "";
	s->n = MIN2(MAX2(n, 1u), (unsigned)SLOTS_MAX);
	*ret = s;
	return 0;
}

int
slots_open(const char *dir, unsigned n, struct slots **ret)
{
	return open_in_place(dir, n, true, ret);
}

int
slots_look(const char *dir, unsigned n, struct slots **ret)
{
	return open_in_place(dir, n, false, ret);
}

void
slots_close(struct slots *s)
{
	if (!s)
		return;
	closep(&s->dir_fd);
	closep(&s->watch);
	free(s->seen);
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

/* Whether no process holds the slot, by a descriptor to read it: NFS locks a file exclusively only
 * for who may write to it. 0; -EWOULDBLOCK; -errno. */
static int
look_now(int fd)
{
	return lock_how(fd, LOCK_SH);
}

void
slots_say(struct slots *s, const struct notice *n)
{
	s->notice = *n;
}

int
slots_dir(const struct slots *s)
{
	return s->dir_fd;
}

unsigned
slots_number(const struct slots *s)
{
	return s->n;
}

void
slots_mind_memory(struct slots *s, uint64_t bytes)
{
	s->need = bytes;
}

void
slots_read_below(struct slots *s, const char *root)
{
	s->root = root;
}

void
slots_believe_idle(struct slots *s, uint64_t ms)
{
	s->idle_ms = ms;
}

/* ---- taking one */

static bool
is_young(int fd)
{
	struct stat st;
	time_t now = time(NULL);

	return fstat(fd, &st) < 0 ||
	       (st.st_mtime > now - MEMORY_YOUNG_S && st.st_mtime < now + MEMORY_YOUNG_S);
}

/* Counts the slots that others hold, and those of them that were taken a moment ago. Two processes
 * that look at the same time see each other's slot as taken, so both may find one too many. They
 * look again. */
static void
count_others(struct slots *s, unsigned mine, unsigned *ret_held, unsigned *ret_young)
{
	*ret_held = *ret_young = 0;
	for (unsigned i = 0; i < s->n; i++) {
		_cleanup_(closep) int fd = i == mine ? -1 : slots_open_slot(s, i, O_RDONLY);

		if (fd < 0 || look_now(fd) == 0 || slots_is_lent(s, i))
			continue;
		++*ret_held;
		*ret_young += is_young(fd);
	}
}

/* Whether the machine has room for a compile in slot i, which this process has. */
static bool
has_room(struct slots *s, unsigned i)
{
	struct memory_now m;
	unsigned held, young;

	if (!s->need || s->n == 1)
		return true;
	memory_read(s->root, &m);
	/* if all n may run, nothing has to be counted */
	s->lack = memory_lack(&m, s->need, s->n, s->n - 1, s->n - 1);
	if (s->lack == MEMORY_ENOUGH)
		return true;
	count_others(s, i, &held, &young);
	s->lack = memory_lack(&m, s->need, s->n, held, young);
	return s->lack == MEMORY_ENOUGH;
}

/* Its descriptor, with the lock; -EWOULDBLOCK: another process has it; -errno. */
static int
lock_slot(struct slots *s, unsigned i)
{
	_cleanup_(closep) int look = slots_open_slot(s, i, O_RDONLY | O_CREAT);
	_cleanup_(closep) int fd = -1;
	int r = look < 0 ? look : look_now(look);

	if (r < 0)
		return r;
	fd = slots_open_slot(s, i, O_RDWR);
	if (fd < 0)
		return fd;
	/* another process may be first */
	closep(&look);
	r = lock_now(fd);
	return r < 0 ? r : steal_fd(&fd);
}

static int
take(struct slots *s)
{
	unsigned end = slots_usual_end(s);

	s->lack = MEMORY_ENOUGH;
	for (unsigned i = 0; i < end; i++) {
		_cleanup_(closep) int fd = lock_slot(s, i);
		int r = MIN2(fd, 0);

		if (r == 0 && !has_room(s, i))
			return -EAGAIN;
		if (r == 0) {
			/* notes since when it is taken; if the disk refuses, that is no reason to
			 * wait */
			if (s->need)
				(void)futimens(fd, NULL);
			s->notice.state = NOTICE_HOLDS;
			s->notice.since_ms = clock_wall_ms();
			(void)notice_write(fd, 0, &s->notice);
			return steal_fd(&fd);
		}
		if (r != -EWOULDBLOCK)
			return r;
		if (slots_is_lent(s, i) && end < SLOTS_MAX)
			end++;
	}
	return -EAGAIN;
}

int
slots_each(struct slots *s, slots_fn fn, void *arg)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < SLOTS_MAX; i++) {
		_cleanup_(closep) int fd = slots_open_slot(s, i, O_RDONLY);
		struct notice n;

		if (fd == -ENOENT)
			break;
		/* shared, and only for a moment: so it hardly hinders a process that takes it */
		if (fd < 0 || look_now(fd) == 0)
			continue;
		if (notice_read(fd, 0, &n) < 0)
			*n.kind = *n.what = *n.dir = '\0';
		r = fn(arg, i, &n);
	}
	return r;
}

int
slots_try(struct slots *s)
{
	_cleanup_(closep) int queue = open_in(s, "queue");

	if (queue < 0)
		return queue;
	/* If a process waits, the slot is for that one. Shared: tries do not hinder each other. */
	if (lock_how(queue, LOCK_SH) < 0)
		return -EAGAIN;
	return take(s);
}

/* Before the look after which it waits: else what is given back in between is not seen. */
static void
watch_slots(struct slots *s)
{
	char dir[32];

	s->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", s->dir_fd);
	/* a user may have too many: then it is looked now and then */
	if (s->watch >= 0 && inotify_add_watch(s->watch, dir, IN_CLOSE_WRITE) < 0)
		closep(&s->watch);
}

/* Takes all notices there are. Whether one is about a slot. */
static bool
was_closed(const struct slots *s)
{
	_Alignas(struct inotify_event) char b[4096];
	bool closed = false;
	ssize_t n;

	while (s->watch >= 0 && (n = read(s->watch, b, sizeof(b))) > 0)
		for (const char *p = b; p < b + n;) {
			const struct inotify_event *e = (const void *)p;

			closed |= (e->mask & IN_Q_OVERFLOW) ||
				  (e->len > 0 && starts_with(e->name, SLOTS_NAME));
			p += sizeof(*e) + e->len;
		}
	return closed;
}

/* The kernel cannot wait for "any of these locks"; but it says when a slot file is closed. Only the
 * head of the queue looks, whatever -j is, and what a holder waits for. 0; -EINTR. */
static int
look_again(struct slots *s)
{
	uint64_t until = clock_mono_ms() + LOOK_MS;
	struct pollfd p = { .fd = s->watch, .events = POLLIN };

	/* a slot was free, and was given back: that is no notice to look at once */
	if (s->lack != MEMORY_ENOUGH)
		return poll(NULL, 0, LOOK_MEMORY_MS) < 0 ? -errno : 0;
	if (s->closed > 0 && s->closed++ < CLOSED_LOOKS) {
		struct timespec ts = { 0, (long)s->closed * CLOSED_NS };

		return nanosleep(&ts, NULL) < 0 ? -errno : 0;
	}
	s->closed = 0;
	for (uint64_t now; (now = clock_mono_ms()) < until;) {
		if (poll(&p, 1, (int)(until - now)) < 0)
			return -errno;
		if (was_closed(s)) {
			s->closed = 1;
			break;
		}
	}
	return 0;
}

/* Whether the head of the queue runs, and looks for a slot. A head that leaves removes its name,
 * and a mere try writes none. So without a name a process was stopped in between. */
static bool
queue_moves(int queue)
{
	struct proc_name head;
	enum proc_state state;

	if (proc_signed(queue, &head) < 0)
		return false;
	state = proc_state(&head);
	return state != PROC_STOPPED && state != PROC_GONE && !proc_is_above(head.pid);
}

/* Waits to become the head of the queue. 0; 1: the head does not move, and is passed by; -errno. */
static int
stand_in_queue(int queue)
{
	struct tick t;
	int r = 0;

	tick_begin(&t, QUEUE_TICK_MS);
	while (flock(queue, LOCK_EX) < 0) {
		r = -errno;
		if (r == -EINTR && !child_signal()) {
			r = queue_moves(queue) ? 0 : 1;
			if (r == 0)
				continue;
		}
		break;
	}
	tick_end(&t);
	return r;
}

/* Says that this process waits, and why. The time since when stays if the reason changes. */
static void
say_why(struct slots *s, enum notice_state why, struct notices_place *place)
{
	if (place->fd >= 0 && s->notice.state == why)
		return;
	if (place->fd < 0)
		s->notice.since_ms = clock_wall_ms();
	s->notice.state = why;
	(void)notices_begin(s->dir_fd, &s->notice, place);
}

static enum notice_state
why_none(const struct slots *s)
{
	static const enum notice_state by_lack[] = {
		[MEMORY_ENOUGH] = NOTICE_ALL_TAKEN,
		[MEMORY_NO_ROOM] = NOTICE_NO_ROOM,
		[MEMORY_UNDER_PRESSURE] = NOTICE_UNDER_PRESSURE,
		[MEMORY_IO_PRESSURE] = NOTICE_IO_PRESSURE,
	};

	return by_lack[s->lack];
}

/* What is known during a wait is of no use to the next one; and of inotify a user has no more than
 * 128, while a compile may take long. */
static void
forget_wait(struct slots *s)
{
	closep(&s->watch);
	free(s->seen);
	s->seen = NULL;
	s->nested = false;
	s->closed = s->n_inherited = 0;
}

static int
wait_for_one(struct slots *s)
{
	_cleanup_(notices_end) struct notices_place place = NOTICES_PLACE_INIT;
	_cleanup_(closep) int queue = -1;
	bool watched = false;
	int fd, r;

	/* through the queue even if a slot is free: a newcomer must not overtake what waits */
	queue = open_in(s, "queue");
	if (queue < 0)
		return queue;
	r = lock_how(queue, LOCK_EX);
	if (r == -EWOULDBLOCK) {
		/* the queue may wait for the slot of a process that waits for this one */
		slots_judge(s);
		if (!s->nested)
			say_why(s, NOTICE_QUEUES, &place);
		r = s->nested ? 1 : stand_in_queue(queue);
	}
	if (r < 0)
		return r;
	if (r == 0)
		(void)proc_sign(queue);
	while ((fd = take(s)) == -EAGAIN) {
		say_why(s, why_none(s), &place);
		if (s->watch < 0 && !watched) {
			watched = true;
			watch_slots(s);
			slots_judge(s);
			continue;
		}
		if (child_signal() || look_again(s) == -EINTR) {
			fd = -EINTR;
			break;
		}
		slots_judge(s);
	}
	if (r == 0)
		proc_unsign(queue);
	return fd;
}

int
slots_wait(struct slots *s)
{
	int fd = wait_for_one(s);

	forget_wait(s);
	return fd;
}

/* ---- tokens */

/* Whether no other process uses the fifo, by a lock of its open file, which compilers inherit. */
static bool
is_only_user(int fifo)
{
	bool only = lock_how(fifo, LOCK_EX) == 0;

	/* a process that came at the same time may have been first */
	(void)lock_how(fifo, LOCK_SH);
	return only;
}

int
slots_tokens_open(struct slots *s, struct slots_tokens *ret)
{
	struct slots_tokens t = SLOTS_TOKENS_INIT;
	unsigned cores = slots_cores();
	struct stat st;
	char name[32];
	int r = 0;

	/* builds with another quota or affinity have a fifo of their own */
	snprintf(name, sizeof(name), "jobserver-%u", cores);
	if (mkfifoat(s->dir_fd, name, 0600) < 0 && errno != EEXIST)
		return -errno;
	/* opened for reading and writing: so open does not wait for the other end */
	t.js.rd = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	t.js.wr = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (t.js.rd < 0 || t.js.wr < 0 || fstat(t.js.rd, &st) < 0)
		r = -errno;
	else if (!S_ISFIFO(st.st_mode))
		r = -EBADF;
	if (r < 0) {
		jobserver_done(&t.js);
		return r;
	}
	/* a running compiler uses one core without a token */
	t.owes = is_only_user(t.js.rd);
	if (t.owes)
		jobserver_reset(&t.js, cores - 1);
	else
		t.owes = jobserver_take(&t.js) == 0;
	*ret = t;
	return 0;
}

int
slots_tokens_choose(struct slots *s, struct slots_tokens *ret)
{
	int n = jobserver_free(given_flags());

	if (n >= 0 && (unsigned)n < slots_cores())
		return 0;
	return slots_tokens_open(s, ret);
}

void
slots_tokens_done(struct slots_tokens *t)
{
	if (t->owes)
		jobserver_give(&t->js);
	jobserver_done(&t->js);
	t->owes = false;
}
