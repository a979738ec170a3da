/* Blobs that are shared with a checkout: put in, taken out.
 *
 * Invariants:
 *
 * A blob is shared with one checkout at most, by a hard link: they have one time between them, and
 * cargo goes by times. A process that makes the second link sees by the count that it is the third,
 * and copies. Such a file keeps the mode that the compiler gave it: rustc refuses to replace an
 * output that is read-only. One that anybody may write to is not shared. Where several users share
 * the cache, no blob is shared with a checkout: it would be one user's file, to write to, and what
 * others are given.
 *
 * Nobody of ours opens a blob for writing, but somebody may write to a file that is shared. So each
 * blob is verified before it is used; the memo makes that a stat. Its ctime does not count there:
 * each link that comes or goes (cargo clean) moves it. So what is not seen is a blob changed in
 * place, to the same size, whose mtime was then put back. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/depot_priv.h"
#include "store/disk_priv.h"
#include "common/fs.h"
#include "memo/memo.h"

#define ANYBODY_WRITES S_IWOTH

/* Gives an open file another name: by its descriptor, so that it is that file for sure. */
static int
link_fd(int fd, const char *to)
{
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static bool
is_changed(const struct stat *a, const struct stat *b)
{
	return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

/* Network file systems and quotas report a failed write only when a descriptor is closed; ours is
 * still needed. */
static int
flush_errors(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	return close(copy) < 0 && errno != EINTR ? -errno : 0;
}

static void
note(struct disk *d, int fd, const struct digest *digest)
{
	struct stat st;

	if (d->memo != NULL && fstat(fd, &st) == 0)
		memo_note_stat(d->memo, &st, digest);
}

/* Putting in. */

/* Makes fd's file the blob. 1: it is; 0: another was here. */
static int
link_in(struct disk *d, int fd, const struct digest *digest, uint64_t size)
{
	char path[PATH_MAX];
	int r = -EEXIST, tries;

	disk_path(d, STORE_BLOB, digest, path);
	for (tries = 0; tries < 3 && r == -EEXIST; tries++) {
		if (disk_is_here(d, digest, size))
			return 0;
		r = link_fd(fd, path);
		if (r == -ENOENT && fs_mkdir_parent(path, 0700) == 0)
			r = link_fd(fd, path);
	}
	return r < 0 ? r : 1;
}

static int
add_by_link(struct disk *d, int fd, const struct stat *before, struct digest *ret)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	r = memo_digest_fd(d->memo, fd, false, ret, &st);
	if (r < 0)
		return r;
	if (is_changed(before, &st))
		return -EAGAIN;
	r = link_in(d, fd, ret, (uint64_t)st.st_size);
	if (r > 0) {
		if (fstat(fd, &st) == 0 && !is_changed(before, &st)) {
			memo_note_stat(d->memo, &st, ret);
			return 0;
		}
		disk_path(d, STORE_BLOB, ret, path);
		unlink(path);
		r = -EAGAIN;
	}
	return r;
}

/* What is hashed is what is written. */
static int
clone_or_copy(struct disk_writer *w, int from, uint64_t size, struct digest *ret)
{
	struct disk *d = disk_of(w->base.store);
	int r;

	if (fs_clone_fd(from, w->fd) == 0) {
		w->size = size;
		return memo_digest_fd(d->memo, from, false, ret, NULL);
	}
	if (lseek(from, 0, SEEK_SET) < 0)
		return -errno;
	r = disk_write_from(w, from);
	if (r == 0)
		hasher_final(w->hasher, ret);
	return r;
}

static int
add_by_copy(struct disk *d, int fd, const struct stat *before, struct digest *ret)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	struct stat after;
	int r = disk_writer_new(d, true, &w);

	if (r == 0)
		r = clone_or_copy(w, fd, (uint64_t)before->st_size, ret);
	if (r == 0 && fstat(fd, &after) < 0)
		r = -errno;
	if (r == 0 && is_changed(before, &after))
		r = -EAGAIN;
	if (r == 0)
		r = disk_write_place(w, ret);
	if (r < 0)
		return r;
	memo_note_stat(d->memo, &after, ret);
	return 0;
}

