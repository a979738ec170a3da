/* The depot's names, entries and locks.
 *
 * Invariant: an entry is replaced by a rename, so that a reader has the old or the new one, whole.
 * A directory that is missing is made when something is put into it: the cache may be removed at
 * any time. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "store/depot_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/left.h"
#include "common/proc.h"

/* Room for "/entries/ab/" and a digest, or "/tmp/" and a temporary name. */
#define BELOW_MAX (LEFT_NAME_SIZE + 32)
#define ENTRY_MAX ((size_t)64 << 20)
#define ENTRY_WAIT_MS 500 /* an entry is read and written in a few milliseconds */
#define USED_S 3600
#define HELD_NAP_MS 10
#define HELD_LOOK_MS 250

const char *const depot_dirs[DEPOT_N_KINDS] = { [DEPOT_BLOB] = "blobs", [DEPOT_ENTRY] = "entries" };

int
depot_open(const struct depot_in *in, struct depot **ret)
{
	_cleanup_(depot_closep) struct depot *d = calloc(1, sizeof(*d));
	int r = fs_check_owner(in->dir);

	if (d == NULL)
		return -ENOMEM;
	/* anything else is found out when it is needed */
	if (r == -EPERM)
		return r;
	if (strlen(in->dir) + BELOW_MAX >= PATH_MAX)
		return -ENAMETOOLONG;
	d->dir = strdup(in->dir);
	if (d->dir == NULL)
		return -ENOMEM;
	d->max = in->max;
	d->read_only = in->read_only;
	d->memo = in->memo;
	*ret = steal_ptr(d);
	return 0;
}

void
depot_close(struct depot *d)
{
	if (d == NULL)
		return;
	depot_index_close(d);
	free(d->dir);
	free(d);
}

void
depot_closep(struct depot **d)
{
	depot_close(*d);
	*d = NULL;
}

void
depot_on_progress(struct depot *d, depot_progress_fn fn, void *arg)
{
	d->progress = fn;
	d->progress_arg = arg;
}

/* Names. */

void
depot_path(
	const struct depot *d, enum depot_kind kind, const struct digest *name, char out[PATH_MAX])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(name, hex);
	snprintf(out, PATH_MAX, "%s/%s/%.2s/%s", d->dir, depot_dirs[kind], hex, hex);
}

void
depot_tmp_dir(const struct depot *d, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/tmp", d->dir);
}

int
depot_temp_name(const char *dir, char out[PATH_MAX])
{
	/* who we are takes a few reads in /proc, and changes with a fork only */
	static _Thread_local char name[LEFT_NAME_SIZE];
	static _Thread_local pid_t pid;
	static unsigned counter;
	int n;

	if (pid != getpid()) {
		pid = getpid();
		left_name(LEFT_PUT, pid, name);
	}
	n = snprintf(out, PATH_MAX, "%s/%s-%06x", dir, name,
		__atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED) & 0xffffff);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int
