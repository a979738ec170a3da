/* Locks of a store on disk.
 *
 * Invariant: a lock ends with its process, and one that is stopped is not waited for. The lock
 * itself is of the open file, so that it holds between threads as well. A second one far behind it,
 * of the process, is there to be asked about: the kernel tells its holder. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "store/disk_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/proc.h"
#include "common/tick.h"

#define HELD_NAP_MS 10
#define HELD_LOOK_MS 250
#define HOLDER_BYTE (INT64_C(1) << 62)

static struct flock
byte_lock(off_t at)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
}

/* A stopped holder does not go on by itself; one above us waits for us. */
static bool
is_held_in_vain(int fd, off_t at)
{
	struct flock l = byte_lock(at + HOLDER_BYTE);

	return fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0 &&
	       (proc_is_stopped(l.l_pid) || proc_is_above(l.l_pid));
}

/* Waits; looks at the holder after a while, and then again and again. */
static int
lock_or_give_up(int fd, off_t at)
{
	struct flock l = byte_lock(at);
	unsigned naps = 0;

	while (fcntl(fd, F_OFD_SETLK, &l) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (++naps % (HELD_LOOK_MS / HELD_NAP_MS) == 0 && is_held_in_vain(fd, at))
			return -EBUSY;
		if (poll(NULL, 0, HELD_NAP_MS) < 0)
			return -errno;
	}
	return 0;
}

static int
open_locks(const struct disk *d, const char *name)
{
	char path[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s/locks/%s", d->dir, name);
	fd = share_open(&d->share, path, 0600);
	if (fd != -ENOENT)
		return fd;
	snprintf(path, sizeof(path), "%s/locks", d->dir);
	r = disk_mkdir(d, path);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/locks/%s", d->dir, name);
	return share_open(&d->share, path, 0600);
}

int
disk_wait(struct store *s, const char *name, off_t at, unsigned ms)
{
	_cleanup_(closep) int fd = open_locks(disk_of(s), name);
	struct flock l = byte_lock(at);
	uint64_t until = clock_mono_ms() + ms;
	struct tick t;
	int r = 0;

	if (fd < 0)
		return fd;
	l.l_type = F_RDLCK;
	tick_begin(&t, ms);
	if (fcntl(fd, F_OFD_SETLKW, &l) < 0)
		r = -errno;
	tick_end(&t);
	return r == -EINTR && clock_mono_ms() >= until ? -EAGAIN : r;
}

bool
disk_is_held_in_vain(struct store *s, const char *name, off_t at)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/locks/%s", disk_of(s)->dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && is_held_in_vain(fd, at);
}

int
disk_lock(struct store *s, const char *name, off_t at, bool wait, int *ret_fd)
{
	_cleanup_(closep) int fd = open_locks(disk_of(s), name);
	struct flock l = byte_lock(at), holder = byte_lock(at + HOLDER_BYTE);
	int r;

	if (fd < 0)
		return fd;
	if (!wait && fcntl(fd, F_OFD_SETLK, &l) < 0)
		return errno == EAGAIN || errno == EACCES ? -EWOULDBLOCK : -errno;
	r = wait ? lock_or_give_up(fd, at) : 0;
	if (r < 0)
		return r;
	/* where it cannot be had the holder is not known, and others wait as long as it takes */
	(void)fcntl(fd, F_SETLK, &holder);
	*ret_fd = steal_fd(&fd);
	return 0;
}
