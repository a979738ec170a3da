/* Holders of slots that do not use what they hold.
 *
 * A slot that is held but not used is lent on: for each such slot one more, above the n, may be
 * taken. A holder does not use its slot in three cases. It is stopped. It is gone, and what it left
 * running has the lock. Or it waits for this process: a macro that runs cargo, or a test that
 * builds. That is seen if the holder is above this process. If it waits in another way (for a
 * server, or from another PID namespace), neither the holder nor what it started uses the
 * processor, and after a while that is taken for waiting. The holder's own lock is never touched,
 * so nothing happens to it when it goes on. For a while one compile more than n may run then. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/slots/slots_priv.h"
#include "common/clock.h"
#include "common/fs.h"

/* How often holders are looked at during a wait. A stopped one counts from the second look on. */
#define JUDGE_MS 250
/* A holder that did nothing for so long may wait for this process. Waiting for a network, a lock or
 * a disk usually takes less. This is looked at less often, since a whole tree of processes is read.
 */
#define IDLE_LOOKS 6

int
slots_open_slot(struct slots *s, unsigned i, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), SLOTS_NAME "%u", i);
	fd = openat(s->dir_fd, name, O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	return fd < 0 ? -errno : fd;
}

bool
slots_is_lent(const struct slots *s, unsigned i)
{
	return s->seen && s->seen[i].verdict == VERDICT_LENT;
}

/* This process may have inherited a slot, while its holder cannot be seen: it is gone, or in
 * another PID namespace. */
static bool
is_inherited(const struct slots *s, int fd)
{
	struct stat st;

	if (s->n_inherited == 0 || fstat(fd, &st) < 0)
		return false;
	for (unsigned i = 0; i < s->n_inherited; i++)
		if (s->inherited[i].st_ino == st.st_ino && s->inherited[i].st_dev == st.st_dev)
			return true;
	return false;
}

/* Finds the slot files among this process's descriptors. Comes before any slot is opened. */
static void
find_inherited(struct slots *s)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat dir, st;

	if (fstat(s->dir_fd, &dir) < 0)
		return;
	while (d && s->n_inherited < SLOTS_INHERITED_MAX && (e = readdir(d))) {
		int fd = atoi(e->d_name), flags;

		if (fd <= STDERR_FILENO || (flags = fcntl(fd, F_GETFD)) < 0 ||
			(flags & FD_CLOEXEC) || fstat(fd, &st) < 0)
			continue;
		if (S_ISREG(st.st_mode) && st.st_dev == dir.st_dev && st.st_uid == geteuid())
			s->inherited[s->n_inherited++] = st;
	}
}

static bool
waits_for_us(const struct slots *s, int fd)
{
	struct proc_name holder;

	return is_inherited(s, fd) ||
	       (proc_signed(fd, &holder) == 0 && holder.place == proc_place() &&
		       proc_is_above(holder.pid));
}

/* Of a holder in another PID namespace nothing is seen; so it seems to do nothing. */
static bool
is_idle(const struct slots *s, struct slots_seen *was, const struct proc_name *holder,
	enum proc_state state)
{
	uint64_t now = clock_mono_ms(), used = 0;

	/* most waits end sooner */
	if (now < s->waits_since_ms + s->idle_ms / IDLE_LOOKS)
		return false;
	if (!proc_is_same(holder, &was->holder))
		*was = (struct slots_seen){ .holder = *holder, .verdict = was->verdict };
	else if (now < was->looked_ms + s->idle_ms / IDLE_LOOKS)
		return now >= was->idle_since_ms + s->idle_ms;
	if ((state == PROC_RUNS && proc_used(holder->pid, &used) < 0) || !was->looked_ms ||
		used != was->used)
		was->idle_since_ms = now;
	was->looked_ms = now;
	was->used = used;
	return now >= was->idle_since_ms + s->idle_ms;
}

/* Judges slot i, as if a process holds it: only then the verdict is used. */
static void
judge(struct slots *s, unsigned i, int fd)
{
	struct slots_seen *was = &s->seen[i];
	struct proc_name holder = { 0 };
	enum proc_state state;

	was->pid = 0;
	if (waits_for_us(s, fd)) {
		was->verdict = VERDICT_LENT;
		s->nested = true;
		return;
	}
	state = proc_signed(fd, &holder) == 0 ? proc_state(&holder) : PROC_UNKNOWN;
	was->pid = state == PROC_RUNS ? holder.pid : 0;
	if (state != PROC_STOPPED && state != PROC_GONE)
		was->verdict = is_idle(s, was, &holder, state) ? VERDICT_LENT : VERDICT_USED;
	else if (was->verdict < VERDICT_LENT)
		was->verdict++;
}

/* A process whose holder waits for it finds others of its kind: holders that wait for what they
 * started, which has a slot of its own. These do not use theirs, either. */
static void
judge_others(struct slots *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct slots_seen *was = &s->seen[i];

		for (unsigned k = 0; was->pid && was->verdict == VERDICT_USED && k < n; k++)
			if (k != i && s->seen[k].pid && proc_is_above_of(was->pid, s->seen[k].pid))
				was->verdict = VERDICT_LENT;
	}
}

void
slots_judge(struct slots *s)
{
	uint64_t now = clock_mono_ms();
	unsigned n = 0;

	if (!s->seen) {
		s->seen = calloc(SLOTS_MAX, sizeof(*s->seen));
		find_inherited(s);
		s->waits_since_ms = now;
	} else if (now < s->judged_ms + JUDGE_MS) {
		return;
	}
	s->judged_ms = now;
	for (; s->seen && n < SLOTS_MAX; n++) {
		_cleanup_(closep) int fd = slots_open_slot(s, n, O_RDONLY);

		if (fd == -ENOENT)
			break;
		if (fd >= 0)
			judge(s, n, fd);
	}
	if (s->nested)
		judge_others(s, n);
}

unsigned
slots_usual_end(const struct slots *s)
{
	uint64_t more = s->nested ? (clock_mono_ms() - s->waits_since_ms) / 1000 : 0;

	return (unsigned)MIN2((uint64_t)s->n + more, (uint64_t)SLOTS_MAX);
}