depot_open_temp(const struct depot *d, char ret_name[PATH_MAX])
{
	char dir[PATH_MAX];
	int fd, r;

	depot_tmp_dir(d, dir);
	r = depot_temp_name(dir, ret_name);
	if (r < 0)
		return r;
	fd = open(ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT) {
		r = fs_mkdir_p(dir, 0700);
		if (r < 0)
			return r;
		fd = open(ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	return fd < 0 ? -errno : fd;
}

int
depot_rename(const char *from, const char *to)
{
	int r;

	if (rename(from, to) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	r = fs_mkdir_parent(to, 0700);
	if (r < 0)
		return r;
	return rename(from, to) < 0 ? -errno : 0;
}

/* Entries. */

int
depot_read_entry(struct depot *d, const struct digest *key, struct buf *ret)
{
	char path[PATH_MAX];

	depot_path(d, DEPOT_ENTRY, key, path);
	return fs_read_file(path, ENTRY_MAX, ret);
}

int
depot_write_entry(struct depot *d, const struct digest *key, const void *p, size_t n)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX], temp[PATH_MAX];
	struct stat st;
	int r;

	if (d->read_only)
		return -EROFS;
	if (n > ENTRY_MAX)
		return -EFBIG;
	depot_path(d, DEPOT_ENTRY, key, path);
	fd = depot_open_temp(d, temp);
	if (fd < 0)
		return fd;
	r = fs_write_all(fd, p, n);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	/* Network file systems and quotas report a failed write only here. */
	if (close(steal_fd(&fd)) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	if (r == 0)
		r = depot_rename(temp, path);
	if (r < 0)
		unlink(temp);
	else
		depot_index_note(d, DEPOT_ENTRY, key, &st);
	return r;
}

int
depot_drop_entry(struct depot *d, const struct digest *key)
{
	char path[PATH_MAX];

	if (d->read_only)
		return -EROFS;
	depot_path(d, DEPOT_ENTRY, key, path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int
each_below(const char *dir, const char *sub, depot_entry_fn fn, void *arg)
{
	_cleanup_(freep) char *path = path_join(dir, sub);
	_cleanup_(closedirp) DIR *s = path != NULL ? opendir(path) : NULL;
	struct digest key;
	struct dirent *e;
	int r = 0;

	while (r == 0 && s != NULL && (e = readdir(s)) != NULL)
		if (digest_parse(e->d_name, &key) == 0)
			r = fn(arg, &key);
	return r;
}

int
depot_each_entry(struct depot *d, depot_entry_fn fn, void *arg)
{
	_cleanup_(freep) char *dir = path_join(d->dir, depot_dirs[DEPOT_ENTRY]);
	char sub[3];
	int i, r = 0;

	if (dir == NULL)
		return -ENOMEM;
	for (i = 0; r == 0 && i < DEPOT_SUBS; i++) {
		snprintf(sub, sizeof(sub), "%02x", i);
		r = each_below(dir, sub, fn, arg);
	}
	return r;
}

/* Sets atime, for when the index is made anew; also mtime when asked to: a blob's mtime is that of
 * the checkout that shares it. */
static void
touch(const char *path, bool both)
{
	const struct timespec times[2] = { { 0, UTIME_NOW }, { 0, both ? UTIME_NOW : UTIME_OMIT } };

	(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

void
depot_used(struct depot *d, const struct digest *key, const struct digest *blobs, size_t n)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	if (d->read_only)
		return;
	/* The entry's own time tells when all this was marked: a hit asks for no more. */
	depot_path(d, DEPOT_ENTRY, key, path);
	if (lstat(path, &st) < 0 || llabs((long long)(time(NULL) - st.st_mtime)) < USED_S)
		return;
	touch(path, true);
	depot_index_note(d, DEPOT_ENTRY, key, &st);
	for (i = 0; i < n; i++) {
		depot_path(d, DEPOT_BLOB, &blobs[i], path);
		if (lstat(path, &st) < 0)
			continue;
		depot_index_note(d, DEPOT_BLOB, &blobs[i], &st);
		/* a ctime that moves makes those who share it hash it again */
		if (st.st_nlink == 1)
			touch(path, false);
	}
}

/* Locks. The lock itself is of the open file, so that it holds between threads as well. A second
 * one far behind it, of the process, is there to be asked about: the kernel tells its holder. */

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

bool
depot_byte_is_held_in_vain(const struct depot *d, const char *name, off_t at)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/locks/%s", d->dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && is_held_in_vain(fd, at);
}

int
depot_lock_byte(const struct depot *d, const char *name, off_t at, bool wait, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	struct flock l = byte_lock(at), holder = byte_lock(at + HOLDER_BYTE);
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/locks/%s", d->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == ENOENT) {
		r = fs_mkdir_parent(path, 0700);
		if (r < 0)
			return r;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (fd < 0)
		return -errno;
	if (!wait && fcntl(fd, F_OFD_SETLK, &l) < 0)
		return errno == EAGAIN || errno == EACCES ? -EWOULDBLOCK : -errno;
	r = wait ? lock_or_give_up(fd, at) : 0;
	if (r < 0)
		return r;
	/* where it cannot be had nobody knows who we are, and waits for as long as it takes */
	(void)fcntl(fd, F_SETLK, &holder);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The file by the key's first byte, the place in it by the next eight: 62 bits of them. */
static off_t
place_of(const struct digest *key, char name[3])
{
	uint64_t at = 0;

	snprintf(name, 3, "%02x", key->b[0]);
	for (int i = 1; i <= 8; i++)
		at = at << 8 | key->b[i];
	return (off_t)(at >> 2);
}

int
depot_lock(struct depot *d, const struct digest *key, bool wait, int *ret_fd)
{
	char name[3];
	off_t at = place_of(key, name);

	return depot_lock_byte(d, name, at, wait, ret_fd);
}

bool
depot_is_held_in_vain(struct depot *d, const struct digest *key)
{
	char name[3];
	off_t at = place_of(key, name);

	return depot_byte_is_held_in_vain(d, name, at);
}

int
depot_lock_entry(struct depot *d, const struct digest *key)
{
	uint64_t until = clock_mono_ms() + ENTRY_WAIT_MS;
	/* a file apart from that of the twins' locks, and of their holders' */
	char name[] = "e00";
	off_t at = place_of(key, name + 1);
	int fd = -1, r;

	while ((r = depot_lock_byte(d, name, at, false, &fd)) == -EWOULDBLOCK &&
		clock_mono_ms() < until)
		poll(NULL, 0, 1);
	return r == 0 ? fd : -1;
}