int
depot_add(struct depot *depot, const char *path, enum depot_way way, struct digest *ret,
	uint64_t *ret_size)
{
	struct disk *d = disk_of(depot->store);
	_cleanup_(closep) int fd = -1;
	struct digest digest;
	struct stat st;
	int r = -EXDEV;

	if (d->read_only)
		return -EROFS;
	fd = fs_open_regular(path, &st);
	if (fd < 0)
		return fd;
	if (way == DEPOT_SHARE && !d->share.on && !(st.st_mode & ANYBODY_WRITES))
		r = add_by_link(d, fd, &st, &digest);
	/* also one that was here already: it is used */
	if (r == 0)
		disk_note(d, STORE_BLOB, &digest, disk_bytes(d, &st));
	/* another file system, a file of another user, one with all the links there can be */
	if (r < 0 && r != -EAGAIN && r != -ENOSPC && r != -EROFS)
		r = add_by_copy(d, fd, &st, &digest);
	if (r < 0)
		return r;
	*ret = digest;
	if (ret_size != NULL)
		*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* Taking out. */

struct taking {
	struct disk *d;
	const struct digest *digest;
	int fd; /* the blob's */
	uint64_t size;
	mode_t mode;
	const char *path;
	char temp[PATH_MAX]; /* beside it */
};

/* The last step: from a whole file under the temporary name. fd: of that file. */
static int
take_place(const struct taking *t, int fd)
{
	int r = 0;

	if (futimens(fd, NULL) < 0 || rename(t->temp, t->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(t->temp);
	else
		note(t->d, fd, t->digest); /* the rename may have moved its ctime */
	return r;
}

static int
fill_by_copy(int from, int to)
{
	return lseek(from, 0, SEEK_SET) < 0 ? -errno : fs_copy_fd(from, to);
}

static int
take_new(const struct taking *t, int (*fill)(int from, int to))
{
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	fd = open(t->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(t->fd, fd);
	if (r == 0 && (fchmod(fd, t->mode & 07777) < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r == 0 && (uint64_t)st.st_size != t->size)
		r = -EIO;
	if (r == 0)
		r = flush_errors(fd);
	if (r < 0) {
		unlink(t->temp);
		return r;
	}
	return take_place(t, fd);
}

/* Whether nobody but the blob has the file; `more` names of ours apart. */
static bool
is_alone(int fd, nlink_t more)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink <= 1 + more;
}

/* Whether a file that was made there would have this owner and group, and no access list. */
static bool
suits_place(const struct taking *t, const struct stat *blob)
{
	_cleanup_(freep) char *dir = path_dirname(t->path);
	struct stat st;
	mode_t mask;

	if (!dir || stat(dir, &st) < 0 || fs_mask_in(dir, 0, &mask) > 0 || fs_has_acl(t->fd))
		return false;
	return blob->st_uid == geteuid() &&
	       blob->st_gid == ((st.st_mode & S_ISGID) ? st.st_gid : getegid());
}

static int
take_link(const struct taking *t)
{
	struct stat st, there;
	bool placed;
	int r;

	if (fstat(t->fd, &st) < 0)
		return -errno;
	if (!suits_place(t, &st))
		return -EXDEV;
	/* It may be in its place already: a unit that was looked up again. */
	placed = lstat(t->path, &there) == 0 && there.st_ino == st.st_ino &&
		 there.st_dev == st.st_dev;
	if (!is_alone(t->fd, placed))
		return -EMLINK;
	if ((st.st_mode & 07777) != (t->mode & 07777) && fchmod(t->fd, t->mode & 07777) < 0)
		return -errno;
	if (placed) {
		if (futimens(t->fd, NULL) < 0)
			return -errno;
		note(t->d, t->fd, t->digest);
		return 0;
	}
	r = link_fd(t->fd, t->temp);
	if (r < 0)
		return r;
	if (!is_alone(t->fd, 1)) {
		unlink(t->temp);
		return -EMLINK;
	}
	return take_place(t, t->fd);
}

/* A file system that is known to have no reflinks need not be asked. */
static bool
may_clone(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && s.f_type != EXT4_SUPER_MAGIC && s.f_type != TMPFS_MAGIC;
}

int
depot_restore(struct depot *depot, const struct digest *digest, uint64_t size, enum depot_way way,
	mode_t mode, const char *path)
{
	struct disk *d = disk_of(depot->store);
	_cleanup_(freep) char *dir = path_dirname(path);
	_cleanup_(closep) int fd = -1;
	struct taking t = { .d = d, .digest = digest, .size = size, .mode = mode, .path = path };
	struct stat st;
	int r;

	if (dir == NULL)
		return -ENOMEM;
	r = disk_temp_name(dir, t.temp);
	if (r < 0)
		return r;
	t.fd = fd = disk_open_good(d, digest, UINT64_MAX, &st);
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size != size)
		return disk_discard(d, digest, fd);
	r = may_clone(fd) ? take_new(&t, fs_clone_fd) : -EOPNOTSUPP;
	if (r < 0 && way == DEPOT_SHARE && !d->read_only && !d->share.on &&
		!(mode & ANYBODY_WRITES))
		r = take_link(&t);
	if (r < 0)
		r = take_new(&t, fill_by_copy);
	/* -ENOENT speaks of the blob */
	return r == -ENOENT ? -ENOTDIR : r;
}

int
depot_put_text(const void *p, size_t n, mode_t mode, const char *path)
{
	_cleanup_(freep) char *dir = path_dirname(path);
	char temp[PATH_MAX];
	int r = dir == NULL ? -ENOMEM : disk_temp_name(dir, temp);

	return r < 0 ? r : fs_write_atomic_by(temp, path, p, n, mode);
}
